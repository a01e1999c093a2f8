//! Opens ports as they come, closes them as they go, on a thread of its own.

use crate::midi::message::MidiEvent;
use crate::midi::ports::{MidiError, client, name_matches, named_ports};
use crate::midi::ring::{MidiEvents, MidiSender};
use crate::rt::thread;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use midir::{MidiInput, MidiInputConnection};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Most ports that are open at a time; more are left alone and the status says so.
pub const MAX_PORTS: usize = 16;

/// How often the ports are listed. Shorter than unplugging and plugging in again takes.
const POLL: Duration = Duration::from_millis(500);
/// Longest pause between two tries to reach a MIDI service that does not answer.
const MAX_RETRY: Duration = Duration::from_secs(30);

/// MIDI input that lasts as long as this value: ports may come and go.
#[derive(Debug)]
pub struct Midi {
    shared: Arc<Shared>,
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    overruns: Arc<AtomicU64>,
    /// Written by `midi-ports` when it changes, read for the overlay. Held only to copy a line;
    /// the callbacks know nothing of it.
    status: Mutex<String>,
}

impl Midi {
    /// Opens all ports whose name contains `wanted` (all there are with `None`), now and later, and
    /// the others for nothing but their clock. No port is no error: [`Midi::status`] says so.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(wanted: Option<&str>) -> io::Result<(Self, MidiEvents)> {
        let shared = Arc::new(Shared::default());
        let (add_ring, new_rings) = crossbeam_channel::bounded(MAX_PORTS);
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let mut watch = Watch {
            wanted: wanted.map(str::to_owned),
            shared: Arc::clone(&shared),
            add_ring,
            lister: None,
            open: Vec::with_capacity(MAX_PORTS),
            connections: 0,
            retry: POLL,
        };
        let thread = thread::spawn("midi-ports", move || watch.run(&stopped))?;
        let midi = Self {
            shared,
            stop: Some(stop),
            thread: Some(thread),
        };
        Ok((midi, MidiEvents::new(new_rings)))
    }

    /// What is open, in one line for the performer.
    pub fn status(&self) -> String {
        self.shared
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Events that found their ring full and were dropped, since the start.
    pub fn overruns(&self) -> u64 {
        self.shared.overruns.load(Ordering::Relaxed)
    }
}

impl Drop for Midi {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread midi-ports had panicked");
        }
    }
}

/// What the thread `midi-ports` owns.
struct Watch {
    wanted: Option<String>,
    shared: Arc<Shared>,
    add_ring: Sender<rtrb::Consumer<MidiEvent>>,
    lister: Option<MidiInput>,
    open: Vec<OpenPort>,
    /// So many were made: numbers them.
    connections: u32,
    retry: Duration,
}

struct OpenPort {
    id: String,
    name: String,
    clock_only: bool,
    /// Held for its drop, which closes the port.
    _connection: MidiInputConnection<MidiSender>,
}

impl Watch {
    fn run(&mut self, stopped: &Receiver<()>) {
        loop {
            let (pause, status) = match self.poll() {
                Ok(status) => {
                    self.retry = POLL;
                    (POLL, status)
                }
                // JACK's library writes to stderr at each try: try less and less often.
                Err(error) => {
                    self.retry = (self.retry * 2).min(MAX_RETRY);
                    (self.retry, error.to_string())
                }
            };
            self.tell(status);
            if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn tell(&self, status: String) {
        let mut shown = self
            .shared
            .status
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *shown != status {
            log::info!("MIDI: {status}");
            *shown = status;
        }
    }

    /// Compares the ports that are there with those that are open.
    fn poll(&mut self) -> Result<String, MidiError> {
        let lister = match self.lister.take() {
            Some(lister) => lister,
            None => client()?,
        };
        let there = named_ports(&lister);
        if there.is_empty() {
            // A JACK server that ended leaves a client that lists nothing for ever: the next
            // round asks for a new client and gets an error or the new server.
            self.open.clear();
            return Ok("no controller is connected".to_owned());
        }
        self.lister = Some(lister);

        let mut gone = Vec::new();
        self.open.retain(|port| {
            let stays = there.iter().any(|(_, candidate)| candidate.id() == port.id);
            if !stays {
                gone.push(port.name.clone());
            }
            stays
        });
        for name in gone {
            log::warn!("MIDI: {name} was disconnected");
        }

        let mut failed = Vec::new();
        let is_wanted = |name: &str| self.wanted.as_deref().is_none_or(|w| name_matches(name, w));
        let (mut there, others): (Vec<_>, Vec<_>) =
            there.into_iter().partition(|(name, _)| is_wanted(name));
        // Controllers first: they must find a place.
        let wanted_count = there.len();
        there.extend(others);
        for (index, (name, port)) in there.into_iter().enumerate() {
            let id = port.id();
            let wanted = index < wanted_count;
            if self.open.iter().any(|open| open.id == id) {
                continue;
            }
            if self.open.len() == MAX_PORTS {
                if wanted {
                    failed.push(format!("{name}: over {MAX_PORTS} ports"));
                }
                continue;
            }
            match self.connect(&port, !wanted) {
                Ok(connection) => self.open.push(OpenPort {
                    id,
                    name,
                    clock_only: !wanted,
                    _connection: connection,
                }),
                Err(reason) if wanted => failed.push(format!("{name}: {reason}")),
                Err(reason) => log::info!("MIDI: no clock from {name}: {reason}"),
            }
        }
        Ok(self.describe(&failed))
    }

    fn connect(
        &mut self,
        port: &midir::MidiInputPort,
        clock_only: bool,
    ) -> Result<MidiInputConnection<MidiSender>, String> {
        self.connections += 1;
        let overruns = Arc::clone(&self.shared.overruns);
        let (sender, ring) = MidiSender::new(self.connections, clock_only, overruns);
        let connection = client()
            .map_err(|error| error.to_string())?
            .connect(
                port,
                "controller",
                |_, bytes, sender: &mut MidiSender| sender.send_bytes(bytes),
                sender,
            )
            .map_err(|error| error.to_string())?;
        // Nobody drains while the channel is full of rings that nobody took.
        self.add_ring
            .try_send(ring)
            .map_err(|_full| "the player does not take new controllers".to_owned())?;
        Ok(connection)
    }

    fn describe(&self, failed: &[String]) -> String {
        let controllers = self.open.iter().filter(|port| !port.clock_only);
        let open: Vec<&str> = controllers.map(|port| port.name.as_str()).collect();
        let mut status = match (open.is_empty(), &self.wanted) {
            (false, _) => open.join(", "),
            (true, Some(wanted)) => format!("no controller is named like {wanted:?}"),
            (true, None) => "no controller is connected".to_owned(),
        };
        for reason in failed {
            status.push_str("; could not open ");
            status.push_str(reason);
        }
        status
    }
}
