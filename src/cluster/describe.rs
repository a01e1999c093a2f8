//! What a feature shows, as a short vector.

use crate::tensor::MapShape;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::f32::consts::PI;
use std::fmt;
use std::sync::Arc;

/// Turns activation maps into vectors whose distance says how alike they are.
pub trait Embedding {
    /// Values in the vector of one map of this layer.
    fn len(&self, layer: usize, shape: MapShape) -> usize;

    /// Writes the vectors of one picture's maps of a layer, `len` values a channel.
    fn embed(&mut self, layer: usize, maps: &[f32], shape: MapShape, out: &mut [f32]);
}

/// The description that needs no training: where a map is bright, and how coarse and in which
/// direction its pattern runs.
///
/// A map is first brought to mean 0 and standard deviation 1, so that a feature's gain does not
/// count. Then
/// - **place**: its means over an 8×8 grid, divided by 8 (4×4: by 4). Their sum of squares is the
///   share of the variance that is so coarse.
/// - **pattern**: the power spectrum, pooled over octaves (1, 2, 4, 8, 16 cycles across the map) and
///   four directions with triangular weights; the square roots of the shares of each.
///
/// Both blocks have length up to 1, so that neither drowns the other. Maps larger than 32×32 are
/// averaged down to that first.
#[derive(Debug, Default)]
pub struct Describe {
    plan: Option<Plan>,
}

const GRID: usize = 8;
const LARGEST_SIDE: usize = 32;
const OCTAVES: usize = 5;
const DIRECTIONS: usize = 4;
const PATTERN: usize = OCTAVES * DIRECTIONS;
/// Standard deviation below which a map counts as flat.
const FLAT: f32 = 1e-6;

impl Describe {
    fn sides(shape: MapShape) -> (usize, usize) {
        let side = shape.height.min(shape.width).min(LARGEST_SIDE);
        (side, side.min(GRID))
    }
}

impl Embedding for Describe {
    fn len(&self, _layer: usize, shape: MapShape) -> usize {
        let (_, grid) = Self::sides(shape);
        grid * grid + PATTERN
    }

    fn embed(&mut self, layer: usize, maps: &[f32], shape: MapShape, out: &mut [f32]) {
        let (side, grid) = Self::sides(shape);
        if side == 0 {
            return;
        }
        if self.plan.as_ref().is_none_or(|plan| plan.side != side) {
            self.plan = Some(Plan::new(side));
        }
        let Some(plan) = &mut self.plan else { return };
        let len = self_len(grid);
        debug_assert_eq!(len, Self::default().len(layer, shape));
        let mut small = vec![0.0; side * side];
        for (map, out) in maps
            .chunks_exact(shape.plane_len())
            .zip(out.chunks_exact_mut(len))
        {
            average(map, [shape.height, shape.width], [side, side], &mut small);
            if !normalise(&mut small) {
                out.fill(0.0);
                continue;
            }
            let (place, pattern) = out.split_at_mut(grid * grid);
            average(&small, [side, side], [grid, grid], place);
            place.iter_mut().for_each(|value| *value /= grid as f32);
            plan.pattern(&small, pattern);
        }
    }
}

const fn self_len(grid: usize) -> usize {
    grid * grid + PATTERN
}

/// Mean 0 and standard deviation 1. False for a flat map, or one with values that are not finite.
fn normalise(map: &mut [f32]) -> bool {
    let count = map.len() as f64;
    let mean = map.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let square = map
        .iter()
        .map(|&x| (f64::from(x) - mean).powi(2))
        .sum::<f64>();
    let deviation = (square / count).sqrt() as f32;
    // Not `<`: NaN is flat, too.
    if !(deviation > FLAT && deviation.is_finite()) {
        return false;
    }
    map.iter_mut()
        .for_each(|x| *x = (*x - mean as f32) / deviation);
    true
}

/// Averages a plane of `from` rows and columns down to `to`, each cell over whole pixels.
pub(super) fn average(plane: &[f32], from: [usize; 2], to: [usize; 2], out: &mut [f32]) {
    let edge = |axis: usize, index: usize| index * from[axis] / to[axis];
    for row in 0..to[0] {
        let rows = edge(0, row)..edge(0, row + 1);
        for column in 0..to[1] {
            let columns = edge(1, column)..edge(1, column + 1);
            let mut sum = 0.0;
            for y in rows.clone() {
                sum += plane[y * from[1]..][columns.clone()].iter().sum::<f32>();
            }
            out[row * to[1] + column] = sum / (rows.len() * columns.len()).max(1) as f32;
        }
    }
}

/// Spectra of maps of one size.
struct Plan {
    side: usize,
    fft: Arc<dyn Fft<f32>>,
    values: Vec<Complex<f32>>,
    turned: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// For each place of the spectrum, the bins it counts to and by how much.
    weights: Vec<[(usize, f32); 4]>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("side", &self.side)
            .finish_non_exhaustive()
    }
}

impl Plan {
    fn new(side: usize) -> Self {
        let fft = FftPlanner::new().plan_fft_forward(side);
        let zero = Complex { re: 0.0, im: 0.0 };
        let cycles = |index: usize| {
            let index = index as f32;
            let side = side as f32;
            if index > side / 2.0 {
                index - side
            } else {
                index
            }
        };
        let weights = (0..side * side)
            .map(|place| bins(cycles(place % side), cycles(place / side)))
            .collect();
        Self {
            side,
            scratch: vec![zero; fft.get_inplace_scratch_len()],
            fft,
            values: vec![zero; side * side],
            turned: vec![zero; side * side],
            weights,
        }
    }

    /// Root shares of the power by octave and direction.
    fn pattern(&mut self, map: &[f32], out: &mut [f32]) {
        let side = self.side;
        for (value, &x) in self.values.iter_mut().zip(map) {
            *value = Complex { re: x, im: 0.0 };
        }
        self.fft
            .process_with_scratch(&mut self.values, &mut self.scratch);
        for y in 0..side {
            for x in 0..side {
                self.turned[x * side + y] = self.values[y * side + x];
            }
        }
        self.fft
            .process_with_scratch(&mut self.turned, &mut self.scratch);
        out.fill(0.0);
        for y in 0..side {
            for x in 0..side {
                let power = self.turned[x * side + y].norm_sqr();
                for &(bin, weight) in &self.weights[y * side + x] {
                    out[bin] += weight * power;
                }
            }
        }
        let whole: f32 = out.iter().sum();
        if whole > 0.0 {
            out.iter_mut()
                .for_each(|value| *value = (*value / whole).sqrt());
        }
    }
}

/// Octave and direction of a frequency, in cycles across the map: two neighbours of each share it.
fn bins(x: f32, y: f32) -> [(usize, f32); 4] {
    let cycles = x.hypot(y);
    if cycles == 0.0 {
        return [(0, 0.0); 4];
    }
    let octave = cycles.log2().clamp(0.0, (OCTAVES - 1) as f32);
    let low = (octave.floor() as usize).min(OCTAVES - 2);
    let high_share = octave - low as f32;
    let turn = y.atan2(x).rem_euclid(PI) / PI * DIRECTIONS as f32;
    let from = turn.floor();
    let (left, right) = (from as usize % DIRECTIONS, (from as usize + 1) % DIRECTIONS);
    let right_share = turn - from;
    let at = |octave: usize, direction: usize| octave * DIRECTIONS + direction;
    [
        (at(low, left), (1.0 - high_share) * (1.0 - right_share)),
        (at(low, right), (1.0 - high_share) * right_share),
        (at(low + 1, left), high_share * (1.0 - right_share)),
        (at(low + 1, right), high_share * right_share),
    ]
}

#[cfg(test)]
mod tests {
    use super::{DIRECTIONS, Describe, Embedding, OCTAVES, average};
    use crate::tensor::MapShape;
    use std::f32::consts::TAU;

    fn describe(side: usize, value: impl Fn(f32, f32) -> f32) -> Vec<f32> {
        let shape = MapShape {
            channels: 1,
            height: side,
            width: side,
        };
        let map: Vec<f32> = (0..side * side)
            .map(|i| value((i % side) as f32, (i / side) as f32))
            .collect();
        let mut describe = Describe::default();
        let mut out = vec![f32::NAN; describe.len(0, shape)];
        describe.embed(0, &map, shape, &mut out);
        out
    }

    #[test]
    fn a_wave_is_found_in_its_octave_and_direction() {
        for side in [16, 32, 64] {
            let wave = |x: f32, _: f32| (x * TAU * 4.0 / side as f32).sin() * 7.0 + 3.0;
            let out = describe(side, wave);
            let pattern = &out[64..];
            assert_eq!(pattern.len(), OCTAVES * DIRECTIONS);
            // Four cycles: the third octave; along x: the first direction.
            assert!((pattern[2 * DIRECTIONS] - 1.0).abs() < 1e-3, "{pattern:?}");
            let along_y = describe(side, |x, y| wave(y, x));
            assert!((along_y[64 + 2 * DIRECTIONS + 2] - 1.0).abs() < 1e-3);
        }
    }

    #[test]
    fn a_blob_is_found_where_it_is_whatever_its_gain() {
        let blob = |x: f32, y: f32| (-((x - 4.0).powi(2) + (y - 20.0).powi(2)) / 8.0).exp();
        let out = describe(32, blob);
        let brightest = (0..64).max_by(|&a, &b| out[a].total_cmp(&out[b])).unwrap();
        assert!(brightest == 5 * 8 || brightest == 5 * 8 + 1, "{brightest}");
        let louder = describe(32, |x, y| blob(x, y) * 9.0 - 2.0);
        let off = out
            .iter()
            .zip(&louder)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(off < 1e-4, "{off}");
        let other = describe(32, |x, y| blob(y, x));
        let off = out
            .iter()
            .zip(&other)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(off > 0.1, "{off}");
    }

    #[test]
    fn flat_and_broken_maps_say_nothing() {
        for value in [0.0, 3.0, f32::NAN, f32::INFINITY] {
            assert!(describe(8, |_, _| value).iter().all(|&x| x == 0.0));
        }
        assert!(describe(4, |x, _| x).iter().all(|x| x.is_finite()));
        assert!(describe(1, |x, _| x).iter().all(|x| x.is_finite()));
    }

    #[test]
    fn averages_cover_each_pixel_once() {
        let plane: Vec<f32> = (0..20).map(|i| i as f32).collect();
        let mut out = [0.0; 4];
        average(&plane, [4, 5], [2, 2], &mut out);
        assert_eq!(out, [3.0, 5.5, 13.0, 15.5]);
    }
}
