//! What old checkpoints leave out: constant noise and mean w, both from seeded normal numbers.

use std::f64::consts::{SQRT_2, TAU};

use ndarray::{Array2, Axis};

use super::network::Network;
use crate::tensor::split_mix;

/// How many w the mean is taken over.
pub(super) const W_SAMPLES: usize = 8192;
/// Pictures at once, so that memory stays small.
const BATCH: usize = 512;

/// Standard normal numbers: Box and Muller's transform of `SplitMix64`.
#[derive(Debug)]
pub(super) struct Normal(u64);

impl Normal {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// In (0, 1].
    fn uniform(&mut self) -> f64 {
        ((split_mix(&mut self.0) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn take(&mut self, count: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let radius = (-2.0 * self.uniform().ln()).sqrt();
            let (sin, cos) = (TAU * self.uniform()).sin_cos();
            values.push((radius * cos) as f32);
            values.push((radius * sin) as f32);
        }
        values.truncate(count);
        values
    }
}

/// Mean of w over [`W_SAMPLES`] seeded z: the centre of truncation.
pub(super) fn mean_w(net: &Network, seed: u64) -> Vec<f32> {
    let weights: Vec<Array2<f32>> = net
        .mapping_network
        .iter()
        .map(|l| Array2::from_shape_fn((l.inputs, l.outputs), |(i, o)| l.weight[o * l.inputs + i]))
        .collect();
    let mut normal = Normal::new(seed);
    let mut sum = vec![0.0_f64; net.w_dim];
    for _ in 0..W_SAMPLES / BATCH {
        let mut z = normal.take(BATCH * net.z_dim);
        for z in z.chunks_exact_mut(net.z_dim) {
            let square: f64 = z.iter().map(|&v| f64::from(v).powi(2)).sum();
            let scale = 1.0 / (square / z.len() as f64 + 1e-8).sqrt();
            z.iter_mut()
                .for_each(|v| *v = (f64::from(*v) * scale) as f32);
        }
        let mut x = Array2::from_shape_fn((BATCH, net.z_dim), |(n, i)| z[n * net.z_dim + i]);
        for (layer, weight) in net.mapping_network.iter().zip(&weights) {
            x = x.dot(weight);
            for mut row in x.rows_mut() {
                for (v, b) in row.iter_mut().zip(&layer.bias) {
                    let u = (*v + b) * SQRT_2 as f32;
                    *v = if u < 0.0 { 0.2 * u } else { u };
                }
            }
        }
        for (sum, column) in sum.iter_mut().zip(x.axis_iter(Axis(1))) {
            *sum += column.iter().map(|&v| f64::from(v)).sum::<f64>();
        }
    }
    sum.iter().map(|s| (s / W_SAMPLES as f64) as f32).collect()
}

/// Standard normal noise for each layer.
pub(super) fn noise(net: &Network, seed: u64) -> Vec<Vec<f32>> {
    let mut normal = Normal::new(seed);
    net.layers
        .iter()
        .map(|l| normal.take(l.resolution * l.resolution))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Normal;

    #[test]
    fn draws_are_standard_normal_and_seeded() {
        let draws = Normal::new(1).take(100_001);
        assert_eq!(draws.len(), 100_001);
        assert_eq!(draws, Normal::new(1).take(100_001));
        assert_ne!(draws[..8], Normal::new(2).take(8));
        let moment = |power| {
            let sum: f64 = draws.iter().map(|&v| f64::from(v).powi(power)).sum();
            sum / draws.len() as f64
        };
        // Moments of a normal distribution, with five standard errors.
        for (power, expected, error) in [(1, 0.0, 0.003), (2, 1.0, 0.0045), (4, 3.0, 0.031)] {
            assert!((moment(power) - expected).abs() < 5.0 * error, "{power}");
        }
    }
}
