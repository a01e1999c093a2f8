//! A state dict: tensors by name, each taken once, with their shapes checked.

use std::collections::HashMap;

use super::ImportError;
use super::checkpoint::{Array, Checkpoint};
use super::network::{Kernel, Linear, Network};
use super::pickle::Tensor;

/// Most layers of a mapping network.
pub(super) const MAX_MAPPING_LAYERS: usize = 64;
/// [1, 3, 3, 1]⊗[1, 3, 3, 1]/16, for files that leave the fixed kernels out.
const BINOMIAL: Kernel = [
    0.0625, 0.1875, 0.1875, 0.0625, //
    0.1875, 0.5625, 0.5625, 0.1875, //
    0.1875, 0.5625, 0.5625, 0.1875, //
    0.0625, 0.1875, 0.1875, 0.0625,
];

pub(super) type Tensors = HashMap<String, Tensor>;

/// A plain value beside the tensors, as NVIDIA's modules have them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Number(f64),
    Text(String),
}

/// What a checkpoint's layout gives: a network, and what the reader has to say about it.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) network: Network,
    pub(super) layout: &'static str,
    pub(super) notes: Vec<String>,
}

/// The tensors of one network in a checkpoint.
#[derive(Debug)]
pub(super) struct State<'a> {
    pub(super) checkpoint: &'a mut Checkpoint,
    pub(super) tensors: Tensors,
}

impl State<'_> {
    /// A fully connected layer `NAME.weight`, `NAME.bias`. `gains` gives, for its number of inputs,
    /// what training multiplies weight and bias with at run time.
    pub(super) fn linear(
        &mut self,
        name: &str,
        outputs: Option<usize>,
        inputs: Option<usize>,
        gains: impl FnOnce(usize) -> [f64; 2],
    ) -> Result<Linear, ImportError> {
        let weight_name = format!("{name}.weight");
        let size = self.size(&weight_name)?;
        let (Some(outputs), Some(inputs)) = (
            outputs.or_else(|| size.first().copied()),
            inputs.or_else(|| size.get(1).copied()),
        ) else {
            return Err(self.wrong(&weight_name, format!("has shape {size:?}, not two sizes")));
        };
        let weight = self.take(&weight_name, &[outputs, inputs])?.data;
        let bias = self.take(&format!("{name}.bias"), &[outputs])?.data;
        let [weight_gain, bias_gain] = gains(inputs);
        Ok(Linear {
            inputs,
            outputs,
            weight: scaled(weight, weight_gain),
            bias: scaled(bias, bias_gain),
        })
    }

    /// A low-pass kernel; the usual one where the file leaves it out. `gain` is multiplied in.
    pub(super) fn kernel(&mut self, name: &str, gain: f32) -> Result<Kernel, ImportError> {
        if !self.has(name) {
            return Ok(BINOMIAL);
        }
        let data = self.take(name, &[4, 4])?.data;
        let mut kernel = Kernel::default();
        kernel.copy_from_slice(&data);
        kernel.iter_mut().for_each(|v| *v *= gain);
        Ok(kernel)
    }

    /// Whether there is such a tensor.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// How many of `prefix0suffix`, `prefix1suffix`, … there are.
    pub(super) fn count(
        &self,
        prefix: &str,
        suffix: &str,
        max: usize,
    ) -> Result<usize, ImportError> {
        let count = (0..=max)
            .take_while(|i| self.has(&format!("{prefix}{i}{suffix}")))
            .count();
        if count > max {
            return Err(self.wrong(
                &format!("{prefix}{max}{suffix}"),
                format!("is one too many: {max} are supported"),
            ));
        }
        Ok(count)
    }

    /// A tensor's shape.
    pub(super) fn size(&self, name: &str) -> Result<Vec<usize>, ImportError> {
        let tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| self.wrong(name, "is missing".to_owned()))?;
        Ok(tensor
            .size
            .iter()
            .map(|&d| usize::try_from(d).unwrap_or(usize::MAX))
            .collect())
    }

    /// The one size that `expected` leaves open, at least 1.
    pub(super) fn shape_of<const N: usize>(
        &self,
        name: &str,
        expected: [Option<usize>; N],
    ) -> Result<[usize; 1], ImportError> {
        let size = self.size(name)?;
        let fits = size.len() == N
            && size
                .iter()
                .zip(&expected)
                .all(|(&have, want)| want.map_or(have > 0, |w| w == have));
        let open = expected
            .iter()
            .position(Option::is_none)
            .and_then(|i| size.get(i));
        match open {
            Some(&open) if fits => Ok([open]),
            _ => {
                let want: Vec<String> = expected
                    .iter()
                    .map(|d| d.map_or("any".to_owned(), |d| d.to_string()))
                    .collect();
                Err(self.wrong(
                    name,
                    format!("has shape {size:?}, not [{}]", want.join(", ")),
                ))
            }
        }
    }

    /// Reads a tensor that must have this shape, once.
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Array, ImportError> {
        let size = self.size(name)?;
        // A noise strength is a scalar in some files, in others it is not.
        let scalar = size.is_empty() && shape == [1] || size == [1] && shape.is_empty();
        if size != shape && !scalar {
            return Err(self.wrong(name, format!("has shape {size:?}, not {shape:?}")));
        }
        match self.tensors.remove(name) {
            Some(tensor) => self.checkpoint.read(name, &tensor),
            None => Err(self.wrong(name, "is missing".to_owned())),
        }
    }

    /// The error for a tensor.
    pub(super) fn wrong(&self, name: &str, problem: String) -> ImportError {
        ImportError::tensor(&self.checkpoint.path, name, problem)
    }

    /// Weights that were not asked for are of a layer whose others are missing, or of another
    /// network; without them the pictures would be wrong.
    ///
    /// # Errors
    /// When there is one whose name starts as one of `parts`.
    pub(super) fn nothing_left(&self, parts: &[&str]) -> Result<(), ImportError> {
        let left = self
            .tensors
            .keys()
            .filter(|name| parts.iter().any(|part| name.starts_with(part)))
            .min();
        match left {
            Some(name) => Err(self.wrong(
                name,
                "belongs to no layer: a part of the network is missing, or it is of another kind"
                    .to_owned(),
            )),
            None => Ok(()),
        }
    }

    /// Mean w, from a tensor that may lie outside the state dict.
    ///
    /// # Errors
    /// When it is no w.
    pub(super) fn mean_w(
        &mut self,
        name: &str,
        tensor: Option<Tensor>,
        w_dim: usize,
    ) -> Result<Option<Vec<f32>>, ImportError> {
        let Some(tensor) = tensor else {
            return Ok(None);
        };
        let array = self.checkpoint.read(name, &tensor)?;
        if array.data.len() == w_dim {
            Ok(Some(array.data))
        } else {
            Err(self.wrong(
                name,
                format!("has shape {:?} and w has {w_dim} values", array.shape),
            ))
        }
    }
}

/// Each value times `factor`, rounded once.
pub(super) fn scaled(mut values: Vec<f32>, factor: f64) -> Vec<f32> {
    for v in &mut values {
        *v = (f64::from(*v) * factor) as f32;
    }
    values
}
