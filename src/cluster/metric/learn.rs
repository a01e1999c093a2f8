//! Training of a layer's network.

use super::maps::{Maps, held_out, shuffled};
use super::{Kept, KeptLayer, Pictures, Recipe};
use crate::cluster::{ClusteringError, Progress, Step};
use bendwave_metric::train::{Settings, Trainer};
use bendwave_metric::{EMBEDDING, Info, Scratch};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the state of an unfinished training goes to disk.
const SAVE_EVERY: Duration = Duration::from_secs(20);

/// Trains networks for the layers of one model.
#[derive(Debug)]
pub struct Learner<'a> {
    /// How.
    pub recipe: Recipe,
    /// Everything random follows from it.
    pub seed: u32,
    /// Where networks and unfinished ones are kept.
    pub kept: &'a Kept,
    /// What the run is: a kept state of another is not gone on with.
    pub training: String,
}

/// What became of a layer.
#[derive(Debug)]
pub struct Outcome {
    /// Its network.
    pub kept: KeptLayer,
    /// Whether it was there already.
    pub found: bool,
}

impl Learner<'_> {
    /// A layer's network: the kept one, or one trained now, going on where an unfinished one is.
    /// `on_step` hears of the maps that were seen.
    ///
    /// # Errors
    /// When the network or the disk fails, the training runs away, or `on_step` says to stop. What was
    /// done until then is kept.
    pub fn layer(
        &self,
        layer: usize,
        source: &mut dyn Pictures,
        on_step: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<Outcome, ClusteringError> {
        let training = format!("{} layer {layer}", self.training);
        match self.kept.get(&self.recipe, layer) {
            Ok(Some(kept)) if kept.is_of(&training) => {
                return Ok(Outcome { kept, found: true });
            }
            Ok(_) => (),
            Err(error) => log::warn!("{error}"),
        }
        let mut run = Run::new(self, layer, source, &training)?;
        run.train(source, on_step)?;
        let accuracy = run.accuracy(source, on_step)?;
        let kept = run.finish(accuracy)?;
        Ok(Outcome { kept, found: false })
    }
}

struct Run<'a> {
    learner: &'a Learner<'a>,
    layer: usize,
    training: String,
    maps: Maps,
    trainer: Trainer,
    /// Pictures of each part of an epoch.
    parts: Vec<usize>,
    batch: usize,
    /// Seconds of earlier runs.
    before: f64,
    started: Instant,
    saved: Instant,
}

impl<'a> Run<'a> {
    fn new(
        learner: &'a Learner<'a>,
        layer: usize,
        source: &dyn Pictures,
        training: &str,
    ) -> Result<Self, ClusteringError> {
        let recipe = learner.recipe;
        let maps = Maps::new(layer, source.shape(layer), recipe);
        let samples = recipe.samples.max(1);
        let at_once = maps.pictures_at_once().min(samples);
        let parts: Vec<usize> = (0..samples)
            .step_by(at_once)
            .map(|first| at_once.min(samples - first))
            .collect();
        let batch = recipe
            .batch(maps.side())
            .min(at_once * maps.features())
            .max(2);
        let settings = Settings {
            side: maps.side(),
            features: maps.features(),
            batch,
            seed: u64::from(learner.seed) << 32 | layer as u64,
        };
        let unfinished = learner.kept.unfinished(&recipe, layer);
        let (trainer, before) = resume(settings, &unfinished, training)
            .unwrap_or_else(|| (Trainer::new(settings), 0.0));
        let now = Instant::now();
        Ok(Self {
            learner,
            layer,
            training: training.to_owned(),
            maps,
            trainer,
            parts,
            batch,
            before,
            started: now,
            saved: now,
        })
    }

    fn steps_of(&self, part: usize) -> usize {
        self.parts[part] * self.maps.features() / self.batch
    }

    fn train(
        &mut self,
        source: &mut dyn Pictures,
        on_step: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<(), ClusteringError> {
        let recipe = self.learner.recipe;
        let per_epoch: usize = (0..self.parts.len()).map(|part| self.steps_of(part)).sum();
        let all = per_epoch * recipe.epochs;
        let plane = self.maps.side() * self.maps.side();
        let mut batch = vec![0.0; self.batch * plane];
        let mut labels = vec![0; self.batch];
        let mut step = 0;
        let (layer, run_seed) = (self.layer, u64::from(self.learner.seed) << 32);
        let progress = |done: usize| Progress {
            step: Step::Learn(layer),
            done: done as u64,
            of: all as u64,
        };
        for epoch in 0..recipe.epochs {
            let seed = |what: usize| {
                (run_seed | layer as u64)
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                    .wrapping_add((epoch * 4096 + what) as u64)
            };
            let order = match self.parts.len() {
                // All in memory: they stay there.
                1 => (0..self.parts[0]).collect(),
                _ => shuffled(self.parts.iter().sum(), seed(4095)),
            };
            let mut first = 0;
            for part in 0..self.parts.len() {
                let pictures = &order[first..first + self.parts[part]];
                first += self.parts[part];
                let steps = self.steps_of(part);
                let done = usize::try_from(self.trainer.steps()).unwrap_or(usize::MAX);
                if done >= step + steps {
                    step += steps;
                    continue;
                }
                let skip = done - step;
                step += skip;
                let mut seen = || on_step(progress(done));
                let held = self.maps.hold(pictures, source, &mut seen);
                if matches!(held, Err(ClusteringError::Stopped)) {
                    self.save()?;
                }
                held?;
                let order = shuffled(self.parts[part] * self.maps.features(), seed(part));
                for chosen in order.chunks_exact(self.batch).skip(skip) {
                    for ((map, label), &index) in
                        batch.chunks_exact_mut(plane).zip(&mut labels).zip(chosen)
                    {
                        *label = self.maps.copy(index, map);
                    }
                    let rate = recipe.rate_at(step as f64 / all as f64);
                    self.trainer.step(&batch, &labels, rate)?;
                    step += 1;
                    let go_on = on_step(progress(step));
                    if !go_on || self.saved.elapsed() >= SAVE_EVERY {
                        self.save()?;
                    }
                    if !go_on {
                        return Err(ClusteringError::Stopped);
                    }
                }
            }
        }
        Ok(())
    }

    /// Share of held-out maps whose feature the network knows.
    fn accuracy(
        &mut self,
        source: &mut dyn Pictures,
        on_step: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<f64, ClusteringError> {
        let network = self.trainer.network().ok_or(ClusteringError::Diverged)?;
        let classifier = self.trainer.classifier();
        let plane = self.maps.side() * self.maps.side();
        let features = self.maps.features();
        let mut values = vec![0.0; features * plane];
        let mut embeddings = vec![0.0; features * EMBEDDING];
        let mut scratch = Scratch::default();
        let (mut right, mut all) = (0_u64, 0_u64);
        let pictures = held_out(&self.learner.recipe);
        for pictures in pictures.chunks(self.maps.pictures_at_once()) {
            let mut go_on = || {
                on_step(Progress {
                    step: Step::Learn(self.layer),
                    done: 1,
                    of: 1,
                })
            };
            let held = self.maps.hold(pictures, source, &mut go_on);
            if matches!(held, Err(ClusteringError::Stopped)) {
                self.save()?;
            }
            held?;
            for picture in 0..pictures.len() {
                for (feature, map) in values.chunks_exact_mut(plane).enumerate() {
                    self.maps.copy(picture * features + feature, map);
                }
                network.embed(&values, &mut embeddings, &mut scratch);
                for (feature, embedding) in embeddings.chunks_exact(EMBEDDING).enumerate() {
                    right += u64::from(classifier.feature(embedding) == feature);
                    all += 1;
                }
            }
        }
        Ok(right as f64 / all.max(1) as f64)
    }

    fn secs(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    fn save(&mut self) -> Result<(), ClusteringError> {
        let path = self
            .learner
            .kept
            .unfinished(&self.learner.recipe, self.layer);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(|source| ClusteringError::File {
                path: dir.to_path_buf(),
                source,
            })?;
        }
        let note = format!("{}\n{}", self.training, self.secs());
        self.trainer.save(&path, &note)?;
        self.saved = Instant::now();
        Ok(())
    }

    fn finish(self, accuracy: f64) -> Result<KeptLayer, ClusteringError> {
        let network = self.trainer.network().ok_or(ClusteringError::Diverged)?;
        let learner = self.learner;
        let recipe = learner.recipe;
        let notes = [
            ("training", self.training.clone()),
            ("accuracy", format!("{accuracy:.4}")),
            ("seconds", format!("{:.1}", self.secs())),
            ("steps", self.trainer.steps().to_string()),
        ];
        let info = Info {
            range: recipe.range,
            notes: BTreeMap::from(notes.map(|(name, value)| (name.to_owned(), value))),
        };
        let kept = learner
            .kept
            .put(&recipe, self.layer, KeptLayer { network, info })?;
        // What is finished stands in the folder now.
        let unfinished = learner.kept.unfinished(&recipe, self.layer);
        if unfinished.is_file() {
            fs::remove_file(&unfinished).map_err(|source| ClusteringError::File {
                path: unfinished.clone(),
                source,
            })?;
        }
        Ok(kept)
    }
}

/// An unfinished training and the seconds that it took so far, if it is this one.
fn resume(settings: Settings, path: &Path, training: &str) -> Option<(Trainer, f64)> {
    if !path.is_file() {
        return None;
    }
    match Trainer::load(settings, path) {
        Ok((trainer, note)) => {
            let (name, secs) = note.split_once('\n')?;
            let secs = secs.parse().unwrap_or(0.0);
            (name == training).then_some((trainer, secs))
        }
        Err(error) => {
            log::warn!("{error}; it is begun anew");
            None
        }
    }
}
