//! Where the music is in its metre.

/// Beats in a bar: bars are taken to be 4/4.
pub const BEATS_PER_BAR: u8 = 4;

/// The tempo at which the signal `tempo` is 0 and at which it is 1, in beats per minute.
pub const TEMPO_RANGE_BPM: [f32; 2] = [60.0, 200.0];

/// Position in the metre at one moment, from the beat tracker, a tapped tempo or a clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beat {
    /// Way from the last beat to the next, in \[0, 1).
    pub phase: f32,
    /// Which beat of the bar was last, 0 to 3; 0 is the downbeat.
    pub beat_in_bar: u8,
    /// Beats per minute; 0 while there is no tempo yet, and then nothing else counts.
    pub bpm: f32,
    /// How sure the source is, in \[0, 1\].
    pub confidence: f32,
    /// Beats since the start. Goes up by one at each beat and never falls, also where the bar is
    /// counted anew.
    pub count: u64,
}

impl Default for Beat {
    fn default() -> Self {
        Self::NONE
    }
}

impl Beat {
    /// No tempo.
    pub const NONE: Self = Self {
        phase: 0.0,
        beat_in_bar: 0,
        bpm: 0.0,
        confidence: 0.0,
        count: 0,
    };

    /// Whether there is a tempo.
    pub fn is_running(&self) -> bool {
        self.bpm > 0.0
    }

    /// Way through the bar, in \[0, 1): 0 is the downbeat.
    pub fn bar_phase(&self) -> f32 {
        (f32::from(self.beat_in_bar) + self.phase) / f32::from(BEATS_PER_BAR)
    }

    /// 1 on the beat, falling to 0 at the next: (1 − phase)².
    pub fn pulse(&self) -> f32 {
        if self.is_running() {
            (1.0 - self.phase).powi(2)
        } else {
            0.0
        }
    }

    /// The same for the first beat of the bar; 0 in the others.
    pub fn bar_pulse(&self) -> f32 {
        if self.beat_in_bar == 0 {
            self.pulse()
        } else {
            0.0
        }
    }

    /// Where it will be `secs` later when the tempo stays: for frames between snapshots and for
    /// looking ahead. Negative times look back.
    #[must_use]
    pub fn advanced(self, secs: f64) -> Self {
        if !self.is_running() || !secs.is_finite() {
            return self;
        }
        let beats = f64::from(self.phase) + secs * f64::from(self.bpm) / 60.0;
        let whole = beats.floor();
        // Rounding to f32 may reach 1.
        let phase = ((beats - whole) as f32).min(1.0 - f32::EPSILON);
        let bar = i64::from(BEATS_PER_BAR);
        let in_bar = (i64::from(self.beat_in_bar) + whole as i64).rem_euclid(bar);
        Self {
            phase,
            beat_in_bar: in_bar as u8,
            count: self.count.saturating_add_signed(whole as i64),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Beat;

    fn beat(phase: f32, beat_in_bar: u8) -> Beat {
        Beat {
            phase,
            beat_in_bar,
            bpm: 120.0,
            confidence: 1.0,
            count: 9,
        }
    }

    #[test]
    fn time_moves_on_by_the_tempo() {
        let later = beat(0.75, 3).advanced(0.25);
        assert_eq!((later.phase, later.beat_in_bar, later.count), (0.25, 0, 10));
        let back = later.advanced(-0.25);
        assert_eq!((back.phase, back.beat_in_bar, back.count), (0.75, 3, 9));
        let bar = beat(0.5, 1).advanced(2.0);
        assert_eq!((bar.phase, bar.beat_in_bar, bar.count), (0.5, 1, 13));
        assert_eq!(beat(0.5, 1).advanced(f64::NAN), beat(0.5, 1));
        assert!(beat(0.0, 0).advanced(-1e-12).phase < 1.0);
        assert_eq!(Beat::NONE.advanced(3.0), Beat::NONE);
    }

    #[test]
    fn pulses_fall_from_one_to_nothing() {
        assert_eq!(beat(0.0, 0).pulse(), 1.0);
        assert_eq!(beat(0.5, 0).bar_pulse(), 0.25);
        assert_eq!(beat(0.0, 2).bar_pulse(), 0.0);
        assert_eq!(beat(0.5, 2).bar_phase(), 0.625);
        assert_eq!(Beat::NONE.pulse(), 0.0);
    }
}
