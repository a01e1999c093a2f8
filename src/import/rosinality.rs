//! The checkpoint layout of rosinality's stylegan2-pytorch, read from the shapes of its tensors.
//!
//! Sizes, widths and depths come from the shapes, so networks with other widths, w sizes and
//! mapping depths load too. Equalised learning rates are multiplied in here: 1/√inputs for a
//! modulation, 0.01/√inputs (and 0.01 on the bias) in the mapping network, 1/√(9·inputs) for a
//! 3×3 and 1/√inputs for a 1×1 convolution.

use super::ImportError;
use super::checkpoint::Checkpoint;
use super::network::{Linear, Network, StyledConv, ToRgb};
use super::pickle::Tensor;
use super::state::{MAX_MAPPING_LAYERS, Read, State, Tensors, scaled};

/// Learning-rate multiplier of the mapping network.
const MAPPING_LR: f64 = 0.01;
/// Epsilon of demodulation, on scaled weights.
const DEMOD_EPS: f64 = 1e-8;
/// Most `convs`: 4096×4096 pixels.
const MAX_CONVS: usize = 20;
/// Names that only this layout has.
pub(super) fn is_it(tensors: &Tensors) -> bool {
    tensors.contains_key("input.input") && tensors.contains_key("conv1.conv.weight")
}

/// Reads the generator.
///
/// # Errors
/// When its tensors do not fit each other.
pub(super) fn read(
    checkpoint: &mut Checkpoint,
    tensors: Tensors,
    latent_avg: Option<Tensor>,
) -> Result<Read, ImportError> {
    let mut reader = Rosinality(State {
        checkpoint,
        tensors,
    });
    Ok(Read {
        network: reader.network(latent_avg)?,
        layout: "rosinality",
        notes: Vec::new(),
    })
}

struct Rosinality<'a>(State<'a>);

impl Rosinality<'_> {
    fn network(&mut self, latent_avg: Option<Tensor>) -> Result<Network, ImportError> {
        let mapping_network = self.mapping_network()?;
        let (Some(first), Some(last)) = (mapping_network.first(), mapping_network.last()) else {
            return Err(self.0.wrong("style.1.weight", "is missing".to_owned()));
        };
        let (z_dim, w_dim) = (first.inputs, last.outputs);

        let [channels] = self
            .0
            .shape_of("input.input", [Some(1), None, Some(4), Some(4)])?;
        let constant = self.0.take("input.input", &[1, channels, 4, 4])?.data;

        let convs = self.0.count("convs.", ".conv.weight", MAX_CONVS)?;
        if convs == 0 || convs % 2 == 1 {
            return Err(self.0.wrong(
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
        let noise = if self
            .0
            .tensors
            .keys()
            .any(|name| name.starts_with("noises."))
        {
            let mut all = Vec::new();
            for (i, layer) in layers.iter().enumerate() {
                let shape = [1, 1, layer.resolution, layer.resolution];
                all.push(self.0.take(&format!("noises.noise_{i}"), &shape)?.data);
            }
            Some(all)
        } else {
            None
        };
        let w_avg = self.0.mean_w("latent_avg", latent_avg, w_dim)?;
        self.0.nothing_left(&[
            "style.", "conv1.", "convs.", "to_rgb1.", "to_rgbs.", "noises.",
        ])?;
        Ok(Network {
            resolution: layers.last().map_or(4, |l| l.resolution),
            z_dim,
            w_dim,
            embedding: None,
            mapping_network,
            constant,
            layers,
            to_rgbs,
            noise,
            w_avg,
        })
    }

    fn mapping_network(&mut self) -> Result<Vec<Linear>, ImportError> {
        let mut layers: Vec<Linear> = Vec::new();
        while self.0.has(&format!("style.{}.weight", layers.len() + 1)) {
            let name = format!("style.{}", layers.len() + 1);
            let before = layers.last().map(|l| l.outputs);
            let layer = self.0.linear(&name, None, before, |inputs| {
                [MAPPING_LR / (inputs as f64).sqrt(), MAPPING_LR]
            })?;
            layers.push(layer);
            if layers.len() > MAX_MAPPING_LAYERS {
                return Err(self
                    .0
                    .wrong(&name, "is a mapping layer too many".to_owned()));
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
        let [outputs] = self.0.shape_of(
            &weight_name,
            [Some(1), None, Some(inputs), Some(3), Some(3)],
        )?;
        let weight = self.0.take(&weight_name, &[1, outputs, inputs, 3, 3])?.data;
        // Layer 0 and every second layer after it keep the size.
        let up = match name.strip_prefix("convs.").map(str::parse::<usize>) {
            Some(Ok(i)) if i % 2 == 0 => {
                Some(self.0.kernel(&format!("{name}.conv.blur.kernel"), 1.0)?)
            }
            _ => None,
        };
        Ok(StyledConv {
            resolution,
            inputs,
            outputs,
            style: self.0.linear(
                &format!("{name}.conv.modulation"),
                Some(inputs),
                Some(w_dim),
                |inputs| [1.0 / (inputs as f64).sqrt(), 1.0],
            )?,
            weight: scaled(weight, 1.0 / ((9 * inputs) as f64).sqrt()),
            demod_eps: DEMOD_EPS,
            up,
            noise_strength: self.0.take(&format!("{name}.noise.weight"), &[1])?.data[0],
            bias: self
                .0
                .take(&format!("{name}.activate.bias"), &[outputs])?
                .data,
            clamp: None,
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
            .0
            .tensors
            .get(&weight_name)
            .is_some_and(|t| t.size.get(1) == Some(&12))
        {
            return Err(ImportError::not_a_generator(
                &self.0.checkpoint.path,
                "a SWAGAN generator (its pictures are wavelets in 12 channels), which is not \
                 supported",
            ));
        }
        let weight = self.0.take(&weight_name, &[1, 3, inputs, 1, 1])?.data;
        let up = if name == "to_rgb1" {
            None
        } else {
            Some(self.0.kernel(&format!("{name}.upsample.kernel"), 1.0)?)
        };
        Ok(ToRgb {
            inputs,
            style: self.0.linear(
                &format!("{name}.conv.modulation"),
                Some(inputs),
                Some(w_dim),
                |inputs| [1.0 / (inputs as f64).sqrt(), 1.0],
            )?,
            weight: scaled(weight, 1.0 / (inputs as f64).sqrt()),
            bias: self.0.take(&format!("{name}.bias"), &[1, 3, 1, 1])?.data,
            clamp: None,
            up,
        })
    }
}
