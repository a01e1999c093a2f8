//! Low-frequency oscillators: pure functions of a position, the same at any frame rate.

use serde::Deserialize;
use std::f64::consts::TAU;

/// Shape of one period. All run over \[0, 1\].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wave {
    /// Rises from 0 to 1 and falls back, smoothly.
    Sine,
    /// Rises from 0 to 1 and falls back, in straight lines.
    Triangle,
    /// Rises from 0 to 1, then starts over.
    Saw,
    /// 1, then 0.
    Square,
    /// Another random value each period.
    Random,
    /// The same, gliding from one to the next.
    Noise,
}

impl Wave {
    /// Value in \[0, 1\] at `position` periods. `width` is the share of a square's period that is 1;
    /// `seed` chooses the random values.
    pub(super) fn at(self, position: f64, width: f32, seed: u64) -> f32 {
        let whole = position.floor();
        let phase = position - whole;
        let value = match self {
            Self::Sine => 0.5 - 0.5 * (TAU * phase).cos(),
            Self::Triangle => 1.0 - (2.0 * phase - 1.0).abs(),
            Self::Saw => phase,
            Self::Square => f64::from(u8::from(phase < f64::from(width))),
            Self::Random => random(seed, whole as i64),
            Self::Noise => {
                let (a, b) = (random(seed, whole as i64), random(seed, whole as i64 + 1));
                // Quintic: no corner in value, slope or bend at the whole positions.
                let t = phase * phase * phase * (phase * (phase * 6.0 - 15.0) + 10.0);
                a + (b - a) * t
            }
        };
        value as f32
    }
}

/// A random number in \[0, 1) that depends on nothing but its arguments.
pub(super) fn random(seed: u64, index: i64) -> f64 {
    let mut state = seed ^ (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Once for the seed, once for the place: neighbours share nothing.
    crate::tensor::split_mix(&mut state);
    (crate::tensor::split_mix(&mut state) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::{Wave, random};

    #[test]
    fn waves_pass_their_points() {
        for (wave, points) in [
            (Wave::Sine, [0.0, 0.5, 1.0, 0.5]),
            (Wave::Triangle, [0.0, 0.5, 1.0, 0.5]),
            (Wave::Saw, [0.0, 0.25, 0.5, 0.75]),
            (Wave::Square, [1.0, 1.0, 0.0, 0.0]),
        ] {
            for (quarter, want) in points.into_iter().enumerate() {
                for period in [-3.0, 0.0, 1e6] {
                    let value = wave.at(period + quarter as f64 / 4.0, 0.5, 0);
                    assert!((value - want).abs() < 1e-6, "{wave:?} {quarter}: {value}");
                }
            }
        }
        assert_eq!(Wave::Square.at(0.2, 0.1, 0), 0.0);
    }

    #[test]
    fn random_values_are_even_and_the_seeds_own() {
        let values: Vec<f64> = (-500..500).map(|n| random(7, n)).collect();
        let mean = values.iter().sum::<f64>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.03, "{mean}");
        let lag: f64 = values.windows(2).map(|v| (v[0] - 0.5) * (v[1] - 0.5)).sum();
        assert!((lag / 1000.0).abs() < 0.01, "{lag}");
        assert_ne!(random(7, 3), random(8, 3));
        assert_eq!(Wave::Random.at(3.1, 0.5, 7), Wave::Random.at(3.9, 0.5, 7));
    }

    #[test]
    fn noise_glides_from_value_to_value() {
        let mut before = Wave::Noise.at(0.0, 0.5, 1);
        let mut moved = 0.0f32;
        for step in 1..=2000 {
            let value = Wave::Noise.at(f64::from(step) / 100.0, 0.5, 1);
            // The steepest quintic between 0 and 1 rises by 15/8 in a period.
            assert!((value - before).abs() <= 0.019, "{before} {value}");
            moved += (value - before).abs();
            before = value;
        }
        assert!(moved > 3.0, "{moved}");
        assert_eq!(Wave::Noise.at(5.0, 0.5, 1), random(1, 5) as f32);
    }
}
