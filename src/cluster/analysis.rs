//! A whole run: watch the features, group them, measure the groups.

use super::effect::{self, Before, Effect, Meter, PROBES};
use super::state::{Sums, WorkFolder};
use super::{ClusteringError, Embedding, cluster_count, kmeans, name, pictures};
use crate::bend::{Bender, ClusterFile, ClusterInfo};
use crate::generator::{Generator, NoiseMode};
use crate::tensor::{ChannelSet, FeatureMaps, MapShape};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// How often unfinished sums go to disk.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// Which pictures are watched.
#[derive(Clone, Debug, PartialEq)]
pub enum Latents {
    /// Random ones: clusters for every picture of the model.
    Random {
        /// How many.
        samples: usize,
        /// ψ of truncation. The papers' tool takes 0.5.
        truncation: f32,
    },
    /// This one, `latents · w_dim` values: clusters for one picture.
    One(Vec<f32>),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which layers.
    pub layers: RangeInclusive<usize>,
    /// From which pictures.
    pub latents: Latents,
    /// Clusters of a layer, instead of [`cluster_count`]'s.
    pub count: Option<usize>,
    /// Everything random follows from it.
    pub seed: u32,
    /// Pictures on which effects are measured. One where only one picture is watched.
    pub effect_pictures: usize,
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Training the network of this layer.
    Learn(usize),
    /// Watching features.
    Watch,
    /// Measuring effects.
    Measure,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done now.
    pub step: Step,
    /// Pictures of this step that are done.
    pub done: u64,
    /// How many there are.
    pub of: u64,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Clustered {
    /// Features, ascending.
    pub features: Vec<u32>,
    /// What it does.
    pub effect: Effect,
    /// Suggested name; no other cluster of the layer has it.
    pub name: String,
    /// sRGB.
    pub colour: [u8; 3],
}

/// The clusters of a layer, the most visible first. Their numbers are their places.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerClusters {
    /// The layer.
    pub layer: usize,
    /// Shape of its maps.
    pub shape: MapShape,
    /// Its clusters.
    pub clusters: Vec<Clustered>,
}

impl LayerClusters {
    /// The cluster of each feature.
    pub fn groups(&self) -> Vec<u32> {
        let mut groups = vec![0; self.shape.channels];
        for (id, cluster) in self.clusters.iter().enumerate() {
            for &feature in &cluster.features {
                groups[feature as usize] = id as u32;
            }
        }
        groups
    }
}

/// Puts clusters into the form of a file.
pub fn file(layers: &[LayerClusters]) -> ClusterFile {
    let mut file = ClusterFile::default();
    for layer in layers {
        for (id, cluster) in layer.clusters.iter().enumerate() {
            let amounts = PROBES.iter().zip(&cluster.effect.changes);
            let info = ClusterInfo {
                name: Some(cluster.name.clone()),
                colour: Some(cluster.colour),
                sensitivity: amounts
                    .map(|(probe, change)| (probe.transform.to_owned(), change.amount))
                    .collect(),
            };
            file.insert(
                layer.layer,
                id as u32,
                cluster.features.iter().copied(),
                info,
            );
        }
    }
    file
}

/// A run on one model.
pub struct Analysis<'a> {
    generator: &'a mut Generator,
    embedding: &'a mut dyn Embedding,
    settings: Settings,
    work: Option<&'a WorkFolder>,
    bender: Bender,
}

impl std::fmt::Debug for Analysis<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analysis")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Called after each picture; false asks to stop.
type OnStep<'a> = &'a mut dyn FnMut(Progress) -> bool;

impl<'a> Analysis<'a> {
    /// Prepares a run. With a `work` folder it goes on where it was stopped.
    ///
    /// # Errors
    /// When the model lacks layers that are asked for.
    pub fn new(
        generator: &'a mut Generator,
        embedding: &'a mut dyn Embedding,
        settings: Settings,
        work: Option<&'a WorkFolder>,
    ) -> Result<Self, ClusteringError> {
        let top = generator.manifest().layers.len().saturating_sub(1);
        let (first, last) = (*settings.layers.start(), *settings.layers.end());
        if first > last || last > top {
            return Err(ClusteringError::Layers { first, last, top });
        }
        Ok(Self {
            generator,
            embedding,
            settings,
            work,
            bender: Bender::cpu(),
        })
    }

    /// Does everything, and gives the layers' clusters, lowest layer first.
    ///
    /// # Errors
    /// When the network, k-means or the disk fails, or `on_step` said to stop.
    pub fn run(&mut self, on_step: OnStep<'_>) -> Result<Vec<LayerClusters>, ClusteringError> {
        let groups = self.groups(on_step)?;
        self.measure(&groups, on_step)
    }

    /// Watches the features and groups them: the group of each feature, by layer.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn groups(&mut self, on_step: OnStep<'_>) -> Result<Vec<Vec<u32>>, ClusteringError> {
        let sums = self.watch(on_step)?;
        let mut groups = Vec::with_capacity(sums.layers.len());
        for (layer, sums_of) in self.settings.layers.clone().zip(&sums.layers) {
            let shape = self.shape(layer);
            let len = self.embedding.len(layer, shape);
            let mean: Vec<f32> = sums_of
                .iter()
                .map(|&sum| (sum / sums.samples.max(1) as f64) as f32)
                .collect();
            let k = self
                .settings
                .count
                .unwrap_or_else(|| cluster_count(shape.channels));
            let seed = u64::from(self.settings.seed) << 32 | layer as u64;
            let found = kmeans::group(&mean, len, k, seed)
                .map_err(|why| ClusteringError::KMeans { layer, why })?;
            groups.push(found);
        }
        Ok(groups)
    }

    fn shape(&self, layer: usize) -> MapShape {
        pictures::shape(self.generator, layer)
    }

    /// Sums of the features' vectors over all pictures.
    fn watch(&mut self, on_step: OnStep<'_>) -> Result<Sums, ClusteringError> {
        let layers: Vec<(usize, MapShape)> = self
            .settings
            .layers
            .clone()
            .map(|layer| (layer, self.shape(layer)))
            .collect();
        let lengths: Vec<usize> = layers
            .iter()
            .map(|&(layer, shape)| shape.channels * self.embedding.len(layer, shape))
            .collect();
        let mut sums = self
            .work
            .and_then(|work| work.sums(&lengths))
            .unwrap_or_else(|| Sums {
                samples: 0,
                layers: lengths.iter().map(|&len| vec![0.0; len]).collect(),
            });
        let pictures = match self.settings.latents {
            Latents::Random { samples, .. } => samples.max(1),
            Latents::One(_) => 1,
        };
        let mut vectors = vec![0.0_f32; lengths.iter().copied().max().unwrap_or(0)];
        let mut saved = Instant::now();
        self.generator.set_noise(NoiseMode::Const, 0);
        while sums.samples < pictures {
            let styles = self.styles(sums.samples)?;
            let first = *self.settings.layers.start();
            let embedding = &mut *self.embedding;
            let mut watch = |layer: usize, maps: FeatureMaps<'_>| {
                let Some(index) = layer.checked_sub(first).filter(|&i| i < layers.len()) else {
                    return;
                };
                let shape = maps.shape();
                let FeatureMaps::Host { data, .. } = maps;
                let out = &mut vectors[..lengths[index]];
                embedding.embed(layer, data, shape, out);
                for (sum, &value) in sums.layers[index].iter_mut().zip(out.iter()) {
                    *sum += f64::from(value);
                }
            };
            self.generator.synthesize(&styles, &mut watch)?;
            sums.samples += 1;
            let go_on = on_step(Progress {
                step: Step::Watch,
                done: sums.samples as u64,
                of: pictures as u64,
            });
            let done = sums.samples == pictures;
            if let Some(work) = self.work
                && (done || !go_on || saved.elapsed() >= SAVE_EVERY)
            {
                work.save_sums(&sums)?;
                saved = Instant::now();
            }
            if !go_on && !done {
                return Err(ClusteringError::Stopped);
            }
        }
        Ok(sums)
    }

    /// Styles of the `index`-th picture of the run.
    fn styles(&mut self, index: usize) -> Result<Vec<f32>, ClusteringError> {
        match &self.settings.latents {
            Latents::One(styles) => Ok(styles.clone()),
            &Latents::Random { truncation, .. } => {
                pictures::random_styles(self.generator, self.settings.seed, index, truncation)
            }
        }
    }

    /// Measures what groups do, orders and names them.
    ///
    /// # Errors
    /// When the network or the disk fails, or `on_step` said to stop.
    pub fn measure(
        &mut self,
        groups: &[Vec<u32>],
        on_step: OnStep<'_>,
    ) -> Result<Vec<LayerClusters>, ClusteringError> {
        let pictures = match self.settings.latents {
            Latents::One(_) => 1,
            Latents::Random { .. } => self.settings.effect_pictures,
        };
        let per_layer: Vec<u64> = groups
            .iter()
            .map(|groups| (pictures * members(groups).len() * PROBES.len()) as u64)
            .collect();
        let of = per_layer.iter().sum();
        let mut done = 0;
        let mut layers = Vec::with_capacity(groups.len());
        for (index, layer) in self.settings.layers.clone().enumerate() {
            let Some(groups) = groups.get(index) else {
                break;
            };
            let members = members(groups);
            let kept = self.work.and_then(|work| work.effects(layer));
            let effects = match kept.filter(|effects| effects.len() == members.len()) {
                Some(effects) => {
                    done += per_layer[index];
                    effects
                }
                None => {
                    let mut step = |picture_done: u64| {
                        done += picture_done;
                        on_step(Progress {
                            step: Step::Measure,
                            done,
                            of,
                        })
                    };
                    let effects = self.effects(layer, &members, pictures, &mut step)?;
                    if let Some(work) = self.work {
                        work.save_effects(layer, &effects)?;
                    }
                    effects
                }
            };
            layers.push(LayerClusters {
                layer,
                shape: self.shape(layer),
                clusters: members
                    .into_iter()
                    .zip(effects)
                    .map(|(features, effect)| Clustered {
                        features,
                        name: String::new(),
                        effect,
                        colour: [0; 3],
                    })
                    .collect(),
            });
        }
        dress(&mut layers);
        Ok(layers)
    }

    fn effects(
        &mut self,
        layer: usize,
        members: &[Vec<u32>],
        pictures: usize,
        step: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<Effect>, ClusteringError> {
        let shape = self.shape(layer);
        let image_shape = self.generator.image_shape();
        let mut meters: Vec<Vec<Meter>> = members
            .iter()
            .map(|_| PROBES.iter().map(|_| Meter::new(image_shape)).collect())
            .collect();
        self.generator.set_noise(NoiseMode::Const, 0);
        for picture in 0..pictures {
            // Others than those that were watched, where there are enough.
            let styles = self.styles(usize::MAX / 2 + picture)?;
            let image = self.generator.synthesize(&styles, &mut |_, _| {})?;
            let before = Before::new(image, image_shape);
            for (features, meters) in members.iter().zip(&mut meters) {
                for (probe, meter) in PROBES.iter().zip(meters) {
                    let channels =
                        ChannelSet::from_indices(features.iter().copied(), shape.channels);
                    let bend = channels.ok().and_then(|set| probe.bend(set, shape));
                    if let Some(bend) = bend {
                        let image =
                            effect::bent(self.generator, &mut self.bender, layer, &bend, None)?;
                        meter.add(&before, image);
                    }
                    if !step(1) {
                        return Err(ClusteringError::Stopped);
                    }
                }
            }
        }
        Ok(meters
            .into_iter()
            .map(|meters| Effect {
                changes: meters.into_iter().map(Meter::finish).collect(),
            })
            .collect())
    }
}

/// Features by group.
fn members(groups: &[u32]) -> Vec<Vec<u32>> {
    let count = groups.iter().max().map_or(0, |&last| last as usize + 1);
    let mut members = vec![Vec::new(); count];
    for (feature, &group) in groups.iter().enumerate() {
        members[group as usize].push(feature as u32);
    }
    members
}

/// Orders each layer's clusters by visibility, and gives them names and colours of their own.
fn dress(layers: &mut [LayerClusters]) {
    let mut index = 0;
    for layer in layers {
        layer
            .clusters
            .sort_by(|a, b| b.effect.visibility().total_cmp(&a.effect.visibility()));
        let effects: Vec<&Effect> = layer.clusters.iter().map(|c| &c.effect).collect();
        let names = name::names(&effects);
        for (cluster, name) in layer.clusters.iter_mut().zip(names) {
            cluster.name = name;
            cluster.colour = name::colour(index);
            index += 1;
        }
    }
}
