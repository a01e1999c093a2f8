//! Names, shapes and starting values of a generator's tensors.

use anyhow::{Context as _, bail, ensure};

use super::{Fill, Normal};

/// `[1, 3, 3, 1] ⊗ [1, 3, 3, 1] / 16`.
const LOW_PASS: [f32; 16] = [
    0.0625, 0.1875, 0.1875, 0.0625, //
    0.1875, 0.5625, 0.5625, 0.1875, //
    0.1875, 0.5625, 0.5625, 0.1875, //
    0.0625, 0.1875, 0.1875, 0.0625,
];

/// What decides every shape of a generator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes {
    /// Number of feature maps at 4×4, 8×8, …; the last entry is the picture's size.
    pub channels: Vec<usize>,
    /// Length of z and w.
    pub w_dim: usize,
    /// Layers of the mapping network.
    pub mapping_layers: usize,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name in the state dict.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Its values; `None` for the low-pass kernel.
    pub fill: Option<Fill>,
}

impl Tensor {
    pub(super) fn values(&self, normal: &mut Normal) -> Vec<f32> {
        match self.fill {
            Some(fill) => normal.take(self.shape.iter().product(), fill),
            None => LOW_PASS.to_vec(),
        }
    }
}

/// Feature maps at 4×4, 8×8, … up to `size`: a name or a list.
pub(super) fn channels(text: &str, size: usize) -> anyhow::Result<Vec<usize>> {
    let sides = (2..=size.trailing_zeros()).map(|log| 1_usize << log);
    let list: Vec<usize> = match text {
        // About 2 GFLOP at 256×256. Multiples of 16 suit the blocked layouts of wide vector units.
        "slim" => sides
            .map(|side| match side {
                ..=64 => 64,
                128 => 48,
                _ => 16,
            })
            .collect(),
        // StyleGAN2's config F: channel multiplier 2.
        "config-f" => sides.map(|side| (32_768 / side).min(512)).collect(),
        list => list
            .split(',')
            .map(|n| n.trim().parse::<usize>())
            .collect::<Result<_, _>>()
            .with_context(|| {
                format!("--channels {text}: slim, config-f, or numbers with commas")
            })?,
    };
    let wanted = size.trailing_zeros() as usize - 1;
    if list.len() != wanted {
        bail!("--channels {text}: {size}x{size} takes {wanted} numbers, from 4x4 up");
    }
    ensure!(
        list.iter().all(|n| (1..=4096).contains(n)),
        "--channels {text}: give 1 to 4096 each"
    );
    Ok(list)
}

impl Shapes {
    /// All tensors, in the order of rosinality's modules.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut list = List(Vec::new());
        let w = self.w_dim;
        for i in 1..=self.mapping_layers {
            // The learning-rate multiplier of 0.01 asks for weights 100 times as large.
            list.push(&format!("style.{i}.weight"), &[w, w], 0.0, 100.0);
            list.push(&format!("style.{i}.bias"), &[w], 0.0, 10.0);
        }
        let first = self.channels.first().copied().unwrap_or(1);
        list.push("input.input", &[1, first, 4, 4], 0.0, 1.0);
        list.styled_conv("conv1", first, first, w, false);
        list.rgb("to_rgb1", first, w, self.channels.len());
        for (i, pair) in self.channels.windows(2).enumerate() {
            let (before, here) = (pair[0], pair[1]);
            list.styled_conv(&format!("convs.{}", 2 * i), before, here, w, true);
            list.styled_conv(&format!("convs.{}", 2 * i + 1), here, here, w, false);
        }
        for (i, &here) in self.channels.iter().skip(1).enumerate() {
            let name = format!("to_rgbs.{i}");
            list.0.push(low_pass(format!("{name}.upsample.kernel")));
            list.rgb(&name, here, w, self.channels.len());
        }
        for layer in 0..2 * self.channels.len() - 1 {
            let side = 4 << layer.div_ceil(2);
            list.push(
                &format!("noises.noise_{layer}"),
                &[1, 1, side, side],
                0.0,
                1.0,
            );
        }
        list.0
    }

    /// Floating-point operations of one frame's convolutions and low-pass filters, two per
    /// multiply-add.
    pub fn flop_per_frame(&self) -> f64 {
        let first = self.channels.first().map_or(0.0, |&c| c as f64);
        // A 3×3 conv costs 18 for each pair of channels and pixel; RGB 6 for each channel.
        let mut total = 16.0 * (18.0 * first * first + 6.0 * first);
        for (i, pair) in self.channels.windows(2).enumerate() {
            let (before, here) = (pair[0] as f64, pair[1] as f64);
            let pixels = 4_f64.powi(i as i32 + 3);
            // The doubling conv visits each small pixel; its low-pass filter has 16 taps.
            total += pixels / 4.0 * 18.0 * before * here + pixels * 32.0 * here;
            total += pixels * (18.0 * here * here + 6.0 * here + 24.0);
        }
        total
    }
}

struct List(Vec<Tensor>);

impl List {
    fn push(&mut self, name: &str, shape: &[usize], mean: f32, deviation: f32) {
        self.0.push(Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            fill: Some(Fill { mean, deviation }),
        });
    }

    fn modulation(&mut self, name: &str, inputs: usize, w: usize) {
        self.push(
            &format!("{name}.conv.modulation.weight"),
            &[inputs, w],
            0.0,
            1.0,
        );
        self.push(&format!("{name}.conv.modulation.bias"), &[inputs], 1.0, 0.0);
    }

    fn styled_conv(&mut self, name: &str, inputs: usize, outputs: usize, w: usize, up: bool) {
        self.push(
            &format!("{name}.conv.weight"),
            &[1, outputs, inputs, 3, 3],
            0.0,
            1.0,
        );
        if up {
            self.0.push(low_pass(format!("{name}.conv.blur.kernel")));
        }
        self.modulation(name, inputs, w);
        self.push(&format!("{name}.noise.weight"), &[1], 0.0, 0.1);
        self.push(&format!("{name}.activate.bias"), &[outputs], 0.0, 0.1);
    }

    fn rgb(&mut self, name: &str, inputs: usize, w: usize, sizes: usize) {
        // The picture is the sum over all sizes.
        let deviation = 0.3 / (sizes as f32).sqrt();
        self.push(&format!("{name}.bias"), &[1, 3, 1, 1], 0.0, 0.1);
        self.push(
            &format!("{name}.conv.weight"),
            &[1, 3, inputs, 1, 1],
            0.0,
            deviation,
        );
        self.modulation(name, inputs, w);
    }
}

fn low_pass(name: String) -> Tensor {
    Tensor {
        name,
        shape: vec![4, 4],
        fill: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Shapes, channels};

    #[test]
    fn work_is_what_was_measured_elsewhere() {
        // 90.7 and 150.6 GFLOP: counted by hand for config F at 256 and 1024 pixels.
        for (size, gflop) in [(256, 90.7), (1024, 150.6)] {
            let shapes = Shapes {
                channels: channels("config-f", size).unwrap(),
                w_dim: 512,
                mapping_layers: 8,
            };
            assert!((shapes.flop_per_frame() / 1e9 - gflop).abs() < 0.5);
        }
        assert!(channels("64,64", 256).is_err());
        assert!(channels("64,0", 8).is_err());
    }
}
