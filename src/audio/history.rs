//! Values relative to their own recent past: no gain knob.

use super::config::AnalysisConfig;

/// Share of the way that a one-pole smoother goes in one hop. `tau_secs` is its time constant: it
/// covers 63 % of a step in that time, whatever the hop.
pub(super) fn step_share(hop_secs: f64, tau_secs: f64) -> f32 {
    (1.0 - (-hop_secs / tau_secs).exp()) as f32
}

/// One-pole smoother that rises and falls at different speeds.
#[derive(Clone, Debug)]
pub(super) struct Follower {
    rise: f32,
    fall: f32,
    value: f32,
}

impl Follower {
    /// Starts at 0. Time constants in seconds.
    pub(super) fn new(hop_secs: f64, rise_secs: f64, fall_secs: f64) -> Self {
        Self {
            rise: step_share(hop_secs, rise_secs),
            fall: step_share(hop_secs, fall_secs),
            value: 0.0,
        }
    }

    /// Moves towards `target` by one hop.
    pub(super) fn follow(&mut self, target: f32) -> f32 {
        let share = if target > self.value {
            self.rise
        } else {
            self.fall
        };
        self.value += share * (target - self.value);
        // Subnormal numbers slow the processor down.
        if self.value < 1e-20 {
            self.value = 0.0;
        }
        self.value
    }

    /// Where it is.
    pub(super) fn value(&self) -> f32 {
        self.value
    }
}

/// Loudness of a power by Stevens's law: intensity to the power of 0.3 (Stevens 1957).
pub(super) fn loudness(power: f32) -> f32 {
    power.powf(0.3)
}

/// Maps a loudness to \[0, 1\] between the quiet and the loud of its last seconds.
///
/// 0 is the recent quiet, but at least 60 % of the recent loud, so that a steady tone stays at 1
/// and doesn't flicker; 1 is the recent loud. A gain on the sound cancels out.
#[derive(Clone, Debug)]
pub(super) struct Relative {
    envelope: Follower,
    quiet: Follower,
    loud: Follower,
}

impl Relative {
    /// Attack, release and length of the recent past are the scene's.
    pub(super) fn new(hop_secs: f64, config: &AnalysisConfig) -> Self {
        let memory_secs = f64::from(config.memory_secs);
        let never_zero = |secs: f32| f64::from(secs).max(1e-6);
        Self {
            envelope: Follower::new(
                hop_secs,
                never_zero(config.attack_secs),
                never_zero(config.release_secs),
            ),
            quiet: Follower::new(hop_secs, 0.75 * memory_secs, 0.05),
            loud: Follower::new(hop_secs, 0.03, memory_secs),
        }
    }

    /// The value for the next hop. `least_loud` is the loudness below which nothing counts as
    /// loud.
    pub(super) fn update(&mut self, loudness: f32, least_loud: f32) -> f32 {
        let now = self.envelope.follow(loudness);
        let loud = self.loud.follow(now).max(least_loud);
        let quiet = self.quiet.follow(now).min(0.6 * loud);
        if loud <= f32::MIN_POSITIVE {
            return 0.0;
        }
        ((now - quiet) / (loud - quiet)).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{AnalysisConfig, Follower, Relative};

    fn relative() -> Relative {
        Relative::new(0.005, &AnalysisConfig::default())
    }

    #[test]
    fn time_constants_do_not_depend_on_the_hop() {
        for hop_secs in [0.002, 0.005, 0.01] {
            let mut follower = Follower::new(hop_secs, 0.1, 0.1);
            let hops = (0.1 / hop_secs).round() as usize;
            for _ in 0..hops {
                follower.follow(1.0);
            }
            assert!((follower.value() - 0.632).abs() < 0.001);
        }
    }

    #[test]
    fn a_gain_cancels_out_and_silence_stays_silent() {
        let mut quiet = relative();
        let mut loud = relative();
        for n in 0..2000_u16 {
            let x = 0.5 + 0.5 * (f32::from(n) * 0.05).sin();
            let difference = quiet.update(0.01 * x, 0.0) - loud.update(x, 0.0);
            assert!(difference.abs() < 1e-4, "hop {n}: {difference}");
        }
        assert_eq!(relative().update(0.0, 0.0), 0.0);
    }

    #[test]
    fn a_steady_tone_is_loud_and_a_pulse_uses_the_range() {
        let mut steady = relative();
        let mut values = (0..4000).map(|_| steady.update(1.0, 0.0));
        assert!(
            values.all(|v| !(0.7..=0.99).contains(&v)),
            "rises once, stays"
        );
        let mut pulse = relative();
        let values: Vec<f32> = (0..2000)
            .map(|n| pulse.update(if n % 100 < 20 { 1.0 } else { 0.3 }, 0.0))
            .collect();
        let late = &values[1500..1600];
        assert!(late.iter().any(|v| *v > 0.95));
        assert!(late.iter().any(|v| *v < 0.1));
    }
}
