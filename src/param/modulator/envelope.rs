//! Attack, decay, sustain, release.

/// Times and levels of an envelope. The rise is a straight line; falls are exponential, as a
/// drum's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    /// Time of the whole rise, in seconds.
    pub(super) attack_secs: f32,
    /// Time constant of the fall to `sustain`, in seconds.
    pub(super) decay_secs: f32,
    /// Level that is kept while the gate is open, in \[0, 1\].
    pub(super) sustain: f32,
    /// How long the gate stays open after the rise, in seconds; a note keeps it open itself.
    pub(super) hold_secs: f32,
    /// Time constant of the fall to 0, in seconds.
    pub(super) release_secs: f32,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Idle,
    Attack,
    Decay,
}

/// An envelope in motion.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Envelope {
    stage: Stage,
    level: f32,
    peak: f32,
    gate_left_secs: f32,
}

fn towards(level: f32, target: f32, tau_secs: f32, secs: f32) -> f32 {
    if tau_secs > 0.0 {
        (-secs / tau_secs).exp().mul_add(level - target, target)
    } else {
        target
    }
}

impl Envelope {
    pub(super) fn level(&self) -> f32 {
        self.level
    }

    /// Starts the rise from where it is to `peak`. With `held` only [`Envelope::release`] closes
    /// the gate.
    pub(super) fn trigger(&mut self, rates: &Rates, peak: f32, held: bool) {
        self.stage = Stage::Attack;
        self.peak = peak;
        self.gate_left_secs = if held { f32::INFINITY } else { rates.hold_secs };
        if rates.attack_secs <= 0.0 {
            self.level = self.level.max(peak);
            self.stage = Stage::Decay;
        }
    }

    /// Closes the gate.
    pub(super) fn release(&mut self) {
        self.stage = Stage::Idle;
    }

    /// Goes on by `secs`, exactly: two steps are as good as one.
    pub(super) fn advance(&mut self, rates: &Rates, secs: f32) {
        let mut left = secs;
        while left > 0.0 {
            match self.stage {
                Stage::Attack => {
                    let slope = self.peak / rates.attack_secs;
                    let need = ((self.peak - self.level) / slope).max(0.0);
                    if need.is_nan() || left >= need {
                        self.level = self.level.max(self.peak);
                        self.stage = Stage::Decay;
                        left -= if need.is_nan() { 0.0 } else { need };
                    } else {
                        self.level += slope * left;
                        left = 0.0;
                    }
                }
                Stage::Decay => {
                    let secs = left.min(self.gate_left_secs);
                    let sustain = rates.sustain * self.peak;
                    // Infinite gates aside, nothing here is.
                    self.level = towards(self.level, sustain, rates.decay_secs, secs);
                    self.gate_left_secs -= secs;
                    left -= secs;
                    if self.gate_left_secs <= 0.0 {
                        self.stage = Stage::Idle;
                    }
                }
                Stage::Idle => {
                    self.level = towards(self.level, 0.0, rates.release_secs, left);
                    left = 0.0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Envelope, Rates};

    const ADSR: Rates = Rates {
        attack_secs: 0.1,
        decay_secs: 0.2,
        sustain: 0.5,
        hold_secs: 0.3,
        release_secs: 0.4,
    };

    #[test]
    fn stages_follow_each_other() {
        let mut e = Envelope::default();
        e.trigger(&ADSR, 1.0, false);
        let mut at = |secs: f32| {
            e.advance(&ADSR, secs);
            e.level()
        };
        assert!((at(0.05) - 0.5).abs() < 1e-6, "half way up");
        assert!((at(0.05) - 1.0).abs() < 1e-5, "up");
        let decayed = 0.5 + 0.5 * (-1.0f32).exp();
        assert!((at(0.2) - decayed).abs() < 1e-5);
        let at_gate = 0.5 + 0.5 * (-1.5f32).exp();
        assert!((at(0.1) - at_gate).abs() < 1e-5, "the gate closes");
        assert!((at(0.4) - at_gate * (-1.0f32).exp()).abs() < 1e-5);
    }

    #[test]
    fn steps_of_any_size_give_the_same() {
        for rates in [
            ADSR,
            Rates {
                attack_secs: 0.0,
                decay_secs: 0.0,
                ..ADSR
            },
            Rates {
                hold_secs: 0.0,
                release_secs: 0.0,
                ..ADSR
            },
        ] {
            let run = |steps: u16| {
                let mut e = Envelope::default();
                let mut levels = Vec::new();
                for second in 0..3 {
                    e.trigger(&rates, [1.0, 0.6, 0.0][second], false);
                    for part in 1..=10 * steps {
                        e.advance(&rates, 0.1 / f32::from(steps));
                        if part % steps == 0 {
                            levels.push(e.level());
                        }
                    }
                }
                levels
            };
            let (coarse, fine) = (run(1), run(37));
            for (a, b) in coarse.iter().zip(&fine) {
                assert!((a - b).abs() < 1e-3, "{rates:?}: {coarse:?}\n{fine:?}");
                assert!((0.0..=1.0).contains(a));
            }
        }
    }

    #[test]
    fn a_held_note_stays_until_it_is_released() {
        let mut e = Envelope::default();
        e.trigger(&ADSR, 0.8, true);
        e.advance(&ADSR, 60.0);
        assert!((e.level() - 0.4).abs() < 1e-6);
        e.release();
        e.advance(&ADSR, 0.4);
        assert!((e.level() - 0.4 * (-1.0f32).exp()).abs() < 1e-6);
    }
}
