//! Twin of `shaders/bend/pointwise.wgsl`.

use super::{LIMIT, fade};
use crate::bend::uniform::BendUniform;

/// `x · multiply + add`, within ±[`LIMIT`].
pub fn linear(u: &BendUniform, src: &[f32], dst: &mut [f32]) {
    for (out, &x) in dst.iter_mut().zip(src) {
        let result = (x * u.multiply + u.add).clamp(-LIMIT, LIMIT);
        *out = fade(x, result, u.amount);
    }
}

/// 1 where `x ≥ threshold`, else 0.
pub fn threshold(u: &BendUniform, src: &[f32], dst: &mut [f32]) {
    for (out, &x) in dst.iter_mut().zip(src) {
        let result = if x >= u.threshold { 1.0 } else { 0.0 };
        *out = fade(x, result, u.amount);
    }
}
