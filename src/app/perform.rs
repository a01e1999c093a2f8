//! `bendwave perform`: live, fullscreen.

use crate::app::beats::Beats;
use crate::app::cli::{LatentArgs, PerformArgs};
use crate::app::render_thread::{Inputs, Outputs, RenderThread};
use crate::app::save::LatentSaver;
use crate::app::stage::{self, Stage};
use crate::app::{explain_sound_noise, model, print, recluster, reload, say};
use crate::audio::{self, AnalysisConfig, AudioChoice, LiveAudio};
use crate::clock::ClockChoice;
use crate::frame::{Frame, SharedFrame};
use crate::link::Link;
use crate::mapping::{ControlState, Mapping};
use crate::midi::Midi;
use crate::osc::{Osc, OscEvents};
use crate::present::{self, Latency, Links, PresentOptions, Stats};
use crate::record::{AudioTrack, RecordSettings, Recorder};
use crate::rt::{latest, thread};
use crate::scene::{NumberId, Patch};
use crate::signal::Snapshot;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Samples a recording's ring holds: two seconds of eight channels at 48 kHz.
const TAP_SAMPLES: usize = 2 * 48_000 * 8;

pub(crate) fn run(args: &PerformArgs) -> anyhow::Result<()> {
    if !present::has_display() {
        bail!(
            "there is no display (DISPLAY and WAYLAND_DISPLAY are empty): use `bendwave render` to make a video"
        );
    }
    let link = (args.link || args.clock == ClockChoice::Link)
        .then(Link::join)
        .transpose()?;
    let duration = args
        .duration
        .map(|secs| Duration::try_from_secs_f64(secs).with_context(|| format!("--duration {secs}")))
        .transpose()?;
    let bundled = model::bundled("assets/scenes/demo.yaml");
    let scene_file = args.scene.as_deref().or(bundled.as_deref());
    let scene = stage::scene(scene_file, args.seed)?;
    let mapping = args.mapping.as_deref().map(Mapping::load).transpose()?;
    let mut stage = Stage::set(&args.engine, scene)?;
    if let Some(path) = &args.latent {
        let at = LatentArgs {
            seed: None,
            z: None,
            latent: Some(path.clone()),
        };
        stage.set_latent(&at, false)?;
    }

    let (tap, tapped) = rtrb::RingBuffer::new(TAP_SAMPLES);
    let sound = open_sound(
        args,
        &stage.scene.analysis,
        args.record.is_some().then_some(tap),
    )?;
    say(&format!("sound: {}", sound.status()));

    let shape = stage.engine.generator().image_shape();
    let (width, height) = (shape.width as u32, shape.height as u32);
    let w_dim = stage.engine.generator().manifest().w_dim;
    let recorder = match &args.record {
        Some(path) => {
            let mut settings = RecordSettings::live(path, width, height, args.record_fps, 0);
            settings.size = args.record_size;
            if sound.is_sounding() {
                settings.audio = AudioTrack::Live {
                    samples: tapped,
                    sample_rate: sound.sample_rate(),
                    channels: u16::try_from(sound.channels())
                        .context("more channels than a recording can hold")?,
                };
            }
            Some(Recorder::start(settings)?)
        }
        None => None,
    };

    let (midi, midi_events) = Midi::start(mapping.as_ref().and_then(|m| m.device.as_deref()))
        .context("the thread that watches MIDI ports does not start")?;
    let (osc, osc_events) = match args.osc {
        Some(place) => {
            let (osc, events) = Osc::start(place).with_context(|| {
                format!("OSC cannot listen on {place}; is another program there?")
            })?;
            say(&format!("OSC: listening on {}", osc.place()));
            (Some(osc), events)
        }
        None => (None, OscEvents::none()),
    };
    let controls = mapping
        .as_ref()
        .map(|mapping| bind(mapping, args.mapping.as_deref(), stage.engine.patch()));
    let (loader, reloads) = reload::start(reload::Sources {
        scene_file: scene_file.map(Path::to_path_buf),
        seed: args.seed,
        scene: stage.scene.clone(),
        clusters_file: args.engine.clusters.clone(),
        clusters: stage.clusters.clone(),
        mapping_file: args.mapping.clone(),
        mapping,
        shaders: args
            .engine
            .shaders
            .clone()
            .or_else(|| model::bundled("shaders")),
        bends_on: stage.engine.bend_adapter(),
        undecided: (stage.engine.patch().bends.is_empty()).then(|| args.engine.clone()),
        run_maker: stage.run_maker.clone(),
        shapes: stage.engine.generator().layer_shapes(),
    })
    .context("the thread that loads saved files does not start")?;
    let folder = stage.engine.generator().folder().to_path_buf();
    let recluster = recluster::start(folder, args.engine.ort_lib.clone(), loader.finds())
        .context("the thread that finds clusters does not start")?;

    let (frame_writer, frames) =
        latest::slot::<SharedFrame>(&Arc::new(Frame::black(width, height)));
    let latency = Arc::new(Latency::default());
    let (stats_writer, stats) = latest::slot(&Stats::default());
    let (heard_writer, heard) = latest::slot(&Snapshot::SILENCE);
    // Keys come one at a time; 64 of them are a fist on the keyboard.
    let (commands, received) = crossbeam_channel::bounded(64);
    let stop = Arc::new(AtomicBool::new(false));
    let asked_to_stop = Arc::clone(&stop);
    ctrlc::set_handler(move || asked_to_stop.store(true, Ordering::Relaxed))
        .context("Ctrl-C cannot be watched")?;

    let render = RenderThread::new(
        stage,
        Inputs {
            sound,
            midi,
            midi_events,
            osc,
            osc_events,
            beats: Beats::new(args.clock, link, args.look_ahead),
            latency: Arc::clone(&latency),
            controls,
            commands: received,
            reloads,
            recluster,
            stop: Arc::clone(&stop),
        },
        Outputs {
            frames: frame_writer,
            stats: stats_writer,
            heard: heard_writer,
            recorder,
            latents: LatentSaver::start(PathBuf::new(), w_dim)
                .context("the thread that saves latents does not start")?,
        },
        f64::from(args.fps),
    );
    let thread = thread::spawn("render", move || render.run())
        .context("the render thread does not start")?;

    let options = PresentOptions {
        monitor: args.monitor,
        fullscreen: !args.windowed,
        stats: args.stats,
        meters: args.meters,
        duration,
        // `auto` and every name is an adapter choice: this cannot fail.
        adapter: args.engine.gpu.parse().unwrap_or_default(),
        ..PresentOptions::default()
    };
    let shown = present::run(
        options,
        Links {
            frames,
            stats,
            heard,
            commands,
            latency,
            stop: Arc::clone(&stop),
        },
    );
    stop.store(true, Ordering::Relaxed);
    let outputs = thread.join();
    drop(loader);
    let ended = match outputs {
        Ok(ended) => ended,
        Err(_) => bail!("the render thread ended by a fault of bendwave's own"),
    };
    if let Some(recorder) = ended.recorder {
        say("finishing the recording");
        let recording = recorder.finish()?;
        if let Some(warning) = &recording.warning {
            say(&format!("note: {warning}"));
        }
        say(&format!(
            "{:.1} s recorded, {} frames repeated, {} left out",
            recording.duration_secs, recording.repeated, recording.skipped
        ));
        print(&recording.path.display().to_string())?;
    }
    say(&ended.summary);
    shown?;
    if args.record.is_some() && ended.recording_failed {
        bail!("the recording failed during the performance");
    }
    Ok(())
}

fn open_sound(
    args: &PerformArgs,
    analysis: &AnalysisConfig,
    tap: Option<rtrb::Producer<f32>>,
) -> anyhow::Result<LiveAudio> {
    let choice = match args.audio.as_deref() {
        Some("none") => AudioChoice::None,
        Some(name) if Path::new(name).is_file() => {
            if args.channels.is_some() {
                bail!("--channels: is for inputs; {name} is a file");
            }
            AudioChoice::File {
                path: name.into(),
                repeat: args.repeat,
                mute: args.mute,
            }
        }
        Some(name) if looks_like_file(name) => bail!("{name}: no such audio file"),
        name => AudioChoice::Device {
            name: name.map(str::to_owned),
            channels: args.channels.clone(),
        },
    };
    if args.mute && !matches!(choice, AudioChoice::File { .. }) {
        bail!("--mute: is for files; an input makes no sound");
    }
    // Without a word about sound, a machine without an input still shows its picture.
    let started = audio::start_with(&choice, analysis, tap);
    if !matches!(choice, AudioChoice::None) {
        explain_sound_noise();
    }
    match started {
        Ok(sound) => Ok(sound),
        Err(error) if args.audio.is_none() => {
            say(&format!("note: no sound is heard: {error}"));
            Ok(audio::start(&AudioChoice::None, None)?)
        }
        Err(error) => Err(error.into()),
    }
}

fn looks_like_file(name: &str) -> bool {
    name.contains(std::path::MAIN_SEPARATOR)
        || Path::new(name).extension().is_some_and(|e| {
            ["wav", "flac", "mp3", "ogg", "m4a", "aac", "aif", "aiff"]
                .iter()
                .any(|known| e.eq_ignore_ascii_case(known))
        })
}

/// A mapping whose targets are looked up in the scene.
#[derive(Debug)]
pub(crate) struct Controls {
    pub(crate) mapping: Mapping,
    pub(crate) state: ControlState,
    /// The number that each control drives; `None` for actions and targets the scene lacks.
    pub(crate) numbers: Vec<Option<NumberId>>,
}

impl Controls {
    /// Something else than a control set this number.
    pub(crate) fn let_go(&mut self, number: NumberId) {
        for (index, theirs) in self.numbers.iter().enumerate() {
            if *theirs == Some(number) {
                self.state.let_go(index);
            }
        }
    }
}

pub(crate) fn bind(mapping: &Mapping, path: Option<&Path>, patch: &Patch) -> Controls {
    let numbers: Vec<Option<NumberId>> = mapping
        .controls
        .iter()
        .map(|c| patch.find(&c.target))
        .collect();
    let mut missing: Vec<&str> = mapping
        .controls
        .iter()
        .zip(&numbers)
        .filter(|(c, n)| n.is_none() && c.action().is_none())
        .map(|(c, _)| c.target.as_str())
        .collect();
    missing.dedup();
    if !missing.is_empty() {
        // A mapping serves many scenes: a knob without a target here is no error.
        say(&format!(
            "note: {}: this scene has no {}; it has {}",
            path.unwrap_or(Path::new("mapping")).display(),
            missing.join(", "),
            patch.addresses().collect::<Vec<_>>().join(", ")
        ));
    }
    let own_range = |control: &crate::mapping::Control| {
        patch
            .find(&control.target)
            .and_then(|id| patch.numbers.get(id.index()))
            .map_or([0.0, 1.0], |number| number.range)
    };
    Controls {
        state: ControlState::new(mapping, own_range),
        mapping: mapping.clone(),
        numbers,
    }
}
