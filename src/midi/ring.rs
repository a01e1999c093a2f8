//! From the callbacks to the render thread: one ring per port, every value counts.

use crate::midi::message::{MidiEvent, MidiMessage, parse};
use crate::midi::watch::MAX_PORTS;
use crossbeam_channel::Receiver;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Room in one port's ring: over a second of the fastest stream that a MIDI cable carries.
pub const RING_EVENTS: usize = 2048;

/// A port's end of its ring. [`MidiSender::send_bytes`] is what midir's callback does.
pub struct MidiSender {
    ring: rtrb::Producer<MidiEvent>,
    port: u32,
    /// Whether only a clock is heard from this port.
    clock_only: bool,
    overruns: Arc<AtomicU64>,
}

impl fmt::Debug for MidiSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MidiSender").finish_non_exhaustive()
    }
}

impl MidiSender {
    pub(super) fn new(
        port: u32,
        clock_only: bool,
        overruns: Arc<AtomicU64>,
    ) -> (Self, rtrb::Consumer<MidiEvent>) {
        let (ring, events) = rtrb::RingBuffer::new(RING_EVENTS);
        let sender = Self {
            ring,
            port,
            clock_only,
            overruns,
        };
        (sender, events)
    }

    /// Parses one message and pushes it. Never allocates, locks, logs or blocks; a message that
    /// finds the ring full is counted and dropped.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let Some(message) = parse(bytes) else { return };
        if self.clock_only && !matches!(message, MidiMessage::Transport(_)) {
            return;
        }
        let event = MidiEvent {
            at: Instant::now(),
            port: self.port,
            message,
        };
        if self.ring.push(event).is_err() {
            self.overruns.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The render thread's end of all rings.
pub struct MidiEvents {
    rings: Vec<rtrb::Consumer<MidiEvent>>,
    new_rings: Receiver<rtrb::Consumer<MidiEvent>>,
}

impl fmt::Debug for MidiEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MidiEvents").finish_non_exhaustive()
    }
}

impl MidiEvents {
    pub(super) fn new(new_rings: Receiver<rtrb::Consumer<MidiEvent>>) -> Self {
        Self {
            rings: Vec::with_capacity(MAX_PORTS),
            new_rings,
        }
    }

    /// One ring without a port: for tests, and for controllers that are no MIDI ports.
    pub fn with_sender() -> (MidiSender, Self) {
        let (add, new_rings) = crossbeam_channel::bounded(1);
        let (sender, ring) = MidiSender::new(0, false, Arc::default());
        let mut events = Self::new(new_rings);
        events.rings.push(ring);
        drop(add);
        (sender, events)
    }

    /// Hands every event that is waiting to `each`, port by port, in the order in which a port
    /// sent them. Never waits; allocates nothing.
    pub fn drain(&mut self, mut each: impl FnMut(&MidiEvent)) {
        while self.rings.len() < MAX_PORTS {
            let Ok(ring) = self.new_rings.try_recv() else {
                break;
            };
            self.rings.push(ring);
        }
        self.rings.retain_mut(|ring| {
            // Asked first: an event pushed between the two questions must not be lost.
            let gone = ring.is_abandoned();
            // No more than were there at the start, so that a flood cannot hold up the frame.
            for _ in 0..ring.slots() {
                let Ok(event) = ring.pop() else { break };
                each(&event);
            }
            !gone
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{MidiEvents, MidiSender, RING_EVENTS};
    use crate::clock::Transport;
    use crate::midi::{MidiEvent, MidiMessage};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    fn values(events: &mut MidiEvents) -> Vec<u8> {
        let mut values = Vec::new();
        events.drain(|event| {
            if let MidiMessage::ControlChange { value, .. } = event.message {
                values.push(value);
            }
        });
        values
    }

    #[test]
    fn every_value_comes_in_order() {
        let (mut sender, mut events) = MidiEvents::with_sender();
        for value in 0..=127 {
            sender.send_bytes(&[0xb0, 1, value]);
        }
        assert_eq!(values(&mut events), (0..=127).collect::<Vec<u8>>());
        assert!(values(&mut events).is_empty());
    }

    #[test]
    fn a_port_that_is_no_controller_is_heard_for_its_clock() {
        let (mut sender, mut ring) = MidiSender::new(3, true, Arc::default());
        sender.send_bytes(&[0xb0, 1, 9]);
        sender.send_bytes(&[0xf8]);
        let events: Vec<MidiEvent> = std::iter::from_fn(|| ring.pop().ok()).collect();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].port, 3);
        assert_eq!(events[0].message, MidiMessage::Transport(Transport::Pulse));
    }

    #[test]
    fn a_full_ring_drops_the_newest_and_counts_them() {
        let (mut sender, mut events) = MidiEvents::with_sender();
        for _ in 0..RING_EVENTS + 3 {
            sender.send_bytes(&[0xb0, 1, 5]);
        }
        assert_eq!(sender.overruns.load(Ordering::Relaxed), 3);
        assert_eq!(values(&mut events).len(), RING_EVENTS);
    }

    #[test]
    fn the_last_words_of_a_port_are_heard() {
        let (mut sender, mut events) = MidiEvents::with_sender();
        sender.send_bytes(&[0xb0, 1, 9]);
        drop(sender);
        assert_eq!(values(&mut events), [9]);
        assert!(events.rings.is_empty(), "the ring of a port that left goes");
    }

    #[test]
    fn sending_and_draining_allocate_nothing() {
        let (mut sender, mut events) = MidiEvents::with_sender();
        let mut sum = 0u32;
        crate::rt::no_alloc::without_alloc(|| {
            for value in 0..100 {
                sender.send_bytes(&[0xb0, 1, value]);
                sender.send_bytes(&[0xf8]);
            }
            events.drain(|event| {
                if let MidiMessage::ControlChange { value, .. } = event.message {
                    sum += u32::from(value);
                }
            });
        });
        assert_eq!(sum, 4950);
    }
}
