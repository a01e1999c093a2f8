//! The instruments: each gives samples for a time since its note began.

use std::f32::consts::TAU;

use super::SAMPLE_RATE;
use super::effects::{Svf, SvfMode};

const RATE: f32 = SAMPLE_RATE as f32;

/// White noise in \[−1, 1\], the same for the same seed (xorshift32).
#[derive(Clone, Debug)]
pub(crate) struct Noise(u32);

impl Noise {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9) | 1)
    }

    pub(crate) fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as f32 / (u32::MAX as f32 * 0.5) - 1.0
    }
}

/// Frequency of a MIDI note in Hz.
pub(crate) fn note_hz(note: f32) -> f32 {
    440.0 * ((note - 69.0) / 12.0).exp2()
}

/// Sawtooth without audible aliasing: the step is rounded by a quadratic (`PolyBLEP`).
#[derive(Clone, Debug)]
pub(crate) struct Saw {
    phase: f32,
}

impl Saw {
    pub(crate) fn new(phase: f32) -> Self {
        Self { phase }
    }

    pub(crate) fn next(&mut self, hz: f32) -> f32 {
        let step = hz / RATE;
        self.phase = (self.phase + step).fract();
        let t = self.phase;
        let round = if t < step {
            let x = t / step;
            2.0 * x - x * x - 1.0
        } else if t > 1.0 - step {
            let x = (t - 1.0) / step;
            x * x + 2.0 * x + 1.0
        } else {
            0.0
        };
        2.0 * t - 1.0 - round
    }
}

/// Seconds of a kick.
pub(crate) const KICK_SECS: f32 = 0.42;

/// A kick: a sine that falls from 330 to 47 Hz, a click, some saturation.
pub(crate) fn kick(gain: f32, mut put: impl FnMut(usize, f32)) {
    let mut phase = 0.0_f32;
    let mut noise = Noise::new(7);
    let mut click_filter = Svf::default();
    for n in 0..(KICK_SECS * RATE) as usize {
        let t = n as f32 / RATE;
        let hz = 47.0 + 75.0 * (-t / 0.045).exp() + 210.0 * (-t / 0.009).exp();
        phase = (phase + hz / RATE).fract();
        let attack = (t / 0.0008).min(1.0);
        let hold = (-(t - 0.06).max(0.0) / 0.085).exp();
        let end = ((KICK_SECS - t) / 0.03).min(1.0);
        let body = (TAU * phase).sin() * attack * hold * end;
        let click =
            click_filter.next(noise.next(), 3_200.0, 0.5, SvfMode::Band) * (-t / 0.004).exp();
        put(n, gain * (1.6 * body + 0.5 * click).tanh());
    }
}

/// A clap over a short snare body: three bursts and a tail. Left and right differ in noise.
pub(crate) fn clap(gain: f32, seed: u32, mut put: impl FnMut(usize, f32, f32)) {
    let mut noise = [Noise::new(seed), Noise::new(seed + 1)];
    let mut band = [Svf::default(), Svf::default()];
    let mut phase = 0.0_f32;
    let len = (0.32 * RATE) as usize;
    for n in 0..len {
        let t = n as f32 / RATE;
        let burst = |start: f32, fall: f32| {
            if t < start {
                0.0
            } else {
                (-(t - start) / fall).exp()
            }
        };
        let envelope = burst(0.0, 0.004)
            + burst(0.011, 0.004)
            + burst(0.021, 0.01)
            + 0.5 * burst(0.024, 0.075);
        phase = (phase + (185.0 + 60.0 * (-t / 0.01).exp()) / RATE).fract();
        let body = 0.75 * (TAU * phase).sin() * (-t / 0.05).exp();
        let end = ((len - n) as f32 / (0.02 * RATE)).min(1.0);
        let mut side = |s: usize| {
            let x = noise[s].next() * envelope;
            let bright = band[s].next(x, 1_900.0, 0.9, SvfMode::Band) + 0.22 * x;
            gain * end * (1.5 * bright + body).tanh()
        };
        put(n, side(0), side(1));
    }
}

/// A hat: noise above 8 kHz with a few metallic partials, `fall_secs` long.
pub(crate) fn hat(gain: f32, fall_secs: f32, seed: u32, mut put: impl FnMut(usize, f32)) {
    let mut noise = Noise::new(seed);
    let mut high = [Svf::default(), Svf::default()];
    let len = (6.0 * fall_secs * RATE) as usize;
    for n in 0..len {
        let t = n as f32 / RATE;
        let metal: f32 = [5_387.0, 7_121.0, 8_713.0, 10_343.0]
            .iter()
            .map(|hz| (TAU * hz * t).sin().signum())
            .sum();
        let x = noise.next() + 0.15 * metal;
        let x = high[0].next(x, 7_500.0, 0.7, SvfMode::High);
        let x = high[1].next(x, 7_500.0, 0.7, SvfMode::High);
        let end = ((len - n) as f32 / (0.005 * RATE)).min(1.0);
        put(n, gain * x * (-t / fall_secs).exp() * end);
    }
}

/// A bass note: saw and sine through a low-pass that snaps shut. `cutoff_hz` is where it opens to.
pub(crate) fn bass(hz: f32, secs: f32, cutoff_hz: f32, gain: f32, mut put: impl FnMut(usize, f32)) {
    let mut saw = [Saw::new(0.0), Saw::new(0.37)];
    let mut filter = [Svf::default(), Svf::default()];
    let mut phase = 0.0_f32;
    let len = (secs * RATE) as usize;
    for n in 0..len {
        let t = n as f32 / RATE;
        phase = (phase + hz / RATE).fract();
        let x = 0.5 * (saw[0].next(hz) + saw[1].next(hz * 1.006));
        let cutoff = 90.0 + cutoff_hz * (-t / 0.09).exp();
        let x = filter[0].next(x, cutoff, 1.4, SvfMode::Low);
        let x = filter[1].next(x, cutoff * 1.5, 0.7, SvfMode::Low);
        let envelope = (t / 0.004).min(1.0) * ((len - n) as f32 / (0.02 * RATE)).min(1.0);
        let sub = 0.55 * (TAU * phase).sin();
        put(n, gain * (1.5 * (x + sub)).tanh() * envelope);
    }
}

/// A plucked note of the arpeggio. `cutoff_hz` and the tail grow with the sweep.
pub(crate) fn pluck(
    hz: f32,
    cutoff_hz: f32,
    fall_secs: f32,
    gain: f32,
    mut put: impl FnMut(usize, f32),
) {
    let mut saw = [Saw::new(0.1), Saw::new(0.6)];
    let mut filter = Svf::default();
    let len = (5.0 * fall_secs * RATE) as usize;
    for n in 0..len {
        let t = n as f32 / RATE;
        // Two saws half a period apart make a hollow square.
        let x = 0.5 * (saw[0].next(hz) - saw[1].next(hz * 1.003));
        let envelope = (t / 0.002).min(1.0) * (-t / fall_secs).exp();
        let cutoff = 180.0 + cutoff_hz * (-t / (0.6 * fall_secs)).exp();
        let end = ((len - n) as f32 / (0.005 * RATE)).min(1.0);
        put(
            n,
            gain * end * envelope * filter.next(x, cutoff, 1.6, SvfMode::Low),
        );
    }
}

/// A chord of detuned saws. `cutoff_hz` is asked for at each sample's time since the note began.
pub(crate) fn chord(
    notes: &[f32],
    secs: f32,
    attack_secs: f32,
    release_secs: f32,
    gain: f32,
    cutoff_hz: impl Fn(f32) -> f32,
    mut put: impl FnMut(usize, f32, f32),
) {
    // Detune in semitones; odd ones go left, even ones right.
    const SPREAD: [f32; 6] = [-0.13, 0.11, -0.055, 0.06, -0.02, 0.015];
    let mut saws: Vec<(f32, usize, Saw)> = Vec::new();
    for (i, note) in notes.iter().enumerate() {
        for (j, spread) in SPREAD.iter().enumerate() {
            let phase = ((i * 7 + j * 3) as f32 * 0.137).fract();
            saws.push((note_hz(note + spread), j % 2, Saw::new(phase)));
        }
    }
    let mut filter = [Svf::default(), Svf::default()];
    let len = (secs * RATE) as usize;
    for n in 0..len {
        let t = n as f32 / RATE;
        let mut sides = [0.0_f32; 2];
        for (hz, side, saw) in &mut saws {
            sides[*side] += saw.next(*hz);
        }
        let envelope = (t / attack_secs).min(1.0) * ((secs - t) / release_secs).min(1.0);
        let cutoff = cutoff_hz(t);
        let scale = gain * envelope / (notes.len() as f32).sqrt();
        let [left, right] = &mut filter;
        put(
            n,
            scale * left.next(sides[0], cutoff, 0.9, SvfMode::Low),
            scale * right.next(sides[1], cutoff, 0.9, SvfMode::Low),
        );
    }
}

/// The riser into the drop: noise and a rising tone that open over `secs`.
pub(crate) fn riser(secs: f32, gain: f32, mut put: impl FnMut(usize, f32, f32)) {
    let mut noise = [Noise::new(31), Noise::new(32)];
    let mut band = [Svf::default(), Svf::default()];
    let mut saw = Saw::new(0.0);
    for n in 0..(secs * RATE) as usize {
        let t = n as f32 / RATE;
        let way = t / secs;
        let cutoff = 250.0 * (5.0 * way).exp2();
        let tone = 0.12 * saw.next(87.3 * (2.0 * way).exp2()) * way;
        // A tremolo that speeds up.
        let wobble = 0.75 + 0.25 * (TAU * (2.0 * t + 0.9 * t * way * way)).sin();
        let volume = gain * way * way * wobble;
        let mut side =
            |s: usize| volume * (band[s].next(noise[s].next(), cutoff, 1.2, SvfMode::Band) + tone);
        put(n, side(0), side(1));
    }
}

/// A crash: bright noise that falls over two seconds.
pub(crate) fn crash(gain: f32, mut put: impl FnMut(usize, f32, f32)) {
    let mut noise = [Noise::new(41), Noise::new(42)];
    let mut high = [Svf::default(), Svf::default()];
    let secs = 2.6;
    for n in 0..(secs * RATE) as usize {
        let t = n as f32 / RATE;
        let envelope = (-t / 0.55).exp() * ((secs - t) / 0.1).min(1.0);
        let mut side =
            |s: usize| gain * envelope * high[s].next(noise[s].next(), 3_800.0, 0.6, SvfMode::High);
        put(n, side(0), side(1));
    }
}

/// The impact below the crash: a sine that sinks.
pub(crate) fn impact(gain: f32, mut put: impl FnMut(usize, f32)) {
    let mut phase = 0.0_f32;
    let secs = 1.6;
    for n in 0..(secs * RATE) as usize {
        let t = n as f32 / RATE;
        phase = (phase + (34.0 + 40.0 * (-t / 0.2).exp()) / RATE).fract();
        let envelope = (-t / 0.45).exp() * ((secs - t) / 0.1).min(1.0);
        put(n, gain * envelope * (TAU * phase).sin());
    }
}
