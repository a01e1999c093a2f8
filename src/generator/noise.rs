//! The noise that every layer adds.

use crate::generator::latent::RandomState;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Where the noise comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseMode {
    /// The model's own fixed noise: still where the latent is still.
    #[default]
    Const,
    /// New for each frame, from the frame's number: grain that moves, the same in every render.
    Random,
    /// None.
    None,
}

impl FromStr for NoiseMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "const" => Ok(Self::Const),
            "random" => Ok(Self::Random),
            "none" => Ok(Self::None),
            _ => Err("one of const, random, none".to_owned()),
        }
    }
}

/// Fills one layer's noise for a frame.
pub(super) fn fill_random(noise: &mut [f32], layer: usize, frame: u64) {
    let seed = (frame as u32).wrapping_mul(0x9E37_79B9) ^ (layer as u32).wrapping_mul(0x85EB_CA6B);
    let mut random = RandomState::new(seed);
    for value in noise {
        *value = random.gauss() as f32;
    }
}
