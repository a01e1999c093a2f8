//! CPU twins of the shaders in `shaders/bend/`, one module per file, one function per kernel, with
//! the same arithmetic in the same order. What shaders share (`shaders/shared/`) is in this file and
//! in [`weight`].

pub mod affine;
pub mod blur;
pub mod morphology;
pub mod noise;
pub mod pointwise;
pub mod weight;

use super::border::Border;
use super::uniform::BendUniform;

/// Largest magnitude of a value that a bend reads or writes: 2⁹⁶. Sums and products within a bend
/// stay finite below it.
pub const LIMIT: f32 = 7.922_816_3e28;

/// What a bend reads for a value: NaN is 0, and magnitudes end at [`LIMIT`]. So neither NaN nor
/// infinity comes out of a bend, on CPU and GPU alike: WGSL promises nothing for them.
pub const fn clean(x: f32) -> f32 {
    if x.abs() <= LIMIT {
        x
    } else if x.is_nan() {
        0.0
    } else {
        LIMIT.copysign(x)
    }
}

/// One feature map and what a twin may read beside it.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a> {
    /// Parameters.
    pub uniform: &'a BendUniform,
    /// The map.
    pub src: &'a [f32],
    /// Its channel in the layer.
    pub channel: u32,
    /// Weights, of which `uniform.first_tap` is the first of this bend.
    pub taps: &'a [f32],
    /// Another channel's map, for [`pointwise::mix_in`].
    pub partner: &'a [f32],
    /// What the bend gave in the frame before, for [`affine::feedback`].
    pub before: &'a [f32],
}

impl Plane<'_> {
    /// Columns and rows.
    pub(super) fn size(&self) -> [usize; 2] {
        self.uniform.size.map(|n| n as usize)
    }

    /// How the map goes on beyond its edges.
    pub(super) const fn border(&self) -> Border {
        match self.uniform.border {
            1 => Border::Reflect,
            2 => Border::Replicate,
            3 => Border::Wrap,
            _ => Border::Zero,
        }
    }
}

/// The input at `amount` 0, the result at 1, bit for bit at both ends.
#[inline]
pub(super) const fn fade(input: f32, result: f32, amount: f32) -> f32 {
    if amount >= 1.0 {
        result
    } else if amount <= 0.0 {
        input
    } else {
        input + (result - input) * amount
    }
}

#[cfg(test)]
mod tests {
    use super::{LIMIT, clean, fade};

    #[test]
    fn values_are_finite_after_cleaning() {
        assert_eq!(LIMIT, 2f32.powi(96));
        assert_eq!(clean(f32::NAN), 0.0);
        assert_eq!(clean(f32::NEG_INFINITY), -LIMIT);
        assert_eq!(clean(f32::MAX), LIMIT);
        assert_eq!(clean(-1.5), -1.5);
        assert!(clean(-0.0).is_sign_negative());
    }

    #[test]
    fn fades_are_exact_at_both_ends() {
        assert_eq!(fade(-0.0, 7.0, 0.0).to_bits(), (-0.0f32).to_bits());
        assert_eq!(fade(LIMIT, 0.1, 1.0), 0.1);
        assert_eq!(fade(1.0, 2.0, 0.25), 1.25);
    }
}
