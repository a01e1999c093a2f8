//! Open Sound Control over UDP: packets to [`OscEvent`]s.
//!
//! [`Osc::start`] listens on a port. Its thread `osc` decodes and pushes; the render thread drains
//! [`OscEvents`] once a frame. Every value counts: there is room for [`RING_EVENTS`] events, and
//! what does not fit is counted in [`Osc::status`].
//!
//! Anyone on the network may send: packets are bounded in length and depth, what is no OSC is
//! counted and dropped, and the worst that a packet can do is turn a knob.

mod message;
mod receiver;

pub use message::{Address, MAX_ADDRESS, MAX_PACKET, OscEvent, PacketError, decode};
pub use receiver::{Osc, OscEvents, RING_EVENTS, parse_place};
