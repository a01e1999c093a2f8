//! Sounds. Each track has its own band; the two sets make theirs in different ways.

use std::f32::consts::TAU;

use super::SAMPLE_RATE;
use super::recipe::Set;
use crate::demo_track::effects::{Svf, SvfMode};
use crate::demo_track::voices::{Noise, Saw, note_hz};

const RATE: f32 = SAMPLE_RATE as f32;

/// What is played.
#[derive(Clone, Copy, Debug)]
pub(super) enum Instrument {
    Kick,
    Snare,
    Hat,
    Bass { note: f32, secs: f32 },
    Chord { notes: [f32; 3], secs: f32 },
    Lead { note: f32, secs: f32 },
}

/// How pitched notes sound.
#[derive(Clone, Copy, Debug)]
enum Wave {
    Saw,
    Square,
    Sine,
    /// Frequency modulation: ratio and index.
    Fm(f32, f32),
    Organ,
}

/// The sounds of a track.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    kick_hz: [f32; 2],
    kick_fall_secs: f32,
    kick_click: f32,
    snare_hz: f32,
    snare_noise_hz: f32,
    snare_fall_secs: f32,
    snare_noise: f32,
    hat_hz: f32,
    hat_fall_secs: f32,
    hat_metal: f32,
    bass: Wave,
    chord: Wave,
    chord_attack_secs: f32,
    lead: Wave,
    /// Kick, snare, hat, bass, chord, lead.
    gains: [f32; 6],
}

impl Band {
    pub(super) fn of(set: Set, number: u32) -> Self {
        let base = match set {
            Set::Training => 40_000,
            Set::Tuning => 400,
            Set::HeldOut => 90_000,
        };
        let mut noise = Noise::new(base + number);
        for _ in 0..8 {
            noise.next();
        }
        let mut between = |low: f32, high: f32| low + (high - low) * (0.5 + 0.5 * noise.next());
        let gains = [
            between(0.8, 1.1),
            between(0.5, 0.9),
            between(0.12, 0.4),
            between(0.25, 0.6),
            between(0.15, 0.4),
            between(0.15, 0.35),
        ];
        let any = |at: f32, waves: &[Wave]| waves[(at * waves.len() as f32) as usize % waves.len()];
        let waves = [
            Wave::Saw,
            Wave::Square,
            Wave::Sine,
            Wave::Organ,
            Wave::Fm(1.0, 2.0 * number as f32 % 1.7 + 0.5),
            Wave::Fm(3.0, 1.1),
            Wave::Fm(1.41, 1.4),
        ];
        match set {
            Set::Training => Self {
                kick_hz: [between(65.0, 380.0), between(38.0, 82.0)],
                kick_fall_secs: between(0.04, 0.36),
                kick_click: between(0.0, 1.1),
                snare_hz: between(130.0, 440.0),
                snare_noise_hz: between(900.0, 6_800.0),
                snare_fall_secs: between(0.025, 0.28),
                snare_noise: between(0.2, 1.4),
                hat_hz: between(4_500.0, 12_000.0),
                hat_fall_secs: between(0.012, 0.25),
                hat_metal: between(-0.6, 1.0).max(0.0),
                bass: any(between(0.0, 1.0), &waves),
                chord: any(between(0.0, 1.0), &waves),
                chord_attack_secs: between(0.002, 0.2),
                lead: any(between(0.0, 1.0), &waves),
                gains: [
                    between(0.4, 1.2),
                    between(0.3, 1.0),
                    between(0.05, 0.45),
                    between(0.15, 0.8),
                    between(0.08, 0.5),
                    between(0.08, 0.45),
                ],
            },
            Set::Tuning => Self {
                kick_hz: [between(120.0, 320.0), between(42.0, 58.0)],
                kick_fall_secs: between(0.07, 0.2),
                kick_click: between(0.0, 0.5),
                snare_hz: between(160.0, 230.0),
                snare_noise_hz: between(1_800.0, 4_000.0),
                snare_fall_secs: between(0.06, 0.16),
                snare_noise: between(0.7, 1.3),
                hat_hz: between(6_500.0, 9_500.0),
                hat_fall_secs: between(0.02, 0.08),
                hat_metal: 0.0,
                bass: [Wave::Saw, Wave::Square, Wave::Sine][number as usize % 3],
                chord: [Wave::Saw, Wave::Organ][number as usize % 2],
                chord_attack_secs: between(0.003, 0.12),
                lead: [Wave::Square, Wave::Saw][number as usize % 2],
                gains,
            },
            Set::HeldOut => Self {
                kick_hz: [between(80.0, 180.0), between(48.0, 75.0)],
                kick_fall_secs: between(0.05, 0.3),
                kick_click: between(0.1, 0.9),
                snare_hz: between(220.0, 420.0),
                snare_noise_hz: between(1_200.0, 6_000.0),
                snare_fall_secs: between(0.03, 0.22),
                snare_noise: between(0.3, 1.0),
                hat_hz: between(5_000.0, 11_000.0),
                hat_fall_secs: between(0.015, 0.14),
                hat_metal: between(0.3, 1.0),
                bass: [Wave::Fm(1.0, 2.0), Wave::Sine, Wave::Fm(0.5, 1.2)][number as usize % 3],
                chord: [Wave::Fm(2.0, 1.5), Wave::Fm(3.01, 0.8), Wave::Square][number as usize % 3],
                chord_attack_secs: between(0.002, 0.18),
                lead: [Wave::Fm(3.5, 2.5), Wave::Sine][number as usize % 2],
                gains,
            },
        }
    }

    /// Plays one note: `put` gets the sample number, left and right.
    pub(super) fn play(
        &self,
        instrument: &Instrument,
        gain: f32,
        seed: u32,
        mut put: impl FnMut(usize, f32, f32),
    ) {
        let [kick, snare, hat, bass, chord, lead] = self.gains.map(|g| g * gain);
        match instrument {
            Instrument::Kick => self.kick(kick, seed, |n, x| put(n, x, x)),
            Instrument::Snare => self.snare(snare, seed, |n, x| put(n, x, 0.9 * x)),
            Instrument::Hat => self.hat(hat, seed, |n, x| put(n, 0.7 * x, x)),
            Instrument::Bass { note, secs } => {
                tone(self.bass, *note, *secs, [0.004, 0.5], 700.0, |n, x| {
                    put(n, bass * x, bass * x);
                });
            }
            Instrument::Chord { notes, secs } => {
                for (voice, note) in notes.iter().enumerate() {
                    let left = 0.3 + 0.2 * voice as f32;
                    let shape = [self.chord_attack_secs, 1.2];
                    tone(self.chord, *note, *secs, shape, 3_000.0, |n, x| {
                        put(n, left * chord * x, (1.0 - left) * chord * x);
                    });
                }
            }
            Instrument::Lead { note, secs } => {
                tone(self.lead, *note, *secs, [0.002, 0.2], 5_000.0, |n, x| {
                    put(n, lead * x, 0.7 * lead * x);
                });
            }
        }
    }

    fn kick(&self, gain: f32, seed: u32, mut put: impl FnMut(usize, f32)) {
        let [high, low] = self.kick_hz;
        let mut noise = Noise::new(seed + 1);
        let mut phase = 0.0_f32;
        for n in 0..(4.0 * self.kick_fall_secs * RATE) as usize {
            let t = n as f32 / RATE;
            phase = (phase + (low + (high - low) * (-t / 0.025).exp()) / RATE).fract();
            let body = (TAU * phase).sin() * (-t / self.kick_fall_secs).exp();
            let click = self.kick_click * noise.next() * (-t / 0.003).exp();
            put(
                n,
                gain * (t / 0.0005).min(1.0) * (1.3 * (body + click)).tanh(),
            );
        }
    }

    fn snare(&self, gain: f32, seed: u32, mut put: impl FnMut(usize, f32)) {
        let mut noise = Noise::new(seed + 2);
        let mut band = Svf::default();
        for n in 0..(5.0 * self.snare_fall_secs * RATE) as usize {
            let t = n as f32 / RATE;
            let body = (TAU * self.snare_hz * t).sin() * (-t / 0.04).exp();
            let hiss = band.next(noise.next(), self.snare_noise_hz, 0.7, SvfMode::Band);
            let hiss = 1.5 * self.snare_noise * hiss * (-t / self.snare_fall_secs).exp();
            put(n, gain * (0.7 * body + hiss));
        }
    }

    fn hat(&self, gain: f32, seed: u32, mut put: impl FnMut(usize, f32)) {
        let mut noise = Noise::new(seed + 3);
        let mut high = Svf::default();
        for n in 0..(5.0 * self.hat_fall_secs * RATE) as usize {
            let t = n as f32 / RATE;
            let metal: f32 = [1.0_f32, 1.342, 1.483, 1.93, 2.546]
                .iter()
                .map(|ratio| (TAU * 3_100.0 * ratio * t).sin().signum())
                .sum();
            let x = (1.0 - self.hat_metal) * noise.next() + 0.4 * self.hat_metal * metal;
            let x = high.next(x, self.hat_hz, 0.7, SvfMode::High);
            put(n, gain * x * (-t / self.hat_fall_secs).exp());
        }
    }
}

/// A note with attack and fall in seconds, through a low-pass.
fn tone(
    wave: Wave,
    note: f32,
    secs: f32,
    [attack_secs, fall_secs]: [f32; 2],
    cutoff_hz: f32,
    mut put: impl FnMut(usize, f32),
) {
    let hz = note_hz(note);
    let mut saws = [Saw::new(0.0), Saw::new(0.5)];
    let mut filter = Svf::default();
    let release_secs = 0.04;
    for n in 0..((secs + release_secs) * RATE) as usize {
        let t = n as f32 / RATE;
        let turn = |ratio: f32| TAU * (hz * ratio * t).fract();
        let x = match wave {
            Wave::Saw => saws[0].next(hz),
            Wave::Square => 0.6 * (saws[0].next(hz) - saws[1].next(hz)),
            Wave::Sine => turn(1.0).sin(),
            Wave::Fm(ratio, index) => (turn(1.0) + index * turn(ratio).sin()).sin(),
            Wave::Organ => 0.5 * turn(1.0).sin() + 0.3 * turn(2.0).sin() + 0.2 * turn(4.0).sin(),
        };
        let x = filter.next(x, cutoff_hz, 0.8, SvfMode::Low);
        let end = ((secs + release_secs - t) / release_secs).min(1.0);
        put(
            n,
            x * (t / attack_secs).min(1.0) * (-t / fall_secs).exp() * end,
        );
    }
}
