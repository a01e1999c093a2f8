//! The layout of NVIDIA's stylegan2-ada-pytorch, and of StyleGAN2 networks that the stylegan3
//! repository saved.
//!
//! Weights are raw: gains are multiplied in here, from the layers' own state where the file has it
//! (`weight_gain`, `bias_gain`), else 1/√inputs, and 0.01 times that in the mapping network. A 3×3
//! convolution has no gain, as demodulation takes it out; its epsilon is for raw weights.

use std::collections::HashMap;

use super::ImportError;
use super::checkpoint::Checkpoint;
use super::network::{Embedding, Kernel, Linear, Network, StyledConv, ToRgb};
use super::state::{MAX_MAPPING_LAYERS, Read, State, Tensors, Value, scaled};

/// Learning-rate multiplier of the mapping network.
const MAPPING_LR: f64 = 0.01;
/// Epsilon of demodulation, on raw weights.
const DEMOD_EPS: f64 = 1e-8;
/// A stored low-pass kernel has a sum of 1; up-sampling wants 4.
const UP_GAIN: f32 = 4.0;
/// Largest picture.
const MAX_RESOLUTION: usize = 4096;

/// Plain values of the modules by name, as `synthesis.b8.conv0.conv_clamp`.
pub(super) type Values = HashMap<String, Value>;

/// Names that only this layout has.
pub(super) fn is_it(tensors: &Tensors) -> bool {
    tensors.contains_key("synthesis.b4.const") && tensors.contains_key("mapping.fc0.weight")
}

/// Reads the generator. `values` is `None` for a state dict, which has tensors only.
///
/// # Errors
/// When its tensors do not fit each other, or it is a variant without a skip.
pub(super) fn read(
    checkpoint: &mut Checkpoint,
    tensors: Tensors,
    values: Option<Values>,
) -> Result<Read, ImportError> {
    let mut notes = Vec::new();
    if values.is_none() {
        notes.push(
            "A state dict does not say whether activations are clamped: they are not here. \
             NVIDIA's fp16 networks clamp at 256; import the .pkl where you can."
                .to_owned(),
        );
    }
    let mut reader = Nvidia {
        state: State {
            checkpoint,
            tensors,
        },
        values: values.unwrap_or_default(),
    };
    reader.check_kind()?;
    Ok(Read {
        network: reader.network(&mut notes)?,
        layout: "nvidia",
        notes,
    })
}

struct Nvidia<'a> {
    state: State<'a>,
    values: Values,
}

impl Nvidia<'_> {
    /// Refuses what has the same names and another structure.
    fn check_kind(&self) -> Result<(), ImportError> {
        let refuse = |what: String| {
            Err(ImportError::not_a_generator(
                &self.state.checkpoint.path,
                what,
            ))
        };
        let mut values: Vec<(&String, &Value)> = self.values.iter().collect();
        values.sort_by_key(|(name, _)| *name);
        for (name, value) in values {
            let Value::Text(text) = value else { continue };
            let wanted = match name.rsplit('.').next() {
                Some("architecture") => "skip",
                Some("activation") if name.contains(".affine.") => "linear",
                Some("activation") if name.contains(".embed.") => "linear",
                Some("activation") => "lrelu",
                _ => continue,
            };
            if text != wanted {
                return refuse(format!(
                    "a StyleGAN2 variant with `{name}` = `{text}`; only `{wanted}` is supported"
                ));
            }
        }
        if self.state.has("synthesis.b8.skip.weight") {
            return refuse(
                "a StyleGAN2 generator with residual blocks (architecture `resnet`), which is not \
                 supported; only `skip` is"
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn network(&mut self, notes: &mut Vec<String>) -> Result<Network, ImportError> {
        let (mapping_network, embedding) = self.mapping_network()?;
        let (Some(first), Some(last)) = (mapping_network.first(), mapping_network.last()) else {
            return Err(self.missing("mapping.fc0.weight"));
        };
        let embedded = embedding.as_ref().map_or(0, |e| e.linear.outputs);
        let w_dim = last.outputs;
        let z_dim = match first.inputs.checked_sub(embedded) {
            Some(z_dim) if z_dim > 0 => z_dim,
            _ => {
                return Err(self.state.wrong(
                    "mapping.embed.weight",
                    format!("leaves no room for z in the {} inputs of fc0", first.inputs),
                ));
            }
        };

        let [channels] = self
            .state
            .shape_of("synthesis.b4.const", [None, Some(4), Some(4)])?;
        let constant = self
            .state
            .take("synthesis.b4.const", &[channels, 4, 4])?
            .data;
        let mut layers = vec![self.styled_conv("synthesis.b4.conv1", channels, w_dim, 4, false)?];
        let mut to_rgbs =
            vec![self.read_to_rgb("synthesis.b4", layers[0].outputs, w_dim, notes)?];
        let mut resolution = 4;
        while self
            .state
            .has(&format!("synthesis.b{}.conv0.weight", resolution * 2))
        {
            resolution *= 2;
            let block = format!("synthesis.b{resolution}");
            if resolution > MAX_RESOLUTION {
                return Err(self
                    .state
                    .wrong(&format!("{block}.conv0.weight"), "is too large".to_owned()));
            }
            for (conv, up) in [("conv0", true), ("conv1", false)] {
                let inputs = layers.last().map_or(channels, |l| l.outputs);
                let name = format!("{block}.{conv}");
                layers.push(self.styled_conv(&name, inputs, w_dim, resolution, up)?);
            }
            let inputs = layers.last().map_or(channels, |l| l.outputs);
            to_rgbs.push(self.read_to_rgb(&block, inputs, w_dim, notes)?);
        }
        if resolution == 4 {
            return Err(self.missing("synthesis.b8.conv0.weight"));
        }
        let noise = self.noise(&layers)?;
        let w_avg = self.state.tensors.remove("mapping.w_avg");
        let w_avg = self.state.mean_w("mapping.w_avg", w_avg, w_dim)?;
        // Every layer has its filter, also those that do not use it.
        self.state
            .tensors
            .retain(|name, _| !name.ends_with(".resample_filter"));
        self.state.nothing_left(&["mapping.", "synthesis."])?;
        Ok(Network {
            resolution,
            z_dim,
            w_dim,
            embedding,
            mapping_network,
            constant,
            layers,
            to_rgbs,
            noise,
            w_avg,
        })
    }

    fn mapping_network(&mut self) -> Result<(Vec<Linear>, Option<Embedding>), ImportError> {
        let count = self
            .state
            .count("mapping.fc", ".weight", MAX_MAPPING_LAYERS)?;
        let mut layers: Vec<Linear> = Vec::with_capacity(count);
        for i in 0..count {
            let before = layers.last().map(|l| l.outputs);
            layers.push(self.linear(&format!("mapping.fc{i}"), None, before, MAPPING_LR)?);
        }
        let embedding = if self.state.has("mapping.embed.weight") {
            let linear = self.linear("mapping.embed", None, None, 1.0)?;
            Some(Embedding {
                classes: linear.inputs,
                linear,
            })
        } else {
            None
        };
        Ok((layers, embedding))
    }

    fn styled_conv(
        &mut self,
        name: &str,
        inputs: usize,
        w_dim: usize,
        resolution: usize,
        up: bool,
    ) -> Result<StyledConv, ImportError> {
        let weight_name = format!("{name}.weight");
        let [outputs] = self
            .state
            .shape_of(&weight_name, [None, Some(inputs), Some(3), Some(3)])?;
        let weight = self
            .state
            .take(&weight_name, &[outputs, inputs, 3, 3])?
            .data;
        let strength = format!("{name}.noise_strength");
        // A layer without noise has none.
        let noise_strength = match self.state.has(&strength) {
            true => self.state.take(&strength, &[])?.data[0],
            false => 0.0,
        };
        Ok(StyledConv {
            resolution,
            inputs,
            outputs,
            style: self.linear(&format!("{name}.affine"), Some(inputs), Some(w_dim), 1.0)?,
            weight,
            demod_eps: DEMOD_EPS,
            clamp: self.clamp(name)?,
            up: match up {
                true => Some(self.kernel(name)?),
                false => None,
            },
            noise_strength,
            bias: self.state.take(&format!("{name}.bias"), &[outputs])?.data,
        })
    }

    fn read_to_rgb(
        &mut self,
        block: &str,
        inputs: usize,
        w_dim: usize,
        notes: &mut Vec<String>,
    ) -> Result<ToRgb, ImportError> {
        let name = format!("{block}.torgb");
        let weight_name = format!("{name}.weight");
        let [colours] = self
            .state
            .shape_of(&weight_name, [None, Some(inputs), Some(1), Some(1)])?;
        let gain = self
            .number(&format!("{name}.weight_gain"))
            .unwrap_or(1.0 / (inputs as f64).sqrt());
        let mut weight = scaled(
            self.state
                .take(&weight_name, &[colours, inputs, 1, 1])?
                .data,
            gain,
        );
        let mut bias = self.state.take(&format!("{name}.bias"), &[colours])?.data;
        match colours {
            3 => {}
            // Grey: three equal channels.
            1 => {
                weight = weight.repeat(3);
                bias = bias.repeat(3);
                if block == "synthesis.b4" {
                    notes.push("The network makes grey pictures: R, G and B are equal.".to_owned());
                }
            }
            n => {
                return Err(self.state.wrong(
                    &weight_name,
                    format!("makes pictures of {n} channels; 3 and 1 are supported"),
                ));
            }
        }
        Ok(ToRgb {
            inputs,
            style: self.linear(&format!("{name}.affine"), Some(inputs), Some(w_dim), 1.0)?,
            weight,
            bias,
            clamp: self.clamp(&name)?,
            up: match block {
                "synthesis.b4" => None,
                _ => Some(self.kernel(block)?),
            },
        })
    }

    /// Constant noise of each layer; zeros for a layer without, `None` where no layer has any.
    fn noise(&mut self, layers: &[StyledConv]) -> Result<Option<Vec<Vec<f32>>>, ImportError> {
        let name_of = |i: usize, resolution: usize| {
            let conv = if i % 2 == 1 { "conv0" } else { "conv1" };
            format!("synthesis.b{resolution}.{conv}.noise_const")
        };
        let mut any = false;
        let mut all = Vec::with_capacity(layers.len());
        for (i, layer) in layers.iter().enumerate() {
            let (name, side) = (name_of(i, layer.resolution), layer.resolution);
            if self.state.has(&name) {
                any = true;
                all.push(self.state.take(&name, &[side, side])?.data);
            } else {
                all.push(vec![0.0; side * side]);
            }
        }
        Ok(any.then_some(all))
    }

    fn linear(
        &mut self,
        name: &str,
        outputs: Option<usize>,
        inputs: Option<usize>,
        lr: f64,
    ) -> Result<Linear, ImportError> {
        let weight_gain = self.number(&format!("{name}.weight_gain"));
        let bias_gain = self.number(&format!("{name}.bias_gain"));
        self.state.linear(name, outputs, inputs, |inputs| {
            [
                weight_gain.unwrap_or(lr / (inputs as f64).sqrt()),
                bias_gain.unwrap_or(lr),
            ]
        })
    }

    fn kernel(&mut self, module: &str) -> Result<Kernel, ImportError> {
        let name = format!("{module}.resample_filter");
        self.state.kernel(&name, UP_GAIN)
    }

    fn clamp(&self, module: &str) -> Result<Option<f32>, ImportError> {
        let name = format!("{module}.conv_clamp");
        match self.values.get(&name) {
            None | Some(Value::None) => Ok(None),
            Some(Value::Number(v)) if v.is_finite() && *v > 0.0 => Ok(Some(*v as f32)),
            Some(other) => Err(self
                .state
                .wrong(&name, format!("is {other:?}, no positive number"))),
        }
    }

    fn number(&self, name: &str) -> Option<f64> {
        match self.values.get(name) {
            Some(Value::Number(v)) if v.is_finite() => Some(*v),
            _ => None,
        }
    }

    fn missing(&self, name: &str) -> ImportError {
        self.state.wrong(name, "is missing".to_owned())
    }
}
