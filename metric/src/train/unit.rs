//! Forward and backward passes of the residual unit over a batch, groups in parallel.
//!
//! Normalising by the batch's own moments makes a pass of four stages: each needs sums over all groups of
//! the stage before.

use crate::kernels::depthwise::Bordered;
use crate::kernels::normal::{self, Moments};
use crate::kernels::product::{outer, product, transposed};
use crate::kernels::unit::{LEN, PARTS, Weights, affine};
use crate::kernels::{Group, HALF, WIDTH, wide};
use rayon::prelude::*;

/// What the backward pass needs of the forward one.
#[derive(Debug)]
pub(super) struct Saved {
    /// After the first, the depthwise and the second convolution: groups of `[25][row]`.
    rows: [Vec<f32>; 3],
    /// Their moments.
    pub(super) moments: [Moments; 3],
}

type Sums = Vec<[f32; 2]>;

fn row_sums(rows: &[f32], n: usize) -> Sums {
    rows.chunks_exact(n).map(normal::sums).collect()
}

/// Passes `input`, groups of `[50][row]`, through a unit.
pub(super) fn forward(input: &[f32], weights: &[f32], group: Group) -> (Vec<f32>, Saved) {
    let n = group.row();
    let groups = input.len() / (WIDTH * n);
    let count = groups * n;
    let weights = Weights::new(weights);
    let new = || vec![0.0_f32; groups * HALF * n];
    let mut rows = [new(), new(), new()];
    let [first, middle, last] = &mut rows;

    let sums: Vec<Sums> = input
        .par_chunks_exact(WIDTH * n)
        .zip(first.par_chunks_exact_mut(HALF * n))
        .map(|(input, out)| {
            wide(
                #[inline(always)]
                || {
                    product(weights.first, &input[HALF * n..], out, [HALF, HALF, n]);
                    row_sums(out, n)
                },
            )
        })
        .collect();
    let first_moments = Moments::from_sums(&sums, count);
    let normal = affine(&first_moments, weights.first_normal);

    let sums: Vec<Sums> = first
        .par_chunks_exact(HALF * n)
        .zip(middle.par_chunks_exact_mut(HALF * n))
        .map_init(
            Default::default,
            |(bordered, flat): &mut (Bordered, Vec<f32>), (from, out)| {
                wide(
                    #[inline(always)]
                    || {
                        bordered.fit(group);
                        for feature in 0..HALF {
                            let [scale, shift] = normal[feature];
                            bordered.lay(&from[feature * n..][..n], group, |x| {
                                (scale * x + shift).max(0.0)
                            });
                            let kernel = &weights.depthwise[9 * feature..][..9];
                            bordered.convolve(kernel, flat, &mut out[feature * n..][..n], group);
                        }
                        row_sums(out, n)
                    },
                )
            },
        )
        .collect();
    let middle_moments = Moments::from_sums(&sums, count);
    let normal = affine(&middle_moments, weights.depthwise_normal);

    let sums: Vec<Sums> = middle
        .par_chunks_exact(HALF * n)
        .zip(last.par_chunks_exact_mut(HALF * n))
        .map_init(Vec::new, |rows: &mut Vec<f32>, (from, out)| {
            wide(
                #[inline(always)]
                || {
                    scaled(from, &normal, rows, n);
                    product(weights.second, rows, out, [HALF, HALF, n]);
                    row_sums(out, n)
                },
            )
        })
        .collect();
    let last_moments = Moments::from_sums(&sums, count);
    let normal = affine(&last_moments, weights.second_normal);

    let mut out = vec![0.0_f32; groups * WIDTH * n];
    out.par_chunks_exact_mut(WIDTH * n)
        .zip(input.par_chunks_exact(WIDTH * n))
        .zip(last.par_chunks_exact(HALF * n))
        .for_each(|((out, input), from)| {
            wide(
                #[inline(always)]
                || {
                    for feature in 0..HALF {
                        let passing = &input[feature * n..][..n];
                        out[2 * feature * n..][..n].copy_from_slice(passing);
                        let [scale, shift] = normal[feature];
                        let from = &from[feature * n..][..n];
                        let to = &mut out[(2 * feature + 1) * n..][..n];
                        for (to, &x) in to.iter_mut().zip(from) {
                            *to = (scale * x + shift).max(0.0);
                        }
                    }
                },
            );
        });
    let moments = [first_moments, middle_moments, last_moments];
    (out, Saved { rows, moments })
}

/// `rows` after scale and shift.
#[inline(always)]
fn scaled(from: &[f32], normal: &[[f32; 2]], rows: &mut Vec<f32>, n: usize) {
    rows.resize(HALF * n, 0.0);
    for (feature, &[scale, shift]) in normal.iter().enumerate() {
        let to = &mut rows[feature * n..][..n];
        for (to, &x) in to.iter_mut().zip(&from[feature * n..][..n]) {
            *to = scale * x + shift;
        }
    }
}

/// Gradients by the input and by the weights, from the gradient by the result.
pub(super) fn backward(
    input: &[f32],
    weights: &[f32],
    saved: &Saved,
    grad: &[f32],
    group: Group,
) -> (Vec<f32>, Vec<f32>) {
    let n = group.row();
    let groups = input.len() / (WIDTH * n);
    let count = groups * n;
    let weights = Weights::new(weights);
    let [first, middle, last] = &saved.rows;
    let [first_moments, middle_moments, last_moments] = &saved.moments;
    let mut by_weights = Vec::with_capacity(LEN);

    // Third normalisation: only its sums.
    let normal = affine(last_moments, weights.second_normal);
    let sums: Vec<Sums> = grad
        .par_chunks_exact(WIDTH * n)
        .zip(last.par_chunks_exact(HALF * n))
        .map_init(Vec::new, |masked: &mut Vec<f32>, (grad, from)| {
            wide(
                #[inline(always)]
                || {
                    masked.resize(n, 0.0);
                    (0..HALF)
                        .map(|feature| {
                            let from = &from[feature * n..][..n];
                            let by = &grad[(2 * feature + 1) * n..][..n];
                            mask(by, from, normal[feature], masked);
                            normal::products(masked, from)
                        })
                        .collect()
                },
            )
        })
        .collect();
    let (back, by_last_normal) = normal_back(last_moments, weights.second_normal, &sums, count);

    // Through the second convolution.
    let turned = transposed(weights.second, [HALF, HALF]);
    let middle_normal = affine(middle_moments, weights.depthwise_normal);
    let mut by_middle = vec![0.0_f32; groups * HALF * n];
    let parts: Vec<(Sums, Vec<f32>)> = by_middle
        .par_chunks_exact_mut(HALF * n)
        .zip(grad.par_chunks_exact(WIDTH * n))
        .zip(last.par_chunks_exact(HALF * n))
        .zip(middle.par_chunks_exact(HALF * n))
        .map_init(
            Default::default,
            |(by, rows): &mut (Vec<f32>, Vec<f32>), (((out, grad), last), from)| {
                wide(
                    #[inline(always)]
                    || {
                        by.resize(HALF * n, 0.0);
                        for feature in 0..HALF {
                            let last = &last[feature * n..][..n];
                            let grad = &grad[(2 * feature + 1) * n..][..n];
                            let by = &mut by[feature * n..][..n];
                            mask(grad, last, normal[feature], by);
                            undo(by, last, back[feature]);
                        }
                        product(&turned, by, out, [HALF, HALF, n]);
                        scaled(from, &middle_normal, rows, n);
                        let mut weight = vec![0.0; HALF * HALF];
                        outer(by, rows, &mut weight, [HALF, HALF, n]);
                        (pair_sums(out, from, n), weight)
                    },
                )
            },
        )
        .collect();
    let (sums, by_second) = gathered(parts, HALF * HALF);
    let (back, by_middle_normal) =
        normal_back(middle_moments, weights.depthwise_normal, &sums, count);

    // Through the depthwise convolution.
    let first_normal = affine(first_moments, weights.first_normal);
    let mut by_first = vec![0.0_f32; groups * HALF * n];
    let parts: Vec<(Sums, Vec<f32>)> = by_first
        .par_chunks_exact_mut(HALF * n)
        .zip(by_middle.par_chunks_exact_mut(HALF * n))
        .zip(middle.par_chunks_exact(HALF * n))
        .zip(first.par_chunks_exact(HALF * n))
        .map_init(
            Default::default,
            |state: &mut (Bordered, Bordered, Vec<f32>), (((out, by), middle), first)| {
                wide(
                    #[inline(always)]
                    || {
                        let (value, grad, flat) = state;
                        value.fit(group);
                        grad.fit(group);
                        let mut kernels = vec![0.0; 9 * HALF];
                        for feature in 0..HALF {
                            let (row, normal) = (feature * n, first_normal[feature]);
                            let [scale, shift] = normal;
                            let by = &mut by[row..][..n];
                            undo(by, &middle[row..][..n], back[feature]);
                            grad.lay(by, group, |x| x);
                            let first = &first[row..][..n];
                            value.lay(first, group, |x| (scale * x + shift).max(0.0));
                            value.kernel_gradient(grad, &mut kernels[9 * feature..][..9], group);
                            let kernel = &weights.depthwise[9 * feature..][..9];
                            let flipped: [f32; 9] = std::array::from_fn(|i| kernel[8 - i]);
                            // `by` is not needed any more: it holds what comes back.
                            grad.convolve(&flipped, flat, by, group);
                            mask(by, first, normal, &mut out[row..][..n]);
                        }
                        (pair_sums(out, first, n), kernels)
                    },
                )
            },
        )
        .collect();
    let (sums, by_depthwise) = gathered(parts, 9 * HALF);
    drop(by_middle);
    let (back, by_first_normal) = normal_back(first_moments, weights.first_normal, &sums, count);

    // Through the first convolution; the passing half as it is.
    let turned = transposed(weights.first, [HALF, HALF]);
    let mut by_input = vec![0.0_f32; groups * WIDTH * n];
    let parts: Vec<(Sums, Vec<f32>)> = by_input
        .par_chunks_exact_mut(WIDTH * n)
        .zip(by_first.par_chunks_exact_mut(HALF * n))
        .zip(first.par_chunks_exact(HALF * n))
        .zip(input.par_chunks_exact(WIDTH * n))
        .zip(grad.par_chunks_exact(WIDTH * n))
        .map(|((((out, by), first), input), grad)| {
            wide(
                #[inline(always)]
                || {
                    for feature in 0..HALF {
                        let row = feature * n;
                        undo(&mut by[row..][..n], &first[row..][..n], back[feature]);
                        out[row..][..n].copy_from_slice(&grad[2 * row..][..n]);
                    }
                    product(&turned, by, &mut out[HALF * n..], [HALF, HALF, n]);
                    let mut weight = vec![0.0; HALF * HALF];
                    outer(by, &input[HALF * n..], &mut weight, [HALF, HALF, n]);
                    (Vec::new(), weight)
                },
            )
        })
        .collect();
    let (_, by_first_weight) = gathered(parts, HALF * HALF);

    by_weights.extend(by_first_weight);
    by_weights.extend(by_first_normal);
    by_weights.extend(by_depthwise);
    by_weights.extend(by_middle_normal);
    by_weights.extend(by_second);
    by_weights.extend(by_last_normal);
    debug_assert_eq!(by_weights.len(), PARTS.iter().sum::<usize>());
    (by_input, by_weights)
}

/// The gradient where the `ReLU` let the value through.
#[inline(always)]
pub(super) fn mask(grad: &[f32], from: &[f32], [scale, shift]: [f32; 2], out: &mut [f32]) {
    for ((out, &by), &x) in out.iter_mut().zip(grad).zip(from) {
        *out = if scale * x + shift > 0.0 { by } else { 0.0 };
    }
}

/// Back through a normalisation: see [`normal::gradient`].
#[inline(always)]
pub(super) fn undo(by: &mut [f32], from: &[f32], [scale, value, constant]: [f32; 3]) {
    for (by, &x) in by.iter_mut().zip(from) {
        *by = scale * *by + (value * x + constant);
    }
}

#[inline(always)]
fn pair_sums(by: &[f32], from: &[f32], n: usize) -> Sums {
    by.chunks_exact(n)
        .zip(from.chunks_exact(n))
        .map(|(by, from)| normal::products(by, from))
        .collect()
}

/// Factors of [`undo`] for each feature, and the gradients by all gains, then all biases.
pub(super) fn normal_back(
    moments: &Moments,
    normal: &[f32],
    parts: &[Sums],
    count: usize,
) -> (Vec<[f32; 3]>, Vec<f32>) {
    let features = normal.len() / 2;
    let mut back = Vec::with_capacity(features);
    let mut by = vec![0.0; 2 * features];
    for feature in 0..features {
        let mut sums = [0.0_f64; 2];
        for part in parts {
            sums[0] += f64::from(part[feature][0]);
            sums[1] += f64::from(part[feature][1]);
        }
        let (factors, [gain, bias]) =
            normal::gradient(moments, feature, normal[feature], sums, count);
        back.push(factors);
        by[feature] = gain;
        by[features + feature] = bias;
    }
    (back, by)
}

/// Adds the groups' shares up, in their order.
pub(super) fn gathered(parts: Vec<(Sums, Vec<f32>)>, len: usize) -> (Vec<Sums>, Vec<f32>) {
    let mut sums = Vec::with_capacity(parts.len());
    let mut total = vec![0.0_f32; len];
    for (sum, share) in parts {
        sums.push(sum);
        total.iter_mut().zip(share).for_each(|(t, s)| *t += s);
    }
    (sums, total)
}
