//! The command line.

use crate::app::beats::LookAhead;
use crate::app::sweep::{Sweep, SweepShape};
use crate::app::variations::Vary;
use crate::audio::Channels;
use crate::clock::ClockChoice;
use crate::cluster::Controller;
use crate::cluster::metric::Quality;
use crate::generator::{Aspect, NoiseMode, ProviderChoice};
use crate::tensor::MapShape;
use clap::{Args, Parser, Subcommand};
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// Play a generative network to music.
#[derive(Debug, Parser)]
#[command(name = "bendwave", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Turn a StyleGAN2 checkpoint into a model folder
    Import(ImportArgs),
    /// Make one picture
    Still(StillArgs),
    /// Make a video of a piece of music, frame by frame
    Render(RenderArgs),
    /// Draw a numbered sheet of variations of a scene: every random selection drawn anew
    Variations(VariationsArgs),
    /// Draw a sheet of what each transform does to a model
    Bends(BendsArgs),
    /// Play live, fullscreen
    Perform(PerformArgs),
    /// Find which features of a network belong together, what they do, and knobs for them
    Cluster(ClusterArgs),
    /// Tell what the ears hear in a sound file: beats, onsets, bands
    Analyze(AnalyzeArgs),
    /// List audio inputs, MIDI ports, GPU adapters, providers and monitors
    Devices(DevicesArgs),
    /// Time each stage
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// rosinality's .pt, NVIDIA's .pkl (stylegan2-ada-pytorch, stylegan3), .safetensors in either's
    /// names, or a model folder
    pub(crate) checkpoint: PathBuf,
    /// The model folder to make
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Fix the class of a conditional network; without this it stays to be chosen when playing
    #[arg(long, value_name = "N")]
    pub(crate) class: Option<usize>,
    /// 16-bit convolutions: half the size, and faster where the GPU is
    #[arg(long)]
    pub(crate) half: bool,
    /// Do not run the model: no check against a plain evaluation, no contact.png
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// The ONNX Runtime library [default: as for playing]
    #[arg(long, value_name = "FILE")]
    pub(crate) ort_lib: Option<PathBuf>,
}

/// What makes the pictures.
#[derive(Clone, Debug, Args)]
pub(crate) struct EngineArgs {
    /// Model folder, or a checkpoint, which is imported once and kept in the cache [default: the
    /// scene's, else the model that comes with bendwave]
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
    /// Proportions of the picture, as 16:9; with /tile the composition repeats instead of being
    /// drawn out [default: the scene's, else square]
    #[arg(long, value_name = "W:H")]
    pub(crate) aspect: Option<Aspect>,
    /// Class of a conditional model [default: the scene's, else 0]
    #[arg(long, value_name = "N")]
    pub(crate) class: Option<usize>,
    /// Cluster file [default: the scene's]
    #[arg(long, value_name = "FILE")]
    pub(crate) clusters: Option<PathBuf>,
    /// What runs the network: auto, tensorrt, cuda, coreml, directml or cpu
    #[arg(long, default_value = "auto")]
    pub(crate) provider: ProviderChoice,
    /// The ONNX Runtime library [default: `ORT_DYLIB_PATH`, beside the program, the user's cache]
    #[arg(long, value_name = "FILE")]
    pub(crate) ort_lib: Option<PathBuf>,
    /// GPU adapter for bends and window: auto, a number or a part of its name
    #[arg(long, default_value = "auto", value_name = "ADAPTER")]
    pub(crate) gpu: String,
    /// Where bends run: gpu, cpu, or auto, which measures both on the scene's layers (single pictures:
    /// the CPU)
    #[arg(long, default_value = "auto", value_name = "WHERE")]
    pub(crate) bend_on: BendOn,
    /// Folder with WGSL files to bend with instead of the built-in ones, laid out as `shaders/`
    #[arg(long, value_name = "DIR")]
    pub(crate) shaders: Option<PathBuf>,
}

impl EngineArgs {
    /// The same for a few pictures: not worth waking a GPU, let alone measuring, unless asked to.
    pub(crate) fn for_pictures(&self) -> Self {
        let mut args = self.clone();
        if args.bend_on == BendOn::Auto && args.gpu == "auto" && args.shaders.is_none() {
            args.bend_on = BendOn::Cpu;
        }
        args
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BendOn {
    Auto,
    Gpu,
    Cpu,
}

#[derive(Debug, Args)]
pub(crate) struct StillArgs {
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) latent: LatentArgs,
    /// Truncation ψ: 1 is the whole variety, 0 the mean picture [default: the scene's, else 1]
    #[arg(long, value_name = "PSI", allow_negative_numbers = true)]
    pub(crate) truncation: Option<f32>,
    /// Noise: const, random or none [default: the scene's, else const]
    #[arg(long)]
    pub(crate) noise: Option<NoiseMode>,
    /// Scene or plain network bending file
    #[arg(long, value_name = "FILE", alias = "scene")]
    pub(crate) transforms: Option<PathBuf>,
    /// Write the picture's latent, .npz, which --latent and NVIDIA's tools read
    #[arg(long, value_name = "FILE")]
    pub(crate) save_latent: Option<PathBuf>,
    /// Picture to write, PNG
    #[arg(long, value_name = "FILE", required_unless_present_any = ["raw", "save_latent"])]
    pub(crate) out: Option<PathBuf>,
    /// Raw picture to write: float32 [3, H, W] as the network gave it, .npy
    #[arg(long, value_name = "FILE")]
    pub(crate) raw: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
pub(crate) struct LatentArgs {
    /// z of this seed, as numpy.random.RandomState(N).randn draws it
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u32>,
    /// z from a file: float32 [1, z_dim], .npy
    #[arg(long, value_name = "FILE")]
    pub(crate) z: Option<PathBuf>,
    /// w from a file: [1, w_dim] or [1, n, w_dim], .npy or .npz; or rosinality's or network
    /// bending's .pt; the file's own noise, where it has some, is the constant noise
    #[arg(long, value_name = "FILE")]
    pub(crate) latent: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) latent: LatentArgs,
    /// The music: WAV, FLAC, MP3, OGG, M4A; without it --duration says how long
    #[arg(long, value_name = "FILE", required_unless_present_any = ["sweep", "duration"])]
    pub(crate) audio: Option<PathBuf>,
    /// The scene
    #[arg(long, value_name = "FILE", required_unless_present = "sweep")]
    pub(crate) scene: Option<PathBuf>,
    /// Moves a parameter over the length of the video, as 3:rotate:angle:0..360; on all features,
    /// or on those of the scene's transform of that kind on that layer. May be given several times
    #[arg(long, value_name = "LAYER:TRANSFORM:PARAM:FROM..TO", value_parser = clap::value_parser!(Sweep))]
    pub(crate) sweep: Vec<Sweep>,
    /// How sweeps go: once, or triangle: there and back, for a loop
    #[arg(long, value_name = "SHAPE", default_value = "once")]
    pub(crate) sweep_shape: SweepShape,
    /// Video to write, .mp4
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Frames per second
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=240))]
    pub(crate) fps: u32,
    /// Size of the video [default: the model's]
    #[arg(long, value_name = "WxH", value_parser = parse_size)]
    pub(crate) size: Option<(u32, u32)>,
    /// Which beat counts: auto, tracker, or beats per minute
    #[arg(long, default_value = "auto", value_name = "CLOCK")]
    pub(crate) clock: ClockChoice,
    /// So many seconds [default: the music's length; 5 without music]
    #[arg(long, value_name = "SECS")]
    pub(crate) duration: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct VariationsArgs {
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) latent: LatentArgs,
    /// The scene to vary
    #[arg(long, value_name = "FILE", alias = "transforms")]
    pub(crate) scene: PathBuf,
    /// How many
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub(crate) count: u32,
    /// Number of the first; each number is always the same variation, 0 is the scene itself
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) first: u32,
    /// Also draw this parameter from a range, as zoom.x=0.8..1.6. May be given several times
    #[arg(long, value_name = "NAME.PARAM=FROM..TO", value_parser = clap::value_parser!(Vary))]
    pub(crate) vary: Vec<Vary>,
    /// Sheet to write, PNG
    #[arg(long, value_name = "FILE", required_unless_present = "keep")]
    pub(crate) out: Option<PathBuf>,
    /// Columns of the sheet [default: as many as rows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) columns: Option<u32>,
    /// Shorter side of each picture on the sheet, in pixels
    #[arg(long, default_value_t = 128, value_name = "PX", value_parser = clap::value_parser!(u32).range(16..=4096))]
    pub(crate) cell: u32,
    /// Write variation N as a scene
    #[arg(long, value_name = "N", requires = "keep_to")]
    pub(crate) keep: Option<u32>,
    /// Where to write it, .yaml
    #[arg(long, value_name = "FILE", requires = "keep")]
    pub(crate) keep_to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BendsArgs {
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    #[command(flatten)]
    pub(crate) latent: LatentArgs,
    /// One transform, as the papers' tool reads it for strips (no list, no layer): a picture for each
    /// layer
    #[arg(long, value_name = "FILE", conflicts_with_all = ["layers", "columns"])]
    pub(crate) strip: Option<PathBuf>,
    /// Layers to bend [default: an early, a middle and a late one]
    #[arg(long, value_name = "L,L,…", value_delimiter = ',')]
    pub(crate) layers: Vec<usize>,
    /// Truncation ψ
    #[arg(long, default_value_t = 0.8, value_name = "PSI")]
    pub(crate) truncation: f32,
    /// Sheet to write, PNG
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Transforms beside each other
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) columns: u32,
    /// Shorter side of each picture on the sheet, in pixels
    #[arg(long, default_value_t = 96, value_name = "PX", value_parser = clap::value_parser!(u32).range(16..=4096))]
    pub(crate) cell: u32,
}

#[derive(Debug, Args)]
pub(crate) struct PerformArgs {
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// An audio file to play, an input device by name or number, or `none` [default: the default
    /// input]
    #[arg(long, value_name = "DEVICE|FILE")]
    pub(crate) audio: Option<String>,
    /// Which channels of an input are heard, from 1: 3 or 3,4 or 3-4 [default: all]
    #[arg(long, value_name = "LIST")]
    pub(crate) channels: Option<Channels>,
    /// Play an audio file for the picture alone
    #[arg(long, alias = "silent")]
    pub(crate) mute: bool,
    /// The scene [default: the one that comes with bendwave]
    #[arg(long, value_name = "FILE")]
    pub(crate) scene: Option<PathBuf>,
    /// Controller mapping
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// Listen for Open Sound Control on this UDP port, as 9000, or only on one address of this
    /// machine, as 127.0.0.1:9000
    #[arg(long, value_name = "PORT", value_parser = crate::osc::parse_place)]
    pub(crate) osc: Option<std::net::SocketAddr>,
    /// Monitor, by number as `bendwave devices` lists them
    #[arg(long, value_name = "N")]
    pub(crate) monitor: Option<usize>,
    /// Start in a window instead of fullscreen
    #[arg(long)]
    pub(crate) windowed: bool,
    /// Start with the stats overlay
    #[arg(long)]
    pub(crate) stats: bool,
    /// Start with the meters of what is heard
    #[arg(long)]
    pub(crate) meters: bool,
    /// Record the session with sound, .mp4
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Frames per second of a recording
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=240))]
    pub(crate) record_fps: u32,
    /// Size of a recording; the picture keeps its shape [default: the model's]
    #[arg(long, value_name = "WxH", value_parser = parse_size, requires = "record")]
    pub(crate) record_size: Option<(u32, u32)>,
    /// Highest number of frames made in a second
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) fps: u32,
    /// Seed, instead of the scene's
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u32>,
    /// Stay at this saved latent instead of walking; any file that `still --latent` takes
    #[arg(long, value_name = "FILE")]
    pub(crate) latent: Option<PathBuf>,
    /// End by itself after so many seconds
    #[arg(long, value_name = "SECS")]
    pub(crate) duration: Option<f64>,
    /// Join the network's Ableton Link session; needs a build with the feature `link`
    #[arg(long)]
    pub(crate) link: bool,
    /// Which beat counts: auto, tracker, tap, midi, link, or beats per minute
    #[arg(long, default_value = "auto", value_name = "CLOCK")]
    pub(crate) clock: ClockChoice,
    /// How far the beat runs ahead: auto, which is what a frame takes to the screen, or
    /// milliseconds
    #[arg(
        long,
        default_value = "auto",
        value_name = "MS",
        allow_negative_numbers = true
    )]
    pub(crate) look_ahead: LookAhead,
    /// Play an audio file again and again
    #[arg(long = "loop")]
    pub(crate) repeat: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// Model folder, or a checkpoint, which is imported once and kept in the cache [default: the
    /// model that comes with bendwave]
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
    /// Cluster file to write. While it is being made, what is finished stands in FILE.partial
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// What features are grouped by: baseline (a description, no training), quick (networks that learn
    /// for some minutes) or paper (networks as in the papers, hours). Trained networks are kept
    #[arg(long, default_value = "baseline")]
    pub(crate) quality: Quality,
    /// Folder of the trained networks [default: metric in the model's folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) metric: Option<PathBuf>,
    /// Random pictures to watch, and to learn from [default: 1000; to learn from with quick: 240]
    #[arg(long, value_name = "N", value_parser = parse_samples)]
    pub(crate) samples: Option<usize>,
    /// How often each map is learned from [default: 100 as in the papers; with quick: 6]
    #[arg(long, value_name = "N", value_parser = parse_samples)]
    pub(crate) epochs: Option<usize>,
    /// Clusters for the picture of this seed alone
    #[arg(long, value_name = "N", conflicts_with = "latent")]
    pub(crate) seed: Option<u32>,
    /// Clusters for one picture alone: w from a file, [1, w_dim] or [1, n, w_dim], .npy or .npz
    #[arg(long, value_name = "FILE")]
    pub(crate) latent: Option<PathBuf>,
    /// Truncation ψ of the pictures. The papers' tool takes 0.5
    #[arg(
        long,
        default_value_t = 1.0,
        value_name = "PSI",
        allow_negative_numbers = true
    )]
    pub(crate) truncation: f32,
    /// Layers, as 3-8 or 5 [default: all]
    #[arg(long, value_name = "A-B", value_parser = parse_layers)]
    pub(crate) layers: Option<RangeInclusive<usize>>,
    /// Clusters of each layer [default: 3 to 5 by its number of features, as in the papers]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(crate) count: Option<usize>,
    /// Everything random follows from this number
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) random_state: u32,
    /// Pictures on which each cluster's effect is measured
    #[arg(long, default_value_t = 24, value_name = "N", value_parser = parse_samples)]
    pub(crate) effects: usize,
    /// Folder for a page that shows every cluster and what it changes
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Controller mapping to write: the most visible clusters, a knob each
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// The controller: nanokontrol2, midimix or generic
    #[arg(long, default_value = "generic", requires = "mapping")]
    pub(crate) controller: Controller,
    /// The mapping's scene to write [default: NAME-scene.yaml beside the mapping]
    #[arg(long, value_name = "FILE", requires = "mapping")]
    pub(crate) scene: Option<PathBuf>,
    /// Say how far the new clusters agree with those of this file
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
    /// What runs the network: auto, tensorrt, cuda, coreml, directml or cpu
    #[arg(long, default_value = "auto")]
    pub(crate) provider: ProviderChoice,
    /// The ONNX Runtime library [default: `ORT_DYLIB_PATH`, beside the program, the user's cache]
    #[arg(long, value_name = "FILE")]
    pub(crate) ort_lib: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AnalyzeArgs {
    /// The sound: WAV, FLAC, MP3, OGG, M4A
    pub(crate) audio: PathBuf,
    /// JSON to write [default: to stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// All signals, a line for each hop [default without a name: beside the JSON, or the sound]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) csv: Option<Option<PathBuf>>,
    /// Picture of what is heard, PNG
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// A scene whose `analysis` is used
    #[arg(long, value_name = "FILE")]
    pub(crate) scene: Option<PathBuf>,
    /// What the ears' network gets, as raw numbers, for `scripts/train_ears.py`
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) hearing: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Listen to an input for three seconds and tell where the time goes
    #[arg(long, conflicts_with = "json")]
    pub(crate) latency: bool,
    /// The input to listen to, by name or number [default: the default input]
    #[arg(long, value_name = "DEVICE", requires = "latency")]
    pub(crate) audio: Option<String>,
    /// The ONNX Runtime library
    #[arg(long, value_name = "FILE")]
    pub(crate) ort_lib: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Scene or plain network bending file whose bends are timed [default: one, three and eight on
    /// layers 2 to 9]
    #[arg(long, value_name = "FILE", alias = "scene")]
    pub(crate) transforms: Option<PathBuf>,
    /// Frames per measurement
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) frames: usize,
    /// Also time each transform by itself on layers of these sizes, against a plain copy of the same
    /// bytes; CHANNELS x SIDE [without a size: 512x64,128x256,32x1024]
    #[arg(
        long,
        value_name = "SIZES",
        num_args = 0..=1,
        default_missing_value = "512x64,128x256,32x1024",
        value_delimiter = ',',
        value_parser = parse_layer
    )]
    pub(crate) each_transform: Option<Vec<MapShape>>,
    /// Time the ears instead: each hop of this sound, one after the other
    #[arg(long, value_name = "AUDIO", conflicts_with_all = ["transforms", "each_transform"])]
    pub(crate) ears: Option<PathBuf>,
    /// Write the numbers here too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

fn parse_layer(text: &str) -> Result<MapShape, String> {
    let sides = text
        .split_once(['x', 'X'])
        .map(|(c, s)| (c.parse(), s.parse()));
    match sides {
        Some((Ok(channels), Ok(side)))
            if (1..=8192).contains(&channels) && (1..=4096).contains(&side) =>
        {
            Ok(MapShape {
                channels,
                height: side,
                width: side,
            })
        }
        _ => Err("CHANNELSxSIDE, as 512x64".to_owned()),
    }
}

fn parse_samples(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=1_000_000).contains(&n) => Ok(n),
        _ => Err("a number from 1 to 1000000".to_owned()),
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=256).contains(&n) => Ok(n),
        _ => Err("a number from 1 to 256".to_owned()),
    }
}

fn parse_layers(text: &str) -> Result<RangeInclusive<usize>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err("layers as 3-8 or 5, the lower one first".to_owned()),
    }
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let (w, h) = text
        .split_once(['x', 'X'])
        .ok_or("WIDTHxHEIGHT, as 1920x1080")?;
    match (w.parse(), h.parse()) {
        (Ok(w), Ok(h)) if (16..=16384).contains(&w) && (16..=16384).contains(&h) => Ok((w, h)),
        _ => Err("both sides from 16 to 16384".to_owned()),
    }
}
