//! Onsets: something begins.

use super::flux::{BANDS, Rise};
use super::history::Follower;
use super::network::{self, Heard};
use crate::signal::place;

const ONSET: usize = place("onset");
const KICK: usize = place("kick");
const SNARE: usize = place("snare");
const HAT: usize = place("hat");
const SUB_ONSET: usize = place("sub-onset");

/// Rises above this all count as strong.
const STRONGEST: f32 = 1.0;

/// A pulse: 1 where something begins, then falling to 0.
#[derive(Clone, Debug)]
struct Pulse {
    hop_secs: f64,
    apart_secs: f64,
    fall_secs: f64,
    since_secs: f64,
}

impl Pulse {
    /// Two that begin are at least `apart_secs` from each other; each falls in `fall_secs`.
    fn new(hop_secs: f64, apart_secs: f64, fall_secs: f64) -> Self {
        Self {
            hop_secs,
            apart_secs,
            fall_secs,
            since_secs: f64::INFINITY,
        }
    }

    /// A hop goes by. Whether the next one may begin.
    fn step(&mut self) -> bool {
        self.since_secs += self.hop_secs;
        self.since_secs >= self.apart_secs
    }

    fn begin(&mut self) {
        self.since_secs = 0.0;
    }

    /// In \[0, 1\]: (1 − t / fall)².
    fn value(&self) -> f32 {
        let left = (1.0 - self.since_secs / self.fall_secs).max(0.0) as f32;
        left * left
    }
}

/// When a rise is an onset.
#[derive(Clone, Copy, Debug)]
struct RiseRule {
    /// Least rise above the mean of the last 150 ms.
    least_rise: f32,
    /// Least share of the strongest onsets of the last seconds, in \[0, 1\].
    share_of_strongest: f32,
}

/// Tells where a rise stands out.
#[derive(Clone, Debug)]
struct Rising {
    rule: RiseRule,
    recent: Vec<f32>,
    next: usize,
    max_hops: usize,
    strongest: Follower,
}

impl Rising {
    fn new(hop_secs: f64, rule: RiseRule) -> Self {
        let hops = |secs: f64| (secs / hop_secs).round().max(1.0) as usize;
        Self {
            rule,
            recent: vec![0.0; hops(0.15)],
            next: 0,
            max_hops: hops(0.03),
            // Rises at once; forgets in seconds.
            strongest: Follower::new(hop_secs, 1e-6, 4.0),
        }
    }

    /// Whether the next hop's rise stands out.
    fn update(&mut self, rise: f32) -> bool {
        let len = self.recent.len();
        let mean = self.recent.iter().sum::<f32>() / len as f32;
        let newest_max = (1..=self.max_hops.min(len))
            .map(|back| self.recent[(self.next + len - back) % len])
            .fold(0.0, f32::max);
        let least = (mean + self.rule.least_rise)
            .max(self.rule.share_of_strongest * self.strongest.value());
        // The first sound after silence rises without bound; it must not set the measure.
        self.strongest.follow(rise.min(STRONGEST));
        self.recent[self.next] = rise;
        self.next = (self.next + 1) % len;
        rise > least && rise >= newest_max
    }
}

/// Picks rises as they come.
#[derive(Clone, Debug)]
struct Picker {
    rising: Rising,
    pulse: Pulse,
}

impl Picker {
    /// The pulse for the next hop.
    fn update(&mut self, rise: f32) -> f32 {
        let may = self.pulse.step();
        if self.rising.update(rise) && may {
            self.pulse.begin();
        }
        self.pulse.value()
    }
}

/// A pulse for what the network hears, which counts once until it was hardly heard any more.
#[derive(Clone, Debug)]
struct HeardPulse {
    pulse: Pulse,
    /// The most since the last pick, or 0 if it fell away from there.
    most: f32,
}

/// A pick must be this much of what came before it.
const FALLEN: f32 = 0.6;

impl HeardPulse {
    fn new(hop_secs: f64, apart_secs: f64, fall_secs: f64) -> Self {
        Self {
            pulse: Pulse::new(hop_secs, apart_secs, fall_secs),
            most: 0.0,
        }
    }

    /// A hop goes by; `likely` is news, if there is some. Whether a pulse begins: if `is_wanted` says so of
    /// how likely it is and whether it is another than the last one.
    fn begins(&mut self, likely: Option<f32>, is_wanted: impl FnOnce(f32, bool) -> bool) -> bool {
        let may = self.pulse.step();
        let Some(likely) = likely else { return false };
        if likely < FALLEN * self.most {
            self.most = 0.0;
        }
        let is_new = self.most == 0.0;
        let picked = may && is_wanted(likely, is_new);
        if picked {
            self.pulse.begin();
        }
        if picked || !is_new || !may {
            self.most = self.most.max(likely);
        }
        picked
    }
}

/// Picks the beginnings that the network hears.
#[derive(Clone, Debug)]
struct HeardPicker {
    least: f32,
    pulse: HeardPulse,
}

impl HeardPicker {
    /// The pulse for the next hop. `likely` is news, if there is some.
    fn update(&mut self, likely: Option<f32>) -> f32 {
        self.pulse
            .begins(likely, |likely, is_new| is_new && likely >= self.least);
        self.pulse.pulse.value()
    }
}

/// Least time between two drums of a kind, in seconds.
const DRUMS_APART_SECS: f64 = 0.06;
/// How long a rise is remembered, in seconds: the network hears a drum a moment later.
const RISEN_SECS: f64 = 0.04;

/// How a drum is picked.
#[derive(Clone, Copy, Debug)]
struct DrumRule {
    rise: RiseRule,
    /// Least time between two rises, in seconds.
    rises_apart_secs: f64,
    /// Least likelihood where the sound rises, in \[0, 1\].
    likely: f32,
    /// A rise whose product with the likelihood is as much needs no more: the network does not know all
    /// sounds, but few rise so far.
    strong: f32,
    /// Least likelihood where it does not rise, in \[0, 1\].
    sure: f32,
    fall_secs: f64,
}

/// Picks a drum where the sound rises in its part of the spectrum and the network finds it likely, or where the
/// network is sure. Either alone errs more: a bass note rises as a kick does; the network knows fewer
/// sounds of drums than there are.
#[derive(Clone, Debug)]
struct DrumPicker {
    rule: DrumRule,
    rising: Rising,
    /// Since the last rise; [`Pulse::begin`] is called at each.
    rise: Pulse,
    /// The most of it, if it was not picked yet.
    highest: Option<f32>,
    pulse: HeardPulse,
}

impl DrumPicker {
    fn new(hop_secs: f64, rule: DrumRule) -> Self {
        Self {
            rule,
            rising: Rising::new(hop_secs, rule.rise),
            rise: Pulse::new(hop_secs, rule.rises_apart_secs, RISEN_SECS),
            highest: None,
            pulse: HeardPulse::new(hop_secs, DRUMS_APART_SECS, rule.fall_secs),
        }
    }

    /// The pulse for the next hop. `likely` is news of the network, if there is some.
    fn update(&mut self, rise: f32, likely: Option<f32>) -> f32 {
        let may_rise = self.rise.step();
        if self.rising.update(rise) && may_rise {
            self.rise.begin();
            self.highest = Some(rise);
        }
        self.highest = self.highest.map(|highest| highest.max(rise));
        let (rule, risen) = (self.rule, self.highest.filter(|_| self.rise.value() > 0.0));
        let begins = self.pulse.begins(likely, |likely, is_new| {
            let enough = |highest| likely >= rule.likely || likely * highest >= rule.strong;
            risen.is_some_and(enough) || is_new && likely >= rule.sure
        });
        if begins {
            self.highest = None;
        }
        self.pulse.pulse.value()
    }
}

/// All onset signals.
#[derive(Clone, Debug)]
pub(super) struct Onsets {
    onset: HeardPicker,
    kick: DrumPicker,
    snare: DrumPicker,
    hat: DrumPicker,
    bands: [Picker; BANDS],
}

impl Onsets {
    pub(super) fn new(hop_secs: f64) -> Self {
        let rise = |least_rise, share_of_strongest| RiseRule {
            least_rise,
            share_of_strongest,
        };
        let drum = |rise, rises_apart_secs, [likely, strong, sure]: [f32; 3], fall_secs| {
            let rule = DrumRule {
                rise,
                rises_apart_secs,
                likely,
                strong,
                sure,
                fall_secs,
            };
            DrumPicker::new(hop_secs, rule)
        };
        let band = Picker {
            rising: Rising::new(hop_secs, rise(0.2, 0.35)),
            pulse: Pulse::new(hop_secs, 0.08, 0.2),
        };
        Self {
            onset: HeardPicker {
                least: 0.8,
                pulse: HeardPulse::new(hop_secs, 0.03, 0.25),
            },
            kick: drum(rise(0.28, 0.45), 0.12, [0.55, 0.2, 0.92], 0.25),
            snare: drum(rise(0.1, 0.45), 0.1, [0.45, f32::INFINITY, 0.8], 0.2),
            hat: drum(rise(0.06, 0.15), 0.036, [0.55, f32::INFINITY, 0.9], 0.15),
            bands: std::array::from_fn(|_| band.clone()),
        }
    }

    /// The pulses of this hop. `heard` is news of the network, if there is some.
    pub(super) fn update(
        &mut self,
        audible: f32,
        rise: &Rise,
        heard: Option<&Heard>,
        values: &mut [f32],
    ) {
        values[ONSET] = self
            .onset
            .update(heard.map(|heard| audible * heard[network::ONSET]));
        let drums = [
            (KICK, &mut self.kick, rise.kick, network::KICK),
            (SNARE, &mut self.snare, rise.snare, network::SNARE),
            (HAT, &mut self.hat, rise.hat, network::HAT),
        ];
        for (value, picker, rise, kind) in drums {
            let likely = heard.map(|heard| audible * heard[kind]);
            values[value] = picker.update(audible * rise, likely);
        }
        let out = &mut values[SUB_ONSET..];
        for ((picker, rise), out) in self.bands.iter_mut().zip(&rise.bands).zip(out) {
            *out = picker.update(audible * rise);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hops at which a pulse begins. A second of silence goes before; `rises` and `likely` are at
    /// those hops, and the network's news comes each second hop.
    fn picks(rises: &[(usize, f32)], likely: &[(usize, f32)]) -> Vec<usize> {
        let rule = DrumRule {
            rise: RiseRule {
                least_rise: 0.2,
                share_of_strongest: 0.4,
            },
            rises_apart_secs: 0.1,
            likely: 0.4,
            strong: 0.3,
            sure: 0.9,
            fall_secs: 0.2,
        };
        let mut picker = DrumPicker::new(0.005, rule);
        let at = |list: &[(usize, f32)], hop| {
            list.iter()
                .find(|(at, _)| *at == hop)
                .map_or(0.0, |(_, value)| *value)
        };
        (0..400)
            .filter(|hop| {
                let told = (hop % 2 == 0).then(|| at(likely, *hop));
                picker.update(at(rises, *hop), told) == 1.0
            })
            .collect()
    }

    #[test]
    fn a_drum_rises_and_is_heard() {
        assert_eq!(picks(&[(200, 0.8)], &[(204, 0.5)]), [204]);
        // A rise alone is a bass note; half a guess alone is none.
        assert!(picks(&[(200, 0.8)], &[]).is_empty());
        assert!(picks(&[(200, 0.8)], &[(204, 0.3)]).is_empty());
        assert!(picks(&[], &[(204, 0.5)]).is_empty());
        // Few sounds rise so far.
        assert_eq!(picks(&[(200, 1.2)], &[(204, 0.3)]), [204]);
        // Too long after.
        assert!(picks(&[(200, 0.8)], &[(210, 0.5)]).is_empty());
        // A sound that rises elsewhere, but the network is sure.
        assert_eq!(picks(&[], &[(204, 0.95)]), [204]);
    }

    #[test]
    fn a_drum_counts_once() {
        let long: Vec<_> = (200..230).step_by(2).map(|hop| (hop, 0.95)).collect();
        assert_eq!(picks(&[(202, 0.8)], &long), [200]);
        let both = [(204, 0.5), (206, 0.95), (208, 0.9)];
        assert_eq!(picks(&[(200, 0.8)], &both), [204]);
        // The next one, after a moment of quiet.
        let two = [(204, 0.5), (206, 0.1), (244, 0.5)];
        assert_eq!(picks(&[(200, 0.8), (240, 0.8)], &two), [204, 244]);
    }
}
