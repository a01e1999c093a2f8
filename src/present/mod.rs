//! The window: the newest picture, fullscreen on a monitor or in a window.
//!
//! [`run`] takes the main thread until the performer leaves. The newest picture wins; the window
//! draws only when there is a new one or the overlay changes, never faster than the monitor. If
//! pictures stop coming, the last one stays; if the GPU is lost, everything is built anew.
//!
//! The overlay (numbers, messages, help) is for the performer: while it is off, nothing but the
//! picture is in the window.

mod blit;
mod error;
mod keys;
mod latency;
mod layout;
mod meters;
mod monitor;
mod overlay;
mod stats;
mod surface;
mod window;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

pub use error::PresentError;
pub use keys::help;
pub use latency::Latency;
pub use monitor::{Monitor, monitors};
pub use stats::Stats;

use crate::clock::ClockAction;
use crate::frame::SharedFrame;
use crate::gpu::AdapterChoice;
use crate::rt::latest;
use crate::signal::Snapshot;

/// How to open the window.
#[derive(Debug, Clone)]
pub struct PresentOptions {
    /// Title of the window.
    pub title: String,
    /// Number of a monitor as [`monitors`] counts; without, the system's choice.
    pub monitor: Option<usize>,
    /// Borderless fullscreen from the start.
    pub fullscreen: bool,
    /// Size of the picture's area when not fullscreen, in pixels.
    pub window_size: (u32, u32),
    /// Whether the overlay is on from the start.
    pub stats: bool,
    /// Whether the meters of what is heard are on from the start.
    pub meters: bool,
    /// What draws in the window.
    pub adapter: AdapterChoice,
    /// Leaves by itself after this time.
    pub duration: Option<Duration>,
    /// For tests: gives the GPU device up after this time, as a driver's reset would.
    pub lose_device_after: Option<Duration>,
}

impl Default for PresentOptions {
    fn default() -> Self {
        Self {
            title: "bendwave".to_owned(),
            monitor: None,
            fullscreen: true,
            window_size: (1024, 1024),
            stats: false,
            meters: false,
            adapter: AdapterChoice::Auto,
            duration: None,
            lose_device_after: None,
        }
    }
}

/// What the window reads and writes while it runs.
#[derive(Debug)]
pub struct Links {
    /// The picture; the newest wins.
    pub frames: latest::Reader<SharedFrame>,
    /// For the overlay; the newest wins.
    pub stats: latest::Reader<Stats>,
    /// For the meters, as the newest picture's frame had it; the newest wins.
    pub heard: latest::Reader<Snapshot>,
    /// What the performer asks for. Bounded; a key that finds it full is lost, with a warning in
    /// the log, for the window never waits.
    pub commands: Sender<Command>,
    /// Measured here.
    pub latency: Arc<Latency>,
    /// Set from anywhere (a signal, the end of the music), it closes the window.
    pub stop: Arc<AtomicBool>,
}

/// What the performer asks for at the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Another seed.
    NextSeed,
    /// Clusters of the picture on show.
    Recluster,
    /// Random selections of features, drawn anew.
    Redraw,
    /// The picture's latent into a file.
    SaveLatent,
    /// Black on or off. The window is black at once by itself; this tells the others.
    Blackout(bool),
    /// Hold the picture, or go on. The sender keeps the state.
    Pause(bool),
    /// Something about the beat, and when the key was pressed.
    Clock(ClockAction, Instant),
    /// The window closes.
    Quit,
}

/// Why the window closed without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Escape, or the window's close button.
    ByPerformer,
    /// [`PresentOptions::duration`] is over.
    Duration,
    /// [`Links::stop`] was set.
    Stopped,
}

/// What happened at the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Why it closed.
    pub ended: Ended,
    /// Times that it drew.
    pub drawn: u64,
    /// GPU devices opened anew because the one before was lost.
    pub devices_lost: u32,
}

/// Shows pictures until the performer leaves, the time is over or `stop` is set.
///
/// Call it on the main thread, once a process.
///
/// # Errors
/// No display, no such monitor, no adapter for the window. After the first picture nothing ends
/// it but the window system itself.
pub fn run(options: PresentOptions, links: Links) -> Result<Report, PresentError> {
    window::run(options, links)
}

/// Whether a window could be opened, as far as can be told without opening one.
pub fn has_display() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(all(unix, not(target_os = "macos"))) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}
