//! Filter, echo, reverb.

use std::f32::consts::PI;

use super::SAMPLE_RATE;

const RATE: f32 = SAMPLE_RATE as f32;

/// What a [`Svf`] lets pass.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SvfMode {
    Low,
    Band,
    High,
}

/// State-variable filter with trapezoidal integration (Simper 2013): stays stable while its cutoff
/// sweeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Svf {
    ic1: f32,
    ic2: f32,
}

impl Svf {
    /// One sample. `q` above 0.5.
    pub(crate) fn next(&mut self, x: f32, cutoff_hz: f32, q: f32, mode: SvfMode) -> f32 {
        let g = (PI * (cutoff_hz / RATE).clamp(0.0002, 0.45)).tan();
        let k = 1.0 / q;
        let a1 = 1.0 / (1.0 + g * (g + k));
        let a2 = g * a1;
        let v3 = x - self.ic2;
        let v1 = a1 * self.ic1 + a2 * v3;
        let v2 = self.ic2 + a2 * self.ic1 + g * a2 * v3;
        self.ic1 = 2.0 * v1 - self.ic1;
        self.ic2 = 2.0 * v2 - self.ic2;
        match mode {
            SvfMode::Low => v2,
            SvfMode::Band => k * v1,
            SvfMode::High => x - k * v1 - v2,
        }
    }
}

/// Ping-pong echo: left and right take turns.
#[derive(Debug)]
pub(crate) struct Echo {
    lines: [Vec<f32>; 2],
    at: usize,
    feedback: f32,
    damp: [f32; 2],
}

impl Echo {
    pub(crate) fn new(secs: f64, feedback: f32) -> Self {
        let len = (secs * f64::from(SAMPLE_RATE)).round() as usize;
        Self {
            lines: [vec![0.0; len], vec![0.0; len]],
            at: 0,
            feedback,
            damp: [0.0; 2],
        }
    }

    /// The echoes only.
    pub(crate) fn next(&mut self, left: f32, right: f32) -> (f32, f32) {
        let out = (self.lines[0][self.at], self.lines[1][self.at]);
        for (damp, wet) in self.damp.iter_mut().zip([out.0, out.1]) {
            *damp += 0.35 * (wet - *damp);
        }
        self.lines[0][self.at] = 0.5 * (left + right) + self.feedback * self.damp[1];
        self.lines[1][self.at] = self.feedback * self.damp[0] + 0.1 * right;
        self.at = (self.at + 1) % self.lines[0].len();
        out
    }
}

/// Reverb: eight delays that feed each other through a Hadamard matrix (Jot 1991), damped.
#[derive(Debug)]
pub(crate) struct Reverb {
    lines: [Vec<f32>; 8],
    at: [usize; 8],
    damp: [f32; 8],
    gain: [f32; 8],
}

impl Reverb {
    /// `decay_secs` is the time to fall by 60 dB.
    pub(crate) fn new(decay_secs: f32) -> Self {
        // Primes, 25 to 80 ms.
        const LENGTHS: [usize; 8] = [1_213, 1_567, 1_847, 2_203, 2_579, 2_927, 3_371, 3_847];
        Self {
            lines: LENGTHS.map(|len| vec![0.0; len]),
            at: [0; 8],
            damp: [0.0; 8],
            gain: LENGTHS.map(|len| 10.0_f32.powf(-3.0 * len as f32 / RATE / decay_secs)),
        }
    }

    /// The reverb only.
    pub(crate) fn next(&mut self, left: f32, right: f32) -> (f32, f32) {
        let mut taps: [f32; 8] = std::array::from_fn(|i| {
            let out = self.gain[i] * self.lines[i][self.at[i]];
            self.damp[i] += 0.45 * (out - self.damp[i]);
            self.damp[i]
        });
        let out = (
            0.5 * (taps[0] + taps[2] + taps[4] + taps[6]),
            0.5 * (taps[1] + taps[3] + taps[5] + taps[7]),
        );
        for half in [1, 2, 4] {
            for i in 0..8 {
                if i & half == 0 {
                    let (a, b) = (taps[i], taps[i + half]);
                    taps[i] = a + b;
                    taps[i + half] = a - b;
                }
            }
        }
        for i in 0..8 {
            let input = if i % 2 == 0 { left } else { right };
            let at = self.at[i];
            self.lines[i][at] = 0.3 * input + taps[i] / 8.0_f32.sqrt();
            self.at[i] = (at + 1) % self.lines[i].len();
        }
        out
    }
}
