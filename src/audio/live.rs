//! Sound as it happens: a device or a playing file to the newest snapshot.
//!
//! | thread | work |
//! |---|---|
//! | cpal's callback | copies samples to or from memory that exists; counts |
//! | `sound` | opens the device, watches it, opens it again |
//! | `analysis` | samples to snapshots (newest wins) and to the recording's tap (every sample counts) |
//! | `sound-drop` | one at a time, while a stream goes: some sound systems hang there |

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::player::Player;
use super::stream::{self, Health, Input, Keep};
use super::{Analyzer, AudioError, decode};
use crate::rt::{latest, thread};
use crate::signal::Snapshot;

/// How long a device may take to start before the show goes on without.
const START_TIMEOUT: Duration = Duration::from_secs(6);
/// Time between two attempts at a lost device.
const RETRY: Duration = Duration::from_secs(1);
/// An attempt that takes this long meets a hanging server; the next waits longer.
const SLOW_ATTEMPT: Duration = Duration::from_millis(1_500);
/// Time between two attempts at a hanging server.
const SLOW_RETRY: Duration = Duration::from_secs(30);
/// A device whose callback stays away this long is lost: not every system says so.
const HEARTBEAT: Duration = Duration::from_secs(4);
/// How often the `sound` thread looks after its device.
const WATCH: Duration = Duration::from_millis(50);
/// Without samples for this long, silence goes in at the pace of the clock.
const GAP: Duration = Duration::from_millis(250);
/// How long the `analysis` thread sleeps when there is nothing to do: less than half a hop.
const IDLE: Duration = Duration::from_millis(2);
/// Frames analysed at a time.
const CHUNK_FRAMES: usize = 1024;

/// What to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioChoice {
    /// A sound file, played through the default output device, or silently without one.
    File {
        /// The file.
        path: PathBuf,
        /// Start over at its end.
        repeat: bool,
    },
    /// An input: number, id, name or part of it, as `bendwave devices` lists them, optionally after
    /// `host:`; the system's default for `None`.
    Device(Option<String>),
    /// Nothing: all signals stay 0.
    None,
}

/// What went wrong so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Samples that the device delivered and the analysis could not take.
    pub overrun_samples: u64,
    /// Samples that the recording could not take.
    pub tap_overrun_samples: u64,
    /// How often the device went away.
    pub losses: u64,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    finished: AtomicBool,
    connected: AtomicBool,
    overruns: AtomicU64,
    tap_overruns: AtomicU64,
    losses: AtomicU64,
    /// What is heard and how. Written by `sound`, read for display; no callback touches it.
    state: Mutex<String>,
}

impl Shared {
    fn say(&self, state: String) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Sleeps; false as soon as everything stops.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while !self.stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(WATCH));
        }
        false
    }
}

/// Running ears. Dropping them stops everything within a second, even when a sound system hangs.
#[derive(Debug)]
pub struct LiveAudio {
    /// The newest snapshot; older ones are lost, by design. `at_secs` rises with the samples, and
    /// with the clock while a device is lost or a file is over.
    pub signals: latest::Reader<Snapshot>,
    sample_rate: u32,
    channels: usize,
    sounding: bool,
    shared: Arc<Shared>,
    analysis: Option<JoinHandle<()>>,
    /// Closes when the `sound` thread ends.
    sound_ends: Option<Receiver<()>>,
}

/// Starts to hear. `tap` gets every sample that is analysed, interleaved in the
/// [`LiveAudio::channels`] at the [`LiveAudio::sample_rate`]; silence stands in for a lost device,
/// so that a recording stays in time. What finds no room in it is counted.
///
/// # Errors
/// When the file cannot be decoded, or the device is not there or refuses. A missing *output* is
/// none: the file then plays silently, as [`LiveAudio::status`] says.
pub fn start(
    choice: &AudioChoice,
    tap: Option<rtrb::Producer<f32>>,
) -> Result<LiveAudio, AudioError> {
    let (writer, signals) = latest::slot(&Snapshot::SILENCE);
    let shared = Arc::new(Shared::default());
    // Made first: an error below drops it, and that stops the threads.
    let mut live = LiveAudio {
        signals,
        sample_rate: 48_000,
        channels: 2,
        sounding: true,
        shared: Arc::clone(&shared),
        analysis: None,
        sound_ends: None,
    };
    let (ends, sound_ends) = bounded::<()>(0);
    let source = match choice {
        AudioChoice::None => {
            live.sounding = false;
            shared.say("none".to_owned());
            return Ok(live);
        }
        AudioChoice::Device(asked) => {
            let (input_tx, inputs) = bounded(1);
            let watcher = InputWatcher {
                asked: asked.clone(),
                inputs: input_tx,
                shared: Arc::clone(&shared),
            };
            let (first_tx, first) = bounded(1);
            thread::spawn("sound", move || {
                watcher.run(&first_tx);
                drop(ends);
            })?;
            live.sound_ends = Some(sound_ends);
            (live.sample_rate, live.channels) =
                first
                    .recv_timeout(START_TIMEOUT)
                    .map_err(|_timeout| AudioError::Device {
                        what: format!("audio input {}", asked.as_deref().unwrap_or("(default)")),
                        reason: "the sound system does not answer".to_owned(),
                    })??;
            Source::Ring { inputs, ring: None }
        }
        AudioChoice::File { path, repeat } => {
            let sound = decode(path)?;
            let name = match &sound.warning {
                Some(warning) => format!("{} ({warning})", path.display()),
                None => path.display().to_string(),
            };
            let player = Arc::new(Player::new(sound, *repeat));
            live.sample_rate = player.sample_rate();
            live.channels = player.channels();
            let watcher = OutputWatcher {
                name,
                player: Arc::clone(&player),
                shared: Arc::clone(&shared),
            };
            let (first_tx, first) = bounded(1);
            thread::spawn("sound", move || {
                watcher.run(&first_tx);
                drop(ends);
            })?;
            live.sound_ends = Some(sound_ends);
            if first.recv_timeout(START_TIMEOUT).is_err() {
                // The output may still come; the clock starts now.
                player.play_silently();
            }
            Source::File {
                player,
                position: 0,
            }
        }
    };
    let mut analyser = Analysis {
        analyzer: Analyzer::new(live.sample_rate, live.channels)?,
        source,
        chunk: vec![0.0; CHUNK_FRAMES * live.channels],
        signals: writer,
        tap,
        shared,
        fed_at: Instant::now(),
        silent: false,
    };
    live.analysis = Some(thread::spawn("analysis", move || analyser.run())?);
    Ok(live)
}

impl LiveAudio {
    /// Samples per second and channel, in Hz. Stays when a lost device returns.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Interleaved channels. Stays when a lost device returns.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// False only for [`AudioChoice::None`].
    pub fn is_sounding(&self) -> bool {
        self.sounding
    }

    /// Whether a device is open now: an input that delivers, or an output that plays.
    pub fn is_connected(&self) -> bool {
        self.shared.connected.load(Relaxed)
    }

    /// Whether a file was heard to its end. Never for devices and repeated files.
    pub fn finished(&self) -> bool {
        self.shared.finished.load(Relaxed)
    }

    /// What went wrong so far.
    pub fn counters(&self) -> Counters {
        Counters {
            overrun_samples: self.shared.overruns.load(Relaxed),
            tap_overrun_samples: self.shared.tap_overruns.load(Relaxed),
            losses: self.shared.losses.load(Relaxed),
        }
    }

    /// What is heard and how, in a line for the performer.
    pub fn status(&self) -> String {
        let state = &self.shared.state;
        let mut text = state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let counters = self.counters();
        for (count, what) in [
            (counters.overrun_samples, "samples not analysed"),
            (counters.tap_overrun_samples, "samples not recorded"),
        ] {
            if count > 0 && write!(text, "; {count} {what}").is_err() {
                break;
            }
        }
        text
    }
}

impl Drop for LiveAudio {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(analysis) = self.analysis.take()
            && analysis.join().is_err()
        {
            log::error!("the analysis thread ended by a fault of bendwave's own");
        }
        // A hanging sound system keeps its thread; we don't wait for it.
        if let Some(ends) = &self.sound_ends
            && ends.recv_timeout(Duration::from_secs(1))
                == Err(crossbeam_channel::RecvTimeoutError::Timeout)
        {
            log::warn!("the sound system does not let go; leaving it behind");
        }
    }
}

/// Lets a stream go on a thread of its own; waits for it only a moment. True when it is gone.
fn let_go(stream: cpal::Stream) -> bool {
    let (gone, wait) = bounded::<()>(0);
    let spawned = thread::spawn("sound-drop", move || {
        drop(stream);
        drop(gone);
    });
    spawned.is_ok()
        && wait.recv_timeout(Duration::from_millis(500))
            == Err(crossbeam_channel::RecvTimeoutError::Disconnected)
}

/// Watches a stream until it is lost (true) or everything stops (false).
fn watch(health: &Health, shared: &Shared, mut each: impl FnMut()) -> bool {
    let mut beats = 0;
    let mut beat_at = Instant::now();
    while shared.wait(WATCH) {
        each();
        let now = health.beats.load(Relaxed);
        if now != beats {
            beats = now;
            beat_at = Instant::now();
        }
        if health.failed.load(Relaxed) || beat_at.elapsed() > HEARTBEAT {
            return true;
        }
    }
    false
}

/// Time until the next attempt after one that took `took`. A stream that hangs while it goes also
/// slows the attempts down, which bounds the threads left behind.
fn pause_after(took: Duration, let_go: bool) -> Duration {
    if took > SLOW_ATTEMPT || !let_go {
        SLOW_RETRY
    } else {
        RETRY
    }
}

/// Keeps an input open.
struct InputWatcher {
    asked: Option<String>,
    /// One ring at a time, newest last: a new one comes only after the old stream is lost.
    inputs: Sender<rtrb::Consumer<f32>>,
    shared: Arc<Shared>,
}

impl InputWatcher {
    fn run(&self, first: &Sender<Result<(u32, usize), AudioError>>) {
        let mut input = match stream::open_input(self.asked.as_deref(), None) {
            Ok(input) => input,
            Err(error) => {
                // Nobody listens any more after the time-out.
                first.send(Err(error)).ok();
                return;
            }
        };
        let (sample_rate, channels) = (input.sample_rate, input.channels);
        let keep = (input.opened.host, sample_rate, channels);
        if first.send(Ok((sample_rate, channels))).is_err() {
            return;
        }
        loop {
            let Some((name, gone)) = self.hear(input) else {
                return;
            };
            match self.find_again(&name, keep, gone) {
                Some(again) => input = again,
                None => return,
            }
        }
    }

    /// Hears one stream to its end. Its name and whether it could be let go, or `None` when
    /// everything stops.
    fn hear(&self, input: Input) -> Option<(String, bool)> {
        let Input {
            opened,
            samples,
            sample_rate,
            channels,
        } = input;
        let shared = &self.shared;
        shared.say(format!(
            "hearing {}, {sample_rate} Hz, {channels} channels",
            opened.name
        ));
        if self.inputs.send(samples).is_err() {
            return None;
        }
        shared.connected.store(true, Relaxed);
        let health = Arc::clone(&opened.health);
        let mut counted = 0;
        let lost = watch(&health, shared, || {
            let overruns = health.overrun_samples.load(Relaxed);
            shared.overruns.fetch_add(overruns - counted, Relaxed);
            counted = overruns;
        });
        shared.connected.store(false, Relaxed);
        let name = opened.name.clone();
        if lost {
            shared.losses.fetch_add(1, Relaxed);
            shared.say(format!("{name} is lost; looking for it"));
        }
        let gone = let_go(opened.stream);
        lost.then_some((name, gone))
    }

    fn find_again(&self, name: &str, keep: Keep, gone: bool) -> Option<Input> {
        let mut pause = pause_after(Duration::ZERO, gone);
        while self.shared.wait(pause) {
            let start = Instant::now();
            match stream::open_input(self.asked.as_deref(), Some(keep)) {
                Ok(input) => return Some(input),
                Err(error) => self
                    .shared
                    .say(format!("{name} is lost; looking for it ({error})")),
            }
            pause = pause_after(start.elapsed(), true);
        }
        None
    }
}

/// Keeps an output open for a file, if there is one.
struct OutputWatcher {
    name: String,
    player: Arc<Player>,
    shared: Arc<Shared>,
}

impl OutputWatcher {
    fn run(&self, first: &Sender<()>) {
        let shared = &self.shared;
        let mut pause = Duration::ZERO;
        let mut host = None;
        while shared.wait(pause) {
            let start = Instant::now();
            match stream::open_output(&self.player, host) {
                Ok(opened) => {
                    host = Some(opened.host);
                    shared.say(format!("playing {} through {}", self.name, opened.name));
                    shared.connected.store(true, Relaxed);
                    first.try_send(()).ok();
                    let health = Arc::clone(&opened.health);
                    let lost = watch(&health, shared, || {});
                    shared.connected.store(false, Relaxed);
                    if lost {
                        shared.losses.fetch_add(1, Relaxed);
                        shared.say(format!(
                            "playing {} silently: {} is lost; looking for an output",
                            self.name, opened.name
                        ));
                    }
                    let gone = let_go(opened.stream);
                    self.player.play_silently();
                    pause = pause_after(Duration::ZERO, gone);
                }
                Err(error) => {
                    self.player.play_silently();
                    shared.say(format!("playing {} silently ({error})", self.name));
                    first.try_send(()).ok();
                    // Where no output ever was, one is not likely to come.
                    pause = match host {
                        Some(_) => pause_after(start.elapsed(), true),
                        None => SLOW_RETRY,
                    };
                }
            }
        }
    }
}

/// Where samples come from.
enum Source {
    Ring {
        inputs: Receiver<rtrb::Consumer<f32>>,
        ring: Option<rtrb::Consumer<f32>>,
    },
    File {
        player: Arc<Player>,
        /// First frame that was not analysed yet.
        position: i64,
    },
}

/// The `analysis` thread. Allocates nothing while it runs.
struct Analysis {
    analyzer: Analyzer,
    source: Source,
    chunk: Vec<f32>,
    signals: latest::Writer<Snapshot>,
    tap: Option<rtrb::Producer<f32>>,
    shared: Arc<Shared>,
    /// When samples last went in.
    fed_at: Instant,
    /// Silence goes in, at the pace of the clock.
    silent: bool,
}

impl Analysis {
    fn run(&mut self) {
        while !self.shared.stopped() {
            let samples = self.fetch();
            if samples > 0 {
                self.silent = false;
                self.fed_at = Instant::now();
                self.feed(samples);
            } else {
                self.bridge_gap();
                std::thread::sleep(IDLE);
            }
        }
    }

    /// Copies what there is into `chunk`; the number of samples, whole frames.
    fn fetch(&mut self) -> usize {
        let channels = self.analyzer.channels();
        match &mut self.source {
            Source::Ring { inputs, ring } => {
                if let Some(ring) = ring {
                    let samples = ring.slots().min(self.chunk.len());
                    let samples = samples - samples % channels;
                    if samples > 0 && ring.pop_entire_slice(&mut self.chunk[..samples]).is_ok() {
                        return samples;
                    }
                }
                // The old ring is empty: only now may a new one take its place.
                if let Ok(newer) = inputs.try_recv() {
                    *ring = Some(newer);
                }
                0
            }
            Source::File { player, position } => {
                let heard = player.position();
                if player.is_over(*position) {
                    self.shared.finished.store(true, Relaxed);
                    return 0;
                }
                let frames = usize::try_from(heard - *position).unwrap_or(0);
                let slice = player.slice(*position, frames.min(CHUNK_FRAMES));
                self.chunk[..slice.len()].copy_from_slice(slice);
                *position += (slice.len() / channels) as i64;
                slice.len()
            }
        }
    }

    fn feed(&mut self, samples: usize) {
        let samples = &self.chunk[..samples];
        let signals = &mut self.signals;
        self.analyzer
            .push(samples, |snapshot| signals.write(*snapshot));
        if let Some(tap) = &mut self.tap
            && tap.push_entire_slice(samples).is_err()
        {
            let lost = samples.len() as u64;
            self.shared.tap_overruns.fetch_add(lost, Relaxed);
        }
    }

    /// Feeds silence while nothing comes, so that signals fall and time goes on.
    fn bridge_gap(&mut self) {
        let since = self.fed_at.elapsed();
        if !self.silent && since < GAP {
            return;
        }
        self.silent = true;
        let frames = (since.as_secs_f64() * f64::from(self.analyzer.sample_rate())) as usize;
        let frames = frames.min(CHUNK_FRAMES);
        let samples = frames * self.analyzer.channels();
        self.chunk[..samples].fill(0.0);
        self.feed(samples);
        // What was fed, not what passed: a long gap is made up chunk by chunk.
        let secs = frames as f64 / f64::from(self.analyzer.sample_rate());
        self.fed_at += Duration::try_from_secs_f64(secs).unwrap_or_default();
    }
}
