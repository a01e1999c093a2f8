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
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::player::Player;
use super::stream::{self, Health, Input, Keep};
use super::{AnalysisConfig, Analyzer, AudioError, Channels, HOP_SECS, WINDOW_SECS, decode};
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
/// How fast the sound's clock is taken to drift from the system's at most, as a share.
const DRIFT: f64 = 5e-4;
/// Samples that come this much later than before, in seconds, for [`LATE_FOR`], are on another
/// clock.
const LATE_SECS: f64 = 0.03;
/// See [`LATE_SECS`].
const LATE_FOR: Duration = Duration::from_millis(500);
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
        /// For the picture alone: nothing comes out.
        mute: bool,
    },
    /// An input: number, id, name or part of it, as `bendwave devices` lists them, optionally after
    /// `host:`; the system's default for `None`.
    Device {
        /// Which one.
        name: Option<String>,
        /// Channels that are heard; all without.
        channels: Option<Channels>,
    },
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

/// Where the time goes between a sample and its signal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SoundLatency {
    /// Age of a buffer's newest sample when the device hands it over, in seconds, as the sound
    /// system says. 0 for files.
    pub device_secs: f64,
    /// Length of a device's longest buffer, in seconds: its oldest sample waits so long. 0 for files.
    pub buffer_secs: f64,
    /// Time between two snapshots, in seconds.
    pub hop_secs: f64,
    /// Length of the spectrum's window, in seconds; an onset is seen long before it is full.
    pub window_secs: f64,
    /// Mean time that one hop's analysis takes, in seconds.
    pub analysis_secs: f64,
    /// Slowest hop so far, in seconds.
    pub slowest_analysis_secs: f64,
}

#[derive(Debug)]
struct Shared {
    /// What `anchor_micros` counts from.
    epoch: Instant,
    /// When the sound's time 0 was at the input, in microseconds after `epoch`.
    anchor_micros: AtomicI64,
    /// Slowest hop since the start, and a running average, in nanoseconds.
    hop_nanos: AtomicU64,
    slowest_hop_nanos: AtomicU64,
    /// Frames of the device's longest buffer.
    buffer_frames: AtomicU64,
    /// How old a buffer's newest frame is when the device hands it over, in microseconds.
    device_micros: AtomicU64,
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
    fn new() -> Self {
        Self {
            epoch: Instant::now(),
            anchor_micros: AtomicI64::new(0),
            hop_nanos: AtomicU64::new(0),
            slowest_hop_nanos: AtomicU64::new(0),
            buffer_frames: AtomicU64::new(0),
            device_micros: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            connected: AtomicBool::new(false),
            overruns: AtomicU64::new(0),
            tap_overruns: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    fn say(&self, state: String) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Counts the time that hops took.
    fn note_hops(&self, took: Duration, hops: u32) {
        let each = (took / hops).as_nanos() as u64;
        let before = self.hop_nanos.load(Relaxed);
        // Only one thread writes. A running average over about 64 calls.
        let mean = if before == 0 {
            each
        } else {
            before - before / 64 + each / 64
        };
        self.hop_nanos.store(mean, Relaxed);
        self.slowest_hop_nanos.fetch_max(each, Relaxed);
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
    start_with(choice, &AnalysisConfig::default(), tap)
}

/// The same as a scene wants it.
///
/// # Errors
/// Those of [`start`], and [`AudioError::Config`].
pub fn start_with(
    choice: &AudioChoice,
    config: &AnalysisConfig,
    tap: Option<rtrb::Producer<f32>>,
) -> Result<LiveAudio, AudioError> {
    let (writer, signals) = latest::slot(&Snapshot::SILENCE);
    let shared = Arc::new(Shared::new());
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
        AudioChoice::Device {
            name: asked,
            channels: only,
        } => {
            let (input_tx, inputs) = bounded(1);
            let watcher = InputWatcher {
                asked: asked.clone(),
                only: only.clone(),
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
        AudioChoice::File { path, repeat, mute } => {
            let sound = decode(path)?;
            let name = match &sound.warning {
                Some(warning) => format!("{} ({warning})", path.display()),
                None => path.display().to_string(),
            };
            let player = Arc::new(Player::new(sound, *repeat));
            live.sample_rate = player.sample_rate();
            live.channels = player.channels();
            if *mute {
                shared.say(format!("playing {name} for the picture alone"));
                player.play_silently();
            } else {
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
            }
            Source::File {
                player,
                position: 0,
            }
        }
    };
    let mut analyser = Analysis {
        analyzer: Analyzer::with_config(live.sample_rate, live.channels, config)?,
        source,
        chunk: vec![0.0; CHUNK_FRAMES * live.channels],
        signals: writer,
        tap,
        shared,
        fed_at: Instant::now(),
        silent: false,
        fed_frames: 0,
        anchor: None,
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

    /// When the sound at `at_secs` (of [`Snapshot::at_secs`]) was at the input, or at the speaker
    /// for a file: without the jitter of the threads on the way.
    pub fn heard_at(&self, at_secs: f64) -> Instant {
        let micros = self.shared.anchor_micros.load(Relaxed) + (at_secs * 1e6) as i64;
        let since = Duration::from_micros(micros.unsigned_abs());
        let epoch = self.shared.epoch;
        if micros < 0 {
            epoch.checked_sub(since).unwrap_or(epoch)
        } else {
            epoch + since
        }
    }

    /// Where the time goes between a sample and its signal, as measured so far.
    pub fn latency(&self) -> SoundLatency {
        let shared = &self.shared;
        let buffer_frames = shared.buffer_frames.load(Relaxed) as f64;
        SoundLatency {
            device_secs: shared.device_micros.load(Relaxed) as f64 / 1e6,
            buffer_secs: buffer_frames / f64::from(self.sample_rate),
            hop_secs: HOP_SECS,
            window_secs: WINDOW_SECS,
            analysis_secs: shared.hop_nanos.load(Relaxed) as f64 / 1e9,
            slowest_analysis_secs: shared.slowest_hop_nanos.load(Relaxed) as f64 / 1e9,
        }
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
    only: Option<Channels>,
    /// One ring at a time, newest last: a new one comes only after the old stream is lost.
    inputs: Sender<rtrb::Consumer<f32>>,
    shared: Arc<Shared>,
}

impl InputWatcher {
    fn run(&self, first: &Sender<Result<(u32, usize), AudioError>>) {
        let mut input = match self.open(None) {
            Ok(input) => input,
            Err(error) => {
                // Nobody listens any more after the time-out.
                first.send(Err(error)).ok();
                return;
            }
        };
        let (sample_rate, channels) = (input.sample_rate, input.channels);
        let keep = (input.opened.host, sample_rate, input.device_channels);
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

    fn open(&self, keep: Option<Keep>) -> Result<Input, AudioError> {
        stream::open_input(self.asked.as_deref(), self.only.as_ref(), keep)
    }

    /// Hears one stream to its end. Its name and whether it could be let go, or `None` when
    /// everything stops.
    fn hear(&self, input: Input) -> Option<(String, bool)> {
        let Input {
            opened,
            samples,
            sample_rate,
            channels: _,
            device_channels,
        } = input;
        let shared = &self.shared;
        let only = match &self.only {
            Some(only) => format!("channels {only} of {device_channels}"),
            None => format!("{device_channels} channels"),
        };
        shared.say(format!("hearing {}, {sample_rate} Hz, {only}", opened.name));
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
            let frames = health.buffer_frames.load(Relaxed);
            shared.buffer_frames.store(frames, Relaxed);
            let micros = health.device_micros.load(Relaxed);
            shared.device_micros.store(micros, Relaxed);
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
            match self.open(Some(keep)) {
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
    fed_frames: u64,
    /// When time 0 was at the input, and since when the samples have come later than that says.
    anchor: Option<(Instant, f64, Option<Instant>)>,
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
        self.fed_frames += (samples / self.analyzer.channels()) as u64;
        self.set_anchor();
        let samples = &self.chunk[..samples];
        let signals = &mut self.signals;
        let started = Instant::now();
        let mut hops = 0;
        self.analyzer.push(samples, |snapshot| {
            hops += 1;
            signals.write(*snapshot);
        });
        if hops > 0 {
            self.shared.note_hops(started.elapsed(), hops);
        }
        if let Some(tap) = &mut self.tap
            && tap.push_entire_slice(samples).is_err()
        {
            let lost = samples.len() as u64;
            self.shared.tap_overruns.fetch_add(lost, Relaxed);
        }
    }

    /// Works out when the samples that go in now were at the input. They may be late, by the
    /// threads on the way, but never early: the earliest of the last seconds are nearest to the
    /// truth.
    fn set_anchor(&mut self) {
        let now = Instant::now();
        let shared = &self.shared;
        let now_secs = now.saturating_duration_since(shared.epoch).as_secs_f64();
        let device_secs = shared.device_micros.load(Relaxed) as f64 / 1e6;
        let fed_secs = self.fed_frames as f64 / f64::from(self.analyzer.sample_rate());
        let seen = now_secs - device_secs - fed_secs;
        let (anchor, late_since) = match self.anchor {
            None => (seen, None),
            Some((before, anchor, late_since)) => {
                let passed = now.saturating_duration_since(before).as_secs_f64();
                let anchor = (anchor + passed * DRIFT).min(seen);
                // A device that came back, or a stall that lost samples: the old truth is over.
                let late = seen - anchor > LATE_SECS;
                let since = late.then(|| late_since.unwrap_or(now));
                let over = since.is_some_and(|since| now - since > LATE_FOR);
                (if over { seen } else { anchor }, since.filter(|_| !over))
            }
        };
        self.anchor = Some((now, anchor, late_since));
        shared.anchor_micros.store((anchor * 1e6) as i64, Relaxed);
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
