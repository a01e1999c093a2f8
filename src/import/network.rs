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
    /// Kernel that doubles the picture so far; none at 4×4.
    pub(super) up: Option<Kernel>,
}

/// A StyleGAN2 generator.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) resolution: usize,
    pub(super) z_dim: usize,
    pub(super) w_dim: usize,
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
    /// Number of weights and biases; noise is no parameter.
    pub(super) fn parameters(&self) -> usize {
        let linear = |l: &Linear| l.weight.len() + l.bias.len();
        self.mapping_network.iter().map(linear).sum::<usize>()
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
