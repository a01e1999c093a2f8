//! The network's operations composed of burn's own: what `super::ops` must agree with, and what other
//! devices run.
//!
//! Normalisation is by the batch's moments, as in training.

use crate::kernels::normal::{EPSILON, Moments};
use crate::kernels::unit::PARTS;
use crate::kernels::{Group, HALF, WIDTH};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};

/// `[batch, features, side, side]` to groups.
fn to_groups(x: Tensor<4>, group: Group) -> Tensor<3> {
    let [batch, features, side, _] = x.dims();
    let groups = batch / group.maps;
    x.reshape([groups, group.maps, features, side * side])
        .swap_dims(1, 2)
        .reshape([groups, features, group.row()])
}

fn from_groups(x: Tensor<3>, group: Group) -> Tensor<4> {
    let [groups, features, _] = x.dims();
    let side = group.side;
    x.reshape([groups, features, group.maps, side * side])
        .swap_dims(1, 2)
        .reshape([groups * group.maps, features, side, side])
}

fn normalise(x: Tensor<4>, gain: Tensor<1>, bias: Tensor<1>) -> (Tensor<4>, Moments) {
    let [n, c, h, w] = x.dims();
    let count = (n * h * w) as f32;
    let over = |x: Tensor<4>| x.sum_dim(0).sum_dim(2).sum_dim(3) / count;
    let mean = over(x.clone());
    let centred = x - mean.clone();
    let variance = over(centred.clone().powi_scalar(2));
    let out = centred / (variance.clone() + EPSILON).sqrt();
    let numbers = |x: Tensor<4>| x.into_data().try_to_vec().unwrap_or_default();
    let moments = Moments {
        mean: numbers(mean),
        variance: numbers(variance),
    };
    let shape = [1, c, 1, 1];
    (out * gain.reshape(shape) + bias.reshape(shape), moments)
}

fn take(weights: &Tensor<1>, at: &mut usize, len: usize) -> Tensor<1> {
    *at += len;
    weights.clone().narrow(0, *at - len, len)
}

/// See `super::ops::MetricOps::metric_stem`.
pub fn stem(
    maps: Tensor<3>,
    weights: Tensor<1>,
    side: usize,
    group: Group,
) -> (Tensor<3>, Vec<Moments>) {
    let [batch, ..] = maps.dims();
    let mut at = 0;
    let kernels = take(&weights, &mut at, 9 * WIDTH).reshape([WIDTH, 1, 3, 3]);
    let gain = take(&weights, &mut at, WIDTH);
    let bias = take(&weights, &mut at, WIDTH);
    let stride = side / group.side;
    let options = ConvOptions::new([stride, stride], [1, 1], [1, 1], 1);
    let x = conv2d(maps.reshape([batch, 1, side, side]), kernels, None, options);
    let (x, moments) = normalise(x, gain, bias);
    (to_groups(relu(x), group), vec![moments])
}

/// See `super::ops::MetricOps::metric_unit`.
pub fn unit(features: Tensor<3>, weights: Tensor<1>, group: Group) -> (Tensor<3>, Vec<Moments>) {
    let x = from_groups(features, group);
    let [n, _, h, w] = x.dims();
    let mut at = 0;
    let mut next = |len| take(&weights, &mut at, len);
    let mut parts = PARTS.iter();
    let mut part = || next(parts.next().copied().unwrap_or(0));
    let one = |groups, border| ConvOptions::new([1, 1], [border, border], [1, 1], groups);
    let halves = |normal: Tensor<1>| {
        (
            normal.clone().narrow(0, 0, HALF),
            normal.narrow(0, HALF, HALF),
        )
    };
    let passing = x.clone().narrow(1, 0, HALF);
    let y = conv2d(
        x.narrow(1, HALF, HALF),
        part().reshape([HALF, HALF, 1, 1]),
        None,
        one(1, 0),
    );
    let (gain, bias) = halves(part());
    let (y, a) = normalise(y, gain, bias);
    let kernels = part().reshape([HALF, 1, 3, 3]);
    let y = conv2d(relu(y), kernels, None, one(HALF, 1));
    let (gain, bias) = halves(part());
    let (y, b) = normalise(y, gain, bias);
    let y = conv2d(y, part().reshape([HALF, HALF, 1, 1]), None, one(1, 0));
    let (gain, bias) = halves(part());
    let (y, c) = normalise(y, gain, bias);
    let out = Tensor::cat(vec![passing, relu(y)], 1)
        .reshape([n, 2, HALF, h * w])
        .swap_dims(1, 2)
        .reshape([n, WIDTH, h, w]);
    (to_groups(out, group), vec![a, b, c])
}

/// See `super::ops::MetricOps::metric_pool`.
pub fn pool(features: Tensor<3>, group: Group) -> Tensor<3> {
    let x = from_groups(features, group);
    let options = MaxPoolOptions {
        stride: [2, 2],
        padding: [(1, 1); 2],
        ..MaxPoolOptions::new([3, 3])
    };
    let x = max_pool2d(x, options);
    to_groups(x, group.halved())
}
