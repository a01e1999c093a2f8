//! Beat, bar and tempo, from the past alone.

mod accent;
mod bar_pointer;
mod follow;
mod table;

use super::flux::PARTS;
use super::history::Follower;
use super::network::{BAR, BEAT, FRAME_HOPS, Heard};
use crate::signal::Beat;
use accent::AccentMeter;
use bar_pointer::BarPointer;
use follow::Clockwork;

/// After this many seconds of silence the beat is forgotten. Silence is slow to be believed: about
/// 16 s after loud music stops.
const FORGET_SECS: f64 = 6.0;

/// Follows the beat, hop by hop. Never allocates after [`BeatTracker::new`].
#[derive(Clone, Debug)]
pub(super) struct BeatTracker {
    hop_secs: f64,
    meter: AccentMeter,
    accents: [f32; PARTS],
    model: BarPointer,
    clockwork: Clockwork,
    heard: Follower,
    silent_secs: f64,
}

impl BeatTracker {
    pub(super) fn new(hop_secs: f64) -> Self {
        Self {
            hop_secs,
            meter: AccentMeter::new(hop_secs),
            accents: [0.0; PARTS],
            model: BarPointer::new(FRAME_HOPS as f64 * hop_secs),
            clockwork: Clockwork::new(hop_secs),
            heard: Follower::new(hop_secs, 0.3, 6.0),
            silent_secs: 0.0,
        }
    }

    /// The beat at the next hop. `rises` are those of the parts of the spectrum; `audible` is 0 in
    /// silence and 1 in music. `news` is what the network heard, every [`FRAME_HOPS`] hops: then
    /// the model goes on.
    pub(super) fn update(
        &mut self,
        rises: &[f32; PARTS],
        audible: f32,
        news: Option<&Heard>,
    ) -> Beat {
        let accents = self.meter.update(rises);
        for (sum, accent) in self.accents.iter_mut().zip(accents) {
            *sum = sum.max(audible * accent);
        }
        let loudest = accents.iter().fold(0.0_f32, |a, b| a.max(*b));
        let heard = self.heard.follow((4.0 * audible * loudest).min(1.0));
        let Some(news) = news else {
            return self.clockwork.coast();
        };
        let frame_secs = FRAME_HOPS as f64 * self.hop_secs;
        self.model
            .step(&self.accents, audible * news[BEAT], audible * news[BAR]);
        self.accents = [0.0; PARTS];
        if audible < 0.5 {
            self.silent_secs += frame_secs;
        } else {
            self.silent_secs = 0.0;
        }
        if self.silent_secs > FORGET_SECS {
            self.clockwork.stop();
            return self.clockwork.coast();
        }
        let near = self
            .clockwork
            .beat_secs()
            .map(|secs| (secs / frame_secs) as f32);
        let belief = self.model.belief(near);
        self.clockwork
            .update(&belief, frame_secs, frame_secs, heard.sqrt())
    }
}
