//! The thread that makes a performance's pictures.
//!
//! It never waits for files, network or window: sound arrives through a newest-value slot, MIDI
//! and keys through rings that are drained once a frame, pictures leave through a newest-value slot
//! and, without waiting, to the recorder. When a frame cannot be made, the last one stays.

use crate::app::beats::Beats;
use crate::app::evenness::Evenness;
use crate::app::perform::Controls;
use crate::app::recluster::{Recluster, Request};
use crate::app::reload::{Reloads, Retired};
use crate::app::save::LatentSaver;
use crate::app::stage::Stage;
use crate::audio::LiveAudio;
use crate::clock::ClockAction;
use crate::frame::{FramePool, SharedFrame};
use crate::midi::{Midi, MidiEvents, MidiMessage};
use crate::osc::{Address, Osc, OscEvent, OscEvents};
use crate::present::{Command, Latency, Stats};
use crate::record::Recorder;
use crate::rt::latest::Writer;
use crate::scene::Route;
use crate::signal::Snapshot;
use crate::tensor::split_mix;
use crossbeam_channel::Receiver;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// What an action's address begins with.
const ACTION_PREFIX: &str = "action.";
/// Most OSC actions of one frame; more are dropped.
const OSC_ACTIONS: usize = 64;
/// How often the overlay's numbers change.
const STATS_EVERY: Duration = Duration::from_millis(250);
/// Frames that the overlay's quantiles look back on.
const TIMES_KEPT: usize = 240;
/// Longest step of the walk and the smoothing after a hitch, in seconds.
const LONGEST_STEP_SECS: f32 = 0.25;
const ERRORS_KEPT: usize = 4;

/// What the thread reads.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) sound: LiveAudio,
    pub(crate) midi: Midi,
    pub(crate) midi_events: MidiEvents,
    pub(crate) osc: Option<Osc>,
    pub(crate) osc_events: OscEvents,
    pub(crate) beats: Beats,
    pub(crate) latency: Arc<Latency>,
    pub(crate) controls: Option<Controls>,
    pub(crate) commands: Receiver<Command>,
    pub(crate) reloads: Reloads,
    pub(crate) recluster: Recluster,
    pub(crate) stop: Arc<AtomicBool>,
}

/// What the thread writes.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) frames: Writer<SharedFrame>,
    pub(crate) stats: Writer<Stats>,
    pub(crate) heard: Writer<Snapshot>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) latents: LatentSaver,
}

/// What is left when the performance is over.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) recorder: Option<Recorder>,
    pub(crate) recording_failed: bool,
    pub(crate) summary: String,
}

#[derive(Debug)]
pub(crate) struct RenderThread {
    stage: Stage,
    inputs: Inputs,
    outputs: Outputs,
    frame_secs: f64,
    pool: FramePool,
    clock: SoundClock,
    /// What the last frame saw, and when it began.
    seen: (Snapshot, Instant),
    index: u64,
    paused: bool,
    blackout: bool,
    seeds: u64,
    /// The scene file's route, and the seed that the performer asked for since.
    file_route: Route,
    own_seed: Option<u32>,
    /// Saved files that are broken.
    problems: Vec<String>,
    /// When the file was saved that the next frame is the first to show.
    saved: Option<SystemTime>,
    frame_times: VecDeque<f32>,
    evenness: Evenness,
    /// How many of them are newer than the last numbers.
    fresh: usize,
    message: String,
    errors: VecDeque<String>,
    /// Actions that came by OSC in this frame.
    osc_actions: Vec<OscEvent>,
    /// The last OSC address that nobody listens to.
    osc_unknown: Option<Address>,
    failed_frames: u64,
    recording_failed: bool,
}

impl RenderThread {
    pub(crate) fn new(stage: Stage, inputs: Inputs, outputs: Outputs, fps: f64) -> Self {
        // Another walk each evening, but the first picture is always the scene's.
        let now = SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            file_route: stage.engine.patch().route.clone(),
            own_seed: None,
            problems: Vec::new(),
            saved: None,
            stage,
            inputs,
            outputs,
            frame_secs: 1.0 / fps,
            pool: FramePool::default(),
            clock: SoundClock::default(),
            seen: (Snapshot::SILENCE, Instant::now()),
            index: 0,
            paused: false,
            blackout: false,
            seeds: now.map_or(0, |d| d.as_nanos() as u64),
            frame_times: VecDeque::with_capacity(TIMES_KEPT),
            evenness: Evenness::default(),
            fresh: 0,
            message: String::new(),
            errors: VecDeque::with_capacity(ERRORS_KEPT),
            osc_actions: Vec::with_capacity(OSC_ACTIONS),
            osc_unknown: None,
            failed_frames: 0,
            recording_failed: false,
        }
    }

    pub(crate) fn run(mut self) -> Ended {
        let started = Instant::now();
        let mut last_frame = Instant::now();
        let mut last_stats = Instant::now();
        let mut deadline = Instant::now();
        let frame_time = Duration::from_secs_f64(self.frame_secs);
        while !self.inputs.stop.load(Ordering::Relaxed) {
            self.take_reloads();
            self.take_commands();
            let now = Instant::now();
            let since_last = now - last_frame;
            let dt_secs = since_last.as_secs_f32().min(LONGEST_STEP_SECS);
            last_frame = now;
            if self.index > 0 {
                self.evenness.count(since_last);
            }
            self.take_controls(dt_secs);
            self.make_frame(dt_secs);
            if let Some(age) = self.saved.take().and_then(|saved| saved.elapsed().ok()) {
                log::info!("in the picture {} ms after it was saved", age.as_millis());
            }
            if self.frame_times.len() == TIMES_KEPT {
                self.frame_times.pop_front();
            }
            self.frame_times.push_back(now.elapsed().as_secs_f32());
            self.fresh += 1;
            if last_stats.elapsed() >= STATS_EVERY {
                self.take_saved();
                last_stats = Instant::now();
                self.write_stats(started);
            }
            // A late frame is not caught up: the next one is due one frame from now.
            deadline = (deadline + frame_time).max(Instant::now());
            std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
        }
        let secs = started.elapsed().as_secs_f64();
        Ended {
            recorder: self.outputs.recorder,
            recording_failed: self.recording_failed,
            summary: format!(
                "{} frames in {secs:.1} s, {:.1} fps; {}; {} could not be made; sound: {}",
                self.index,
                self.index as f64 / secs,
                self.evenness,
                self.failed_frames,
                self.inputs.sound.status()
            ),
        }
    }

    fn make_frame(&mut self, dt_secs: f32) {
        let began = Instant::now();
        let mut snapshot = *self.inputs.sound.signals.read();
        let at_micros = self.clock.micros(snapshot.at_secs);
        let heard_at = self.inputs.sound.heard_at(snapshot.at_secs);
        let to_screen = self.inputs.latency.to_screen();
        self.inputs
            .beats
            .place(&mut snapshot, heard_at, began, to_screen);
        self.seen = (snapshot, began);
        self.outputs.heard.write(snapshot);
        if !self.paused {
            if let Err(error) = self.stage.engine.frame(&snapshot, dt_secs) {
                self.failed_frames += 1;
                self.error(format!("the last picture stays: {error}"));
                // Nothing is gained by failing at full speed.
                std::thread::sleep(Duration::from_millis(50));
                return;
            }
            if let Some(message) = self.stage.engine.take_message() {
                self.error(message);
            }
        }
        let shape = self.stage.engine.generator().image_shape();
        let mut shared = self.pool.take(shape.width as u32, shape.height as u32);
        let Some(frame) = Arc::get_mut(&mut shared) else {
            return;
        };
        frame.index = self.index;
        frame.at_micros = at_micros;
        frame.began = began;
        if self.blackout {
            for pixel in frame.rgba.chunks_exact_mut(4) {
                pixel.copy_from_slice(&[0, 0, 0, 255]);
            }
        } else {
            frame.fill_from_chw(self.stage.engine.generator().image());
        }
        self.index += 1;
        self.pool.remember(&shared);
        if let Some(recorder) = &mut self.outputs.recorder
            && !self.recording_failed
            && let Err(error) = recorder.try_push(Arc::clone(&shared))
        {
            self.recording_failed = true;
            self.error(format!("recording stopped: {error}"));
        }
        self.outputs.frames.write(shared);
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.inputs.commands.try_recv() {
            match command {
                Command::NextSeed => self.next_seed(),
                Command::Recluster => self.recluster(),
                Command::Redraw => self.inputs.reloads.redraw(),
                Command::SaveLatent => self.save_latent(),
                Command::Blackout(on) => self.blackout = on,
                Command::Pause(on) => self.paused = on,
                Command::Clock(action, at) => self.act_on_clock(at, action),
                // The window sets `stop` itself once it is closed.
                _ => {}
            }
        }
    }

    fn take_controls(&mut self, dt_secs: f32) {
        let mut controls = self.inputs.controls.take();
        let (beats, engine) = (&mut self.inputs.beats, &mut self.stage.engine);
        self.inputs.midi_events.drain(|event| {
            match event.message {
                MidiMessage::NoteOn { note, velocity, .. } => {
                    engine.play(note, f32::from(velocity) / 127.0);
                }
                MidiMessage::NoteOff { note, .. } => engine.play(note, 0.0),
                _ => beats.take(event),
            }
            if let Some(controls) = &mut controls {
                controls.state.apply(event);
            }
        });
        self.take_osc(&mut controls);
        let Some(mut controls) = controls else { return };
        for (index, control) in controls.mapping.controls.iter().enumerate() {
            if let Some(action) = control.action() {
                for _ in 0..controls.state.take_presses(index) {
                    let at = controls.state.pressed_at(index);
                    self.act(action, at.unwrap_or_else(Instant::now));
                }
            } else if let Some(number) = controls.numbers[index]
                && let Some(value) = controls.state.value(index, dt_secs)
            {
                self.stage.engine.hold(number, Some(value));
            }
        }
        self.inputs.controls = Some(controls);
    }

    /// OSC: what the mapping has rows for, else numbers and actions by their own address.
    fn take_osc(&mut self, controls: &mut Option<Controls>) {
        let mut unknown = None;
        let (engine, actions) = (&mut self.stage.engine, &mut self.osc_actions);
        self.inputs.osc_events.drain(|event| {
            if let Some(controls) = controls.as_mut()
                && controls.state.apply_osc(event)
            {
                return;
            }
            let address = event.address.as_str();
            if address.starts_with(ACTION_PREFIX) {
                // A button that is let go sends 0.
                if event.value >= 0.5 && actions.len() < actions.capacity() {
                    actions.push(*event);
                }
                return;
            }
            let patch = engine.patch();
            let place = usize::from(event.arg);
            let whole = (place == 0).then(|| patch.find(address)).flatten();
            match whole.or_else(|| patch.find_place(address, place)) {
                Some(number) if !event.press => {
                    engine.hold(number, Some(event.value));
                    if let Some(controls) = controls.as_mut() {
                        controls.let_go(number);
                    }
                }
                // The scene has it: another argument than those it takes, or a press.
                _ if patch.find(address).is_some() => {}
                _ => unknown = Some(event.address),
            }
        });
        for index in 0..self.osc_actions.len() {
            let event = self.osc_actions[index];
            if let Some(name) = event.address.as_str().strip_prefix(ACTION_PREFIX)
                && !self.act(name, event.at)
            {
                unknown = Some(event.address);
            }
        }
        self.osc_actions.clear();
        // Said once, not at each packet of a fader.
        if let Some(address) = unknown.filter(|a| self.osc_unknown != Some(*a)) {
            self.osc_unknown = Some(address);
            self.message = format!(
                "OSC: nothing here is called /{}",
                address.as_str().replace('.', "/")
            );
        }
    }

    /// Does what an action's name says; `false` where there is none of that name.
    fn act(&mut self, action: &str, at: Instant) -> bool {
        if let Some(action) = ClockAction::find(action) {
            self.act_on_clock(at, action);
            return true;
        }
        match action {
            "next-seed" => self.next_seed(),
            "recluster" => self.recluster(),
            "redraw" => self.inputs.reloads.redraw(),
            "save-latent" => self.save_latent(),
            "blackout" => self.blackout = !self.blackout,
            "pause" => self.paused = !self.paused,
            _ => return false,
        }
        true
    }

    fn act_on_clock(&mut self, at: Instant, action: ClockAction) {
        if let Some(word) = self.inputs.beats.act(at, action) {
            self.message = word;
        }
    }

    /// Where the time goes, in a line.
    fn delays(&self) -> String {
        let ms = |secs: f64| secs * 1e3;
        let sound = self.inputs.sound.latency();
        let screen = self.inputs.latency.to_screen().map_or_else(
            || "not measured yet".to_owned(),
            |way| format!("{:.0} ms", ms(way.as_secs_f64())),
        );
        format!(
            "sound: device {:.1} + buffer {:.1} + hop {:.1} + analysis {:.2} (at most {:.1}) ms, window {:.0} ms\n\
             frame to screen {screen}, beat {:.0} ms ahead",
            ms(sound.device_secs),
            ms(sound.buffer_secs),
            ms(sound.hop_secs),
            ms(sound.analysis_secs),
            ms(sound.slowest_analysis_secs),
            ms(sound.window_secs),
            ms(self.inputs.beats.ahead_secs()),
        )
    }

    /// Has clusters of the picture on show found.
    fn recluster(&mut self) {
        let engine = &self.stage.engine;
        let layers = || engine.patch().bends.iter().map(|bend| bend.layer);
        let (Some(first), Some(last)) = (layers().min(), layers().max()) else {
            self.message = "this scene plays no clusters".to_owned();
            return;
        };
        let generator = engine.generator();
        let mut styles = vec![0.0; generator.latents() * generator.manifest().w_dim];
        engine.copy_styles(&mut styles);
        let request = Request {
            styles,
            layers: first..=last,
        };
        self.message = self.inputs.recluster.ask(request).to_owned();
    }

    fn next_seed(&mut self) {
        let seed = split_mix(&mut self.seeds) as u32;
        match self.stage.engine.restart_walk(seed) {
            Ok(()) => {
                self.own_seed = Some(seed);
                self.message = format!("seed {seed}");
            }
            Err(error) => self.error(crate::app::chain(&error.into())),
        }
    }

    fn save_latent(&mut self) {
        if !self.outputs.latents.save(self.stage.engine.saved_latent()) {
            self.error("too many latents wait to be saved".to_owned());
        }
    }

    fn take_saved(&mut self) {
        while let Some(outcome) = self.outputs.latents.outcome() {
            match outcome {
                Ok(path) => self.message = format!("saved {}", path.display()),
                Err(why) => self.error(format!("the latent is not saved: {why}")),
            }
        }
    }

    /// Files that were saved.
    fn take_reloads(&mut self) {
        let Some(mut ready) = self.inputs.reloads.prepared.take() else {
            return;
        };
        self.problems = std::mem::take(&mut ready.problems);
        self.saved = ready.saved;
        if !ready.message.is_empty() {
            self.message = std::mem::take(&mut ready.message);
        }
        if let Some(why) = ready.bends_why {
            self.stage.bends_why = why;
        }
        if let Some(bender) = ready.bender {
            let before = self.stage.engine.set_bender(bender);
            self.inputs
                .reloads
                .retire(Retired::Bender(Box::new(before)));
        }
        if let Some(mut patch) = ready.patch {
            if patch.route == self.file_route {
                if let Some(seed) = self.own_seed {
                    patch.route.restart(seed);
                }
            } else {
                self.file_route = patch.route.clone();
                self.own_seed = None;
            }
            if let Err(error) = self.stage.engine.set_patch(patch) {
                return self.error(format!("the scene before plays on: {error}"));
            }
        }
        if let Some(runs) = ready.runs {
            match self.stage.engine.set_runs(runs) {
                Ok(before) => self.inputs.reloads.retire(Retired::Runs(Box::new(before))),
                Err(error) => self.error(format!("each segment runs by itself: {error}")),
            }
        }
        if let Some(before) = self.stage.engine.take_retired_runs() {
            self.inputs.reloads.retire(Retired::Runs(Box::new(before)));
        }
        if let Some(mut controls) = ready.controls {
            if let Some(before) = &self.inputs.controls {
                let (state, mapping) = (&before.state, &before.mapping);
                controls.state.adopt(&controls.mapping, state, mapping);
                // What no knob reaches any more follows the scene again.
                for control in &mapping.controls {
                    let gone = !controls
                        .mapping
                        .controls
                        .iter()
                        .any(|now| now.target == control.target);
                    if gone && let Some(number) = self.stage.engine.patch().find(&control.target) {
                        self.stage.engine.hold(number, None);
                    }
                }
            }
            self.inputs.controls = Some(controls);
        }
    }

    fn error(&mut self, text: String) {
        if self.errors.back() == Some(&text) {
            return;
        }
        log::warn!("{text}");
        if self.errors.len() == ERRORS_KEPT {
            self.errors.pop_front();
        }
        self.errors.push_back(text);
    }

    fn write_stats(&mut self, started: Instant) {
        let mut sorted: Vec<f32> = self.frame_times.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        let quantile = |q: f32| {
            let rank = (q * sorted.len() as f32).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        let fresh = std::mem::take(&mut self.fresh).min(self.frame_times.len());
        let newest = self.frame_times.iter().rev().take(fresh);
        log::debug!(
            "{fresh} frames, the longest {:.1} ms, {} longer than a frame may take",
            1e3 * newest.clone().copied().fold(0.0, f32::max),
            newest.filter(|&&t| f64::from(t) > self.frame_secs).count()
        );
        let recording = match &self.outputs.recorder {
            Some(_) if self.recording_failed => "stopped by an error".to_owned(),
            Some(recorder) => format!(
                "{} frames, {} left out",
                recorder.frames_written(),
                recorder.frames_skipped()
            ),
            None => String::new(),
        };
        let skipped = self
            .outputs
            .recorder
            .as_ref()
            .map_or(0, Recorder::frames_skipped);
        let engine = &self.stage.engine;
        let mut audio = self.inputs.sound.status();
        if self.inputs.controls.is_some() {
            audio = format!("{audio}\nMIDI: {}", self.inputs.midi.status());
        }
        if let Some(osc) = &self.inputs.osc {
            audio = format!("{audio}\nOSC: {}", osc.status());
        }
        let beat = self.seen.0.beat;
        log::debug!(
            "clock: {}, {:.1} bpm, {:.0} ms ahead; sound: {}",
            self.inputs.beats.status(),
            beat.bpm,
            self.inputs.beats.ahead_secs() * 1e3,
            audio
        );
        self.outputs.stats.write(Stats {
            fps: (self.index as f64 / started.elapsed().as_secs_f64().max(1e-3)) as f32,
            frame_ms_p50: quantile(0.5) * 1e3,
            frame_ms_p99: quantile(0.99) * 1e3,
            dropped: self.failed_frames + skipped,
            beat,
            beat_at: Some(self.seen.1),
            clock: self.inputs.beats.status(),
            latency: self.delays(),
            audio,
            engine: format!(
                "network on {}, bends on {}{}",
                engine.generator().provider().provider,
                engine.bender_name(),
                self.stage.bends_why
            ),
            recording,
            message: self.message.clone(),
            errors: self.problems.iter().chain(&self.errors).cloned().collect(),
        });
    }
}

/// The sound's time between two snapshots, and wall time where there is no sound. Never runs
/// backwards.
#[derive(Debug, Default)]
struct SoundClock {
    last: Option<(f64, Instant)>,
    micros: u64,
}

impl SoundClock {
    fn micros(&mut self, snapshot_secs: f64) -> u64 {
        let now = Instant::now();
        let (secs, seen) = match self.last {
            Some(last) if last.0 == snapshot_secs => last,
            _ => (snapshot_secs, now),
        };
        // Sound that stands still (none at all, or a lost device) must not stop the video.
        self.last = Some((secs, seen));
        let micros = (secs * 1e6) as u64 + (now - seen).as_micros() as u64;
        self.micros = self.micros.max(micros);
        self.micros
    }
}
