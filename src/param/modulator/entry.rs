//! Modulators as a scene file writes them.

use super::envelope::Rates;
use super::{Kind, Modulator, NOTES, Pace, Wave};
use crate::param::drive::within;
use crate::param::source::{defining, find, place_of};
use crate::param::{MAX_SHAPE_SECS, Source};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// Shortest and longest period, in beats.
const BEATS: [f32; 2] = [1.0 / 64.0, 4096.0];
/// Shortest and longest period, in seconds.
const SECS: [f32; 2] = [0.01, 86_400.0];
/// Most values of `steps`.
const MAX_STEPS: usize = 256;
/// Highest `count`.
const MAX_COUNT: u64 = 1 << 16;

/// A modulator that stands in the place of a signal.
#[derive(Debug)]
pub struct Inline(pub(in crate::param) Modulator);

/// The map `modulators:` of a scene, by name. Reading it fills the scope of
/// [`with_modulators`](crate::param::with_modulators).
#[derive(Debug)]
pub struct Named;

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum EnvelopeKind {
    Ar,
    Adsr,
}

/// What ticks a modulator.
#[derive(Deserialize)]
#[serde(untagged)]
enum On {
    Name(String),
    Note { note: u64 },
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Entry {
    // What it is: one of these.
    lfo: Option<Wave>,
    envelope: Option<EnvelopeKind>,
    sample: Option<Source>,
    steps: Option<Vec<f64>>,
    count: Option<u64>,
    slew: Option<Source>,
    // When: one of these.
    beats: Option<f64>,
    secs: Option<f64>,
    on: Option<On>,
    threshold: Option<f64>,
    // Of an LFO.
    phase: Option<f64>,
    width: Option<f64>,
    seed: Option<u64>,
    // Of an envelope.
    attack_secs: Option<f64>,
    decay_secs: Option<f64>,
    sustain: Option<f64>,
    hold_secs: Option<f64>,
    release_secs: Option<f64>,
    // Of slew.
    rise_secs: Option<f64>,
    fall_secs: Option<f64>,
}

impl<'de> Deserialize<'de> for Inline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Entry::deserialize(deserializer)?
            .check(0)
            .map(Self)
            .map_err(de::Error::custom)
    }
}

/// Checks an entry while the parser still stands on it, so that its errors name its line.
struct DefinedAt<'a> {
    place: usize,
    name: &'a str,
}

impl<'de> de::DeserializeSeed<'de> for DefinedAt<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DefinedAt<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a modulator, as {lfo: sine, beats: 4}")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let mut failed = None;
        let defined = defining(self.place, || {
            match Entry::deserialize(MapAccessDeserializer::new(map)) {
                Ok(entry) => entry.check(name_seed(self.name)),
                Err(error) => {
                    failed = Some(error);
                    Err(String::new())
                }
            }
        });
        match (failed, defined) {
            (Some(error), _) => Err(error),
            (None, Err(why)) => Err(de::Error::custom(why)),
            (None, Ok(())) => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamedVisitor)
    }
}

struct NamedVisitor;

impl<'de> Visitor<'de> for NamedVisitor {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("modulators by name, as `sway: {lfo: sine, beats: 4}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let place = place_of(&name).ok_or_else(|| {
                de::Error::custom(format!("modulators: {name:?} is not expected here"))
            })?;
            map.next_value_seed(DefinedAt { place, name: &name })?;
        }
        Ok(Named)
    }
}

/// FNV-1a: two modulators without a seed differ, and each keeps its values when others change.
fn name_seed(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Entry {
    fn check(mut self, seed: u64) -> Result<Modulator, String> {
        let kinds = [
            self.lfo.is_some(),
            self.envelope.is_some(),
            self.sample.is_some(),
            self.steps.is_some(),
            self.count.is_some(),
            self.slew.is_some(),
        ];
        let count = kinds.iter().filter(|given| **given).count();
        if count != 1 {
            return Err(format!(
                "{count} kinds: a modulator has one of lfo, envelope, sample, steps, count, slew"
            ));
        }
        let pace = self.pace()?;
        let kind = self.kind(seed)?;
        self.nothing_left()?;
        match (&kind, pace) {
            (Kind::Slew { .. }, Pace::Always) => {}
            (Kind::Slew { .. }, _) => {
                return Err("slew: follows all the time, without beats, secs or on".to_owned());
            }
            (_, Pace::Always) => {
                return Err("needs beats: N, secs: N or on: WHAT".to_owned());
            }
            (Kind::Lfo { .. }, Pace::Rise { .. } | Pace::Note(_)) => {
                return Err(
                    "lfo: runs on beats or secs; for a trigger use sample, steps or envelope"
                        .to_owned(),
                );
            }
            _ => {}
        }
        Ok(Modulator { kind, pace })
    }

    fn pace(&mut self) -> Result<Pace, String> {
        let threshold = self.threshold.take();
        let pace = match (self.beats.take(), self.secs.take(), self.on.take()) {
            (None, None, None) => Pace::Always,
            (Some(beats), None, None) => {
                within("beats", beats, BEATS, " beats")?;
                Pace::Beats(beats)
            }
            (None, Some(secs), None) => {
                within("secs", secs, SECS, " seconds")?;
                Pace::Secs(secs)
            }
            (None, None, Some(On::Note { note })) => Pace::Note(
                u8::try_from(note)
                    .ok()
                    .filter(|n| usize::from(*n) < NOTES)
                    .ok_or_else(|| format!("note: {note} is not in 0 to 127"))?,
            ),
            // These two are exact at any frame rate as a count of beats.
            (None, None, Some(On::Name(name))) if name == "beat" => Pace::Beats(1.0),
            (None, None, Some(On::Name(name))) if name == "bar" => Pace::Beats(4.0),
            (None, None, Some(On::Name(name))) => {
                let threshold = threshold.unwrap_or(0.5);
                let pace = Pace::Rise {
                    source: find(&name).map_err(|why| format!("on: {why}"))?,
                    threshold: within("threshold", threshold, [0.0, 1.0], "")?,
                };
                return Ok(pace);
            }
            _ => return Err("beats, secs and on: only one of them".to_owned()),
        };
        match threshold {
            Some(_) => Err("threshold: goes with `on:` and a signal's name".to_owned()),
            None => Ok(pace),
        }
    }

    fn kind(&mut self, seed: u64) -> Result<Kind, String> {
        let secs = |key: &str, value: Option<f64>, other: f32| {
            value.map_or(Ok(other), |v| {
                within(key, v, [0.0, MAX_SHAPE_SECS], " seconds")
            })
        };
        if let Some(wave) = self.lfo.take() {
            let random = matches!(wave, Wave::Random | Wave::Noise);
            if random {
                return Ok(Kind::Lfo {
                    wave,
                    phase: phase(self.phase.take())?,
                    width: 0.5,
                    seed: self.seed.take().unwrap_or(seed),
                });
            }
            let width = match wave {
                Wave::Square => self.width.take(),
                _ => None,
            };
            return Ok(Kind::Lfo {
                wave,
                phase: phase(self.phase.take())?,
                width: width.map_or(Ok(0.5), |w| within("width", w, [0.0, 1.0], ""))?,
                seed: 0,
            });
        }
        if let Some(kind) = self.envelope.take() {
            let adsr = kind == EnvelopeKind::Adsr;
            let (decay_secs, sustain) = if adsr {
                (self.decay_secs.take(), self.sustain.take())
            } else {
                (None, None)
            };
            return Ok(Kind::Envelope(Rates {
                attack_secs: secs("attack_secs", self.attack_secs.take(), 0.0)?,
                decay_secs: secs("decay_secs", decay_secs, if adsr { 0.2 } else { 0.0 })?,
                sustain: sustain.map_or(Ok(if adsr { 0.5 } else { 1.0 }), |s| {
                    within("sustain", s, [0.0, 1.0], "")
                })?,
                hold_secs: secs(
                    "hold_secs",
                    self.hold_secs.take(),
                    if adsr { 0.5 } else { 0.0 },
                )?,
                release_secs: secs("release_secs", self.release_secs.take(), 0.3)?,
            }));
        }
        if let Some(source) = self.sample.take() {
            return Ok(Kind::Sample(source));
        }
        if let Some(steps) = self.steps.take() {
            if !(1..=MAX_STEPS).contains(&steps.len()) {
                return Err(format!(
                    "steps: {} values are not 1 to {MAX_STEPS}",
                    steps.len()
                ));
            }
            let steps = steps
                .into_iter()
                .map(|v| within("steps", v, [0.0, 1.0], ""));
            return Ok(Kind::Steps(steps.collect::<Result<_, _>>()?));
        }
        if let Some(count) = self.count.take() {
            if !(2..=MAX_COUNT).contains(&count) {
                return Err(format!("count: {count} is not in 2 to {MAX_COUNT}"));
            }
            return Ok(Kind::Count(count as u32));
        }
        let source = self.slew.take().ok_or("no kind")?;
        Ok(Kind::Slew {
            source,
            rise_secs: secs("rise_secs", self.rise_secs.take(), 0.0)?,
            fall_secs: secs("fall_secs", self.fall_secs.take(), 0.0)?,
        })
    }

    /// What the kind did not take does not belong to it.
    fn nothing_left(&self) -> Result<(), String> {
        for (key, left) in [
            ("phase", self.phase.is_some()),
            ("width", self.width.is_some()),
            ("seed", self.seed.is_some()),
            ("attack_secs", self.attack_secs.is_some()),
            ("decay_secs", self.decay_secs.is_some()),
            ("sustain", self.sustain.is_some()),
            ("hold_secs", self.hold_secs.is_some()),
            ("release_secs", self.release_secs.is_some()),
            ("rise_secs", self.rise_secs.is_some()),
            ("fall_secs", self.fall_secs.is_some()),
        ] {
            if left {
                return Err(format!("{key}: means nothing for this kind of modulator"));
            }
        }
        Ok(())
    }
}

fn phase(given: Option<f64>) -> Result<f64, String> {
    let phase = given.map_or(Ok(0.0), |p| within("phase", p, [0.0, 1.0], ""))?;
    Ok(f64::from(phase))
}
