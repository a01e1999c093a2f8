//! Packets to events. The format is OSC 1.0 (opensoundcontrol.org), with the tags of 1.1.

use rosc::{OscPacket, OscType, decoder};
use std::fmt;
use std::time::Instant;

/// Longest address in bytes; longer ones are nobody's.
pub const MAX_ADDRESS: usize = 96;
/// Longest packet in bytes; control surfaces send tens.
pub const MAX_PACKET: usize = 8192;
/// Bundles within bundles; nobody sends more than two.
const MAX_DEPTH: usize = 16;
/// Arguments of a message beyond these are left alone.
const MAX_ARGS: usize = 32;

/// An address, as numbers of a scene have it: `/zoom/x` is `zoom.x`. Fixed in size, so that it
/// goes through a ring.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Address {
    bytes: [u8; MAX_ADDRESS],
    len: u8,
}

impl Address {
    /// Reads `/a/b`. `None` for what does not begin with a slash, is too long, or holds what OSC
    /// allows in patterns only.
    pub fn new(osc: &str) -> Option<Self> {
        let path = osc.strip_prefix('/')?;
        if path.is_empty() || path.len() > MAX_ADDRESS {
            return None;
        }
        if path.contains(|c: char| c.is_control() || " #*,?[]{}".contains(c)) {
            return None;
        }
        let mut bytes = [0; MAX_ADDRESS];
        for (to, from) in bytes.iter_mut().zip(path.bytes()) {
            *to = if from == b'/' { b'.' } else { from };
        }
        Some(Self {
            bytes,
            len: path.len() as u8,
        })
    }

    /// With dots.
    pub fn as_str(&self) -> &str {
        // Whole UTF-8 went in, and one-byte characters were swapped.
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// One number of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OscEvent {
    /// When the packet came.
    pub at: Instant,
    /// Whom it is for.
    pub address: Address,
    /// Which argument of the message, counted from 0.
    pub arg: u8,
    /// Its value, finite; true is 1 and false is 0. 1 in a message without arguments.
    pub value: f32,
    /// A message without arguments: something is pressed, and never let go.
    pub press: bool,
}

/// Why a packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// It is longer than [`MAX_PACKET`].
    #[error("longer than {MAX_PACKET} bytes")]
    TooLong,
    /// Bundles within bundles within bundles.
    #[error("bundles are nested over {MAX_DEPTH} deep")]
    TooDeep,
    /// It is no OSC.
    #[error("not OSC")]
    NotOsc,
}

/// Hands every number of a packet to `each`, in order. Time tags are not waited for: what comes is
/// played.
///
/// # Errors
/// See [`PacketError`]; then nothing was handed out.
pub fn decode(
    packet: &[u8],
    at: Instant,
    each: &mut impl FnMut(OscEvent),
) -> Result<(), PacketError> {
    if packet.len() > MAX_PACKET {
        return Err(PacketError::TooLong);
    }
    // The decoder calls itself for a bundle in a bundle: an upper bound of how deep.
    let heads = packet.windows(8).filter(|w| w == b"#bundle\0").count();
    if heads > MAX_DEPTH {
        return Err(PacketError::TooDeep);
    }
    let (_, packet) = decoder::decode_udp(packet).map_err(|_why| PacketError::NotOsc)?;
    hand_out(packet, at, each);
    Ok(())
}

fn hand_out(packet: OscPacket, at: Instant, each: &mut impl FnMut(OscEvent)) {
    let message = match packet {
        OscPacket::Message(message) => message,
        OscPacket::Bundle(bundle) => {
            for packet in bundle.content {
                hand_out(packet, at, each);
            }
            return;
        }
    };
    let Some(address) = Address::new(&message.addr) else {
        return;
    };
    let mut arg = 0;
    let mut number = |value: Option<f32>| {
        if let Some(value) = value.filter(|v| v.is_finite())
            && usize::from(arg) < MAX_ARGS
        {
            each(OscEvent {
                at,
                address,
                arg,
                value,
                press: message.args.is_empty(),
            });
        }
        arg = arg.saturating_add(1);
    };
    if message.args.is_empty() {
        number(Some(1.0));
    }
    for value in &message.args {
        match value {
            OscType::Array(values) => {
                for value in &values.content {
                    number(number_of(value));
                }
            }
            value => number(number_of(value)),
        }
    }
}

fn number_of(value: &OscType) -> Option<f32> {
    match *value {
        OscType::Int(v) => Some(v as f32),
        OscType::Long(v) => Some(v as f32),
        OscType::Float(v) => Some(v),
        OscType::Double(v) => Some(v as f32),
        OscType::Bool(v) => Some(f32::from(u8::from(v))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, MAX_PACKET, PacketError, decode};
    use proptest::prelude::*;
    use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType, encoder};
    use std::time::Instant;

    type Heard = Vec<(String, u8, f32)>;

    fn hear(packet: &[u8]) -> Result<Heard, PacketError> {
        let mut heard = Vec::new();
        decode(packet, Instant::now(), &mut |event| {
            heard.push((event.address.as_str().to_owned(), event.arg, event.value));
        })?;
        Ok(heard)
    }

    fn message(addr: &str, args: Vec<OscType>) -> OscPacket {
        OscPacket::Message(OscMessage {
            addr: addr.to_owned(),
            args,
        })
    }

    fn bundle(content: Vec<OscPacket>) -> OscPacket {
        let timetag = OscTime {
            seconds: 0,
            fractional: 1,
        };
        OscPacket::Bundle(OscBundle { timetag, content })
    }

    /// The bytes of the specification's own example, and not those of the encoder.
    #[test]
    fn the_specifications_example() {
        let packet = b"/oscillator/4/frequency\0,f\0\0\x43\xdc\x00\x00";
        assert_eq!(
            hear(packet).unwrap(),
            [("oscillator.4.frequency".to_owned(), 0, 440.0)]
        );
    }

    #[test]
    fn every_number_of_a_message_and_of_a_bundle_counts() {
        let args = vec![
            OscType::Int(3),
            OscType::String("no number".to_owned()),
            OscType::Bool(true),
            OscType::Double(0.25),
            OscType::Float(f32::NAN),
            OscType::Long(-2),
        ];
        let both = bundle(vec![
            message("/pad/xy", args),
            bundle(vec![message("/action/redraw", vec![])]),
        ]);
        let heard = hear(&encoder::encode(&both).unwrap()).unwrap();
        let xy = |arg, value| ("pad.xy".to_owned(), arg, value);
        assert_eq!(
            heard,
            [
                xy(0, 3.0),
                xy(2, 1.0),
                xy(3, 0.25),
                xy(5, -2.0),
                ("action.redraw".to_owned(), 0, 1.0)
            ]
        );
    }

    #[test]
    fn what_is_no_osc_is_told() {
        assert_eq!(hear(b""), Err(PacketError::NotOsc));
        assert_eq!(hear(b"hello"), Err(PacketError::NotOsc));
        assert_eq!(hear(&vec![0; MAX_PACKET + 1]), Err(PacketError::TooLong));
        let mut deep = message("/a", vec![]);
        for _ in 0..300 {
            deep = bundle(vec![deep]);
        }
        let packet = encoder::encode(&deep).unwrap();
        assert!(packet.len() <= MAX_PACKET);
        assert_eq!(hear(&packet), Err(PacketError::TooDeep));
        let mut arrays = b"/a\0\0,".to_vec();
        arrays.resize(MAX_PACKET - 4, b'[');
        arrays.extend([0; 4]);
        drop(hear(&arrays));
    }

    #[test]
    fn addresses_are_those_of_a_scene() {
        let of = |osc: &str| Address::new(osc).map(|a| a.as_str().to_owned());
        assert_eq!(of("/zoom/x").as_deref(), Some("zoom.x"));
        assert_eq!(of("/größe/x").as_deref(), Some("größe.x"));
        for no in [
            "",
            "/",
            "zoom",
            "/a b",
            "/a*",
            "/{a,b}",
            &format!("/{}", "x".repeat(97)),
        ] {
            assert_eq!(of(no), None, "{no}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_heard_or_refused(packet in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(hear(&packet));
        }

        /// Nearly OSC: a true packet with a few bytes changed.
        #[test]
        fn damaged_packets(at in 0usize..64, byte in any::<u8>(), value in any::<f32>()) {
            let packet = bundle(vec![message("/zoom/x", vec![OscType::Float(value), OscType::Int(1)])]);
            let mut bytes = encoder::encode(&packet).unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(heard) = hear(&bytes) {
                prop_assert!(heard.iter().all(|(_, _, v)| v.is_finite()));
            }
        }
    }
}
