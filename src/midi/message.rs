//! Raw bytes to messages. The numbers are those of the MIDI 1.0 specification.

use crate::clock::Transport;
use std::time::Instant;

/// A message with the moment at which it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MidiEvent {
    /// When the callback saw it.
    pub at: Instant,
    /// Which port sent it, by the number of its connection.
    pub port: u32,
    /// What it says.
    pub message: MidiMessage,
}

/// The messages that can control something. Channels count from 1 to 16, as controllers'
/// manuals and mapping files write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MidiMessage {
    /// A knob, fader or button.
    ControlChange {
        /// 1 to 16.
        channel: u8,
        /// CC number, 0 to 127.
        controller: u8,
        /// 0 to 127.
        value: u8,
    },
    /// A key or pad goes down.
    NoteOn {
        /// 1 to 16.
        channel: u8,
        /// 0 to 127; 60 is middle C.
        note: u8,
        /// 1 to 127. A note-on with velocity 0 is a [`MidiMessage::NoteOff`].
        velocity: u8,
    },
    /// A key or pad goes up.
    NoteOff {
        /// 1 to 16.
        channel: u8,
        /// 0 to 127.
        note: u8,
    },
    /// The pitch wheel, or a fader that pretends to be one.
    PitchBend {
        /// 1 to 16.
        channel: u8,
        /// 0 to 16383; 8192 is the middle.
        value: u16,
    },
    /// A program is chosen.
    ProgramChange {
        /// 1 to 16.
        channel: u8,
        /// 0 to 127.
        program: u8,
    },
    /// A clock's pulse, or what its sender does.
    Transport(Transport),
}

/// Reads one message. `None` for what controls nothing here (`SysEx`, pressure, active sensing),
/// for a message that is cut short, and for bytes that are no message. Bytes after it are ignored.
pub fn parse(bytes: &[u8]) -> Option<MidiMessage> {
    let (&status, data) = bytes.split_first()?;
    let channel = (status & 0x0f) + 1;
    // The highest bit marks status bytes: a data byte never has it.
    let data = |index: usize| data.get(index).copied().filter(|byte| *byte < 0x80);
    Some(match status & 0xf0 {
        0x80 => {
            data(1)?;
            MidiMessage::NoteOff {
                channel,
                note: data(0)?,
            }
        }
        0x90 => match (data(0)?, data(1)?) {
            (note, 0) => MidiMessage::NoteOff { channel, note },
            (note, velocity) => MidiMessage::NoteOn {
                channel,
                note,
                velocity,
            },
        },
        0xb0 => MidiMessage::ControlChange {
            channel,
            controller: data(0)?,
            value: data(1)?,
        },
        0xc0 => MidiMessage::ProgramChange {
            channel,
            program: data(0)?,
        },
        0xe0 => MidiMessage::PitchBend {
            channel,
            value: u16::from(data(0)?) | u16::from(data(1)?) << 7,
        },
        // Messages of the whole cable: the lower half is no channel.
        0xf0 => MidiMessage::Transport(match status {
            0xf2 => Transport::Position(u16::from(data(0)?) | u16::from(data(1)?) << 7),
            0xf8 => Transport::Pulse,
            0xfa => Transport::Start,
            0xfb => Transport::Continue,
            0xfc => Transport::Stop,
            _ => return None,
        }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{MidiMessage, parse};
    use crate::clock::Transport;
    use proptest::prelude::*;

    #[test]
    fn bytes_of_each_kind() {
        let table: [(&[u8], MidiMessage); 8] = [
            (
                &[0xb0, 16, 127],
                MidiMessage::ControlChange {
                    channel: 1,
                    controller: 16,
                    value: 127,
                },
            ),
            (
                &[0xbf, 0, 0],
                MidiMessage::ControlChange {
                    channel: 16,
                    controller: 0,
                    value: 0,
                },
            ),
            (
                &[0x99, 36, 1],
                MidiMessage::NoteOn {
                    channel: 10,
                    note: 36,
                    velocity: 1,
                },
            ),
            (
                &[0x99, 36, 0],
                MidiMessage::NoteOff {
                    channel: 10,
                    note: 36,
                },
            ),
            (
                &[0x80, 60, 64],
                MidiMessage::NoteOff {
                    channel: 1,
                    note: 60,
                },
            ),
            (
                &[0xe2, 0, 64],
                MidiMessage::PitchBend {
                    channel: 3,
                    value: 8192,
                },
            ),
            (
                &[0xe0, 127, 127],
                MidiMessage::PitchBend {
                    channel: 1,
                    value: 16383,
                },
            ),
            (
                &[0xc4, 7],
                MidiMessage::ProgramChange {
                    channel: 5,
                    program: 7,
                },
            ),
        ];
        for (bytes, want) in [
            (&[0xf8][..], Transport::Pulse),
            (&[0xfa], Transport::Start),
            (&[0xfb], Transport::Continue),
            (&[0xfc], Transport::Stop),
            (&[0xf2, 2, 1], Transport::Position(130)),
        ] {
            assert_eq!(parse(bytes), Some(MidiMessage::Transport(want)));
        }
        for (bytes, want) in table {
            assert_eq!(parse(bytes), Some(want), "{bytes:x?}");
            assert_eq!(parse(&bytes[..bytes.len() - 1]), None, "cut: {bytes:x?}");
        }
    }

    #[test]
    fn what_controls_nothing() {
        for bytes in [
            &[][..],
            &[0xf2, 1],
            &[0xf9],
            &[0xfe],
            &[0xf0, 0x42, 0x40, 0xf7],
            &[0xd0, 5],
            &[0xa0, 60, 5],
            &[0x10, 0x20, 0x30],
            &[0xb0, 0x90, 1],
            &[0x90, 60, 0x80],
        ] {
            assert_eq!(parse(bytes), None, "{bytes:x?}");
        }
    }

    proptest! {
        /// Whatever the bytes, what comes out is in range and says what the bytes say.
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..6)) {
            let Some(message) = parse(&bytes) else { return Ok(()) };
            let again = match message {
                MidiMessage::ControlChange { channel, controller, value } =>
                    vec![0xb0 | (channel - 1), controller, value],
                MidiMessage::NoteOn { channel, note, velocity } => {
                    prop_assert!(velocity > 0);
                    vec![0x90 | (channel - 1), note, velocity]
                }
                MidiMessage::NoteOff { channel, note } => {
                    // Either of two spellings; the release velocity is not kept.
                    let release = bytes[0] & 0xf0 == 0x80;
                    vec![if release { 0x80 } else { 0x90 } | (channel - 1), note, if release { bytes[2] } else { 0 }]
                }
                MidiMessage::PitchBend { channel, value } =>
                    vec![0xe0 | (channel - 1), (value & 0x7f) as u8, (value >> 7) as u8],
                MidiMessage::ProgramChange { channel, program } => vec![0xc0 | (channel - 1), program],
                MidiMessage::Transport(Transport::Position(at)) =>
                    vec![0xf2, (at & 0x7f) as u8, (at >> 7) as u8],
                MidiMessage::Transport(_) => vec![bytes[0]],
            };
            prop_assert!(again[1..].iter().all(|b| *b < 0x80));
            prop_assert_eq!(&again[..], &bytes[..again.len()]);
        }
    }
}
