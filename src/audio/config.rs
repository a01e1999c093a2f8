//! What a scene may say about how it is heard.

use serde::Deserialize;

use super::error::AudioError;

/// Most bands that a scene may ask for: `band-1` to `band-8`.
pub const MAX_BANDS: usize = 8;

/// Frequencies that a band may have, in Hz.
const BAND_HZ: [f32; 2] = [20.0, 20_000.0];

/// How signals are measured against their own recent past, and the scene's own bands. The key
/// `analysis` of a scene file.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct AnalysisConfig {
    /// Time constant with which levels and bands rise, in seconds, \[0, 10\].
    pub attack_secs: f32,
    /// Time constant with which they fall, in seconds, \[0, 10\].
    pub release_secs: f32,
    /// How long the recent past is, in seconds, \[0.5, 300\]: the loudest is forgotten with this
    /// time constant.
    pub memory_secs: f32,
    /// Lower and upper edge of `band-1`, `band-2` and so on, in Hz. At most [`MAX_BANDS`].
    pub bands: Vec<[f32; 2]>,
}

impl Default for AnalysisConfig {
    /// Octaves from 44 Hz to 11.4 kHz.
    fn default() -> Self {
        Self {
            attack_secs: 0.005,
            release_secs: 0.08,
            memory_secs: 8.0,
            bands: (0..MAX_BANDS as i32)
                .map(|octave| {
                    let low = 62.5 * f32::exp2(octave as f32 - 0.5);
                    [low, 2.0 * low]
                })
                .collect(),
        }
    }
}

impl AnalysisConfig {
    /// Checks all values.
    ///
    /// # Errors
    /// [`AudioError::Config`], naming the key.
    pub fn check(&self) -> Result<(), AudioError> {
        let wrong = |text: String| Err(AudioError::Config(text));
        for (key, value, [low, high]) in [
            ("attack_secs", self.attack_secs, [0.0, 10.0]),
            ("release_secs", self.release_secs, [0.0, 10.0]),
            ("memory_secs", self.memory_secs, [0.5, 300.0]),
        ] {
            if !(low..=high).contains(&value) {
                return wrong(format!("{key}: {value} is not in [{low}, {high}] seconds"));
            }
        }
        if self.bands.len() > MAX_BANDS {
            let count = self.bands.len();
            return wrong(format!(
                "bands: {count} are too many; there may be {MAX_BANDS}"
            ));
        }
        let [lowest, highest] = BAND_HZ;
        for (number, [low, high]) in self.bands.iter().enumerate() {
            if !(lowest..highest).contains(low) || *high <= *low || *high > highest {
                return wrong(format!(
                    "bands[{number}]: [{low}, {high}] is no band; give [LOW, HIGH] between \
                     {lowest} and {highest} Hz, LOW below HIGH"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::AnalysisConfig;

    fn parse(text: &str) -> Result<AnalysisConfig, String> {
        let config: AnalysisConfig = serde_yaml::from_str(text).map_err(|e| e.to_string())?;
        config.check().map_err(|e| e.to_string())?;
        Ok(config)
    }

    #[test]
    fn errors_name_the_key() {
        assert_eq!(parse("{}"), Ok(AnalysisConfig::default()));
        assert_eq!(parse("bands: [[30, 60]]").unwrap().bands, [[30.0, 60.0]]);
        for (text, key) in [
            ("bands: [[60, 30]]", "bands[0]"),
            ("bands: [[30, 60], [.nan, 4]]", "bands[1]"),
            ("attack_secs: -1", "attack_secs"),
            ("memory_secs: .inf", "memory_secs"),
            ("window: 3", "window"),
            (
                "bands: [[1,2],[1,2],[1,2],[1,2],[1,2],[1,2],[1,2],[1,2],[1,2]]",
                "too many",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
