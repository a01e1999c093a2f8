//! The residual unit: `ShuffleNet` V2's of stride 1 (Ma et al. 2018), 25 + 25 features.
//!
//! One half passes by. The other goes through 1×1 convolution, normalisation, `ReLU`, 3×3 depthwise
//! convolution, normalisation, 1×1 convolution, normalisation, `ReLU`. Then the halves are shuffled: even
//! features are those that passed by, odd ones those that were worked on.

use super::depthwise::Bordered;
use super::normal::Moments;
use super::product::product;
use super::{Group, HALF, WIDTH};

/// Numbers of a unit's weights.
pub const LEN: usize = 2 * HALF * HALF + 9 * HALF + 6 * HALF;

/// A unit's weights, as they lie one after another.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// First 1×1 convolution, a row for each result.
    pub first: &'a [f32],
    /// Gain and bias of the first normalisation.
    pub first_normal: &'a [f32],
    /// 3×3 kernels.
    pub depthwise: &'a [f32],
    /// Gain and bias of the second normalisation.
    pub depthwise_normal: &'a [f32],
    /// Second 1×1 convolution.
    pub second: &'a [f32],
    /// Gain and bias of the third normalisation.
    pub second_normal: &'a [f32],
}

/// Lengths of the six parts of a unit's weights.
pub const PARTS: [usize; 6] = [
    HALF * HALF,
    2 * HALF,
    9 * HALF,
    2 * HALF,
    HALF * HALF,
    2 * HALF,
];

impl<'a> Weights<'a> {
    /// Takes the parts of a unit's [`LEN`] numbers.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn new(all: &'a [f32]) -> Self {
        let mut rest = all;
        let [a, b, c, d, e, f] = PARTS.map(|len| {
            let (part, tail) = rest.split_at(len);
            rest = tail;
            part
        });
        Self {
            first: a,
            first_normal: b,
            depthwise: c,
            depthwise_normal: d,
            second: e,
            second_normal: f,
        }
    }
}

/// A unit for inference: normalisations are scale and shift.
#[derive(Clone, Debug)]
pub struct Trained {
    weights: Vec<f32>,
    /// Of the three normalisations.
    affine: [Vec<[f32; 2]>; 3],
}

/// Rows that inference needs.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    rows: Vec<f32>,
    other: Vec<f32>,
    bordered: Bordered,
    flat: Vec<f32>,
}

impl Trained {
    /// From weights and the population's moments.
    pub fn new(weights: Vec<f32>, moments: [Moments; 3]) -> Self {
        let parts = Weights::new(&weights);
        let normals = [
            parts.first_normal,
            parts.depthwise_normal,
            parts.second_normal,
        ];
        let affine = std::array::from_fn(|i| affine(&moments[i], normals[i]));
        Self { weights, affine }
    }

    /// `input` and `out` are `[50][row]`.
    pub fn run(&self, input: &[f32], out: &mut [f32], group: Group, scratch: &mut Scratch) {
        super::wide(
            #[inline(always)]
            || self.run_wide(input, out, group, scratch),
        );
    }

    #[inline(always)]
    fn run_wide(&self, input: &[f32], out: &mut [f32], group: Group, scratch: &mut Scratch) {
        let n = group.row();
        let weights = Weights::new(&self.weights);
        let (passing, worked) = input.split_at(HALF * n);
        scratch.rows.resize(HALF * n, 0.0);
        scratch.other.resize(HALF * n, 0.0);
        scratch.bordered.fit(group);
        product(weights.first, worked, &mut scratch.rows, [HALF, HALF, n]);
        for feature in 0..HALF {
            let row = &mut scratch.rows[feature * n..][..n];
            let [scale, shift] = self.affine[0][feature];
            scratch
                .bordered
                .lay(row, group, |x| (scale * x + shift).max(0.0));
            let kernel = &weights.depthwise[9 * feature..][..9];
            scratch
                .bordered
                .convolve(kernel, &mut scratch.flat, row, group);
            let [scale, shift] = self.affine[1][feature];
            row.iter_mut().for_each(|x| *x = scale * *x + shift);
        }
        product(
            weights.second,
            &scratch.rows,
            &mut scratch.other,
            [HALF, HALF, n],
        );
        for feature in 0..HALF {
            out[2 * feature * n..][..n].copy_from_slice(&passing[feature * n..][..n]);
            let [scale, shift] = self.affine[2][feature];
            let from = &scratch.other[feature * n..][..n];
            for (to, &x) in out[(2 * feature + 1) * n..][..n].iter_mut().zip(from) {
                *to = (scale * x + shift).max(0.0);
            }
        }
    }
}

/// Scale and shift of each feature; `normal` has all gains, then all biases.
pub fn affine(moments: &Moments, normal: &[f32]) -> Vec<[f32; 2]> {
    let (gains, biases) = normal.split_at(normal.len() / 2);
    (0..gains.len())
        .map(|f| moments.affine(f, gains[f], biases[f]))
        .collect()
}

const _: () = assert!(2 * HALF == WIDTH);
