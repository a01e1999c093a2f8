//! `bendwave cluster`: which features belong together, what they do, and knobs for them.

use crate::app::cli::ClusterArgs;
use crate::app::{metric, model, print, say};
use crate::bend::ClusterFile;
use crate::cluster::agreement::adjusted_rand_index;
use crate::cluster::metric::{Learned, Recipe};
use crate::cluster::state::WorkFolder;
use crate::cluster::{self, Analysis, Latents, LayerClusters, Progress, Settings, Step};
use crate::generator::{Generator, Runtime, latent, manifest::MANIFEST_FILE};
use crate::tensor::split_mix;
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Pictures that a report shows.
const SHOWN: usize = 4;

pub(crate) fn run(args: &ClusterArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let before = match &args.compare {
        Some(path) => Some((path, ClusterFile::load(path)?)),
        None => None,
    };
    let folder = model::folder(args.model.as_deref(), None, args.ort_lib.as_deref())?;
    let runtime = Runtime::load(args.ort_lib.as_deref())?;
    let mut generator = Generator::load(&folder, runtime, args.provider)?;
    let settings = settings(args, &mut generator)?;
    let stop = Arc::new(AtomicBool::new(false));
    let asked_to_stop = Arc::clone(&stop);
    ctrlc::set_handler(move || asked_to_stop.store(true, Ordering::Relaxed))
        .context("Ctrl-C cannot be watched")?;

    let mut bar = Bar::new(stop);
    let recipe = recipe(args);
    let mut embedding = match &recipe {
        Some(recipe) => learned(args, &folder, &mut generator, &settings, recipe, &mut bar)?,
        None => Learned::default(),
    };
    let mut partial = args.out.clone().into_os_string();
    partial.push(".partial");
    let key = key(&folder, &settings, recipe.as_ref())?;
    let work = WorkFolder::open(Path::new(&partial), &key)?;
    if work.resumed {
        say("going on where the last run stopped");
    }
    let mut analysis = Analysis::new(
        &mut generator,
        &mut embedding,
        settings.clone(),
        Some(&work),
    )?;
    let layers = analysis.run(&mut |progress| bar.step(progress))?;
    bar.clear();

    let file = cluster::file(&layers);
    let comment = comment(args, &generator, &settings);
    write(&args.out, &file.to_yaml(&comment))?;
    if let Some(dir) = &args.report {
        report(dir, &folder, &mut generator, &layers, &settings, &mut bar)?;
    }
    let mut knobs = None;
    if let Some(path) = &args.mapping {
        knobs = Some(lay_knobs(args, path, &layers)?);
    }
    work.remove()?;
    for layer in &layers {
        say(&line_of(layer));
    }
    if let Some((path, before)) = before {
        compare(path, &before, &layers);
    }
    say(&format!("{:.1} s", started.elapsed().as_secs_f64()));
    print(&args.out.display().to_string())?;
    if let Some(dir) = &args.report {
        print(&dir.join("index.html").display().to_string())?;
    }
    if let (Some(mapping), Some(scene)) = (&args.mapping, &knobs) {
        print(&mapping.display().to_string())?;
        print(&scene.display().to_string())?;
    }
    Ok(())
}

fn settings(args: &ClusterArgs, generator: &mut Generator) -> anyhow::Result<Settings> {
    let top = generator.manifest().layers.len().saturating_sub(1);
    let (z_dim, w_dim) = (generator.manifest().z_dim, generator.manifest().w_dim);
    if !args.truncation.is_finite() || !(-4.0..=4.0).contains(&args.truncation) {
        bail!("--truncation {}: must be within -4 and 4", args.truncation);
    }
    let styles_of_one = if let Some(path) = &args.latent {
        Some(latent::w_from_file(path, generator.latents(), w_dim)?)
    } else if let Some(seed) = args.seed {
        let latents = generator.latents();
        let mut styles = generator
            .map(&latent::z_from_seed(seed, z_dim))?
            .repeat(latents);
        latent::truncate(&mut styles, &generator.manifest().w_avg, args.truncation);
        Some(styles)
    } else {
        None
    };
    Ok(Settings {
        layers: args.layers.clone().unwrap_or(0..=top),
        latents: styles_of_one.map_or(
            Latents::Random {
                samples: args
                    .samples
                    .or_else(|| args.quality.recipe().map(|recipe| recipe.samples))
                    .unwrap_or(1000),
                truncation: args.truncation,
            },
            Latents::One,
        ),
        count: args.count,
        seed: args.random_state,
        effect_pictures: args.effects,
    })
}

/// How networks are trained, or None for the description that needs none.
fn recipe(args: &ClusterArgs) -> Option<Recipe> {
    let recipe = args.quality.recipe()?;
    Some(Recipe {
        samples: args.samples.unwrap_or(recipe.samples),
        epochs: args.epochs.unwrap_or(recipe.epochs),
        ..recipe
    })
}

/// Networks of this recipe for all layers that are asked for.
#[cfg(not(feature = "metric-learning"))]
#[expect(
    clippy::needless_pass_by_ref_mut,
    reason = "called as the one that trains"
)]
fn learned(
    args: &ClusterArgs,
    folder: &Path,
    generator: &mut Generator,
    settings: &Settings,
    recipe: &Recipe,
    _bar: &mut Bar,
) -> anyhow::Result<Learned> {
    let kept = metric::kept(args.metric.as_deref(), folder, generator.manifest());
    metric::without_training(&kept, args.quality, recipe, &settings.layers)
}

/// Networks of this recipe for all layers that are asked for: those that are there, the others are
/// trained.
#[cfg(feature = "metric-learning")]
fn learned(
    args: &ClusterArgs,
    folder: &Path,
    generator: &mut Generator,
    settings: &Settings,
    recipe: &Recipe,
    bar: &mut Bar,
) -> anyhow::Result<Learned> {
    use crate::cluster::metric::{Learner, Pictures};
    let kept = metric::kept(args.metric.as_deref(), folder, generator.manifest());
    let mut learned = Learned::default();
    if let Latents::One(_) = settings.latents {
        // What was learned from many pictures is used for one, however it was learned.
        learned = kept.learned(recipe, settings.layers.clone());
        if learned.layers().eq(settings.layers.clone()) {
            return Ok(learned);
        }
    }
    let learner = Learner {
        recipe: *recipe,
        seed: settings.seed,
        kept: &kept,
        training: metric::training(recipe, settings.seed, args.truncation),
    };
    let mut pictures = cluster::Drawn {
        generator,
        seed: settings.seed,
        truncation: args.truncation,
    };
    let work: Vec<u64> = settings
        .layers
        .clone()
        .map(|layer| recipe.work(pictures.shape(layer)))
        .collect();
    let all = work.iter().sum();
    let mut before = 0;
    for (layer, work) in settings.layers.clone().zip(work) {
        let outcome = learner.layer(layer, &mut pictures, &mut |progress| {
            let part =
                u128::from(work) * u128::from(progress.done) / u128::from(progress.of.max(1));
            bar.learn(layer, before + part as u64, all)
        })?;
        before += work;
        let found = &outcome.kept;
        if !outcome.found {
            bar.say(&format!(
                "layer {layer}: knows {:.1} % of held-out maps (chance {:.1} %), {:.0} s",
                100.0 * found.accuracy().unwrap_or(0.0),
                100.0 / pictures.shape(layer).channels.max(1) as f64,
                found.secs().unwrap_or(0.0),
            ));
        }
        learned.insert(layer, outcome.kept.network, outcome.kept.info.range);
    }
    bar.clear();
    Ok(learned)
}

/// What a run computes: two runs with the same text go on with each other's work.
fn key(folder: &Path, settings: &Settings, recipe: Option<&Recipe>) -> anyhow::Result<String> {
    let path = folder.join(MANIFEST_FILE);
    let manifest = fs::read(&path).with_context(|| path.display().to_string())?;
    let mut hash = Sha256::new();
    hash.update(manifest);
    hash.update(format!("{settings:?}{recipe:?}"));
    let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok(format!("bendwave {} {hash}\n", env!("CARGO_PKG_VERSION")))
}

fn comment(args: &ClusterArgs, generator: &Generator, settings: &Settings) -> String {
    let provenance = &generator.manifest().provenance;
    format!(
        "Clusters of the features of {}, most visible first in each layer.\n\
         Made by bendwave {} from {}, quality {}, random state {}.\n\
         Model: sha256 of its checkpoint {}.",
        provenance.source,
        env!("CARGO_PKG_VERSION"),
        watched(settings),
        args.quality,
        settings.seed,
        provenance.sha256
    )
}

fn watched(settings: &Settings) -> String {
    match settings.latents {
        Latents::Random {
            samples,
            truncation,
        } => format!("{samples} random pictures at truncation {truncation}"),
        Latents::One(_) => "one picture".to_owned(),
    }
}

fn report(
    dir: &Path,
    folder: &Path,
    generator: &mut Generator,
    layers: &[LayerClusters],
    settings: &Settings,
    bar: &mut Bar,
) -> anyhow::Result<()> {
    let manifest = generator.manifest();
    let clusters: usize = layers.iter().map(|layer| layer.clusters.len()).sum();
    let features: usize = layers.iter().map(|layer| layer.shape.channels).sum();
    let side = manifest.resolution;
    let title = title(folder, &manifest.provenance.source);
    let facts = [
        ("picture", format!("{side}×{side}")),
        ("layers", format!("{}", layers.len())),
        ("features", format!("{features}")),
        ("clusters", format!("{clusters}")),
        ("watched", watched(settings)),
        ("random state", settings.seed.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value));
    let styles = match &settings.latents {
        Latents::One(styles) => vec![styles.clone()],
        &Latents::Random { truncation, .. } => {
            let (z_dim, latents) = (manifest.z_dim, generator.latents());
            let mut shown = Vec::with_capacity(SHOWN);
            for seed in seeds(settings.seed) {
                let z = latent::z_from_seed(seed, z_dim);
                let mut styles = generator.map(&z)?.repeat(latents);
                latent::truncate(&mut styles, &generator.manifest().w_avg, truncation);
                shown.push(styles);
            }
            shown
        }
    };
    bar.start("drawing the report", clusters as u64);
    cluster::write_report(
        dir,
        generator,
        layers,
        &styles,
        &title,
        &facts,
        &mut |done| bar.at(done),
    )?;
    bar.clear();
    Ok(())
}

/// The model's name: its folder's, or its checkpoint's where the folder is one of the cache.
fn title(folder: &Path, source: &str) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    if folder
        .parent()
        .is_some_and(|p| p.ends_with("bendwave/models"))
        || name.is_empty()
    {
        match Path::new(source).file_stem() {
            Some(stem) if stem != "checkpoint" => stem.to_string_lossy().into_owned(),
            _ => "default model".to_owned(),
        }
    } else {
        name.into_owned()
    }
}

/// Seeds of the pictures that are shown and walked through.
fn seeds(random_state: u32) -> [u32; SHOWN] {
    let mut state = u64::from(random_state) ^ 0x5EED;
    [(); SHOWN].map(|()| split_mix(&mut state) as u32 % 10_000)
}

/// Writes mapping and scene; gives the scene's path.
fn lay_knobs(
    args: &ClusterArgs,
    mapping: &Path,
    layers: &[LayerClusters],
) -> anyhow::Result<PathBuf> {
    let scene = args.scene.clone().unwrap_or_else(|| {
        let stem = mapping.file_stem().unwrap_or_default().to_string_lossy();
        mapping.with_file_name(format!("{stem}-scene.yaml"))
    });
    let clusters = seen_from(&scene, &args.out)?;
    let model = match &args.model {
        Some(path) => Some(seen_from(&scene, path)?),
        None => None,
    };
    let seeds = args
        .seed
        .map_or_else(|| seeds(args.random_state).to_vec(), |seed| vec![seed]);
    let files = cluster::lay_knobs(args.controller, layers, &clusters, model.as_deref(), &seeds);
    write(mapping, &files.mapping)?;
    write(&scene, &files.scene)?;
    say(&format!("{} controls play a cluster", files.knobs));
    Ok(scene)
}

/// `path` as a file beside `scene` names it: relative where it lies there or below.
fn seen_from(scene: &Path, path: &Path) -> anyhow::Result<String> {
    let name = || path.display().to_string();
    let path = path.canonicalize().with_context(name)?;
    let folder = match scene.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = folder
        .canonicalize()
        .with_context(|| folder.display().to_string())?;
    let short = path.strip_prefix(&folder).unwrap_or(&path);
    Ok(short.display().to_string())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn line_of(layer: &LayerClusters) -> String {
    let clusters: Vec<String> = layer
        .clusters
        .iter()
        .map(|cluster| {
            let percent = 100.0 * cluster.effect.visibility();
            let count = cluster.features.len();
            format!("{} ({count} features, {percent:.1} %)", cluster.name)
        })
        .collect();
    format!("layer {}: {}", layer.layer, clusters.join("; "))
}

/// Says how far the new clusters agree with those of another file.
fn compare(path: &Path, before: &ClusterFile, layers: &[LayerClusters]) {
    let mut sum = 0.0;
    let mut count = 0.0;
    for layer in layers {
        let groups = layer.groups();
        let mut other = vec![u32::MAX; groups.len()];
        for id in before.ids(layer.layer) {
            for &feature in before.cluster(layer.layer, id).unwrap_or_default() {
                if let Some(group) = other.get_mut(feature as usize) {
                    *group = id;
                }
            }
        }
        if other.contains(&u32::MAX) {
            say(&format!(
                "layer {}: {} has not all its features",
                layer.layer,
                path.display()
            ));
            continue;
        }
        let index = adjusted_rand_index(&groups, &other);
        sum += index;
        count += 1.0;
        say(&format!(
            "layer {}: adjusted Rand index {index:.3} with {}",
            layer.layer,
            path.display()
        ));
    }
    if count > 0.0 {
        say(&format!("mean adjusted Rand index {:.3}", sum / count));
    }
}

/// A bar with the time left on a terminal, a line every tenth elsewhere. Ctrl-C ends a step.
struct Bar {
    stop: Arc<AtomicBool>,
    bar: ProgressBar,
    what: String,
    of: u64,
    last: u64,
    lines: bool,
}

impl Bar {
    fn new(stop: Arc<AtomicBool>) -> Self {
        Self {
            stop,
            bar: ProgressBar::hidden(),
            what: String::new(),
            of: 0,
            last: 0,
            lines: !std::io::stderr().is_terminal(),
        }
    }

    fn start(&mut self, what: &str, of: u64) {
        self.bar.finish_and_clear();
        what.clone_into(&mut self.what);
        self.of = of;
        self.last = 0;
        if !self.lines {
            let target = ProgressDrawTarget::stderr();
            self.bar =
                ProgressBar::with_draw_target(Some(of), target).with_message(what.to_owned());
            let style = "{msg} {bar:40} {percent} %, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                self.bar.set_style(style);
            }
        }
    }

    fn step(&mut self, progress: Progress) -> bool {
        let what = match progress.step {
            Step::Learn(_) => "learning",
            Step::Watch => "watching features",
            Step::Measure => "measuring effects",
        };
        if self.what != what || self.of != progress.of {
            self.start(what, progress.of);
            // What an earlier run did does not count for the time left.
            self.bar.set_position(progress.done.saturating_sub(1));
            self.bar.reset_eta();
            self.last = progress.done.saturating_sub(1);
        }
        self.at(progress.done)
    }

    /// Training: one bar over all layers.
    #[cfg(feature = "metric-learning")]
    fn learn(&mut self, layer: usize, done: u64, of: u64) -> bool {
        const WHAT: &str = "learning which features are alike";
        if self.what != WHAT || self.of != of {
            self.start(WHAT, of);
            self.bar.set_position(done);
            self.bar.reset_eta();
            self.last = done;
        }
        self.bar.set_message(format!("{WHAT}, layer {layer}"));
        self.at(done)
    }

    /// A line above the bar.
    #[cfg(feature = "metric-learning")]
    fn say(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }

    fn at(&mut self, done: u64) -> bool {
        self.bar.set_position(done);
        let tenth = |n: u64| n * 10 / self.of.max(1);
        if self.lines && tenth(done) != tenth(self.last) {
            say(&format!("{}: {} %", self.what, tenth(done) * 10));
        }
        self.last = done;
        !self.stop.load(Ordering::Relaxed)
    }

    fn clear(&mut self) {
        self.bar.finish_and_clear();
        self.what.clear();
    }
}
