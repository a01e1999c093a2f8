//! `bendwave render`: a piece of music, or a sweep, becomes a video, frame by frame, the same every
//! time.

use crate::app::cli::RenderArgs;
use crate::app::stage::{self, Stage};
use crate::app::sweep::{self, Sweeps};
use crate::app::{print, say};
use crate::audio;
use crate::clock::{Clock, ClockChoice};
use crate::frame::FramePool;
use crate::record::{AudioTrack, RecordSettings, Recorder};
use crate::signal::Snapshot;
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sha2::{Digest, Sha256};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;

/// Longest video in frames: a day at 60 fps.
const MOST_FRAMES: f64 = 86_400.0 * 60.0;

/// Length of a video without music, in seconds.
const SILENT_SECS: f64 = 5.0;

pub(crate) fn run(args: &RenderArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    if matches!(
        args.clock,
        ClockChoice::Tap | ClockChoice::Midi | ClockChoice::Link
    ) {
        bail!(
            "--clock {}: nobody plays while a video is made: auto, tracker or beats per minute",
            args.clock
        );
    }
    let mut scene = stage::scene(args.scene.as_deref(), args.latent.seed)?;
    sweep::prepare(&mut scene, &args.sweep)?;
    let sound = args.audio.as_deref().map(audio::decode).transpose()?;
    if let Some(warning) = sound.as_ref().and_then(|s| s.warning.as_ref()) {
        say(&format!("note: {warning}"));
    }
    let longest = sound.as_ref().map(|s| s.duration_secs());
    let duration_secs = match args.duration {
        Some(secs) if !secs.is_finite() || secs <= 0.0 => {
            bail!("--duration {secs}: must be above 0")
        }
        Some(secs) => secs.min(longest.unwrap_or(secs)),
        None => longest.unwrap_or(SILENT_SECS),
    };
    let fps = f64::from(args.fps);
    let frames = (duration_secs * fps).ceil().max(1.0);
    if frames > MOST_FRAMES {
        bail!("{duration_secs:.0} s are too long for one video: use --duration");
    }
    let mut stage = Stage::set(&args.engine, scene)?;
    stage.set_latent(&args.latent, false)?;
    stage.join_segments()?;
    let sweeps = Sweeps::new(&stage.scene, &stage.engine, &args.sweep, args.sweep_shape)?;
    let signals = sound
        .as_ref()
        .map(|sound| audio::analyze_with(sound, &stage.scene.analysis))
        .transpose()?;
    drop(sound);

    let shape = stage.engine.generator().image_shape();
    let (width, height) = (shape.width as u32, shape.height as u32);
    let mut settings = RecordSettings::offline(&args.out, width, height, args.fps);
    settings.size = args.size;
    if let Some(path) = &args.audio {
        settings.audio = AudioTrack::File(path.clone());
    }
    let mut recorder = Recorder::start(settings)?;

    let mut clock = Clock::new(args.clock);
    let progress = Progress::new(frames as u64);
    let mut pool = FramePool::default();
    let mut hash = Sha256::new();
    let dt_secs = (1.0 / fps) as f32;
    for index in 0..frames as u64 {
        // A frame is on show until the next one: it knows the sound up to there.
        let at_secs = (index + 1) as f64 / fps;
        let dt = if index == 0 { 0.0 } else { dt_secs };
        sweeps.set(&mut stage.engine, index, frames as u64);
        let mut snapshot = signals
            .as_ref()
            .map_or(Snapshot::SILENCE, |s| s.at(at_secs));
        clock.hear(snapshot.at_secs, &snapshot.beat);
        snapshot.set_beat(clock.beat_at(at_secs));
        stage.engine.frame(&snapshot, dt)?;
        if let Some(message) = stage.engine.take_message() {
            progress.bar.suspend(|| say(&format!("note: {message}")));
        }
        let mut shared = pool.take(width, height);
        let frame = Arc::get_mut(&mut shared).context("a pooled frame is still held")?;
        frame.index = index;
        frame.at_micros = (index as f64 / fps * 1e6) as u64;
        frame.fill_from_chw(stage.engine.generator().image());
        hash.update(&frame.rgba);
        pool.remember(&shared);
        recorder.push(shared)?;
        progress.step(index + 1);
    }
    progress.bar.set_message("finishing");
    let recording = recorder.finish()?;
    progress.bar.finish_and_clear();
    if let Some(warning) = &recording.warning {
        say(&format!("note: {warning}"));
    }
    let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    say(&format!(
        "{} frames at {} fps, {:.1} s of video in {:.1} s; frames sha256 {hash}",
        recording.frames,
        args.fps,
        recording.duration_secs,
        started.elapsed().as_secs_f64()
    ));
    print(&recording.path.display().to_string())
}

/// A bar on a terminal, a line every tenth elsewhere.
struct Progress {
    bar: ProgressBar,
    frames: u64,
    lines: bool,
}

impl Progress {
    fn new(frames: u64) -> Self {
        let lines = !std::io::stderr().is_terminal();
        let target = if lines {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(frames), target);
        let style = "{bar:40} {pos}/{len} frames, {per_sec}, {eta} left {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self { bar, frames, lines }
    }

    fn step(&self, done: u64) {
        self.bar.set_position(done);
        let tenth = |n: u64| n * 10 / self.frames;
        if self.lines && tenth(done) != tenth(done - 1) {
            say(&format!(
                "rendering: {} %, {done} of {} frames",
                tenth(done) * 10,
                self.frames
            ));
        }
    }
}
