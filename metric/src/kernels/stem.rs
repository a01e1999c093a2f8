//! The first layer: 3×3 convolution from one map to 50, normalisation, `ReLU`.

use super::normal::Moments;
use super::product::product;
use super::{Group, WIDTH};

/// Numbers of its weights: kernels, gains, biases.
pub const LEN: usize = 9 * WIDTH + 2 * WIDTH;

/// The nine shifted copies of a group's maps, `[9][row]`, with a border of zeros: of every second pixel
/// where `out` is half the side.
#[inline(always)]
pub fn patches(maps: &[f32], side: usize, out: Group, columns: &mut [f32]) {
    let stride = side / out.side;
    let row = out.row();
    for tap in 0..9 {
        let (dy, dx) = (tap / 3, tap % 3);
        for map in 0..out.maps {
            let plane = &maps[map * side * side..][..side * side];
            for y in 0..out.side {
                let to = &mut columns[tap * row + (map * out.side + y) * out.side..][..out.side];
                let Some(from) = (y * stride + dy).checked_sub(1).filter(|&y| y < side) else {
                    to.fill(0.0);
                    continue;
                };
                let line = &plane[from * side..][..side];
                for (x, to) in to.iter_mut().enumerate() {
                    let from = (x * stride + dx).checked_sub(1);
                    *to = from.and_then(|x| line.get(x)).copied().unwrap_or(0.0);
                }
            }
        }
    }
}

/// The first layer for inference.
#[derive(Clone, Debug)]
pub struct Trained {
    weights: Vec<f32>,
    affine: Vec<[f32; 2]>,
}

impl Trained {
    /// From weights and the population's moments.
    pub fn new(weights: Vec<f32>, moments: &Moments) -> Self {
        let affine = super::unit::affine(moments, &weights[9 * WIDTH..]);
        Self { weights, affine }
    }

    /// `maps` are of `side`; `out` is `[50][row]`, and `columns` is scratch.
    pub fn run(
        &self,
        maps: &[f32],
        side: usize,
        out: &mut [f32],
        group: Group,
        columns: &mut Vec<f32>,
    ) {
        super::wide(
            #[inline(always)]
            || {
                let n = group.row();
                columns.resize(9 * n, 0.0);
                patches(maps, side, group, columns);
                product(&self.weights[..9 * WIDTH], columns, out, [WIDTH, 9, n]);
                for (row, &[scale, shift]) in out.chunks_exact_mut(n).zip(&self.affine) {
                    row.iter_mut()
                        .for_each(|x| *x = (scale * *x + shift).max(0.0));
                }
            },
        );
    }
}
