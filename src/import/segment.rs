//! ONNX graphs of the mapping network and of each layer.
//!
//! Convolution weights stay as they are, so that they are constants: the style scales the input
//! maps and demodulation scales the output maps, which for one picture is the same as scaling the
//! weights (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", §2.2):
//!
//! ```text
//! s = A·w + a                         one scale for each input map
//! d = 1 / √(Q·s² + ε)                 Q[o,i] = Σ W[o,i,·,·]², constant
//! y = d ⊙ Conv(s ⊙ x, W)
//! x = √2·LeakyReLU(y + strength·noise + b, 0.2)
//! ```
//!
//! √2 passes through the leaky ReLU, so it is folded into d, the noise strength and b.

use std::f64::consts::SQRT_2;

use super::network::{Kernel, Linear, Network, StyledConv, ToRgb};
use super::onnx::{Attr, Graph, ModelProto};

/// Slope of the leaky ReLU below zero.
const SLOPE: f32 = 0.2;
/// Epsilon of z's normalisation.
const PIXEL_NORM_EPS: f32 = 1e-8;

/// `z` \[1, z_dim\] → `w` \[1, w_dim\].
pub(super) fn mapping_network(net: &Network) -> ModelProto {
    let mut g = Graph::new("mapping_network");
    let z = g.input("z", &[1, net.z_dim]);
    let square = g.node("Mul", "z_square", &[&z, &z], &[]);
    let mean = g.node(
        "ReduceMean",
        "z_mean_square",
        &[&square],
        &[("axes", Attr::Ints(&[1])), ("keepdims", Attr::Int(1))],
    );
    let eps = g.constant("z_eps", &[], &[PIXEL_NORM_EPS]);
    let sum = g.node("Add", "z_mean_square_eps", &[&mean, &eps], &[]);
    let norm = g.node("Sqrt", "z_norm", &[&sum], &[]);
    let mut x = g.node("Div", "z_normalised", &[&z, &norm], &[]);
    let last = net.mapping_network.len().saturating_sub(1);
    for (i, layer) in net.mapping_network.iter().enumerate() {
        let scaled = Linear {
            weight: times(&layer.weight, SQRT_2),
            bias: times(&layer.bias, SQRT_2),
            ..*layer
        };
        let y = linear(&mut g, &format!("fc{i}"), &x, &scaled);
        let name = if i == last {
            "w".to_owned()
        } else {
            format!("fc{i}_act")
        };
        x = leaky_relu(&mut g, &name, &y);
    }
    g.output("w", &[1, net.w_dim]);
    g.finish()
}

/// Layer `layer` with, at the head of an odd one, the `ToRGB` of the layer before it.
pub(super) fn segment(net: &Network, layer: usize) -> ModelProto {
    let conv = &net.layers[layer];
    let mut g = Graph::new(&format!("segment_{layer:02}"));
    let x = if layer == 0 {
        g.constant("constant", &[1, conv.inputs, 4, 4], &net.constant)
    } else {
        let side = net.layers[layer - 1].resolution;
        g.input("x_in", &[1, conv.inputs, side, side])
    };
    let style = g.input("style", &[1, net.w_dim]);
    let noise = g.input("noise", &[1, 1, conv.resolution, conv.resolution]);
    if layer % 2 == 1 {
        let head = &net.to_rgbs[layer / 2];
        let side = net.layers[layer - 1].resolution;
        to_rgb(&mut g, "rgb", &x, &style, head, side);
        g.output("rgb", &[1, 3, side, side]);
    }
    styled_conv(&mut g, "x", &x, &style, &noise, conv);
    g.output("x", &[1, conv.outputs, conv.resolution, conv.resolution]);
    g.finish()
}

/// The last `ToRGB`.
pub(super) fn last_to_rgb(net: &Network) -> ModelProto {
    let mut g = Graph::new("to_rgb");
    let side = net.resolution;
    if let Some(head) = net.to_rgbs.last() {
        let x = g.input("x_in", &[1, head.inputs, side, side]);
        let style = g.input("style", &[1, net.w_dim]);
        to_rgb(&mut g, "image", &x, &style, head, side);
    }
    g.output("image", &[1, 3, side, side]);
    g.finish()
}

fn styled_conv(g: &mut Graph, out: &str, x: &str, style: &str, noise: &str, conv: &StyledConv) {
    let (inputs, outputs) = (conv.inputs, conv.outputs);
    let s = linear(g, "s", style, &conv.style);
    let s_maps = g.reshape("s_maps", &s, &[1, inputs, 1, 1]);
    let scaled = g.node("Mul", "x_styled", &[x, &s_maps], &[]);
    let maps = if let Some(kernel) = &conv.up {
        let weight = g.constant(
            "weight",
            &[inputs, outputs, 3, 3],
            &swap_channels(&conv.weight, outputs, inputs),
        );
        let wide = g.node(
            "ConvTranspose",
            "conv",
            &[&scaled, &weight],
            &[
                ("kernel_shape", Attr::Ints(&[3, 3])),
                ("strides", Attr::Ints(&[2, 2])),
            ],
        );
        let filter = g.constant(
            "low_pass",
            &[outputs, 1, 4, 4],
            &flipped(kernel).repeat(outputs),
        );
        g.node(
            "Conv",
            "conv_low_pass",
            &[&wide, &filter],
            &[
                ("kernel_shape", Attr::Ints(&[4, 4])),
                ("pads", Attr::Ints(&[1, 1, 1, 1])),
                ("group", Attr::Int(outputs as i64)),
            ],
        )
    } else {
        let weight = g.constant("weight", &[outputs, inputs, 3, 3], &conv.weight);
        g.node(
            "Conv",
            "conv",
            &[&scaled, &weight],
            &[
                ("kernel_shape", Attr::Ints(&[3, 3])),
                ("pads", Attr::Ints(&[1, 1, 1, 1])),
            ],
        )
    };

    let s_square = g.node("Mul", "s_square", &[&s, &s], &[]);
    // √2·d = 1/√(Q/2·s² + ε/2)
    let q = Linear {
        inputs,
        outputs,
        weight: half_squares(&conv.weight),
        bias: vec![(conv.demod_eps / 2.0) as f32; outputs],
    };
    let energy = linear(g, "demod_energy", &s_square, &q);
    let root = g.node("Sqrt", "demod_root", &[&energy], &[]);
    let d = g.node("Reciprocal", "demod", &[&root], &[]);
    let d_maps = g.reshape("demod_maps", &d, &[1, outputs, 1, 1]);
    let demodulated = g.node("Mul", "demodulated", &[&maps, &d_maps], &[]);

    let strength = g.constant(
        "noise_strength",
        &[],
        &times(&[conv.noise_strength], SQRT_2),
    );
    let scaled_noise = g.node("Mul", "noise_scaled", &[noise, &strength], &[]);
    let noisy = g.node("Add", "noisy", &[&demodulated, &scaled_noise], &[]);
    let bias = g.constant("bias", &[1, outputs, 1, 1], &times(&conv.bias, SQRT_2));
    let biased = g.node("Add", "biased", &[&noisy, &bias], &[]);
    leaky_relu(g, out, &biased);
}

/// Adds the picture of `x`, `side` pixels wide, to the doubled picture so far, if there is one.
fn to_rgb(g: &mut Graph, out: &str, x: &str, style: &str, rgb: &ToRgb, side: usize) {
    let s = linear(g, "rgb_s", style, &rgb.style);
    let s_maps = g.reshape("rgb_s_maps", &s, &[1, rgb.inputs, 1, 1]);
    let scaled = g.node("Mul", "rgb_x_styled", &[x, &s_maps], &[]);
    let weight = g.constant("rgb_weight", &[3, rgb.inputs, 1, 1], &rgb.weight);
    let bias = g.constant("rgb_bias", &[3], &rgb.bias);
    let inputs = [scaled.as_str(), &weight, &bias];
    let attributes = [("kernel_shape", Attr::Ints(&[1, 1]))];
    let Some(kernel) = &rgb.up else {
        g.node("Conv", out, &inputs, &attributes);
        return;
    };
    let own = g.node("Conv", "rgb_own", &inputs, &attributes);
    let before = g.input("rgb_in", &[1, 3, side / 2, side / 2]);
    let filter = g.constant("rgb_up_kernel", &[3, 1, 4, 4], &kernel.repeat(3));
    let doubled = g.node(
        "ConvTranspose",
        "rgb_up",
        &[&before, &filter],
        &[
            ("kernel_shape", Attr::Ints(&[4, 4])),
            ("strides", Attr::Ints(&[2, 2])),
            ("pads", Attr::Ints(&[1, 1, 1, 1])),
            ("group", Attr::Int(3)),
        ],
    );
    g.node("Add", out, &[&doubled, &own], &[]);
}

fn linear(g: &mut Graph, name: &str, x: &str, layer: &Linear) -> String {
    let weight = g.constant(
        &format!("{name}_weight"),
        &[layer.outputs, layer.inputs],
        &layer.weight,
    );
    let bias = g.constant(&format!("{name}_bias"), &[layer.outputs], &layer.bias);
    g.node(
        "Gemm",
        name,
        &[x, &weight, &bias],
        &[("transB", Attr::Int(1))],
    )
}

fn leaky_relu(g: &mut Graph, name: &str, x: &str) -> String {
    g.node("LeakyRelu", name, &[x], &[("alpha", Attr::Float(SLOPE))])
}

fn times(values: &[f32], factor: f64) -> Vec<f32> {
    values
        .iter()
        .map(|&v| (f64::from(v) * factor) as f32)
        .collect()
}

/// Q/2: half the sum of squares of each 3×3 kernel.
fn half_squares(weight: &[f32]) -> Vec<f32> {
    weight
        .chunks_exact(9)
        .map(|k| (k.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 2.0) as f32)
        .collect()
}

/// \[O, I, 3, 3\] → \[I, O, 3, 3\], as `ConvTranspose` wants it.
fn swap_channels(weight: &[f32], outputs: usize, inputs: usize) -> Vec<f32> {
    let mut swapped = Vec::with_capacity(weight.len());
    for i in 0..inputs {
        for o in 0..outputs {
            let at = (o * inputs + i) * 9;
            swapped.extend_from_slice(&weight[at..at + 9]);
        }
    }
    swapped
}

/// A filter is a convolution, ONNX's `Conv` a correlation.
fn flipped(kernel: &Kernel) -> Kernel {
    let mut flipped = *kernel;
    flipped.reverse();
    flipped
}
