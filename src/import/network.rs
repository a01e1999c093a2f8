//! A generator's weights, free of any checkpoint's layout: what a layout's reader gives and what
//! the graphs are built from.
//!
//! All run-time scales of training (equalised learning rate) are multiplied in already.

/// `y = W·x + b`.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// \[outputs, inputs\].
    pub(super) weight: Vec<f32>,
    /// \[outputs\].
    pub(super) bias: Vec<f32>,
}

/// A 4×4 low-pass kernel as a checkpoint stores it; its gain is that of up-sampling, about 4.
pub(super) type Kernel = [f32; 16];

/// One `StyledConv` layer.
#[derive(Debug)]
pub(super) struct StyledConv {
    /// Edge of its feature maps in pixels.
    pub(super) resolution: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// w → the scale of each input channel.
    pub(super) style: Linear,
    /// \[outputs, inputs, 3, 3\].
    pub(super) weight: Vec<f32>,
    /// Added to the sum of squares before demodulation's root.
    pub(super) demod_eps: f64,
    /// Bound of the activations, ±; some networks are trained with one.
    pub(super) clamp: Option<f32>,
    /// Low-pass kernel after doubling the size, for a layer that doubles it.
    pub(super) up: Option<Kernel>,
    pub(super) noise_strength: f32,
    /// \[outputs\].
    pub(super) bias: Vec<f32>,
}

/// One `ToRGB`.
#[derive(Debug)]
pub(super) struct ToRgb {
    pub(super) inputs: usize,
    /// w → the scale of each input channel.
    pub(super) style: Linear,
    /// \[3, inputs\].
    pub(super) weight: Vec<f32>,
    /// \[3\].
    pub(super) bias: Vec<f32>,
    /// Bound of what it adds, ±.
    pub(super) clamp: Option<f32>,
    /// Kernel that doubles the picture so far; none at 4×4.
    pub(super) up: Option<Kernel>,
}

/// How a conditional network hears of its class: `y = normalise(W·class + b)`, put after the
/// normalised z.
#[derive(Debug)]
pub(super) struct Embedding {
    pub(super) classes: usize,
    /// Class, one-hot → embedding.
    pub(super) linear: Linear,
}

/// A StyleGAN2 generator.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) resolution: usize,
    pub(super) z_dim: usize,
    pub(super) w_dim: usize,
    /// Of a conditional network.
    pub(super) embedding: Option<Embedding>,
    /// Fully connected layers of the mapping network, each followed by √2·leaky ReLU(0.2).
    pub(super) mapping_network: Vec<Linear>,
    /// The learned constant, \[channels, 4, 4\].
    pub(super) constant: Vec<f32>,
    /// 4×4 first; odd ones double the size.
    pub(super) layers: Vec<StyledConv>,
    /// After layers 0, 2, 4, …
    pub(super) to_rgbs: Vec<ToRgb>,
    /// Constant noise of each layer, \[resolution, resolution\], if the checkpoint has it.
    pub(super) noise: Option<Vec<Vec<f32>>>,
    /// Mean w, if the checkpoint has it.
    pub(super) w_avg: Option<Vec<f32>>,
}

impl Network {
    /// Number of classes; 0 for an unconditional network.
    pub(super) fn classes(&self) -> usize {
        self.embedding.as_ref().map_or(0, |e| e.classes)
    }

    /// Makes a conditional network an unconditional one of this class, which must be there: the
    /// class's embedding is constant then and becomes a part of the first layer's bias.
    pub(super) fn fix_class(&mut self, class: usize) {
        let (Some(embedding), Some(first)) =
            (self.embedding.take(), self.mapping_network.first_mut())
        else {
            return;
        };
        let linear = &embedding.linear;
        let mut y: Vec<f64> = (0..linear.outputs)
            .map(|o| {
                f64::from(linear.weight[o * linear.inputs + class]) + f64::from(linear.bias[o])
            })
            .collect();
        let square = y.iter().map(|v| v * v).sum::<f64>() / y.len().max(1) as f64;
        let scale = 1.0 / (square + 1e-8).sqrt();
        y.iter_mut().for_each(|v| *v *= scale);
        let mut weight = Vec::with_capacity(first.outputs * self.z_dim);
        for (row, bias) in first.weight.chunks_exact(first.inputs).zip(&mut first.bias) {
            let (of_z, of_class) = row.split_at(self.z_dim);
            weight.extend_from_slice(of_z);
            let sum: f64 = of_class
                .iter()
                .zip(&y)
                .map(|(&w, y)| f64::from(w) * y)
                .sum();
            *bias = (f64::from(*bias) + sum) as f32;
        }
        first.weight = weight;
        first.inputs = self.z_dim;
    }

    /// Number of weights and biases; noise is no parameter.
    pub(super) fn parameters(&self) -> usize {
        let linear = |l: &Linear| l.weight.len() + l.bias.len();
        self.mapping_network.iter().map(linear).sum::<usize>()
            + self.embedding.as_ref().map_or(0, |e| linear(&e.linear))
            + self.constant.len()
            + self
                .layers
                .iter()
                .map(|l| linear(&l.style) + l.weight.len() + l.bias.len() + 1)
                .sum::<usize>()
            + self
                .to_rgbs
                .iter()
                .map(|l| linear(&l.style) + l.weight.len() + l.bias.len())
                .sum::<usize>()
    }
}
