//! Response curves over \[0, 1\].

use serde::{Deserialize, Serialize};

/// How a normalised value is bent before it is stretched over a range. Every curve maps 0 to 0
/// and 1 to 1 and is monotonic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    /// y = x
    #[default]
    Linear,
    /// y = x²: quiet signals matter less.
    Square,
    /// y = x³
    Cube,
    /// y = √x: quiet signals matter more.
    Sqrt,
    /// y = x²·(3 − 2x): slow at both ends.
    Smooth,
}

impl Curve {
    /// Applies the curve; `x` is clamped to \[0, 1\], NaN counts as 0.
    pub fn apply(self, x: f32) -> f32 {
        let x = if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) };
        match self {
            Self::Linear => x,
            Self::Square => x * x,
            Self::Cube => x * x * x,
            Self::Sqrt => x.sqrt(),
            Self::Smooth => x * x * 2.0f32.mul_add(-x, 3.0),
        }
    }
}
