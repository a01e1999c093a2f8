//! The layers once more, in the papers' own form, to hold the segments against: the style scales
//! the weights, demodulation divides the weights, doubling puts zeros between the pixels. Slower
//! than the segments, and no line of it is shared with them.

use super::network::{Kernel, Network, StyledConv, ToRgb};
use super::onnx::{Attr, Graph};
use super::segment::maps;
use prost::Message;

/// Layer `layer` without its `ToRGB`: `x_in`, `style` \[1, w_dim\], `noise` → `x`.
pub(super) fn layer(net: &Network, layer: usize) -> Vec<u8> {
    let conv = &net.layers[layer];
    let side = match layer {
        0 => conv.resolution,
        _ => net.layers[layer - 1].resolution,
    };
    let mut g = Graph::new("plain");
    let x = g.input("x_in", &maps(conv.inputs, side));
    let style = g.input("style", &[1, net.w_dim]);
    let noise = g.input("noise", &maps(1, conv.resolution));
    let weight = modulated(&mut g, &style, conv);
    let convolved = match &conv.up {
        None => correlate(&mut g, "conv", &x, &weight, [1, 1], 1),
        Some(kernel) => {
            let wide = zeros_between(&mut g, "wide", &x);
            let all = correlate(&mut g, "conv", &wide, &weight, [2, 1], 1);
            let kernel = depthwise(&mut g, "low_pass", kernel, conv.outputs);
            correlate(&mut g, "filtered", &all, &kernel, [1, 1], conv.outputs)
        }
    };
    let strength = g.constant("strength", &[], &[conv.noise_strength]);
    let noise = g.node("Mul", "scaled_noise", &[&noise, &strength], &[]);
    let noisy = g.node("Add", "noisy", &[&convolved, &noise], &[]);
    let bias = g.constant("bias", &[1, conv.outputs, 1, 1], &conv.bias);
    let biased = g.node("Add", "biased", &[&noisy, &bias], &[]);
    let slope = g.constant("slope", &[], &[0.2]);
    let below = g.node("Mul", "below", &[&biased, &slope], &[]);
    let leaky = g.node("Max", "leaky", &[&biased, &below], &[]);
    let gain = g.constant("gain", &[], &[std::f32::consts::SQRT_2]);
    let own = g.node("Mul", "activated", &[&leaky, &gain], &[]);
    bounded(&mut g, "x", &own, conv.clamp);
    g.output("x", &maps(conv.outputs, conv.resolution));
    g.finish().encode_to_vec()
}

/// `ToRGB` after layer `2·index`: `x_in`, `style` and, but for the first, `rgb_in` → `rgb`.
pub(super) fn to_rgb(net: &Network, index: usize) -> Vec<u8> {
    let rgb = &net.to_rgbs[index];
    let side = 4 << index;
    let mut g = Graph::new("plain");
    let x = g.input("x_in", &maps(rgb.inputs, side));
    let style = g.input("style", &[1, net.w_dim]);
    let own = own_picture(&mut g, &x, &style, rgb);
    match &rgb.up {
        None => {
            g.node("Identity", "rgb", &[&own], &[]);
        }
        Some(kernel) => {
            let before = g.input("rgb_in", &maps(3, side / 2));
            let wide = zeros_between(&mut g, "wide", &before);
            let kernel = depthwise(&mut g, "low_pass", kernel, 3);
            let doubled = correlate(&mut g, "doubled", &wide, &kernel, [2, 1], 3);
            g.node("Add", "rgb", &[&doubled, &own], &[]);
        }
    }
    g.output("rgb", &maps(3, side));
    g.finish().encode_to_vec()
}

fn own_picture(g: &mut Graph, x: &str, style: &str, rgb: &ToRgb) -> String {
    let s = scales(g, style, &rgb.style);
    let s = g.reshape("s_maps", &s, &[1, rgb.inputs, 1, 1]);
    let weight = g.constant("weight", &[3, rgb.inputs, 1, 1], &rgb.weight);
    let weight = g.node("Mul", "modulated", &[&weight, &s], &[]);
    let own = correlate(g, "own", x, &weight, [0, 0], 1);
    let bias = g.constant("bias", &[1, 3, 1, 1], &rgb.bias);
    let biased = g.node("Add", "biased", &[&own, &bias], &[]);
    bounded(g, "bounded", &biased, rgb.clamp)
}

/// The layer's weights for this style, \[O, I, 3, 3\]; flipped for an up-sampling layer, whose
/// convolution is a true one.
fn modulated(g: &mut Graph, style: &str, conv: &StyledConv) -> String {
    let mut weight = conv.weight.clone();
    if conv.up.is_some() {
        weight.chunks_exact_mut(9).for_each(<[f32]>::reverse);
    }
    let s = scales(g, style, &conv.style);
    let s = g.reshape("s_maps", &s, &[1, conv.inputs, 1, 1]);
    let weight = g.constant("weight", &[conv.outputs, conv.inputs, 3, 3], &weight);
    let weight = g.node("Mul", "modulated", &[&weight, &s], &[]);
    let square = g.node("Mul", "modulated_square", &[&weight, &weight], &[]);
    let axes = g.integers("axes", &[1, 2, 3]);
    let energy = g.node("ReduceSum", "energy", &[&square, &axes], &[]);
    let eps = g.constant("eps", &[], &[conv.demod_eps as f32]);
    let energy = g.node("Add", "energy_eps", &[&energy, &eps], &[]);
    let norm = g.node("Sqrt", "norm", &[&energy], &[]);
    g.node("Div", "demodulated", &[&weight, &norm], &[])
}

fn scales(g: &mut Graph, style: &str, layer: &super::network::Linear) -> String {
    let (inputs, outputs) = (layer.inputs, layer.outputs);
    let weight = g.constant("s_weight", &[outputs, inputs], &layer.weight);
    let weight = g.node(
        "Transpose",
        "s_weight_turned",
        &[&weight],
        &[("perm", Attr::Ints(&[1, 0]))],
    );
    let bias = g.constant("s_bias", &[outputs], &layer.bias);
    let product = g.node("MatMul", "s_product", &[style, &weight], &[]);
    g.node("Add", "s", &[&product, &bias], &[])
}

/// \[1, C, H, W\] → \[1, C, 2H, 2W\], a zero after each value of a row and a row of zeros after each.
fn zeros_between(g: &mut Graph, name: &str, x: &str) -> String {
    // 0 keeps an axis's size, −1 takes what is left.
    let columns = g.integers(&format!("{name}_columns"), &[0, 0, 0, -1, 1]);
    let apart = g.node("Reshape", &format!("{name}_apart"), &[x, &columns], &[]);
    let zero = g.node("Sub", &format!("{name}_zero"), &[&apart, &apart], &[]);
    let pairs = g.node(
        "Concat",
        &format!("{name}_pairs"),
        &[&apart, &zero],
        &[("axis", Attr::Int(4))],
    );
    let rows = g.integers(&format!("{name}_rows"), &[0, 0, 0, -1]);
    let wide = g.node("Reshape", &format!("{name}_wide"), &[&pairs, &rows], &[]);
    let zero = g.node("Sub", &format!("{name}_zero_row"), &[&wide, &wide], &[]);
    // Rows beside rows of zeros read as one row after the other.
    let beside = g.node(
        "Concat",
        &format!("{name}_beside"),
        &[&wide, &zero],
        &[("axis", Attr::Int(3))],
    );
    let shape = g.node("Shape", &format!("{name}_wide_shape"), &[&wide], &[]);
    let double = g.integers(&format!("{name}_double"), &[1, 1, 2, 1]);
    let target = g.node("Mul", &format!("{name}_shape"), &[&shape, &double], &[]);
    g.node("Reshape", name, &[&beside, &target], &[])
}

fn depthwise(g: &mut Graph, name: &str, kernel: &Kernel, channels: usize) -> String {
    let mut flipped = *kernel;
    flipped.reverse();
    g.constant(name, &[channels, 1, 4, 4], &flipped.repeat(channels))
}

fn correlate(
    g: &mut Graph,
    name: &str,
    x: &str,
    weight: &str,
    [before, after]: [i64; 2],
    groups: usize,
) -> String {
    g.node(
        "Conv",
        name,
        &[x, weight],
        &[
            ("pads", Attr::Ints(&[before, before, after, after])),
            ("group", Attr::Int(groups as i64)),
        ],
    )
}

fn bounded(g: &mut Graph, name: &str, x: &str, clamp: Option<f32>) -> String {
    let Some(clamp) = clamp else {
        return g.node("Identity", name, &[x], &[]);
    };
    let high = g.constant(&format!("{name}_high"), &[], &[clamp]);
    let low = g.constant(&format!("{name}_low"), &[], &[-clamp]);
    let below = g.node("Min", &format!("{name}_below"), &[x, &high], &[]);
    g.node("Max", name, &[&below, &low], &[])
}
