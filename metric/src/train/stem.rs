//! Forward and backward passes of the first layer over a batch, groups in parallel.

use super::unit::{gathered, mask, normal_back, undo};
use crate::kernels::normal::{self, Moments};
use crate::kernels::product::{outer, product};
use crate::kernels::stem::{LEN, patches};
use crate::kernels::unit::affine;
use crate::kernels::{Group, WIDTH, wide};
use rayon::prelude::*;

/// What the backward pass needs of the forward one.
#[derive(Debug)]
pub(super) struct Saved {
    /// After the convolution: groups of `[50][row]`.
    rows: Vec<f32>,
    /// Their moments.
    pub(super) moments: Moments,
}

/// Passes `maps` of `side`, one after another, through the first layer to groups of `[50][row]`.
pub(super) fn forward(
    maps: &[f32],
    weights: &[f32],
    side: usize,
    group: Group,
) -> (Vec<f32>, Saved) {
    let n = group.row();
    let plane = group.maps * side * side;
    let groups = maps.len() / plane;
    let (kernels, gains) = weights.split_at(9 * WIDTH);
    let mut rows = vec![0.0_f32; groups * WIDTH * n];
    let sums: Vec<Vec<[f32; 2]>> = rows
        .par_chunks_exact_mut(WIDTH * n)
        .zip(maps.par_chunks_exact(plane))
        .map_init(Vec::new, |columns: &mut Vec<f32>, (out, maps)| {
            wide(
                #[inline(always)]
                || {
                    columns.resize(9 * n, 0.0);
                    patches(maps, side, group, columns);
                    product(kernels, columns, out, [WIDTH, 9, n]);
                    out.chunks_exact(n).map(normal::sums).collect()
                },
            )
        })
        .collect();
    let moments = Moments::from_sums(&sums, groups * n);
    let normal = affine(&moments, gains);
    let mut out = vec![0.0_f32; rows.len()];
    out.par_chunks_exact_mut(WIDTH * n)
        .zip(rows.par_chunks_exact(WIDTH * n))
        .for_each(|(out, from)| {
            wide(
                #[inline(always)]
                || {
                    for (feature, &[scale, shift]) in normal.iter().enumerate() {
                        let to = &mut out[feature * n..][..n];
                        for (to, &x) in to.iter_mut().zip(&from[feature * n..][..n]) {
                            *to = (scale * x + shift).max(0.0);
                        }
                    }
                },
            );
        });
    (out, Saved { rows, moments })
}

/// The gradient by the weights, from the gradient by the result. The maps need none.
pub(super) fn backward(
    maps: &[f32],
    weights: &[f32],
    saved: &Saved,
    grad: &[f32],
    side: usize,
    group: Group,
) -> Vec<f32> {
    let n = group.row();
    let plane = group.maps * side * side;
    let groups = maps.len() / plane;
    let gains = &weights[9 * WIDTH..];
    let normal = affine(&saved.moments, gains);
    let mut masked = vec![0.0_f32; grad.len()];
    let sums: Vec<Vec<[f32; 2]>> = masked
        .par_chunks_exact_mut(WIDTH * n)
        .zip(grad.par_chunks_exact(WIDTH * n))
        .zip(saved.rows.par_chunks_exact(WIDTH * n))
        .map(|((masked, grad), from)| {
            wide(
                #[inline(always)]
                || {
                    (0..WIDTH)
                        .map(|feature| {
                            let from = &from[feature * n..][..n];
                            let to = &mut masked[feature * n..][..n];
                            mask(&grad[feature * n..][..n], from, normal[feature], to);
                            normal::products(to, from)
                        })
                        .collect()
                },
            )
        })
        .collect();
    let (back, by_normal) = normal_back(&saved.moments, gains, &sums, groups * n);
    let parts: Vec<(Vec<[f32; 2]>, Vec<f32>)> = masked
        .par_chunks_exact_mut(WIDTH * n)
        .zip(saved.rows.par_chunks_exact(WIDTH * n))
        .zip(maps.par_chunks_exact(plane))
        .map_init(Vec::new, |columns: &mut Vec<f32>, ((by, from), maps)| {
            wide(
                #[inline(always)]
                || {
                    for feature in 0..WIDTH {
                        let row = feature * n;
                        undo(&mut by[row..][..n], &from[row..][..n], back[feature]);
                    }
                    columns.resize(9 * n, 0.0);
                    patches(maps, side, group, columns);
                    let mut kernels = vec![0.0; 9 * WIDTH];
                    outer(by, columns, &mut kernels, [WIDTH, 9, n]);
                    (Vec::new(), kernels)
                },
            )
        })
        .collect();
    let (_, mut by_weights) = gathered(parts, 9 * WIDTH);
    by_weights.extend(by_normal);
    debug_assert_eq!(by_weights.len(), LEN);
    by_weights
}
