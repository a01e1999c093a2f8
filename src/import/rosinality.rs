//! The checkpoint layout of rosinality's stylegan2-pytorch, read from the shapes of its tensors.
//!
//! Sizes, widths and depths come from the shapes, so networks with other widths, w sizes and
//! mapping depths load too. Equalised learning rates are multiplied in here: 1/√inputs for a
//! modulation, 0.01/√inputs (and 0.01 on the bias) in the mapping network, 1/√(9·inputs) for a
//! 3×3 and 1/√inputs for a 1×1 convolution.

use std::collections::HashMap;

use super::ImportError;
use super::checkpoint::{Array, Checkpoint};
use super::network::{Kernel, Linear, Network, StyledConv, ToRgb};
use super::pickle::{Node, Pickle, Tensor};

/// Learning-rate multiplier of the mapping network.
const MAPPING_LR: f64 = 0.01;
/// Epsilon of demodulation, on scaled weights.
const DEMOD_EPS: f64 = 1e-8;
/// Most `convs`: 4096×4096 pixels.
const MAX_CONVS: usize = 20;
/// Most layers of a mapping network.
const MAX_MAPPING_LAYERS: usize = 64;
/// [1, 3, 3, 1]⊗[1, 3, 3, 1]/16, for files that leave the fixed kernels out.
const BINOMIAL: Kernel = [
    0.0625, 0.1875, 0.1875, 0.0625, //
    0.1875, 0.5625, 0.5625, 0.1875, //
    0.1875, 0.5625, 0.5625, 0.1875, //
    0.0625, 0.1875, 0.1875, 0.0625,
];

/// Reads the generator of a checkpoint.
///
/// # Errors
/// When it holds none, or one whose tensors do not fit each other.
pub(super) fn read(checkpoint: &mut Checkpoint) -> Result<Network, ImportError> {
    let (tensors, latent_avg) = find_generator(checkpoint)?;
    let mut state = State {
        checkpoint,
        tensors,
    };
    state.network(latent_avg)
}

type Tensors = HashMap<String, Tensor>;

/// The tensors of `g_ema` (or of a bare state dict), and `latent_avg`.
fn find_generator(checkpoint: &Checkpoint) -> Result<(Tensors, Option<Tensor>), ImportError> {
    let pickle = &checkpoint.pickle;
    let root = pickle.root();
    let seems = |what: &str| ImportError::not_a_generator(&checkpoint.path, what);
    let top: HashMap<&str, &Node> = pickle.entries(root).collect();
    let latent_avg = match top.get("latent_avg") {
        Some(Node::Tensor(t)) => Some((**t).clone()),
        _ => None,
    };
    let dict = match top.get("g_ema") {
        Some(node @ Node::Dict(_)) => node,
        Some(_) => return Err(seems("a checkpoint whose `g_ema` is no state dict")),
        None => root,
    };
    let tensors: Tensors = pickle
        .entries(dict)
        .filter_map(|(name, node)| match node {
            Node::Tensor(t) => {
                let name = name.strip_prefix("module.").unwrap_or(name);
                Some((name.to_owned(), (**t).clone()))
            }
            _ => None,
        })
        .collect();
    if tensors.contains_key("input.input") && tensors.contains_key("conv1.conv.weight") {
        Ok((tensors, latent_avg))
    } else {
        Err(seems(&guess(pickle, root, &tensors)))
    }
}

/// What a file without a generator seems to be.
fn guess(pickle: &Pickle, root: &Node, tensors: &Tensors) -> String {
    let has = |part: &str| tensors.keys().any(|k| k.contains(part));
    if has("final_conv.0.weight") || has("final_linear.") {
        return "a StyleGAN2 discriminator".to_owned();
    }
    if has("style.1.weight") || has("convs.0.conv.weight") {
        return "a damaged StyleGAN2 generator: `input.input` or `conv1.conv.weight` is missing"
            .to_owned();
    }
    if has("synthesis.b4") {
        return "a state dict in NVIDIA's layout; only rosinality's is read so far".to_owned();
    }
    if has("model.diffusion_model") {
        return "a diffusion model".to_owned();
    }
    let keys: Vec<&str> = pickle.entries(root).map(|(k, _)| k).collect();
    if keys.contains(&"eigvec") {
        return "the directions of a closed-form factorisation, not the generator".to_owned();
    }
    let has_latent = |node: &Node| pickle.entries(node).any(|(k, _)| k == "latent");
    if pickle.entries(root).any(|(_, v)| has_latent(v)) || has_latent(root) {
        return "a projected latent, not the generator".to_owned();
    }
    match root {
        Node::Tensor(_) => "a single tensor".to_owned(),
        Node::Dict(_) if keys.is_empty() => "an empty dict".to_owned(),
        Node::Dict(_) => {
            let more = keys.len().saturating_sub(6);
            let mut shown: Vec<String> = keys
                .iter()
                .take(6)
                .map(|k| format!("`{}`", k.chars().take(60).collect::<String>()))
                .collect();
            if more > 0 {
                shown.push(format!("{more} more"));
            }
            format!(
                "a checkpoint of another network (it holds {})",
                shown.join(", ")
            )
        }
        _ => "a saved object that is no dict".to_owned(),
    }
}

struct State<'a> {
    checkpoint: &'a mut Checkpoint,
    tensors: Tensors,
}

impl State<'_> {
    fn network(&mut self, latent_avg: Option<Tensor>) -> Result<Network, ImportError> {
        let mapping_network = self.mapping_network()?;
        let (Some(first), Some(last)) = (mapping_network.first(), mapping_network.last()) else {
            return Err(self.wrong("style.1.weight", "is missing".to_owned()));
        };
        let (z_dim, w_dim) = (first.inputs, last.outputs);

        let [channels] = self.shape_of("input.input", [Some(1), None, Some(4), Some(4)])?;
        let constant = self.take("input.input", &[1, channels, 4, 4])?.data;

        let convs = self.count("convs.", ".conv.weight", MAX_CONVS)?;
        if convs == 0 || convs % 2 == 1 {
            return Err(self.wrong(
                &format!("convs.{convs}.conv.weight"),
                format!("is missing: a generator has two convs for each size, here are {convs}"),
            ));
        }
        let mut layers = vec![self.styled_conv("conv1", channels, w_dim, 4)?];
        let mut to_rgbs = vec![self.read_to_rgb("to_rgb1", layers[0].outputs, w_dim)?];
        for i in 0..convs {
            let inputs = layers[i].outputs;
            let resolution = 8 << (i / 2);
            layers.push(self.styled_conv(&format!("convs.{i}"), inputs, w_dim, resolution)?);
            if i % 2 == 1 {
                let name = format!("to_rgbs.{}", i / 2);
                to_rgbs.push(self.read_to_rgb(&name, layers[i + 1].outputs, w_dim)?);
            }
        }
        let noise = if self.tensors.keys().any(|name| name.starts_with("noises.")) {
            let mut all = Vec::new();
            for (i, layer) in layers.iter().enumerate() {
                let shape = [1, 1, layer.resolution, layer.resolution];
                all.push(self.take(&format!("noises.noise_{i}"), &shape)?.data);
            }
            Some(all)
        } else {
            None
        };
        let w_avg = match latent_avg {
            None => None,
            Some(tensor) => {
                let array = self.checkpoint.read("latent_avg", &tensor)?;
                if array.data.len() != w_dim {
                    return Err(self.wrong(
                        "latent_avg",
                        format!("has shape {:?} and w has {w_dim} values", array.shape),
                    ));
                }
                Some(array.data)
            }
        };
        self.nothing_left()?;
        Ok(Network {
            resolution: layers.last().map_or(4, |l| l.resolution),
            z_dim,
            w_dim,
            mapping_network,
            constant,
            layers,
            to_rgbs,
            noise,
            w_avg,
        })
    }

    /// Weights that were not asked for are of a layer whose others are missing, or of another
    /// network; without them the pictures would be wrong.
    fn nothing_left(&self) -> Result<(), ImportError> {
        let parts = [
            "style.", "conv1.", "convs.", "to_rgb1.", "to_rgbs.", "noises.",
        ];
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

    fn mapping_network(&mut self) -> Result<Vec<Linear>, ImportError> {
        let mut layers: Vec<Linear> = Vec::new();
        while self.has(&format!("style.{}.weight", layers.len() + 1)) {
            let name = format!("style.{}", layers.len() + 1);
            let before = layers.last().map(|l| l.outputs);
            let layer = self.linear(&name, None, before, MAPPING_LR)?;
            layers.push(layer);
            if layers.len() > MAX_MAPPING_LAYERS {
                return Err(self.wrong(&name, "is a mapping layer too many".to_owned()));
            }
        }
        Ok(layers)
    }

    fn styled_conv(
        &mut self,
        name: &str,
        inputs: usize,
        w_dim: usize,
        resolution: usize,
    ) -> Result<StyledConv, ImportError> {
        let weight_name = format!("{name}.conv.weight");
        let [outputs] = self.shape_of(
            &weight_name,
            [Some(1), None, Some(inputs), Some(3), Some(3)],
        )?;
        let weight = self.take(&weight_name, &[1, outputs, inputs, 3, 3])?.data;
        // Layer 0 and every second layer after it keep the size.
        let up = match name.strip_prefix("convs.").map(str::parse::<usize>) {
            Some(Ok(i)) if i % 2 == 0 => Some(self.kernel(&format!("{name}.conv.blur.kernel"))?),
            _ => None,
        };
        Ok(StyledConv {
            resolution,
            inputs,
            outputs,
            style: self.linear(
                &format!("{name}.conv.modulation"),
                Some(inputs),
                Some(w_dim),
                1.0,
            )?,
            weight: scaled(&weight, 1.0 / ((9 * inputs) as f64).sqrt()),
            demod_eps: DEMOD_EPS,
            up,
            noise_strength: self.take(&format!("{name}.noise.weight"), &[1])?.data[0],
            bias: self
                .take(&format!("{name}.activate.bias"), &[outputs])?
                .data,
        })
    }

    fn read_to_rgb(
        &mut self,
        name: &str,
        inputs: usize,
        w_dim: usize,
    ) -> Result<ToRgb, ImportError> {
        let weight_name = format!("{name}.conv.weight");
        if self
            .tensors
            .get(&weight_name)
            .is_some_and(|t| t.size.get(1) == Some(&12))
        {
            return Err(ImportError::not_a_generator(
                &self.checkpoint.path,
                "a SWAGAN generator (its pictures are wavelets in 12 channels), which is not \
                 supported",
            ));
        }
        let weight = self.take(&weight_name, &[1, 3, inputs, 1, 1])?.data;
        let up = if name == "to_rgb1" {
            None
        } else {
            Some(self.kernel(&format!("{name}.upsample.kernel"))?)
        };
        Ok(ToRgb {
            inputs,
            style: self.linear(
                &format!("{name}.conv.modulation"),
                Some(inputs),
                Some(w_dim),
                1.0,
            )?,
            weight: scaled(&weight, 1.0 / (inputs as f64).sqrt()),
            bias: self.take(&format!("{name}.bias"), &[1, 3, 1, 1])?.data,
            up,
        })
    }

    fn linear(
        &mut self,
        name: &str,
        outputs: Option<usize>,
        inputs: Option<usize>,
        lr: f64,
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
        Ok(Linear {
            inputs,
            outputs,
            weight: scaled(&weight, lr / (inputs as f64).sqrt()),
            bias: scaled(&bias, lr),
        })
    }

    fn kernel(&mut self, name: &str) -> Result<Kernel, ImportError> {
        if !self.has(name) {
            return Ok(BINOMIAL);
        }
        let data = self.take(name, &[4, 4])?.data;
        let mut kernel = Kernel::default();
        kernel.copy_from_slice(&data);
        Ok(kernel)
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// How many of `prefix0suffix`, `prefix1suffix`, … there are.
    fn count(&self, prefix: &str, suffix: &str, max: usize) -> Result<usize, ImportError> {
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

    fn size(&self, name: &str) -> Result<Vec<usize>, ImportError> {
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
    fn shape_of<const N: usize>(
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
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Array, ImportError> {
        let size = self.size(name)?;
        // A noise strength is a scalar in some files.
        let scalar = size.is_empty() && shape == [1];
        if size != shape && !scalar {
            return Err(self.wrong(name, format!("has shape {size:?}, not {shape:?}")));
        }
        match self.tensors.remove(name) {
            Some(tensor) => self.checkpoint.read(name, &tensor),
            None => Err(self.wrong(name, "is missing".to_owned())),
        }
    }

    fn wrong(&self, name: &str, problem: String) -> ImportError {
        ImportError::tensor(&self.checkpoint.path, name, problem)
    }
}

fn scaled(values: &[f32], factor: f64) -> Vec<f32> {
    values
        .iter()
        .map(|&v| (f64::from(v) * factor) as f32)
        .collect()
}
