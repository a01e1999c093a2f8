//! Twin of `shaders/bend/pointwise.wgsl`.

use super::weight::smooth;
use super::{LIMIT, Plane, fade};

/// `x · multiply + add`, within ±[`LIMIT`].
pub fn linear(plane: &Plane<'_>, dst: &mut [f32], _: &mut Vec<f32>) {
    let u = plane.uniform;
    for (out, &x) in dst.iter_mut().zip(plane.src) {
        *out = (x * u.multiply + u.add).clamp(-LIMIT, LIMIT);
    }
}

/// From 0 to 1 about `threshold`: in one step (`multiply` 0) or smoothly.
pub fn threshold(plane: &Plane<'_>, dst: &mut [f32], _: &mut Vec<f32>) {
    let u = plane.uniform;
    if u.multiply == 0.0 {
        for (out, &x) in dst.iter_mut().zip(plane.src) {
            *out = if x >= u.threshold { 1.0 } else { 0.0 };
        }
    } else {
        for (out, &x) in dst.iter_mut().zip(plane.src) {
            *out = smooth((x - u.threshold) * u.multiply + 0.5);
        }
    }
}

/// The nearest of `matrix[0] + 1` levels, blended with the nearest of `matrix[1] + 1`.
pub fn posterise(plane: &Plane<'_>, dst: &mut [f32], _: &mut Vec<f32>) {
    let u = plane.uniform;
    let [few, many, few_inverse, many_inverse] = u.matrix;
    let nearest = |t: f32, steps: f32, inverse: f32| {
        if steps == 0.0 {
            0.5
        } else {
            round(t * steps) * inverse
        }
    };
    for (out, &x) in dst.iter_mut().zip(plane.src) {
        let t = ((x - u.threshold) * u.multiply).clamp(0.0, 1.0);
        let low = nearest(t, few, few_inverse);
        let high = nearest(t, many, many_inverse);
        *out = u.threshold + fade(low, high, u.blend) * u.add;
    }
}

/// Nearest whole number, halves to even, for |x| < 2²². `f32::round_ties_even` is a call on
/// processors that a portable build assumes.
const fn round(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    x + MAGIC - MAGIC
}

/// `partner · multiply + x · add`, within ±[`LIMIT`].
pub fn mix_in(plane: &Plane<'_>, dst: &mut [f32], _: &mut Vec<f32>) {
    let u = plane.uniform;
    for ((out, &x), &other) in dst.iter_mut().zip(plane.src).zip(plane.partner) {
        *out = (other * u.multiply + x * u.add).clamp(-LIMIT, LIMIT);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn rounding_is_half_to_even() {
        for i in 0..4096 {
            let x = i as f32 / 16.0;
            assert_eq!(super::round(x), x.round_ties_even(), "{x}");
        }
    }
}
