//! Twin of `shaders/bend/noise.wgsl`.

use super::{LIMIT, Plane};
use crate::bend::uniform::BendUniform;

/// `x + multiply · n(field) + add · n(field + 1)`, within ±[`LIMIT`].
pub fn noise(plane: &Plane<'_>, dst: &mut [f32], _: &mut Vec<f32>) {
    let u = plane.uniform;
    let still = u.add == 0.0;
    for (pixel, (out, &x)) in dst.iter_mut().zip(plane.src).enumerate() {
        let value = |field: u32| grain(u, pixel as u32, plane.channel, field);
        let mut sum = u.multiply * value(u.field);
        if !still {
            sum += u.add * value(u.field.wrapping_add(1));
        }
        *out = (x + sum).clamp(-LIMIT, LIMIT);
    }
}

/// Noise of mean 0 and variance 1: the sum of four uniform numbers of 16 bits, so within ±3.47.
#[inline]
fn grain(u: &BendUniform, pixel: u32, channel: u32, field: u32) -> f32 {
    let [a, b] = hash(
        pixel,
        channel.wrapping_add(u.seed.wrapping_mul(0x9E37_79B9)),
        field,
    );
    let sum = (a & 0xFFFF) + (a >> 16) + (b & 0xFFFF) + (b >> 16);
    (sum as i32 - 131_070) as f32 * SPREAD
}

/// 1 / √((2³² − 1) / 3), the inverse of the sum's standard deviation.
const SPREAD: f32 = 2.642_899_8e-5;

/// `pcg3d` (Jarzynski, Olano: Hash Functions for GPU Rendering, JCGT 2020), two of its three words.
const fn hash(x: u32, y: u32, z: u32) -> [u32; 2] {
    const fn step(v: u32) -> u32 {
        v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
    }
    let (mut x, mut y, mut z) = (step(x), step(y), step(z));
    x = x.wrapping_add(y.wrapping_mul(z));
    y = y.wrapping_add(z.wrapping_mul(x));
    z = z.wrapping_add(x.wrapping_mul(y));
    x ^= x >> 16;
    y ^= y >> 16;
    z ^= z >> 16;
    x = x.wrapping_add(y.wrapping_mul(z));
    y = y.wrapping_add(z.wrapping_mul(x));
    [x, y]
}

#[cfg(test)]
mod tests {
    use super::grain;
    use crate::bend::uniform::BendUniform;
    use crate::tensor::MapShape;

    #[test]
    fn noise_has_mean_0_and_variance_1_and_no_echo() {
        let shape = MapShape {
            channels: 1,
            height: 256,
            width: 256,
        };
        let u = BendUniform::new(shape);
        let field = |channel, field| -> Vec<f64> {
            (0..65_536)
                .map(|i| f64::from(grain(&u, i, channel, field)))
                .collect()
        };
        let product = |a: &[f64], b: &[f64]| {
            a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64
        };
        let one = field(3, 9);
        let mean = one.iter().sum::<f64>() / 65_536.0;
        // Four standard errors: 4 / √65536.
        assert!(mean.abs() < 0.0157, "{mean}");
        assert!((product(&one, &one) - 1.0).abs() < 0.02);
        for (a, b) in [
            (one.clone(), field(4, 9)),
            (one.clone(), field(3, 10)),
            (one[1..].to_vec(), one[..65_535].to_vec()),
            (one[256..].to_vec(), one[..65_280].to_vec()),
        ] {
            assert!(product(&a, &b).abs() < 0.0157);
        }
    }
}
