//! MIDI controllers: bytes to [`MidiEvent`]s, ports that come and go.
//!
//! [`Midi::start`] opens every port whose name fits, and those plugged in later. Its thread
//! `midi-ports` looks about twice a second. midir's callback, on a thread of the system's, only
//! timestamps, parses and pushes: it never allocates, locks or logs. The render thread drains
//! [`MidiEvents`] once a frame.
//!
//! Every value counts here: each port has a ring of its own with room for
//! [`RING_EVENTS`] events, and what does not fit is counted in [`Midi::overruns`].

mod message;
mod ports;
mod ring;
mod watch;

pub use message::{MidiEvent, MidiMessage, parse};
pub use ports::{MidiError, name_matches, ports};
pub use ring::{MidiEvents, MidiSender, RING_EVENTS};
pub use watch::{MAX_PORTS, Midi};
