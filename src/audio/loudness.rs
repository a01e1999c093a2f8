//! Loudness after ITU-R BS.1770-5: K-weighting, then the mean square of 0.4 s and of 3 s.

use std::f64::consts::PI;

/// What −60 and 0 LUFS are as signals.
const RANGE_LUFS: [f32; 2] = [-60.0, 0.0];

/// Time constant of the steps that means are made of, in seconds.
const BLOCK_SECS: f64 = 0.1;
const MOMENTARY_BLOCKS: usize = 4;
const SHORT_TERM_BLOCKS: usize = 30;

/// A second-order section, transposed direct form II.
#[derive(Clone, Debug)]
pub(super) struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
    z: [f64; 2],
}

impl Biquad {
    fn new(b: [f64; 3], a: [f64; 3]) -> Self {
        Self {
            b: b.map(|x| x / a[0]),
            a: [a[1] / a[0], a[2] / a[0]],
            z: [0.0; 2],
        }
    }

    /// A low-pass with a gain of `q` at its corner (Bristow-Johnson).
    pub(super) fn low_pass(sample_rate: f64, corner_hz: f64, q: f64) -> Self {
        let (sin, cos) = (2.0 * PI * corner_hz / sample_rate).sin_cos();
        let alpha = sin / (2.0 * q);
        let side = (1.0 - cos) / 2.0;
        Self::new(
            [side, 1.0 - cos, side],
            [1.0 + alpha, -2.0 * cos, 1.0 - alpha],
        )
    }

    pub(super) fn next(&mut self, x: f64) -> f64 {
        let y = self.b[0] * x + self.z[0];
        self.z[0] = self.b[1] * x - self.a[0] * y + self.z[1];
        self.z[1] = self.b[2] * x - self.a[1] * y;
        y
    }

    /// Subnormal numbers slow the processor down.
    pub(super) fn flush(&mut self) {
        for z in &mut self.z {
            if z.abs() < 1e-30 {
                *z = 0.0;
            }
        }
    }
}

/// The two stages of K-weighting: the head's shelf and the high-pass. The standard gives
/// coefficients for 48 kHz; these are the analogue filters behind them (Mansbridge et al. 2012),
/// which give the same at 48 kHz and the right thing elsewhere.
fn k_weighting(sample_rate: f64) -> [Biquad; 2] {
    let shelf = {
        let (corner_hz, gain_db, q) = (
            1_681.974_450_955_533,
            3.999_843_853_973_347,
            0.707_175_236_955_419_6,
        );
        let k = (PI * corner_hz / sample_rate).tan();
        let high = 10.0_f64.powf(gain_db / 20.0);
        let band = high.powf(0.499_666_774_154_541_6);
        Biquad::new(
            [
                high + band * k / q + k * k,
                2.0 * (k * k - high),
                high - band * k / q + k * k,
            ],
            [
                1.0 + k / q + k * k,
                2.0 * (k * k - 1.0),
                1.0 - k / q + k * k,
            ],
        )
    };
    let high_pass = {
        let (corner_hz, q) = (38.135_470_876_024_44, 0.500_327_037_323_877_3);
        let k = (PI * corner_hz / sample_rate).tan();
        let a0 = 1.0 + k / q + k * k;
        let mut filter = Biquad::new(
            [a0, -2.0 * a0, a0],
            [a0, 2.0 * (k * k - 1.0), 1.0 - k / q + k * k],
        );
        filter.b = [1.0, -2.0, 1.0];
        filter
    };
    [shelf, high_pass]
}

/// Loudness of a pair of channels.
#[derive(Clone, Debug)]
pub(super) struct Loudness {
    filters: [[Biquad; 2]; 2],
    /// Weight of each channel: a mono sound counts once.
    weights: [f64; 2],
    block_frames: usize,
    frames: usize,
    block: f64,
    /// Mean squares of the last blocks.
    blocks: [f64; SHORT_TERM_BLOCKS],
    next: usize,
    filled: usize,
}

impl Loudness {
    pub(super) fn new(sample_rate: u32, channels: usize) -> Self {
        let rate = f64::from(sample_rate);
        Self {
            filters: std::array::from_fn(|_| k_weighting(rate)),
            weights: if channels == 1 {
                [1.0, 0.0]
            } else {
                [1.0, 1.0]
            },
            block_frames: (BLOCK_SECS * rate).round() as usize,
            frames: 0,
            block: 0.0,
            blocks: [0.0; SHORT_TERM_BLOCKS],
            next: 0,
            filled: 0,
        }
    }

    pub(super) fn push(&mut self, left: f32, right: f32) {
        for ((filters, weight), x) in self.filters.iter_mut().zip(self.weights).zip([left, right]) {
            if weight > 0.0 {
                let shelved = filters[0].next(f64::from(x));
                let y = filters[1].next(shelved);
                self.block += weight * y * y;
            }
        }
        self.frames += 1;
        if self.frames == self.block_frames {
            self.blocks[self.next] = self.block / self.frames as f64;
            self.next = (self.next + 1) % SHORT_TERM_BLOCKS;
            self.filled = (self.filled + 1).min(SHORT_TERM_BLOCKS);
            self.block = 0.0;
            self.frames = 0;
            for filter in self.filters.iter_mut().flatten() {
                filter.flush();
            }
        }
    }

    fn lufs(&self, blocks: usize) -> f32 {
        let blocks = blocks.min(self.filled);
        let sum: f64 = (1..=blocks)
            .map(|back| self.blocks[(self.next + SHORT_TERM_BLOCKS - back) % SHORT_TERM_BLOCKS])
            .sum();
        if blocks == 0 || sum <= 0.0 {
            return f32::NEG_INFINITY;
        }
        (-0.691 + 10.0 * (sum / blocks as f64).log10()) as f32
    }

    /// Loudness of the last 0.4 s in LUFS; −∞ for silence. Moves in steps of 0.1 s.
    pub(super) fn momentary_lufs(&self) -> f32 {
        self.lufs(MOMENTARY_BLOCKS)
    }

    /// Loudness of the last 3 s in LUFS.
    pub(super) fn short_term_lufs(&self) -> f32 {
        self.lufs(SHORT_TERM_BLOCKS)
    }
}

/// LUFS to \[0, 1\].
pub(super) fn as_signal(lufs: f32) -> f32 {
    let [low, high] = RANGE_LUFS;
    ((lufs - low) / (high - low)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::Loudness;

    fn sine(sample_rate: u32, hz: f64, gain: f64, channels: usize) -> Loudness {
        let mut meter = Loudness::new(sample_rate, channels);
        for n in 0..4 * sample_rate {
            let turns = hz * f64::from(n) / f64::from(sample_rate);
            let x = gain * (std::f64::consts::TAU * turns.fract()).sin();
            meter.push(x as f32, x as f32);
        }
        meter
    }

    #[test]
    fn a_full_scale_tone_has_the_loudness_of_the_standard() {
        // BS.1770: 997 Hz at 0 dBFS in one channel is −3.01 LKFS; in both, 3 dB more.
        for sample_rate in [44_100, 48_000, 96_000, 192_000] {
            let mono = sine(sample_rate, 997.0, 1.0, 1);
            assert!(
                (mono.momentary_lufs() + 3.01).abs() < 0.05,
                "{}",
                mono.momentary_lufs()
            );
            let stereo = sine(sample_rate, 997.0, 0.1, 2);
            assert!(
                (stereo.short_term_lufs() + 20.0).abs() < 0.05,
                "{}",
                stereo.short_term_lufs()
            );
        }
        assert_eq!(Loudness::new(48_000, 2).momentary_lufs(), f32::NEG_INFINITY);
    }

    #[test]
    fn low_sounds_count_less_and_high_ones_more() {
        let at = |hz| sine(48_000, hz, 0.1, 2).momentary_lufs();
        assert!(
            (at(30.0) - at(997.0) + 7.5).abs() < 2.5,
            "{}",
            at(30.0) - at(997.0)
        );
        assert!(
            (at(8_000.0) - at(997.0) - 3.3).abs() < 0.4,
            "{}",
            at(8_000.0) - at(997.0)
        );
    }
}
