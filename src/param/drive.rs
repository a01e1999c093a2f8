//! A number in a scene: written down, or following a signal.

use crate::param::Curve;
use crate::signal::{SIGNALS, SignalId, Snapshot};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A number that may follow a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drive {
    /// Always this.
    Constant(f32),
    /// Follows a signal.
    Signal(SignalDrive),
}

/// How a signal becomes a number: `range[0] + (range[1] − range[0]) · curve(smooth(signal))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignalDrive {
    /// Which signal.
    pub signal: SignalId,
    /// Value at signal 0 and at signal 1, in the parameter's unit. May fall.
    pub range: [f32; 2],
    /// Shape between the two.
    pub curve: Curve,
    /// Time constant of a rise, in seconds: after it, 63 % of a step is done. 0 is at once.
    pub attack_secs: f32,
    /// Time constant of a fall, in seconds.
    pub release_secs: f32,
}

impl Drive {
    /// The values it can take, lowest first.
    pub fn bounds(&self) -> [f32; 2] {
        match self {
            Self::Constant(v) => [*v, *v],
            Self::Signal(s) => [s.range[0].min(s.range[1]), s.range[0].max(s.range[1])],
        }
    }
}

/// What a [`Drive`] remembers between frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct DriveState {
    smoothed: f32,
}

impl DriveState {
    /// The number for this frame. `dt_secs` is the time since the last call; the smoothing is
    /// exact for any frame rate as long as the signal is constant within a frame.
    pub fn eval(&mut self, drive: &Drive, snapshot: &Snapshot, dt_secs: f32) -> f32 {
        match drive {
            Drive::Constant(value) => *value,
            Drive::Signal(s) => {
                let target = snapshot.get(s.signal);
                let tau = if target > self.smoothed {
                    s.attack_secs
                } else {
                    s.release_secs
                };
                let keep = if tau > 0.0 {
                    (-dt_secs / tau).exp()
                } else {
                    0.0
                };
                self.smoothed = keep.mul_add(self.smoothed - target, target);
                let shaped = s.curve.apply(self.smoothed);
                (s.range[1] - s.range[0]).mul_add(shaped, s.range[0])
            }
        }
    }
}

impl<'de> Deserialize<'de> for Drive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DriveVisitor)
    }
}

struct DriveVisitor;

fn finite<E: de::Error>(value: f64) -> Result<f32, E> {
    if value.is_finite() && (value as f32).is_finite() {
        Ok(value as f32)
    } else {
        Err(E::custom(format!("{value} is not a finite number")))
    }
}

impl<'de> Visitor<'de> for DriveVisitor {
    type Value = Drive;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or {signal: NAME, range: [LOW, HIGH]}")
    }

    fn visit_f64<E: de::Error>(self, v: f64) -> Result<Drive, E> {
        finite(v).map(Drive::Constant)
    }

    fn visit_i64<E: de::Error>(self, v: i64) -> Result<Drive, E> {
        finite(v as f64).map(Drive::Constant)
    }

    fn visit_u64<E: de::Error>(self, v: u64) -> Result<Drive, E> {
        finite(v as f64).map(Drive::Constant)
    }

    /// PyYAML, which wrote many of the files around, quotes or keeps `-.2` as a string.
    fn visit_str<E: de::Error>(self, v: &str) -> Result<Drive, E> {
        match v.trim().parse::<f64>() {
            Ok(number) => finite(number).map(Drive::Constant),
            Err(_) => Err(E::custom(format!("{v:?} is not a number"))),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Drive, A::Error> {
        const KEYS: &[&str] = &["signal", "range", "curve", "attack_secs", "release_secs"];
        let mut signal = None;
        let mut range = [0.0, 1.0];
        let mut curve = Curve::Linear;
        let mut attack_secs = 0.0;
        let mut release_secs = 0.0;
        let seconds = |key: &str, v: f64| -> Result<f32, A::Error> {
            if v.is_finite() && (0.0..=600.0).contains(&v) {
                Ok(v as f32)
            } else {
                Err(de::Error::custom(format!(
                    "{key}: {v} is not in [0, 600] seconds"
                )))
            }
        };
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "signal" => {
                    let id: String = map.next_value()?;
                    signal = Some(SignalId::find(&id).ok_or_else(|| {
                        let known: Vec<&str> = SIGNALS.iter().map(|s| s.id).collect();
                        de::Error::custom(format!(
                            "signal: no signal is named {id:?}; there are {}",
                            known.join(", ")
                        ))
                    })?);
                }
                "range" => {
                    let [low, high]: [f64; 2] = map.next_value()?;
                    range = [finite(low)?, finite(high)?];
                }
                "curve" => curve = map.next_value()?,
                "attack_secs" => attack_secs = seconds("attack_secs", map.next_value()?)?,
                "release_secs" => release_secs = seconds("release_secs", map.next_value()?)?,
                other => return Err(de::Error::unknown_field(other, KEYS)),
            }
        }
        let signal = signal.ok_or_else(|| de::Error::missing_field("signal"))?;
        Ok(Drive::Signal(SignalDrive {
            signal,
            range,
            curve,
            attack_secs,
            release_secs,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Drive, DriveState};
    use crate::signal::{SignalId, Snapshot};

    fn parse(text: &str) -> Result<Drive, String> {
        serde_yaml::from_str(text).map_err(|e| e.to_string())
    }

    #[test]
    fn numbers_of_every_spelling() {
        for (text, want) in [
            ("1", 1.0),
            ("0.25", 0.25),
            ("-.2", -0.2),
            ("'-.2'", -0.2),
            ("1e-1", 0.1),
        ] {
            assert_eq!(parse(text), Ok(Drive::Constant(want)), "{text}");
        }
        for text in [".nan", ".inf", "1e60", "x", "[1]", "true"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_drive_follows_its_signal() {
        let drive = parse("{signal: bass, range: [1.0, 2.0], attack_secs: 0.0, release_secs: 0.5}")
            .unwrap();
        let bass = SignalId::find("bass").unwrap();
        let mut loud = Snapshot::SILENCE;
        loud.values[bass.index()] = 1.0;
        let mut state = DriveState::default();
        assert_eq!(state.eval(&drive, &Snapshot::SILENCE, 0.1), 1.0);
        assert_eq!(state.eval(&drive, &loud, 0.1), 2.0);
        // One time constant later 1/e is left, at any frame rate.
        let mut fast = state;
        let slow = state.eval(&drive, &Snapshot::SILENCE, 0.5);
        for _ in 0..50 {
            fast.eval(&drive, &Snapshot::SILENCE, 0.01);
        }
        let fast = fast.eval(&drive, &Snapshot::SILENCE, 0.0);
        assert!((slow - 1.367_879).abs() < 1e-4, "{slow}");
        assert!((fast - slow).abs() < 1e-4, "{fast} {slow}");
    }

    #[test]
    fn errors_name_the_key() {
        assert!(parse("{signal: bas}").unwrap_err().contains("bass"));
        assert!(parse("{range: [0, 1]}").unwrap_err().contains("signal"));
        assert!(
            parse("{signal: bass, speed: 1}")
                .unwrap_err()
                .contains("speed")
        );
        assert!(parse("{signal: bass, range: [0, .nan]}").is_err());
        assert!(
            parse("{signal: bass, attack_secs: -1}")
                .unwrap_err()
                .contains("attack_secs")
        );
    }
}
