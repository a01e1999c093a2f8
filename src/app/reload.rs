//! The `loader` thread: files that are saved during a performance change the picture.
//!
//! It reads, checks and compiles; the render thread takes what is ready through a handoff where the
//! newest wins, and gives back what it no longer needs, to be dropped here. A broken file changes
//! nothing: the last good one plays on, and the performer is told until it is mended.

use crate::app::cli::EngineArgs;
use crate::app::perform::{Controls, bind};
use crate::app::say;
use crate::app::stage;
use crate::app::watch::{Watch, Woken};
use crate::bend::{Bender, ClusterFile, ShaderSources};
use crate::engine::{self, RetiredRuns};
use crate::generator::{RunMaker, RunPlan, Runs};
use crate::gpu::Gpu;
use crate::mapping::Mapping;
use crate::rt::{latest, thread};
use crate::scene::{Patch, Scene, SceneBend};
use crate::tensor::MapShape;
use crossbeam_channel::{Receiver, Sender};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// A file that cannot be used may only be half written: it is read once more after this time
/// before the performer hears of it.
const SECOND_LOOK: Duration = Duration::from_millis(200);
/// What is on its way to be dropped: more than a loader can make in a frame.
const RETIRED: usize = 4;

/// Something large that the render thread no longer needs.
#[derive(Debug)]
#[expect(dead_code, reason = "held only to be dropped on the loader's thread")]
pub(crate) enum Retired {
    Bender(Box<Bender>),
    Runs(Box<RetiredRuns>),
}

/// What to load again when it is saved.
#[derive(Debug)]
pub(crate) struct Sources {
    /// `None` for a performance without a scene file.
    pub(crate) scene_file: Option<PathBuf>,
    /// `--seed`.
    pub(crate) seed: Option<u32>,
    pub(crate) scene: Scene,
    /// `--clusters`.
    pub(crate) clusters_file: Option<PathBuf>,
    pub(crate) clusters: Option<ClusterFile>,
    pub(crate) mapping_file: Option<PathBuf>,
    pub(crate) mapping: Option<Mapping>,
    pub(crate) shaders: Option<PathBuf>,
    /// Name of the adapter that bends, to be opened again for new shaders; `None` when bends run on
    /// the CPU.
    pub(crate) bends_on: Option<String>,
    /// Where bends may run, until a scene with bends comes and it is chosen.
    pub(crate) undecided: Option<EngineArgs>,
    pub(crate) run_maker: RunMaker,
    /// Shapes of the model's layers.
    pub(crate) shapes: Vec<MapShape>,
}

/// What changed, ready for the render thread. The newest wins; what was not taken yet is merged in.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub(crate) patch: Option<Patch>,
    pub(crate) controls: Option<Controls>,
    /// Has room for `patch`, or for the patch in use.
    pub(crate) bender: Option<Bender>,
    /// Why the bends run where they run, if that was chosen now.
    pub(crate) bends_why: Option<String>,
    /// Segments that run together.
    pub(crate) runs: Option<Runs>,
    /// When the newest of the files was saved.
    pub(crate) saved: Option<SystemTime>,
    /// For the performer; may be empty.
    pub(crate) message: String,
    /// What is broken now, one line a file: replaces what was said before.
    pub(crate) problems: Vec<String>,
}

/// The render thread's end.
#[derive(Debug)]
pub(crate) struct Reloads {
    pub(crate) prepared: latest::Taker<Prepared>,
    retired: Sender<Retired>,
    redraws: Arc<AtomicU32>,
    wake: Sender<()>,
}

impl Reloads {
    /// Has the scene's random selections drawn anew. Every call counts; those that the loader finds
    /// together are done in one.
    pub(crate) fn redraw(&self) {
        self.redraws.fetch_add(1, Ordering::Relaxed);
        if self.wake.try_send(()).is_err() {
            // It is awake already, or gone.
        }
    }

    /// Has something dropped on the loader's thread.
    pub(crate) fn retire(&self, retired: Retired) {
        if let Err(returned) = self.retired.try_send(retired) {
            // The loader is busy or gone: then it is dropped here.
            drop(returned);
        }
    }
}

/// Where clusters that are found during the show are handed in. Bounded; what finds it full is lost.
#[derive(Clone, Debug)]
pub(crate) struct Finds {
    found: Sender<Result<ClusterFile, String>>,
    wake: Sender<()>,
}

impl Finds {
    pub(crate) fn hand_in(&self, found: Result<ClusterFile, String>) {
        if self.found.try_send(found).is_err() || self.wake.try_send(()).is_err() {
            // It is awake already, or gone.
        }
    }
}

/// Ends the thread when dropped.
pub(crate) struct Loader {
    stop: Arc<AtomicBool>,
    finds: Finds,
    thread: Option<JoinHandle<()>>,
}

impl Loader {
    /// Where to hand in clusters.
    pub(crate) fn finds(&self) -> Finds {
        self.finds.clone()
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader").finish_non_exhaustive()
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.finds.wake.try_send(()).is_err() {
            // It is awake already.
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::warn!("the loader ended by a fault");
        }
    }
}

/// Starts the thread.
///
/// # Errors
/// When the system refuses another thread.
pub(crate) fn start(sources: Sources) -> std::io::Result<(Loader, Reloads)> {
    let (giver, prepared) = latest::handoff();
    let (retired, to_drop) = crossbeam_channel::bounded(RETIRED);
    let (found, finds) = crossbeam_channel::bounded(1);
    let (watch, wake) = Watch::new();
    let stop = Arc::new(AtomicBool::new(false));
    let redraws = Arc::new(AtomicU32::new(0));
    let mut work = Work {
        files: sources,
        watch,
        giver,
        to_drop,
        found: finds,
        redraws: Arc::clone(&redraws),
        stop: Arc::clone(&stop),
        problems: BTreeMap::new(),
        suspects: BTreeSet::new(),
        missing_clusters: None,
        paintings: BTreeSet::new(),
        second_look: None,
        plan: None,
    };
    // Watched from here on, so that nothing saved during the start is missed.
    work.watch_files();
    let thread = thread::spawn("loader", move || work.run())?;
    let reloads = Reloads {
        prepared,
        retired,
        redraws,
        wake: wake.clone(),
    };
    let loader = Loader {
        stop,
        finds: Finds { found, wake },
        thread: Some(thread),
    };
    Ok((loader, reloads))
}

struct Work {
    files: Sources,
    watch: Watch,
    giver: latest::Giver<Prepared>,
    to_drop: Receiver<Retired>,
    found: Receiver<Result<ClusterFile, String>>,
    /// How often the performer asked for other random selections since the last look.
    redraws: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    /// What is broken, by file.
    problems: BTreeMap<PathBuf, String>,
    /// Files to read once more at `second_look`.
    suspects: BTreeSet<PathBuf>,
    /// The cluster file that a saved scene names and could not get.
    missing_clusters: Option<PathBuf>,
    /// Painted masks that the scene file names.
    paintings: BTreeSet<PathBuf>,
    second_look: Option<Instant>,
    /// The runs that were made last.
    plan: Option<RunPlan>,
}

impl Work {
    fn run(&mut self) {
        self.make_runs();
        while !self.stop.load(Ordering::Relaxed) {
            let patience = self
                .second_look
                .map(|at| at.saturating_duration_since(Instant::now()));
            let woken = self.watch.wait(patience);
            while let Ok(retired) = self.to_drop.try_recv() {
                drop(retired);
            }
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            while let Ok(found) = self.found.try_recv() {
                self.take_found(found);
            }
            match self.redraws.swap(0, Ordering::Relaxed) {
                0 => {}
                times => self.redraw(times),
            }
            self.look(woken);
        }
    }

    /// Plays clusters that were found in the picture on show, under the numbers of those in use.
    fn take_found(&mut self, found: Result<ClusterFile, String>) {
        let mut ready = Prepared::default();
        let shapes = &self.files.shapes;
        let prepared = found.and_then(|found| {
            let Some(known) = &self.files.clusters else {
                return Err("this scene plays no clusters".to_owned());
            };
            let clusters = found.numbered_like(known);
            let shape = |layer: usize| shapes.get(layer).copied();
            match self.files.scene.patch(&shape, Some(&clusters)) {
                Ok(patch) => Ok((clusters, patch)),
                Err(error) => Err(error.to_string()),
            }
        });
        match prepared {
            Ok((clusters, patch)) => {
                self.files.clusters = Some(clusters);
                ready.patch = Some(patch);
                ready.message = "clusters of this picture".to_owned();
            }
            Err(why) => ready.message = format!("the clusters stay as they were: {why}"),
        }
        say(&ready.message);
        self.give(ready);
    }

    /// Draws the scene's random selections anew, so many times.
    fn redraw(&mut self, times: u32) {
        let mut ready = Prepared::default();
        let files = &mut self.files;
        if files.scene.bends.iter().any(SceneBend::is_random) {
            let mut scene = files.scene.clone();
            for _ in 0..times {
                scene.redraw();
            }
            let shape = |layer: usize| files.shapes.get(layer).copied();
            match scene.patch(&shape, files.clusters.as_ref()) {
                Ok(patch) => {
                    ready.message = format!("random features, draw {}", scene.draw);
                    ready.patch = Some(patch);
                    files.scene = scene;
                }
                Err(why) => ready.message = format!("the features stay as they were: {why}"),
            }
        } else {
            ready.message = "this scene draws no features at random".to_owned();
        }
        say(&ready.message);
        self.give(ready);
    }

    fn look(&mut self, woken: Woken) {
        let mut changed = self.watch.changed(woken);
        let sure = self.second_look.is_some_and(|at| at <= Instant::now());
        if sure {
            changed.append(&mut self.suspects);
            self.second_look = None;
        }
        if changed.is_empty() {
            return;
        }
        let mut ready = Prepared::default();
        let mut done = Vec::new();
        let mut failed = Vec::new();
        self.load_scene(&changed, &mut ready, &mut done, &mut failed);
        self.load_mapping(&changed, &mut ready, &mut done, &mut failed);
        self.load_shaders(&changed, &mut ready, &mut done, &mut failed);
        self.watch_files();
        for path in &done {
            self.problems.remove(path);
        }
        let mut told = Vec::new();
        for (path, problem) in failed {
            if sure || self.problems.contains_key(&path) {
                told.push(problem.clone());
                self.problems.insert(path, problem);
            } else {
                self.suspects.insert(path);
                self.second_look = Some(Instant::now() + SECOND_LOOK);
            }
        }
        for problem in told {
            say(&format!("{problem}; the last good one plays on"));
        }
        if !done.is_empty() {
            let names: Vec<String> = done.iter().map(|path| name(path)).collect();
            let saved = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).ok();
            ready.saved = done.iter().filter_map(saved).max();
            ready.message = format!("loaded {}", names.join(", "));
            say(&ready.message);
        }
        let patched = ready.patch.is_some();
        self.give(ready);
        if patched {
            self.make_runs();
            self.choose_bender();
        }
    }

    /// Chooses where bends run when the first ones come. Until then the CPU bends.
    fn choose_bender(&mut self) {
        let files = &mut self.files;
        let shapes = &files.shapes;
        let shape = |layer: usize| shapes.get(layer).copied();
        let Ok(patch) = files.scene.patch(&shape, files.clusters.as_ref()) else {
            return;
        };
        if patch.bends.is_empty() {
            return;
        }
        let Some(args) = files.undecided.take() else {
            return;
        };
        let mut ready = Prepared::default();
        match stage::choose_bender(&args, &patch, &shape) {
            Ok(choice) => {
                let name = choice
                    .bender
                    .as_ref()
                    .map_or("CPU".to_owned(), Bender::name);
                ready.message = format!("bends: {name}{}", choice.why);
                files.bends_on = choice.bender.as_ref().and_then(Bender::adapter);
                ready.bends_why = Some(choice.why);
                ready.bender = choice.bender;
            }
            Err(error) => {
                ready.message = format!("bends run on the CPU: {}", crate::app::chain(&error));
            }
        }
        say(&ready.message);
        self.give(ready);
    }

    /// Joins the segments between which the scene has no bend, if they are not those of before. Until
    /// it is done, the render thread plays them one by one.
    fn make_runs(&mut self) {
        let files = &self.files;
        let bent: BTreeSet<usize> = files.scene.bends.iter().map(|b| b.layer).collect();
        let plan = RunPlan::new(files.shapes.len(), |layer| bent.contains(&layer));
        if self.plan.as_ref() == Some(&plan) {
            return;
        }
        match stage::make_runs(&files.run_maker, plan.clone()) {
            Ok(runs) => self.give(Prepared {
                runs: Some(runs),
                ..Prepared::default()
            }),
            Err(error) => log::warn!("each segment runs by itself: {error}"),
        }
        self.plan = Some(plan);
    }

    /// Hands over, together with what was handed over before and not taken.
    fn give(&self, mut ready: Prepared) {
        if let Some(before) = self.giver.take_back() {
            ready.patch = ready.patch.or(before.patch);
            ready.controls = ready.controls.or(before.controls);
            ready.bender = ready.bender.or(before.bender);
            ready.bends_why = ready.bends_why.or(before.bends_why);
            ready.runs = ready.runs.or(before.runs);
            if ready.message.is_empty() {
                ready.message = before.message;
                ready.saved = before.saved;
            }
        }
        ready.problems = self.problems.values().cloned().collect();
        self.giver.give(ready);
    }

    fn load_scene(
        &mut self,
        changed: &BTreeSet<PathBuf>,
        ready: &mut Prepared,
        done: &mut Vec<PathBuf>,
        failed: &mut Vec<(PathBuf, String)>,
    ) {
        let files = &self.files;
        let awaited = self
            .missing_clusters
            .take_if(|path| changed.contains(path))
            .is_some();
        let scene_file = files.scene_file.as_ref();
        let painted: Vec<PathBuf> = changed.intersection(&self.paintings).cloned().collect();
        let scene_file =
            scene_file.filter(|path| awaited || changed.contains(*path) || !painted.is_empty());
        let scene = match scene_file {
            Some(path) => match stage::scene(Some(path), files.seed) {
                Ok(mut scene) => {
                    // What the performer drew anew stays so.
                    scene.draw = files.scene.draw;
                    scene
                }
                Err(error) => return failed.push((path.clone(), crate::app::chain(&error))),
            },
            None => files.scene.clone(),
        };
        let clusters_file = clusters_file(files, &scene);
        let same_file = clusters_file == self::clusters_file(files, &files.scene);
        let reread = clusters_file
            .as_ref()
            .filter(|path| !same_file || changed.contains(*path));
        if scene_file.is_none() && reread.is_none() {
            return;
        }
        let clusters = match (&clusters_file, reread) {
            (_, Some(path)) => match ClusterFile::load(path) {
                Ok(clusters) => Some(clusters),
                Err(error) => {
                    self.missing_clusters = Some(path.clone());
                    return failed.push((path.clone(), error.to_string()));
                }
            },
            (Some(_), None) => files.clusters.clone(),
            (None, None) => None,
        };
        let blamed = scene_file.or(reread).cloned().unwrap_or_default();
        let shapes = &files.shapes;
        match scene.patch(&|layer| shapes.get(layer).copied(), clusters.as_ref()) {
            Ok(patch) => ready.patch = Some(patch),
            Err(error) => return failed.push((blamed, error.to_string())),
        }
        if scene.model != files.scene.model {
            say("note: the scene names another model: it is played from the next start on");
        }
        match scene_file {
            Some(path) if painted.is_empty() || changed.contains(path) => done.push(path.clone()),
            _ => done.extend(painted),
        }
        done.extend(reread.cloned());
        if let Some(path) = scene_file {
            // A picture that was broken or missing was the scene's problem.
            self.problems.remove(path);
        }
        self.files.scene = scene;
        self.files.clusters = clusters;
        // Targets are looked up in the scene.
        self.rebind(ready);
    }

    fn load_mapping(
        &mut self,
        changed: &BTreeSet<PathBuf>,
        ready: &mut Prepared,
        done: &mut Vec<PathBuf>,
        failed: &mut Vec<(PathBuf, String)>,
    ) {
        let Some(path) = self.files.mapping_file.clone() else {
            return;
        };
        if !changed.contains(&path) {
            return;
        }
        match Mapping::load(&path) {
            Ok(mapping) => {
                let device = self.files.mapping.as_ref().and_then(|m| m.device.clone());
                if mapping.device != device {
                    say("note: another `device` is listened to from the next start on");
                }
                self.files.mapping = Some(mapping);
                self.rebind(ready);
                done.push(path);
            }
            Err(error) => failed.push((path, error.to_string())),
        }
    }

    fn rebind(&self, ready: &mut Prepared) {
        let (files, shapes) = (&self.files, &self.files.shapes);
        let Some(mapping) = &files.mapping else {
            return;
        };
        let shape = |layer: usize| shapes.get(layer).copied();
        // It fitted when it was loaded.
        if let Ok(patch) = files.scene.patch(&shape, files.clusters.as_ref()) {
            ready.controls = Some(bind(mapping, files.mapping_file.as_deref(), &patch));
        }
    }

    fn load_shaders(
        &self,
        changed: &BTreeSet<PathBuf>,
        ready: &mut Prepared,
        done: &mut Vec<PathBuf>,
        failed: &mut Vec<(PathBuf, String)>,
    ) {
        let Some(folder) = &self.files.shaders else {
            return;
        };
        let mut files = changed.iter().filter(|path| path.starts_with(folder));
        let Some(first) = files.next().cloned() else {
            return;
        };
        let Some(adapter) = &self.files.bends_on else {
            say("note: a shader changed, but the bends run on the CPU: use --bend-on gpu");
            return;
        };
        let files = &self.files;
        let made = (|| -> anyhow::Result<Bender> {
            let sources = ShaderSources::read(folder)?;
            // A device of its own: what goes wrong with a new shader stays away from the show's.
            let gpu = Gpu::new(&adapter.parse()?)?;
            let mut bender = Bender::gpu_with_shaders(Arc::new(gpu), &sources)?;
            let shape = |layer: usize| files.shapes.get(layer).copied();
            if let Ok(patch) = files.scene.patch(&shape, files.clusters.as_ref()) {
                engine::make_room(&mut bender, &patch, &shape)?;
            }
            Ok(bender)
        })();
        match made {
            Ok(bender) => {
                ready.bender = Some(bender);
                // All were compiled, the ones that failed before, too.
                done.extend(
                    self.problems
                        .keys()
                        .filter(|p| p.starts_with(folder))
                        .cloned(),
                );
                if !done.contains(&first) {
                    done.push(first);
                }
            }
            Err(error) => failed.push((first, crate::app::chain(&error))),
        }
    }

    fn watch_files(&mut self) {
        let files = &self.files;
        self.paintings = files
            .scene_file
            .as_deref()
            .map(Scene::paintings)
            .unwrap_or_default();
        let mut all: Vec<PathBuf> = Vec::new();
        all.extend(files.scene_file.clone());
        all.extend(files.mapping_file.clone());
        all.extend(clusters_file(files, &files.scene));
        all.extend(self.missing_clusters.clone());
        all.extend(self.paintings.iter().cloned());
        if let Some(folder) = &files.shaders {
            all.extend(ShaderSources::paths().map(|path| folder.join(path)));
        }
        self.watch.set(all);
    }
}

fn clusters_file(files: &Sources, scene: &Scene) -> Option<PathBuf> {
    files
        .clusters_file
        .clone()
        .or_else(|| scene.clusters.clone())
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
