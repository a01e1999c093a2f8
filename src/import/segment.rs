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

use half::f16;

use super::network::{Kernel, Linear, Network, StyledConv, ToRgb};
use super::onnx::{Attr, Dim, Graph, ModelProto};
use crate::generator::manifest::{Precision, height_name, width_name};

/// Slope of the leaky ReLU below zero.
const SLOPE: f32 = 0.2;
/// Epsilon of z's normalisation.
const PIXEL_NORM_EPS: f32 = 1e-8;
/// Epsilon of demodulation where weights and styles are normalised.
const NORMALISED_DEMOD_EPS: f64 = 1e-8;

/// `z` \[1, z_dim\], and `class` \[1, classes\] of a conditional network → `w` \[1, w_dim\].
pub(super) fn mapping_network(net: &Network) -> ModelProto {
    let mut g = Graph::new("mapping_network");
    let z = g.input("z", &[1, net.z_dim]);
    let mut x = normalised(&mut g, "z", &z);
    if let Some(embedding) = &net.embedding {
        let class = g.input("class", &[1, embedding.classes]);
        let embedded = linear(&mut g, "embedding", &class, &embedding.linear);
        let y = normalised(&mut g, "embedding", &embedded);
        x = g.node(
            "Concat",
            "z_and_class",
            &[&x, &y],
            &[("axis", Attr::Int(1))],
        );
    }
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

/// Shape of maps that are `resolution` pixels wide in a square picture.
pub(super) fn maps(channels: usize, resolution: usize) -> [Dim; 4] {
    [
        Dim::Size(1),
        Dim::Size(channels),
        Dim::Named(height_name(resolution)),
        Dim::Named(width_name(resolution)),
    ]
}

/// Layer `layer` with, at the head of an odd one, the `ToRGB` of the layer before it.
pub(super) fn segment(net: &Network, layer: usize, precision: Precision) -> ModelProto {
    let conv = &net.layers[layer];
    let side = match layer {
        0 => conv.resolution,
        _ => net.layers[layer - 1].resolution,
    };
    let mut g = Graph::new(&format!("segment_{layer:02}"));
    let x = g.input("x_in", &maps(conv.inputs, side));
    let style = g.input("style", &[1, net.w_dim]);
    let noise = g.input("noise", &maps(1, conv.resolution));
    if layer % 2 == 1 {
        let head = &net.to_rgbs[layer / 2];
        to_rgb(&mut g, "rgb", &x, &style, head, side);
        g.output("rgb", &maps(3, side));
    }
    match precision {
        Precision::F32 => styled_conv(&mut g, "x", &x, &style, &noise, conv),
        Precision::F16 => styled_conv_f16(&mut g, "x", &x, &style, &noise, conv),
    }
    g.output("x", &maps(conv.outputs, conv.resolution));
    g.finish()
}

/// The last `ToRGB`.
pub(super) fn last_to_rgb(net: &Network) -> ModelProto {
    let mut g = Graph::new("to_rgb");
    let side = net.resolution;
    if let Some(head) = net.to_rgbs.last() {
        let x = g.input("x_in", &maps(head.inputs, side));
        let style = g.input("style", &[1, net.w_dim]);
        to_rgb(&mut g, "image", &x, &style, head, side);
    }
    g.output("image", &maps(3, side));
    g.finish()
}

fn styled_conv(g: &mut Graph, out: &str, x: &str, style: &str, noise: &str, conv: &StyledConv) {
    let (inputs, outputs) = (conv.inputs, conv.outputs);
    let s = linear(g, "s", style, &conv.style);
    let s_maps = g.reshape("s_maps", &s, &[1, inputs, 1, 1]);
    let scaled = g.node("Mul", "x_styled", &[x, &s_maps], &[]);
    let maps = convolution(g, &scaled, conv, &conv.weight, Graph::constant);
    let d_maps = demodulation(g, &s, conv, &conv.weight, conv.demod_eps);
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
    activation(g, out, &biased, conv.clamp, Graph::constant);
}

/// As [`styled_conv`] with the maps in 16-bit floats. So that sums do not overflow, each output's
/// weights are scaled to a largest of 1/√(9·inputs), and the styles to a largest of 1; demodulation
/// takes both out again (NVIDIA's stylegan2-ada does it so).
fn styled_conv_f16(g: &mut Graph, out: &str, x: &str, style: &str, noise: &str, conv: &StyledConv) {
    let (inputs, outputs) = (conv.inputs, conv.outputs);
    let weight = normalised_weight(&conv.weight, inputs);
    let s = linear(g, "s", style, &conv.style);
    let magnitude = g.node("Abs", "s_magnitude", &[&s], &[]);
    let largest = g.node(
        "ReduceMax",
        "s_largest",
        &[&magnitude],
        &[("axes", Attr::Ints(&[1])), ("keepdims", Attr::Int(1))],
    );
    let least = g.constant("s_least", &[], &[1e-12]);
    let above_zero = g.node("Max", "s_largest_above_0", &[&largest, &least], &[]);
    let s = g.node("Div", "s_normalised", &[&s, &above_zero], &[]);

    let s_maps = g.reshape("s_maps", &s, &[1, inputs, 1, 1]);
    let scaled = g.node("Mul", "x_styled", &[x, &s_maps], &[]);
    let scaled = g.cast_f16("x_styled_f16", &scaled);
    let maps = convolution(g, &scaled, conv, &weight, Graph::constant_f16);
    let d_maps = demodulation(g, &s, conv, &weight, NORMALISED_DEMOD_EPS);
    let d_maps = g.cast_f16("demod_maps_f16", &d_maps);
    let demodulated = g.node("Mul", "demodulated", &[&maps, &d_maps], &[]);

    let strength = g.constant(
        "noise_strength",
        &[],
        &times(&[conv.noise_strength], SQRT_2),
    );
    let scaled_noise = g.node("Mul", "noise_scaled", &[noise, &strength], &[]);
    let scaled_noise = g.cast_f16("noise_scaled_f16", &scaled_noise);
    let noisy = g.node("Add", "noisy", &[&demodulated, &scaled_noise], &[]);
    let bias = g.constant_f16("bias", &[1, outputs, 1, 1], &times(&conv.bias, SQRT_2));
    let biased = g.node("Add", "biased", &[&noisy, &bias], &[]);
    activation(g, "x_f16", &biased, conv.clamp, Graph::constant_f16);
    g.cast_f32(out, "x_f16");
}

/// [`Graph::constant`] or [`Graph::constant_f16`].
type Constant = fn(&mut Graph, &str, &[usize], &[f32]) -> String;

/// The 3×3 convolution, which doubles the size and filters for an up-sampling layer.
fn convolution(
    g: &mut Graph,
    x: &str,
    conv: &StyledConv,
    weight: &[f32],
    constant: Constant,
) -> String {
    let (inputs, outputs) = (conv.inputs, conv.outputs);
    let Some(kernel) = &conv.up else {
        let weight = constant(g, "weight", &[outputs, inputs, 3, 3], weight);
        return g.node(
            "Conv",
            "conv",
            &[x, &weight],
            &[
                ("kernel_shape", Attr::Ints(&[3, 3])),
                ("pads", Attr::Ints(&[1, 1, 1, 1])),
            ],
        );
    };
    let weight = constant(
        g,
        "weight",
        &[inputs, outputs, 3, 3],
        &swap_channels(weight, outputs, inputs),
    );
    let wide = g.node(
        "ConvTranspose",
        "conv",
        &[x, &weight],
        &[
            ("kernel_shape", Attr::Ints(&[3, 3])),
            ("strides", Attr::Ints(&[2, 2])),
        ],
    );
    let filter = constant(
        g,
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
}

/// √2·d = 1/√(Q/2·s² + ε/2), one for each output map.
fn demodulation(g: &mut Graph, s: &str, conv: &StyledConv, weight: &[f32], eps: f64) -> String {
    let s_square = g.node("Mul", "s_square", &[s, s], &[]);
    let q = Linear {
        inputs: conv.inputs,
        outputs: conv.outputs,
        weight: half_squares(weight),
        bias: vec![(eps / 2.0) as f32; conv.outputs],
    };
    let energy = linear(g, "demod_energy", &s_square, &q);
    let root = g.node("Sqrt", "demod_root", &[&energy], &[]);
    let d = g.node("Reciprocal", "demod", &[&root], &[]);
    g.reshape("demod_maps", &d, &[1, conv.outputs, 1, 1])
}

fn activation(g: &mut Graph, out: &str, x: &str, clamp: Option<f32>, constant: Constant) {
    if clamp.is_some() {
        let wide = leaky_relu(g, "activated", x);
        clamped(g, out, &wide, clamp, constant);
    } else {
        leaky_relu(g, out, x);
    }
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
    // Each value has one name: the last of what there is to do has `out`.
    let own = match (rgb.clamp, &rgb.up) {
        (None, None) => g.node("Conv", out, &inputs, &attributes),
        (None, Some(_)) => g.node("Conv", "rgb_own", &inputs, &attributes),
        (Some(_), up) => {
            let wide = g.node("Conv", "rgb_unclamped", &inputs, &attributes);
            let name = if up.is_none() { out } else { "rgb_own" };
            clamped(g, name, &wide, rgb.clamp, Graph::constant)
        }
    };
    let Some(kernel) = &rgb.up else {
        return;
    };
    let before = g.input("rgb_in", &maps(3, side / 2));
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

/// Bounds a value, which has the name `name` then.
fn clamped(g: &mut Graph, name: &str, x: &str, clamp: Option<f32>, constant: Constant) -> String {
    let bound = clamp.unwrap_or(f32::INFINITY);
    let low = constant(g, &format!("{name}_low"), &[], &[-bound]);
    let high = constant(g, &format!("{name}_high"), &[], &[bound]);
    g.node("Clip", name, &[x, &low, &high], &[])
}

/// `x / √(mean x² + ε)`.
fn normalised(g: &mut Graph, name: &str, x: &str) -> String {
    let square = g.node("Mul", &format!("{name}_square"), &[x, x], &[]);
    let mean = g.node(
        "ReduceMean",
        &format!("{name}_mean_square"),
        &[&square],
        &[("axes", Attr::Ints(&[1])), ("keepdims", Attr::Int(1))],
    );
    let eps = g.constant(&format!("{name}_eps"), &[], &[PIXEL_NORM_EPS]);
    let sum = g.node(
        "Add",
        &format!("{name}_mean_square_eps"),
        &[&mean, &eps],
        &[],
    );
    let norm = g.node("Sqrt", &format!("{name}_norm"), &[&sum], &[]);
    g.node("Div", &format!("{name}_normalised"), &[x, &norm], &[])
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

/// Each output's weights scaled to a largest of 1/√(9·inputs), rounded to 16 bits as they are used.
fn normalised_weight(weight: &[f32], inputs: usize) -> Vec<f32> {
    let bound = 1.0 / ((9 * inputs) as f64).sqrt();
    let mut normalised = Vec::with_capacity(weight.len());
    for of_output in weight.chunks_exact(9 * inputs) {
        let largest = of_output.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let scale = bound / f64::from(largest.max(f32::MIN_POSITIVE));
        let scaled = of_output.iter().map(|&v| (f64::from(v) * scale) as f32);
        normalised.extend(scaled.map(|v| f16::from_f32(v).to_f32()));
    }
    normalised
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
