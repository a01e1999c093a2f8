//! A number in a scene: written down, or following a signal.

use crate::param::shape::{MAX_LEVELS, MAX_SHAPE_SECS};
use crate::param::{Combine, Curve, Shape, ShapeState, Sources, Values};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A number that may follow signals and modulators.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drive {
    /// Always this.
    Constant(f32),
    /// Follows.
    Signal(SignalDrive),
}

/// What a number follows, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignalDrive {
    /// Signals and modulators.
    pub sources: Sources,
    /// What is made of their value.
    pub shape: Shape,
}

impl Drive {
    /// The values it can take, lowest first.
    pub fn bounds(&self) -> [f32; 2] {
        match self {
            Self::Constant(v) => [*v, *v],
            Self::Signal(s) => {
                let [a, b] = s.shape.range;
                [a.min(b), a.max(b)]
            }
        }
    }
}

/// What a [`Drive`] remembers between frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct DriveState {
    shape: ShapeState,
}

impl DriveState {
    /// The number for this frame. `dt_secs` is the time since the last call; the smoothing is
    /// exact for any frame rate as long as the signal is constant within a frame.
    pub fn eval(&mut self, drive: &Drive, values: &Values<'_>, dt_secs: f32) -> f32 {
        match drive {
            Drive::Constant(value) => *value,
            Drive::Signal(s) => self.shape.eval(&s.shape, s.sources.value(values), dt_secs),
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

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Drive, A::Error> {
        DriveEntry::deserialize(MapAccessDeserializer::new(map))?
            .check()
            .map_err(de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DriveEntry {
    signal: Sources,
    combine: Option<Combine>,
    range: Option<[f64; 2]>,
    input: Option<[f64; 2]>,
    threshold: Option<f64>,
    hysteresis: Option<f64>,
    hold_secs: Option<f64>,
    attack_secs: Option<f64>,
    release_secs: Option<f64>,
    curve: Option<Curve>,
    quantise: Option<u64>,
    invert: Option<bool>,
}

/// `value` if it is in \[`low`, `high`\], else an error that says what may stand there.
pub(super) fn within(
    key: &str,
    value: f64,
    [low, high]: [f32; 2],
    unit: &str,
) -> Result<f32, String> {
    if (f64::from(low)..=f64::from(high)).contains(&value) {
        Ok(value as f32)
    } else {
        Err(format!("{key}: {value} is not in [{low}, {high}]{unit}"))
    }
}

impl DriveEntry {
    fn check(self) -> Result<Drive, String> {
        let mut shape = Shape::default();
        let pair = |key: &str, [a, b]: [f64; 2]| match [a as f32, b as f32] {
            pair if pair.iter().all(|v| v.is_finite()) => Ok(pair),
            _ => Err(format!("{key}: [{a}, {b}] has a value that is not finite")),
        };
        if let Some(range) = self.range {
            shape.range = pair("range", range)?;
        }
        if let Some([low, high]) = self.input {
            shape.input = [
                within("input", low, [0.0, 1.0], "")?,
                within("input", high, [0.0, 1.0], "")?,
            ];
            if shape.input[0] == shape.input[1] {
                return Err(format!("input: its two ends are both {low}"));
            }
        }
        if let Some(threshold) = self.threshold {
            shape.threshold = Some(within("threshold", threshold, [0.0, 1.0], "")?);
        }
        match (self.hysteresis, shape.threshold) {
            (Some(_), None) => {
                return Err("hysteresis: means nothing without `threshold`".to_owned());
            }
            (Some(below), Some(threshold)) => {
                shape.hysteresis = within("hysteresis", below, [0.0, threshold], "")?;
            }
            (None, _) => {}
        }
        for (key, given, value) in [
            ("hold_secs", self.hold_secs, &mut shape.hold_secs),
            ("attack_secs", self.attack_secs, &mut shape.attack_secs),
            ("release_secs", self.release_secs, &mut shape.release_secs),
        ] {
            if let Some(secs) = given {
                *value = within(key, secs, [0.0, MAX_SHAPE_SECS], " seconds")?;
            }
        }
        shape.curve = self.curve.unwrap_or_default();
        if let Some(levels) = self.quantise {
            let known = u16::try_from(levels).ok();
            let known = known.filter(|n| (2..=MAX_LEVELS).contains(n));
            shape.quantise =
                Some(known.ok_or_else(|| {
                    format!("quantise: {levels} is not in 2 to {MAX_LEVELS} levels")
                })?);
        }
        shape.invert = self.invert.unwrap_or(false);
        let mut sources = self.signal;
        match self.combine {
            Some(_) if sources.as_slice().len() == 1 => {
                return Err("combine: needs a list of several signals".to_owned());
            }
            Some(combine) => sources.combine = combine,
            None => {}
        }
        Ok(Drive::Signal(SignalDrive { sources, shape }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Drive, DriveState};
    use crate::param::Values;
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
        let (quiet, loud) = (Values::of(&Snapshot::SILENCE), Values::of(&loud));
        let mut state = DriveState::default();
        assert_eq!(state.eval(&drive, &quiet, 0.1), 1.0);
        assert_eq!(state.eval(&drive, &loud, 0.1), 2.0);
        // One time constant later 1/e is left, at any frame rate.
        let mut fast = state;
        let slow = state.eval(&drive, &quiet, 0.5);
        for _ in 0..50 {
            fast.eval(&drive, &quiet, 0.01);
        }
        let fast = fast.eval(&drive, &quiet, 0.0);
        assert!((slow - 1.367_879).abs() < 1e-4, "{slow}");
        assert!((fast - slow).abs() < 1e-4, "{fast} {slow}");
    }

    #[test]
    fn several_signals_become_one() {
        let mut snapshot = Snapshot::SILENCE;
        for (id, value) in [("bass", 0.5), ("air", 0.75)] {
            snapshot.values[SignalId::find(id).unwrap().index()] = value;
        }
        for (combine, want) in [
            ("", 0.75),
            (", combine: max", 0.75),
            (", combine: min", 0.5),
            (", combine: sum", 1.0),
            (", combine: product", 0.375),
            (", combine: mean", 0.625),
        ] {
            let drive = parse(&format!("{{signal: [bass, air]{combine}}}")).unwrap();
            let value = DriveState::default().eval(&drive, &Values::of(&snapshot), 0.1);
            assert_eq!(value, want, "{combine}");
        }
    }

    #[test]
    fn errors_name_the_key_and_what_may_stand_there() {
        for (text, words) in [
            ("{signal: bas}", &["bas", "there are", "low-mid"][..]),
            ("{range: [0, 1]}", &["signal"]),
            ("{signal: bass, speed: 1}", &["speed", "attack_secs"]),
            ("{signal: bass, range: [0, .nan]}", &["range", "finite"]),
            (
                "{signal: bass, attack_secs: -1}",
                &["attack_secs", "[0, 600] seconds"],
            ),
            (
                "{signal: bass, hold_secs: 601}",
                &["hold_secs", "[0, 600] seconds"],
            ),
            ("{signal: bass, input: [0, 2]}", &["input", "[0, 1]"]),
            ("{signal: bass, input: [0.5, 0.5]}", &["input", "both 0.5"]),
            ("{signal: bass, threshold: 1.5}", &["threshold", "[0, 1]"]),
            (
                "{signal: bass, hysteresis: 0.1}",
                &["hysteresis", "threshold"],
            ),
            (
                "{signal: bass, threshold: 0.3, hysteresis: 0.4}",
                &["hysteresis", "[0, 0.3]"],
            ),
            ("{signal: bass, quantise: 1}", &["quantise", "2 to 256"]),
            ("{signal: bass, curve: round}", &["round", "smooth"]),
            ("{signal: bass, combine: max}", &["combine", "list"]),
            ("{signal: []}", &["at least one"]),
            ("{signal: [bass, air, mid, sub, hat]}", &["more than 4"]),
            ("{signal: {lfo: sine, beats: 4}}", &["modulators:"]),
        ] {
            let error = parse(text).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{text}: {error}");
            }
        }
    }

    #[test]
    fn errors_name_the_line() {
        let text = "- 1\n- {signal: bass}\n- {signal: bass, quantise: 1}\n";
        let error = serde_yaml::from_str::<Vec<Drive>>(text).unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }
}
