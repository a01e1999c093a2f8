//! CPU twins of the shaders in `shaders/bend/`, one module per file, one function per entry point,
//! with the same arithmetic in the same order.

pub mod affine;
pub mod morphology;
pub mod pointwise;

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

/// The input at `amount` 0, the result at 1, exactly at both ends.
pub(super) const fn fade(input: f32, result: f32, amount: f32) -> f32 {
    if amount >= 1.0 {
        result
    } else {
        input + (result - input) * amount
    }
}

#[cfg(test)]
mod tests {
    use super::{LIMIT, clean};

    #[test]
    fn values_are_finite_after_cleaning() {
        assert_eq!(LIMIT, 2f32.powi(96));
        assert_eq!(clean(f32::NAN), 0.0);
        assert_eq!(clean(f32::NEG_INFINITY), -LIMIT);
        assert_eq!(clean(f32::MAX), LIMIT);
        assert_eq!(clean(-1.5), -1.5);
        assert!(clean(-0.0).is_sign_negative());
    }
}
