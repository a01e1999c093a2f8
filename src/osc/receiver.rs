//! The socket and its thread.

use crate::osc::message::{MAX_PACKET, OscEvent, decode};
use crate::rt::thread;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Room between two frames: over a second of what the busiest control surfaces send.
pub const RING_EVENTS: usize = 2048;

/// How soon the thread sees that it is to end.
const LOOK_UP: Duration = Duration::from_millis(100);

/// OSC input that lasts as long as this value.
#[derive(Debug)]
pub struct Osc {
    place: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    packets: AtomicU64,
    refused: AtomicU64,
    overruns: AtomicU64,
}

/// The render thread's end. Without a socket it stays empty.
pub struct OscEvents {
    ring: Option<rtrb::Consumer<OscEvent>>,
}

impl fmt::Debug for OscEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OscEvents").finish_non_exhaustive()
    }
}

/// Reads where to listen: a port, which listens on every network of this machine, or
/// `ADDRESS:PORT`.
///
/// # Errors
/// A sentence that says what is wanted.
pub fn parse_place(text: &str) -> Result<SocketAddr, String> {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    text.parse::<u16>()
        .map(|port| SocketAddr::new(any, port))
        .ok()
        .or_else(|| text.parse().ok())
        .ok_or_else(|| {
            "a port, as 9000, or an address of this machine with one, as 127.0.0.1:9000".to_owned()
        })
}

impl Osc {
    /// Listens. Port 0 takes a free one.
    ///
    /// # Errors
    /// When the port is taken or not allowed, or the system refuses a thread.
    pub fn start(place: SocketAddr) -> io::Result<(Self, OscEvents)> {
        let socket = UdpSocket::bind(place)?;
        socket.set_read_timeout(Some(LOOK_UP))?;
        let place = socket.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (mut ring, events) = rtrb::RingBuffer::new(RING_EVENTS);
        let seen = Arc::clone(&shared);
        let thread = thread::spawn("osc", move || listen(&socket, &mut ring, &seen))?;
        let osc = Self {
            place,
            shared,
            thread: Some(thread),
        };
        Ok((osc, OscEvents { ring: Some(events) }))
    }

    /// Where it listens.
    pub const fn place(&self) -> SocketAddr {
        self.place
    }

    /// What came, in one line for the performer.
    pub fn status(&self) -> String {
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let mut status = format!(
            "port {}, {} packets",
            self.place.port(),
            count(&self.shared.packets)
        );
        for (n, what) in [
            (count(&self.shared.refused), "not understood"),
            (count(&self.shared.overruns), "values too many at once"),
        ] {
            if n > 0 {
                status.push_str(&format!(", {n} {what}"));
            }
        }
        status
    }
}

impl Drop for Osc {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread osc had panicked");
        }
    }
}

fn listen(socket: &UdpSocket, ring: &mut rtrb::Producer<OscEvent>, shared: &Shared) {
    // One more than is allowed, so that a longer packet is seen to be longer.
    let mut buffer = vec![0; MAX_PACKET + 1];
    while !shared.stop.load(Ordering::Relaxed) {
        let length = match socket.recv_from(&mut buffer) {
            Ok((length, _)) => length,
            Err(error) => {
                // Others are a network that went away, or an answer to nothing that was sent.
                if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
                    log::debug!("OSC: {error}");
                    std::thread::sleep(LOOK_UP);
                }
                continue;
            }
        };
        shared.packets.fetch_add(1, Ordering::Relaxed);
        let heard = decode(&buffer[..length], Instant::now(), &mut |event| {
            if ring.push(event).is_err() {
                shared.overruns.fetch_add(1, Ordering::Relaxed);
            }
        });
        if let Err(why) = heard {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            log::debug!("OSC: a packet of {length} bytes is dropped: {why}");
        }
    }
}

impl OscEvents {
    /// Nobody sends.
    pub const fn none() -> Self {
        Self { ring: None }
    }

    /// Hands every event that is waiting to `each`, in order. Never waits; allocates nothing.
    pub fn drain(&mut self, mut each: impl FnMut(&OscEvent)) {
        let Some(ring) = &mut self.ring else { return };
        // No more than were there at the start, so that a flood cannot hold up the frame.
        for _ in 0..ring.slots() {
            let Ok(event) = ring.pop() else { break };
            each(&event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Osc, parse_place};
    use std::net::UdpSocket;
    use std::time::{Duration, Instant};

    #[test]
    fn a_packet_arrives_and_rubbish_is_counted() {
        let (osc, mut events) = Osc::start(parse_place("127.0.0.1:0").unwrap()).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"rubbish", osc.place()).unwrap();
        sender
            .send_to(b"/zoom/x\0,f\0\0\x3f\x80\x00\x00", osc.place())
            .unwrap();
        let mut heard = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        while heard.is_empty() && Instant::now() < deadline {
            events.drain(|event| heard.push((event.address, event.value)));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(heard.len(), 1);
        assert_eq!((heard[0].0.as_str(), heard[0].1), ("zoom.x", 1.0));
        assert!(
            osc.status().contains("2 packets, 1 not understood"),
            "{}",
            osc.status()
        );
    }

    #[test]
    fn a_taken_port_is_an_error() {
        let (osc, _events) = Osc::start(parse_place("127.0.0.1:0").unwrap()).unwrap();
        assert!(Osc::start(osc.place()).is_err());
        assert_eq!(parse_place("9000").unwrap().port(), 9000);
        assert!(parse_place("nine").is_err());
        assert!(parse_place("70000").is_err());
    }
}
