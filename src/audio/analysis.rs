//! Samples to snapshots, hop by hop.

use super::bands::Bands;
use super::beat::BeatTracker;
use super::chroma::Chroma;
use super::config::AnalysisConfig;
use super::decode::check_format;
use super::error::AudioError;
use super::flux::{BANDS, Flux, HEARING, recent_loud};
use super::history::{Follower, Relative, loudness};
use super::loudness::{Loudness, as_signal};
use super::network::{FRAME_HOPS, Network};
use super::onset::Onsets;
use super::relative::RelativeBands;
use super::shape::{Salience, Shape};
use super::stft::Stft;
use crate::signal::{Snapshot, place};

/// Time between two snapshots in seconds: 256 samples at 48 kHz. The nearest whole number of
/// samples is used.
pub const HOP_SECS: f64 = 256.0 / 48_000.0;

/// Length of the spectrum's window in seconds: 2048 samples at 48 kHz.
pub const WINDOW_SECS: f64 = 2048.0 / 48_000.0;

/// Below this mean square (−80 dBFS) sound counts as silence: dither, hum, a device's own noise.
const SILENCE_POWER: f32 = 1e-8;

/// A band this far below the whole (−40 dB as loudness, 10^(−4·0.3)) is not amplified further.
const LEAST_BAND_SHARE: f32 = 0.063_1;

/// Sound this far below the recent loud (−50 dB) has no shape or notes worth telling.
const LEAST_POWER_SHARE: f32 = 1e-5;

/// Corner of the DC blocker in Hz.
const DC_CORNER_HZ: f64 = 3.0;

/// Edges of the bands sub, bass, low-mid, mid, high-mid, air, in Hz.
const BAND_EDGES_HZ: [f32; BANDS + 1] = [20.0, 60.0, 150.0, 500.0, 2_000.0, 6_000.0, 16_000.0];

/// Edges of the Bark bands in Hz (Zwicker 1961); the first begins at 20 Hz.
const BARK_EDGES_HZ: [f32; 25] = [
    20.0, 100.0, 200.0, 300.0, 400.0, 510.0, 630.0, 770.0, 920.0, 1_080.0, 1_270.0, 1_480.0,
    1_720.0, 2_000.0, 2_320.0, 2_700.0, 3_150.0, 3_700.0, 4_400.0, 5_300.0, 6_400.0, 7_700.0,
    9_500.0, 12_000.0, 15_500.0,
];

const LEVEL: usize = place("level");
const PEAK: usize = place("peak");
const PERCUSSIVE: usize = place("percussive");
const LOUDNESS: usize = place("loudness");
const LOUDNESS_SLOW: usize = place("loudness-slow");

/// Takes the constant part out, and what is no number.
#[derive(Clone, Debug)]
struct DcBlocker {
    keep: f64,
    before: Option<f32>,
    out: f64,
}

impl DcBlocker {
    fn new(sample_rate: u32) -> Self {
        let corner = std::f64::consts::TAU * DC_CORNER_HZ / f64::from(sample_rate);
        Self {
            keep: (-corner).exp(),
            before: None,
            out: 0.0,
        }
    }

    fn next(&mut self, x: f32) -> f32 {
        // The first sample sets the rest position: sound that starts off centre doesn't click.
        let before = self.before.replace(x).unwrap_or(x);
        self.out = self.keep * self.out + f64::from(x - before);
        if self.out.abs() < 1e-15 {
            self.out = 0.0;
        }
        self.out as f32
    }
}

/// Turns interleaved samples into one [`Snapshot`] per hop ([`HOP_SECS`]).
///
/// Allocates only in [`Analyzer::new`]. The same samples give the same snapshots, however they are
/// cut into chunks, live and offline. Samples that are no number count as 0, and those beyond ±16
/// are clipped.
pub struct Analyzer {
    sample_rate: u32,
    channels: usize,
    hop_len: usize,
    /// Sums of the even and odd channels of the frame coming in.
    frame: [f32; 2],
    frame_scale: [f32; 2],
    next_channel: usize,
    frames: u64,
    until_hop: usize,
    hop_peak: f32,
    dc: [DcBlocker; 2],
    stft: Stft,
    loudness: Loudness,
    chroma: Chroma,
    relative_level: Relative,
    bands: RelativeBands,
    bark: RelativeBands,
    own_bands: RelativeBands,
    peak: Follower,
    recent_loud: Follower,
    gate: Follower,
    present: Follower,
    flux: Flux,
    network: Network,
    hops: u64,
    onsets: Onsets,
    shape: Shape,
    salience: Salience,
    beat: BeatTracker,
    snapshot: Snapshot,
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer")
            .field("sample_rate", &self.sample_rate)
            .field("channels", &self.channels)
            .field("hop_len", &self.hop_len)
            .field("snapshot", &self.snapshot)
            .finish_non_exhaustive()
    }
}

impl Analyzer {
    /// An analyzer for `channels` interleaved channels at `sample_rate` Hz, as scenes have it that
    /// say nothing about it.
    ///
    /// # Errors
    /// [`AudioError::Format`] when either is out of bounds.
    pub fn new(sample_rate: u32, channels: usize) -> Result<Self, AudioError> {
        Self::with_config(sample_rate, channels, &AnalysisConfig::default())
    }

    /// The same as a scene wants it.
    ///
    /// # Errors
    /// [`AudioError::Format`] and [`AudioError::Config`] for what is out of bounds.
    pub fn with_config(
        sample_rate: u32,
        channels: usize,
        config: &AnalysisConfig,
    ) -> Result<Self, AudioError> {
        check_format("this sound", sample_rate, channels)?;
        config.check()?;
        let hop_len = (f64::from(sample_rate) * HOP_SECS).round() as usize;
        let hop_secs = hop_len as f64 / f64::from(sample_rate);
        let stft = Stft::new(sample_rate, WINDOW_SECS);
        let (bin_hz, bins) = (stft.bin_hz(), stft.bins());
        let even = channels.div_ceil(2) as f32;
        let odd = (channels / 2).max(1) as f32;
        let relative =
            |bands: Bands, first: usize| RelativeBands::new(bands, hop_secs, config, first);
        let flux = Flux::new(hop_secs, &BAND_EDGES_HZ, bin_hz, bins);
        Ok(Self {
            sample_rate,
            channels,
            hop_len,
            frame: [0.0; 2],
            frame_scale: [1.0 / even, 1.0 / odd],
            next_channel: 0,
            frames: 0,
            until_hop: hop_len,
            hop_peak: 0.0,
            dc: [DcBlocker::new(sample_rate), DcBlocker::new(sample_rate)],
            loudness: Loudness::new(sample_rate, channels),
            chroma: Chroma::new(sample_rate, hop_secs),
            relative_level: Relative::new(hop_secs, config),
            bands: relative(Bands::between(&BAND_EDGES_HZ, bin_hz, bins), place("sub")),
            bark: relative(
                Bands::between(&BARK_EDGES_HZ, bin_hz, bins),
                place("bark-01"),
            ),
            own_bands: relative(Bands::each(&config.bands, bin_hz, bins), place("band-1")),
            peak: Follower::new(hop_secs, 1e-6, 0.1),
            recent_loud: recent_loud(hop_secs),
            gate: Follower::new(hop_secs, 1e-6, 1.0),
            present: Follower::new(hop_secs, 0.02, 0.15),
            onsets: Onsets::new(hop_secs),
            shape: Shape::new(hop_secs, flux.centres_hz()),
            salience: Salience::new(hop_secs, BANDS),
            beat: BeatTracker::new(hop_secs),
            flux,
            network: Network::new(),
            hops: 0,
            stft,
            snapshot: Snapshot::SILENCE,
        })
    }

    /// Samples per second and channel, in Hz.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Interleaved channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Time between two snapshots, in seconds.
    pub fn hop_secs(&self) -> f64 {
        self.hop_len as f64 / f64::from(self.sample_rate)
    }

    /// Takes samples in, in any number, and calls `on_hop` for each snapshot that they complete.
    /// Never allocates, locks or blocks.
    pub fn push(&mut self, interleaved: &[f32], mut on_hop: impl FnMut(&Snapshot)) {
        for sample in interleaved {
            let sample = if sample.is_finite() {
                sample.clamp(-16.0, 16.0)
            } else {
                0.0
            };
            self.hop_peak = self.hop_peak.max(sample.abs());
            self.frame[self.next_channel % 2] += sample;
            self.next_channel += 1;
            if self.next_channel < self.channels {
                continue;
            }
            self.next_channel = 0;
            let left = self.dc[0].next(self.frame[0] * self.frame_scale[0]);
            let right = if self.channels == 1 {
                left
            } else {
                self.dc[1].next(self.frame[1] * self.frame_scale[1])
            };
            self.frame = [0.0; 2];
            self.stft.push(left, right);
            self.loudness.push(left, right);
            self.chroma.push(left, right);
            self.frames += 1;
            self.until_hop -= 1;
            if self.until_hop == 0 {
                self.until_hop = self.hop_len;
                self.hop();
                on_hop(&self.snapshot);
            }
        }
    }

    fn hop(&mut self) {
        let power = self.stft.power();
        let all_power = self.bands.measure(power);
        self.bark.measure(power);
        self.own_bands.measure(power);
        let recent_loud = self.recent_loud.follow(all_power);
        // 1 for music at any level; towards 0 as the last second sinks into silence.
        let above_silence = (self.gate.follow(all_power) / SILENCE_POWER).powi(2);
        let audible = above_silence / (1.0 + above_silence);
        let least_power = (LEAST_POWER_SHARE * recent_loud).max(f32::MIN_POSITIVE);
        let present = audible * self.present.follow((all_power / least_power).min(1.0));
        let least_loud = LEAST_BAND_SHARE * loudness(recent_loud);
        let rise = self.flux.update(power, recent_loud.max(SILENCE_POWER));

        let values = &mut self.snapshot.values;
        values[LEVEL] = audible * self.relative_level.update(loudness(all_power), least_loud);
        values[PEAK] = self.peak.follow(self.hop_peak).min(1.0);
        self.hop_peak = 0.0;
        values[LOUDNESS] = as_signal(self.loudness.momentary_lufs());
        values[LOUDNESS_SLOW] = as_signal(self.loudness.short_term_lufs());
        values[PERCUSSIVE] = present * rise.percussive;
        for bands in [&mut self.bands, &mut self.bark, &mut self.own_bands] {
            bands.write(audible, least_loud, values);
        }
        self.hops += 1;
        let heard = self
            .hops
            .is_multiple_of(FRAME_HOPS)
            .then(|| self.network.step(self.flux.hearing()));
        self.onsets.update(audible, &rise, heard.as_ref(), values);
        self.shape
            .update(present, self.flux.magnitudes(), rise.all, values);
        self.salience
            .update(audible, least_loud, self.bands.power(), values);
        self.chroma.update(present, &mut self.snapshot);
        self.snapshot
            .set_beat(self.beat.update(&rise.parts, audible, heard.as_ref()));
        self.snapshot.at_secs = self.frames as f64 / f64::from(self.sample_rate);
    }

    /// What the network of the ears gets of the last hop, if it gets something: it does so at every
    /// second hop. For training it.
    pub fn hearing(&self) -> Option<&[f32; HEARING]> {
        self.hops
            .is_multiple_of(FRAME_HOPS)
            .then(|| self.flux.hearing())
    }

    /// Loudness of the last 0.4 s and the last 3 s in LUFS; −∞ for silence. The constant part is
    /// taken out.
    pub fn lufs(&self) -> [f32; 2] {
        [
            self.loudness.momentary_lufs(),
            self.loudness.short_term_lufs(),
        ]
    }
}
