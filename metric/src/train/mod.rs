//! Training, with burn.

mod ops;
pub mod plain;
mod stem;
mod unit;

use crate::kernels::{Group, HALF, WIDTH, unit::PARTS};
use crate::network::{Network, Parts};
use crate::{EMBEDDING, FLAT, depth, stem_side};
use burn::module::{Module, Param, ParamId};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bytes, Device, Int, Tensor, TensorData};
use burn_optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use ops::Running;
use std::fmt;
use std::path::{Path, PathBuf};

/// Shape of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Side of the maps, a power of two, at least 4.
    pub side: usize,
    /// Features of the layer: what the softmax tells apart.
    pub features: usize,
    /// Maps of a step.
    pub batch: usize,
    /// The first weights follow from it.
    pub seed: u64,
}

/// Why training can not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A kept state can not be read or written.
    #[error("{}: {why}", path.display())]
    State {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The numbers grew beyond all bounds.
    #[error("the loss is not finite")]
    Diverged,
}

/// Values of one feature in a group, at most: what a core's own cache holds for the 50 features.
const GROUP_ROW: usize = 2048;

/// Maps of a group: a divisor of the batch.
fn group_of(settings: &Settings) -> Group {
    let side = stem_side(settings.side);
    let most = (GROUP_ROW / (side * side)).clamp(1, settings.batch);
    // Two groups at least, for two cores.
    let most = most.min(settings.batch.div_ceil(2));
    let maps = (1..=most)
        .rev()
        .find(|maps| settings.batch.is_multiple_of(*maps))
        .unwrap_or(1);
    Group { maps, side }
}

#[derive(Module, Debug)]
struct Weights {
    stem: Param<Tensor<1>>,
    units: Vec<Param<Tensor<1>>>,
    neck: Param<Tensor<2>>,
    neck_bias: Param<Tensor<1>>,
    out: Param<Tensor<2>>,
    out_bias: Param<Tensor<1>>,
}

/// What runs the network's own operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operations {
    /// This crate's, on the CPU.
    Own,
    /// Composed of burn's.
    Plain,
}

/// A network in training.
pub struct Trainer {
    settings: Settings,
    operations: Operations,
    group: Group,
    device: Device,
    weights: Weights,
    optimizer: ModuleOptimizer,
    /// Of the stem, then of each unit.
    running: Vec<Running>,
    steps: u64,
}

impl fmt::Debug for Trainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("settings", &self.settings)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// Uniform within `±1 / √inputs`, as PyTorch begins layers; gains are 1 and their biases 0.
struct Start(u64);

impl Start {
    fn uniform(&mut self, count: usize, inputs: usize) -> Vec<f32> {
        let reach = 1.0 / (inputs as f32).sqrt();
        (0..count)
            .map(|_| {
                // SplitMix64.
                self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut z = self.0;
                z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                let unit = ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32;
                reach * (2.0 * unit - 1.0)
            })
            .collect()
    }

    fn normal(features: usize) -> Vec<f32> {
        [vec![1.0; features], vec![0.0; features]].concat()
    }
}

impl Trainer {
    /// Begins one.
    pub fn new(settings: Settings) -> Self {
        Self::with(settings, Operations::Own)
    }

    /// Begins one whose operations are of this kind. The first weights are the same for each.
    pub fn with(settings: Settings, operations: Operations) -> Self {
        let device = Device::flex().autodiff();
        let mut start = Start(settings.seed);
        let mut id = 0_u64;
        let mut next_id = || {
            id += 1;
            ParamId::from(id)
        };
        let stem = [start.uniform(9 * WIDTH, 9), Start::normal(WIDTH)].concat();
        let units: Vec<Vec<f32>> = (0..depth(settings.side))
            .map(|_| {
                let inputs = [HALF, 0, 9, 0, HALF, 0];
                let part = |(&len, inputs): (&usize, usize)| match inputs {
                    0 => Start::normal(len / 2),
                    _ => start.uniform(len, inputs),
                };
                PARTS.iter().zip(inputs).flat_map(part).collect()
            })
            .collect();
        let mut row = |values: Vec<f32>| {
            let tensor = Tensor::<1>::from_data(TensorData::from(values.as_slice()), &device);
            Param::initialized(next_id(), tensor.require_grad())
        };
        let stem = row(stem);
        let units = units.into_iter().map(&mut row).collect();
        let neck_bias = row(start.uniform(EMBEDDING, FLAT));
        let out_bias = row(start.uniform(settings.features, EMBEDDING));
        let mut matrix = |values: Vec<f32>, shape: [usize; 2]| {
            let tensor = Tensor::<2>::from_data(TensorData::new(values, shape), &device);
            Param::initialized(next_id(), tensor.require_grad())
        };
        let neck = matrix(start.uniform(EMBEDDING * FLAT, FLAT), [FLAT, EMBEDDING]);
        let out = matrix(
            start.uniform(EMBEDDING * settings.features, EMBEDDING),
            [EMBEDDING, settings.features],
        );
        let mut running = vec![Running::new(&[WIDTH])];
        running.extend((0..depth(settings.side)).map(|_| Running::new(&[HALF; 3])));
        Self {
            settings,
            operations,
            group: group_of(&settings),
            weights: Weights {
                stem,
                units,
                neck,
                neck_bias,
                out,
                out_bias,
            },
            optimizer: adam(),
            running,
            steps: 0,
            device,
        }
    }

    /// Steps so far.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// What is trained.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// One step on a batch of prepared maps, `[batch][side][side]`, and the features that they came from.
    /// Gives the loss, cross-entropy in nats.
    ///
    /// # Errors
    /// When the loss is not finite.
    pub fn step(&mut self, maps: &[f32], labels: &[u32], rate: f64) -> Result<f32, TrainError> {
        let loss = self.loss(maps, labels);
        let value = loss.clone().into_scalar::<f32>();
        if !value.is_finite() {
            return Err(TrainError::Diverged);
        }
        let grads = GradientsParams::from_grads(loss.backward(), &self.weights);
        self.weights = self.optimizer.step(rate, self.weights.clone(), grads);
        self.steps += 1;
        Ok(value)
    }

    fn loss(&self, maps: &[f32], labels: &[u32]) -> Tensor<1> {
        let (batch, side) = (self.settings.batch, self.settings.side);
        let maps = TensorData::new(maps.to_vec(), [batch, side, side]);
        let logits = self.logits(Tensor::from_data(maps, &self.device));
        let labels: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
        let labels = Tensor::<2, Int>::from_data(TensorData::new(labels, [batch, 1]), &self.device);
        -log_softmax(logits, 1).gather(1, labels).mean()
    }

    fn logits(&self, maps: Tensor<3>) -> Tensor<2> {
        let batch = self.settings.batch;
        let side = self.settings.side;
        let mut group = self.group;
        let weights = &self.weights;
        let own = self.operations == Operations::Own;
        let mut x = if own {
            ops::stem(
                maps,
                weights.stem.val(),
                side,
                group,
                self.running[0].clone(),
            )
        } else {
            let (x, moments) = plain::stem(maps, weights.stem.val(), side, group);
            self.running[0].see(&moments);
            x
        };
        for (index, (unit, running)) in weights.units.iter().zip(&self.running[1..]).enumerate() {
            if index > 0 {
                x = if own {
                    ops::pool(x, group)
                } else {
                    plain::pool(x, group)
                };
                group = group.halved();
            }
            x = if own {
                ops::unit(x, unit.val(), group, running.clone())
            } else {
                let (x, moments) = plain::unit(x, unit.val(), group);
                running.see(&moments);
                x
            };
        }
        let pixels = group.side * group.side;
        let groups = batch / group.maps;
        let flat = x
            .reshape([groups, WIDTH, group.maps, pixels])
            .swap_dims(1, 2)
            .reshape([batch, WIDTH * pixels]);
        let dense = |x: Tensor<2>, weight: &Param<Tensor<2>>, bias: &Param<Tensor<1>>| {
            x.matmul(weight.val()) + bias.val().unsqueeze()
        };
        let neck = dense(flat, &weights.neck, &weights.neck_bias);
        dense(neck, &weights.out, &weights.out_bias)
    }

    /// The network as it is now, normalising by its running moments.
    ///
    /// None when its numbers are not finite.
    pub fn network(&self) -> Option<Network> {
        let mut moments = self.running.iter().map(Running::get);
        let stem_moments = moments.next()?.into_iter().next()?;
        let units = self.weights.units.iter().zip(moments);
        Network::new(Parts {
            side: self.settings.side,
            stem: numbers(&self.weights.stem),
            stem_moments,
            units: units
                .map(|(unit, moments)| Some((numbers(unit), moments.try_into().ok()?)))
                .collect::<Option<_>>()?,
            neck: crate::kernels::product::transposed(
                &numbers(&self.weights.neck),
                [FLAT, EMBEDDING],
            ),
            neck_bias: numbers(&self.weights.neck_bias),
        })
    }

    /// Which feature an embedding most likely came from.
    pub fn classifier(&self) -> Classifier {
        Classifier {
            weights: numbers(&self.weights.out),
            bias: numbers(&self.weights.out_bias),
        }
    }

    /// Keeps everything that going on needs, with a note. The file is written whole or not at all.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn save(&self, path: &Path, note: &str) -> Result<(), TrainError> {
        let bad = |why: String| TrainError::State {
            path: path.to_path_buf(),
            why,
        };
        let weights = self
            .weights
            .clone()
            .into_record()
            .into_bytes()
            .map_err(|e| bad(e.to_string()))?;
        let optimizer = self
            .optimizer
            .into_bytes()
            .map_err(|e| bad(e.to_string()))?;
        let mut moments = Vec::new();
        for running in &self.running {
            for one in running.get() {
                moments.extend(
                    one.mean
                        .iter()
                        .chain(&one.variance)
                        .flat_map(|v| v.to_le_bytes()),
                );
            }
        }
        let mut bytes = STATE.to_vec();
        bytes.extend(self.steps.to_le_bytes());
        for part in [note.as_bytes(), &moments, &weights, &optimizer] {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".part");
        std::fs::write(&unfinished, bytes)
            .and_then(|()| std::fs::rename(&unfinished, path))
            .map_err(|e| bad(e.to_string()))
    }

    /// Goes on from what [`Self::save`] kept, and gives its note.
    ///
    /// # Errors
    /// When the file is not there or not of this training.
    pub fn load(settings: Settings, path: &Path) -> Result<(Self, String), TrainError> {
        let bad = |why: String| TrainError::State {
            path: path.to_path_buf(),
            why,
        };
        let bytes = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
        let mut trainer = Self::new(settings);
        let note = trainer
            .restore(&bytes)
            .ok_or_else(|| bad("not the state of this training".to_owned()))?;
        Ok((trainer, note))
    }

    fn restore(&mut self, bytes: &[u8]) -> Option<String> {
        let mut rest = bytes.strip_prefix(STATE)?;
        let number = |rest: &mut &[u8]| -> Option<u64> {
            let (head, tail) = rest.split_at_checked(8)?;
            *rest = tail;
            Some(u64::from_le_bytes(head.try_into().ok()?))
        };
        let steps = number(&mut rest)?;
        let mut parts = Vec::with_capacity(4);
        for _ in 0..4 {
            let len = usize::try_from(number(&mut rest)?).ok()?;
            let (head, tail) = rest.split_at_checked(len)?;
            parts.push(head);
            rest = tail;
        }
        let note = String::from_utf8(parts[0].to_vec()).ok()?;
        let mut values = parts[1]
            .chunks_exact(4)
            .filter_map(|b| Some(f32::from_le_bytes(b.try_into().ok()?)));
        for running in &mut self.running {
            let mut all = running.get();
            for one in &mut all {
                for value in one.mean.iter_mut().chain(&mut one.variance) {
                    *value = values.next()?;
                }
            }
            *running = Running::from(all);
        }
        let owned = |part: &[u8]| Bytes::from_bytes_vec(part.to_vec());
        let record = burn::store::ModuleRecord::from_bytes(owned(parts[2])).ok()?;
        self.weights = self.weights.clone().load_record(record);
        self.optimizer = adam().from_bytes(owned(parts[3])).ok()?;
        self.steps = steps;
        Some(note)
    }
}

const STATE: &[u8] = b"bendwave-metric state 1\n";

/// As in the papers; burn's own ε is 1e-5.
fn adam() -> ModuleOptimizer {
    AdamConfig::new()
        .with_beta_1(0.9)
        .with_beta_2(0.999)
        .with_epsilon(1e-8)
        .init()
}

fn numbers<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
    param.val().into_data().try_to_vec().unwrap_or_default()
}

/// The last layer, for counting how often it is right.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// 10 rows of as many as there are features.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Classifier {
    /// The likeliest feature.
    pub fn feature(&self, embedding: &[f32]) -> usize {
        let features = self.bias.len();
        let score = |feature: usize| {
            let sum: f32 = embedding
                .iter()
                .enumerate()
                .map(|(i, x)| x * self.weights[i * features + feature])
                .sum();
            sum + self.bias[feature]
        };
        (0..features)
            .max_by(|&a, &b| score(a).total_cmp(&score(b)))
            .unwrap_or(0)
    }
}
