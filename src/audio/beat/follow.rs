//! A steady beat out of beliefs that jump.

use super::super::history::Follower;
use super::bar_pointer::{Belief, Doubt, TempoOn};
use crate::signal::{BEATS_PER_BAR, Beat};

/// Accents reach the model this late, in seconds: the window must fill. A steady beat can make up
/// for it.
const HEARING_SECS: f64 = 0.016;

/// Time constant with which the phase is corrected, in seconds.
const CATCH_UP_SECS: f64 = 0.25;
/// Time constant of the tempo, in seconds.
const TEMPO_SECS: f64 = 0.6;
/// Phase errors above this, in beats, are jumps.
const JUMP_BEATS: f64 = 0.18;
/// A jump must be believed for this long, in seconds.
const JUMP_SECS: f64 = 0.25;
/// No more than this counts of how long a tempo has been on, in seconds.
const LONGEST_SECS: f64 = 30.0;
/// How much of it each second takes away in which a more common level of the metre is likelier: that is right in the
/// end.
const DOUBTED: f64 = 0.5;
/// Least confidence for a beat to begin.
const START_CONFIDENCE: f32 = 0.25;

/// The clockwork that a performer sees.
#[derive(Clone, Debug)]
pub(super) struct Clockwork {
    hop_secs: f64,
    beat: Beat,
    beat_secs: f64,
    /// How long this tempo has been on without doubt, in seconds, less what lasting doubt took away.
    tempo_secs: f64,
    phase: f64,
    /// How long the belief has been elsewhere, in seconds.
    astray_secs: f64,
    since_beat_secs: f64,
    confidence: Follower,
    bar_votes: [f32; BEATS_PER_BAR as usize],
}

impl Clockwork {
    pub(super) fn new(hop_secs: f64) -> Self {
        Self {
            hop_secs,
            beat: Beat::NONE,
            beat_secs: 0.5,
            tempo_secs: 0.0,
            phase: 0.0,
            astray_secs: 0.0,
            since_beat_secs: 10.0,
            confidence: Follower::new(hop_secs, 0.5, 0.5),
            bar_votes: [0.0; BEATS_PER_BAR as usize],
        }
    }

    /// The tempo, while there is one, in frames of so many seconds.
    pub(super) fn tempo_on(&self, frame_secs: f64) -> Option<TempoOn> {
        self.beat.is_running().then_some(TempoOn {
            beat_frames: (self.beat_secs / frame_secs) as f32,
            secs: self.tempo_secs,
        })
    }

    pub(super) fn stop(&mut self) {
        let count = self.beat.count;
        self.beat = Beat {
            count,
            ..Beat::NONE
        };
        self.confidence = Follower::new(self.hop_secs, 0.5, 0.5);
    }

    /// One hop on without news.
    pub(super) fn coast(&mut self) -> Beat {
        if self.beat.is_running() {
            self.advance(self.hop_secs / self.beat_secs);
        }
        self.beat
    }

    /// One hop on, with what is believed now about a moment [`HEARING_SECS`] ago. `news_secs` is
    /// the time since the last belief; `heard` in \[0, 1\] says whether there is anything to hear.
    pub(super) fn update(
        &mut self,
        belief: &Belief,
        news_secs: f64,
        frame_secs: f64,
        heard: f32,
    ) -> Beat {
        let sure = belief.tempo_share * belief.phase_sure * heard;
        let confidence = self.confidence.follow(sure);
        let believed_secs = f64::from(belief.beat_frames) * frame_secs;
        let target = (f64::from(belief.phase) + HEARING_SECS / believed_secs).rem_euclid(1.0);
        if !self.beat.is_running() {
            if confidence < START_CONFIDENCE {
                return self.beat;
            }
            self.beat_secs = believed_secs;
            self.tempo_secs = 0.0;
            self.phase = target;
            self.beat.beat_in_bar = belief.beat_in_bar;
            self.beat.bpm = (60.0 / believed_secs) as f32;
            self.astray_secs = 0.0;
        }
        let more = match belief.doubt {
            Doubt::None => 1.0,
            Doubt::OfLessCommon => 0.0,
            Doubt::OfMoreCommon => -DOUBTED,
        };
        self.tempo_secs = (self.tempo_secs + more * news_secs).clamp(0.0, LONGEST_SECS);
        let ratio = believed_secs / self.beat_secs;
        let share = |tau: f64| 1.0 - (-news_secs / tau).exp();
        let mut ahead = target - (self.phase + self.hop_secs / self.beat_secs);
        ahead -= ahead.round();
        let is_other = !(0.92..1.08).contains(&ratio);
        if is_other || ahead.abs() > JUMP_BEATS {
            self.astray_secs += news_secs;
        } else {
            self.astray_secs = 0.0;
            self.beat_secs += share(TEMPO_SECS) * (believed_secs - self.beat_secs);
        }
        let step = self.hop_secs / self.beat_secs;
        if self.astray_secs > JUMP_SECS {
            self.astray_secs = 0.0;
            self.beat_secs = believed_secs;
            if is_other {
                self.tempo_secs = 0.0;
            }
            self.advance(step);
            self.jump(target);
        } else if self.astray_secs > 0.0 {
            self.advance(step);
        } else {
            // Time never runs backwards.
            self.advance((step + share(CATCH_UP_SECS) * ahead).max(0.0));
        }
        self.vote(belief);
        self.beat.bpm = (60.0 / self.beat_secs) as f32;
        self.beat.confidence = confidence;
        self.beat
    }

    fn advance(&mut self, beats: f64) {
        self.since_beat_secs += self.hop_secs;
        self.phase += beats;
        if self.phase >= 1.0 {
            self.phase -= self.phase.floor();
            self.tick();
        }
        self.beat.phase = (self.phase as f32).min(1.0 - f32::EPSILON);
    }

    fn jump(&mut self, phase: f64) {
        let forward = phase - self.phase;
        self.phase = phase;
        self.beat.phase = (phase as f32).min(1.0 - f32::EPSILON);
        // Over a beat: forwards through the end, and not just after another.
        if forward < -0.5 {
            self.tick();
        }
    }

    fn tick(&mut self) {
        if self.since_beat_secs < 0.4 * self.beat_secs {
            return;
        }
        self.since_beat_secs = 0.0;
        self.beat.count += 1;
        self.beat.beat_in_bar = (self.beat.beat_in_bar + 1) % BEATS_PER_BAR;
    }

    /// Moves the bar when another place was believed for two bars.
    fn vote(&mut self, belief: &Belief) {
        // The belief's beat may have begun a moment before or after ours.
        let apart = f64::from(belief.phase) - self.phase;
        let bar = i32::from(BEATS_PER_BAR);
        let believed =
            i32::from(belief.beat_in_bar) + i32::from(apart > 0.5) - i32::from(apart < -0.5);
        let off = (believed - i32::from(self.beat.beat_in_bar)).rem_euclid(bar) as usize;
        let share = (self.hop_secs / (6.0 * self.beat_secs)) as f32;
        for (place, vote) in self.bar_votes.iter_mut().enumerate() {
            let now = if place == off { belief.bar_share } else { 0.0 };
            *vote += share * (now - *vote);
        }
        let best = (0..self.bar_votes.len())
            .max_by(|a, b| self.bar_votes[*a].total_cmp(&self.bar_votes[*b]))
            .unwrap_or(0);
        if best != 0 && self.bar_votes[best] > self.bar_votes[0] + 0.15 {
            self.beat.beat_in_bar = (self.beat.beat_in_bar + best as u8) % BEATS_PER_BAR;
            self.bar_votes.rotate_left(best);
        }
    }
}
