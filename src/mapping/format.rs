//! The file format.

use crate::osc::Address;
use crate::param::Curve;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt::{self, Formatter};
use std::path::{Path, PathBuf};
use std::{fs, io};
use thiserror::Error;

/// Most controls of one file: far beyond any controller, and a bound.
pub const MAX_CONTROLS: usize = 512;
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Hides the 128 steps of a knob; too short to feel.
const DEFAULT_SMOOTH_SECS: f32 = 0.05;
const MAX_SMOOTH_SECS: f32 = 60.0;
/// What a target that is no number but a deed begins with.
const ACTION_PREFIX: &str = "action.";

/// A mapping file.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Part of the port's name; `None` listens to all controllers.
    pub device: Option<String>,
    /// What controls what, in file order.
    pub controls: Vec<Control>,
}

/// One row: something on the controller and what it does.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// What on the controller.
    pub source: Source,
    /// On which channel, 1 to 16; `None` is any.
    pub channel: Option<u8>,
    /// The values that OSC sends at the bottom and the top.
    pub input: [f32; 2],
    /// What it changes: `truncation`, `walk.speed`, `NAME.PARAM`, or `action.NAME`.
    pub target: String,
    /// Values at the bottom and the top, in the target's unit; may fall. `None` is the
    /// target's own range.
    pub range: Option<[f32; 2]>,
    /// Shape between the two.
    pub curve: Curve,
    /// Time constant in seconds: after it, 63 % of a step is done.
    pub smooth_secs: f32,
    /// Each press goes to the other end of the range.
    pub toggle: bool,
    /// What is printed on the controller.
    pub label: Option<String>,
}

/// What a performer touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A control change, 0 to 127.
    Cc(u8),
    /// A note, 0 to 127: its velocity counts, and 0 when it ends.
    Note(u8),
    /// The pitch wheel.
    PitchBend,
    /// A program, 0 to 127: a press without a value.
    Program(u8),
    /// A number of an OSC message.
    Osc {
        /// Whose.
        address: Address,
        /// Which argument, counted from 0.
        arg: u8,
    },
}

/// Why a mapping file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The file cannot be read.
    #[error("{path}: cannot read the mapping: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file's text is not a mapping.
    #[error("{path}: {message}", path = path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// Key and line, and what is wrong there.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingFile {
    device: Option<String>,
    controls: Vec<Control>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlFile {
    cc: Option<u64>,
    note: Option<u64>,
    #[serde(rename = "pitch-bend", default)]
    pitch_bend: bool,
    program: Option<u64>,
    osc: Option<String>,
    arg: Option<u64>,
    input: Option<[f64; 2]>,
    channel: Option<u64>,
    target: String,
    range: Option<[f64; 2]>,
    #[serde(default)]
    curve: Curve,
    smooth_secs: Option<f64>,
    #[serde(default)]
    toggle: bool,
    label: Option<String>,
}

impl Control {
    /// The action's name, when the target is one: `next-seed` of `action.next-seed`.
    pub fn action(&self) -> Option<&str> {
        self.target.strip_prefix(ACTION_PREFIX)
    }
}

impl<'de> Deserialize<'de> for Control {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ControlVisitor)
    }
}

/// Checks a row while the parser still stands on it, so that its errors name the row's line.
struct ControlVisitor;

impl<'de> Visitor<'de> for ControlVisitor {
    type Value = Control;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a control, like {cc: 16, target: truncation}")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Control, A::Error> {
        let file = ControlFile::deserialize(MapAccessDeserializer::new(map))?;
        Control::check(file).map_err(de::Error::custom)
    }
}

impl Control {
    fn check(file: ControlFile) -> Result<Self, String> {
        let mut sources = Vec::with_capacity(1);
        for (key, number, make) in [
            ("cc", file.cc, Source::Cc as fn(u8) -> Source),
            ("note", file.note, Source::Note),
            ("program", file.program, Source::Program),
        ] {
            if let Some(number) = number {
                sources.push(make(in_range(key, number, 0, 127)?));
            }
        }
        if file.pitch_bend {
            sources.push(Source::PitchBend);
        }
        if let Some(text) = &file.osc {
            let address = Address::new(text).ok_or_else(|| {
                format!("osc: {text:?} is no address of a control: it looks like /1/fader2")
            })?;
            let arg = in_range("arg", file.arg.unwrap_or(1), 1, 32)? - 1;
            sources.push(Source::Osc { address, arg });
        } else if file.arg.is_some() || file.input.is_some() {
            return Err("arg and input belong to osc".to_owned());
        }
        let [source] = sources[..] else {
            return Err(format!(
                "{} sources: a control has one of cc, note, program, osc, or pitch-bend: true",
                sources.len()
            ));
        };
        if file.osc.is_some() && file.channel.is_some() {
            return Err("channel: belongs to MIDI, not to osc".to_owned());
        }
        let input = file
            .input
            .map(|range| finite_range("input", range))
            .transpose()?;
        let input = input.unwrap_or([0.0, 1.0]);
        if input[0] == input[1] {
            return Err(format!("input: {input:?} begins where it ends"));
        }
        let channel = file
            .channel
            .map(|channel| in_range("channel", channel, 1, 16))
            .transpose()?;
        let target = file.target.trim().to_owned();
        if target.is_empty() || target == ACTION_PREFIX {
            return Err("target: is empty".to_owned());
        }
        let range = file
            .range
            .map(|range| finite_range("range", range))
            .transpose()?;
        let smooth_secs = file
            .smooth_secs
            .map_or(DEFAULT_SMOOTH_SECS, |secs| secs as f32);
        if !(0.0..=MAX_SMOOTH_SECS).contains(&smooth_secs) {
            return Err(format!(
                "smooth_secs: {smooth_secs} is not in [0, {MAX_SMOOTH_SECS}] seconds"
            ));
        }
        let control = Self {
            source,
            channel,
            input,
            target,
            range,
            curve: file.curve,
            smooth_secs,
            toggle: file.toggle,
            label: file.label,
        };
        if control.action().is_some() && (control.range.is_some() || control.toggle) {
            return Err(format!(
                "target: {} is an action: range and toggle mean nothing with it",
                control.target
            ));
        }
        if control.action().is_none() && matches!(control.source, Source::Program(_)) {
            return Err(format!(
                "program: carries no value, so it fits an action only, not {}",
                control.target
            ));
        }
        Ok(control)
    }
}

fn in_range(key: &str, number: u64, low: u8, high: u8) -> Result<u8, String> {
    u8::try_from(number)
        .ok()
        .filter(|n| (low..=high).contains(n))
        .ok_or_else(|| format!("{key}: {number} is not in {low} to {high}"))
}

fn finite_range(key: &str, range: [f64; 2]) -> Result<[f32; 2], String> {
    let range = range.map(|v| v as f32);
    if range.iter().all(|v| v.is_finite()) {
        Ok(range)
    } else {
        Err(format!("{key}: {range:?} has a value that is not finite"))
    }
}

impl Mapping {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// A file that cannot be read or is no mapping; the message names file, key and line.
    pub fn load(path: &Path) -> Result<Self, MappingError> {
        let read = |source| MappingError::Read {
            path: path.to_owned(),
            source,
        };
        let bytes = fs::metadata(path).map_err(read)?.len();
        if bytes > MAX_FILE_BYTES {
            return Err(MappingError::Format {
                path: path.to_owned(),
                message: format!("{bytes} bytes are too long for a mapping"),
            });
        }
        Self::parse(&fs::read_to_string(path).map_err(read)?, path)
    }

    /// Checks a file's text; `path` is only for messages.
    ///
    /// # Errors
    /// As [`Mapping::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, MappingError> {
        let format = |message| MappingError::Format {
            path: path.to_owned(),
            message,
        };
        let file: MappingFile =
            serde_yaml::from_str(text).map_err(|error| format(error.to_string()))?;
        if file.controls.len() > MAX_CONTROLS {
            return Err(format(format!(
                "controls: {} are over {MAX_CONTROLS}",
                file.controls.len()
            )));
        }
        let device = file.device.map(|name| name.trim().to_owned());
        Ok(Self {
            device: device.filter(|name| !name.is_empty()),
            controls: file.controls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Mapping, Source};
    use crate::param::Curve;
    use proptest::prelude::*;
    use std::path::Path;

    fn parse(text: &str) -> Result<Mapping, String> {
        Mapping::parse(text, Path::new("my.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_with_every_key() {
        let mapping = parse(
            "device: nanoKONTROL2\n\
             controls:\n\
             - {cc: 16, channel: 1, target: zoom.k, range: [2.0, 0.5], curve: square, smooth_secs: 0.2, label: knob 1}\n\
             - {note: 36, target: action.next-seed}\n\
             - {pitch-bend: true, target: truncation}\n\
             - {program: 3, target: action.blackout}\n\
             - {cc: 32, target: 4.translate.x, toggle: true}\n\
             - {osc: /1/xy, arg: 2, input: [-1, 1], target: zoom.k}\n",
        )
        .unwrap();
        assert_eq!(mapping.device.as_deref(), Some("nanoKONTROL2"));
        let knob = &mapping.controls[0];
        assert_eq!(knob.source, Source::Cc(16));
        assert_eq!(knob.channel, Some(1));
        assert_eq!(knob.range, Some([2.0, 0.5]));
        assert_eq!(knob.curve, Curve::Square);
        assert_eq!(knob.smooth_secs, 0.2);
        assert_eq!(knob.label.as_deref(), Some("knob 1"));
        assert_eq!(knob.action(), None);
        let pad = &mapping.controls[1];
        assert_eq!((pad.source, pad.channel), (Source::Note(36), None));
        assert_eq!(pad.action(), Some("next-seed"));
        assert_eq!(mapping.controls[2].source, Source::PitchBend);
        assert_eq!(mapping.controls[2].range, None);
        assert_eq!(mapping.controls[3].source, Source::Program(3));
        assert!(mapping.controls[4].toggle);
        let pad = &mapping.controls[5];
        let address = crate::osc::Address::new("/1/xy").unwrap();
        assert_eq!(pad.source, Source::Osc { address, arg: 1 });
        assert_eq!(pad.input, [-1.0, 1.0]);
    }

    #[test]
    fn errors_name_file_key_and_line() {
        for (row, wanted) in [
            ("{cc: 128, target: x}", "cc: 128 is not in 0 to 127"),
            ("{cc: -1, target: x}", "cc"),
            ("{note: 1000, target: x}", "note: 1000"),
            (
                "{cc: 1, channel: 0, target: x}",
                "channel: 0 is not in 1 to 16",
            ),
            ("{cc: 1, channel: 17, target: x}", "channel: 17"),
            ("{cc: 1, note: 2, target: x}", "2 sources"),
            ("{osc: fader, target: x}", "fader"),
            ("{osc: '/1/*', target: x}", "osc: \"/1/*\""),
            ("{osc: /1/a, arg: 0, target: x}", "arg: 0 is not in 1 to 32"),
            ("{osc: /1/a, input: [1, 1], target: x}", "input"),
            ("{osc: /1/a, input: [0, .inf], target: x}", "input"),
            ("{osc: /1/a, channel: 1, target: x}", "channel"),
            ("{osc: /1/a, cc: 1, target: x}", "2 sources"),
            ("{cc: 1, input: [0, 2], target: x}", "input"),
            ("{target: x}", "0 sources"),
            ("{cc: 1}", "target"),
            ("{cc: 1, target: ' '}", "target"),
            ("{cc: 1, target: x, range: [0, .nan]}", "range"),
            ("{cc: 1, target: x, range: [0, 1e300]}", "range"),
            ("{cc: 1, target: x, range: [0]}", "range"),
            ("{cc: 1, target: x, curve: wavy}", "wavy"),
            ("{cc: 1, target: x, smooth_secs: -1}", "smooth_secs"),
            ("{cc: 1, target: x, smooth_secs: .nan}", "smooth_secs"),
            ("{cc: 1, target: x, speed: 1}", "speed"),
            ("{cc: 1, target: action.go, range: [0, 1]}", "action"),
            ("{program: 1, target: truncation}", "program"),
        ] {
            let text = format!("controls:\n- {{cc: 2, target: y}}\n- {row}\n");
            let error = parse(&text).unwrap_err();
            assert!(error.starts_with("my.yaml: "), "{error}");
            assert!(error.contains(wanted), "{row}: {error}");
            assert!(error.contains("line 3"), "{row}: {error}");
        }
        assert!(parse("").is_err());
        assert!(parse("- 1").is_err());
        assert!(parse("device: x").unwrap_err().contains("controls"));
        let many = format!("controls:\n{}", "- {cc: 1, target: x}\n".repeat(513));
        assert!(parse(&many).unwrap_err().contains("513"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Mapping::load(Path::new("no/such.yaml")).unwrap_err();
        assert!(error.to_string().contains("no/such.yaml"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            drop(parse(&text));
        }

        /// Rows whose numbers may be anything: those that are read are in range.
        #[test]
        fn any_numbers(
            cc in any::<i32>(),
            channel in any::<i16>(),
            range in any::<[f32; 2]>(),
            smooth in any::<f32>(),
        ) {
            let [low, high] = range;
            let text = format!(
                "controls: [{{cc: {cc}, channel: {channel}, target: x, range: [{low:?}, {high:?}], smooth_secs: {smooth:?}}}]",
            );
            match parse(&text) {
                Ok(mapping) => {
                    let control = &mapping.controls[0];
                    prop_assert_eq!(control.source, Source::Cc(u8::try_from(cc).unwrap()));
                    prop_assert!((1..=16).contains(&control.channel.unwrap()));
                    prop_assert!(control.range.unwrap().iter().all(|v| v.is_finite()));
                    prop_assert!((0.0..=60.0).contains(&control.smooth_secs));
                }
                Err(error) => prop_assert!(
                    !(0..=127).contains(&cc)
                        || !(1..=16).contains(&channel)
                        || !range.iter().all(|v| v.is_finite())
                        || !(0.0..=60.0).contains(&smooth),
                    "{error}"
                ),
            }
        }
    }
}
