//! Where in the bar, and how fast: a hidden Markov model whose state is a pointer that moves
//! through a bar of four beats (Whiteley, Cemgil and Godsill 2006), with the state space of Krebs,
//! Böck and Widmer 2015 ("An Efficient State-Space Model for Joint Tempo and Meter Tracking"):
//! whole frames per beat, and the tempo may change only on a beat. Filtered forward, so it knows
//! only the past.

use super::super::flux::PARTS;
use super::super::history::Follower;
use super::accent::Accents;
use super::table::{MASS, PLACES, REACH, SPREAD};
use crate::signal::BEATS_PER_BAR;

const BEATS: usize = BEATS_PER_BAR as usize;

/// Slowest and fastest tempo of the model in bpm: a little more than is promised.
const BPM: [f64; 2] = [56.0, 212.0];

/// The most common tempo in bpm, and the deviation from it in octaves.
const USUAL_BPM: f64 = 118.0;
const USUAL_OCTAVES: f64 = 0.5;

/// How hard the tempo holds: a change by the share x has the weight exp(−x · this).
const TEMPO_HOLD: f64 = 90.0;

/// Tempi of less weight than this are not reached in one beat.
const LEAST_WEIGHT: f64 = 1e-4;

/// Chance, for each frame, that everything is new: another track began.
const FORGET: f32 = 1e-4;

/// Chance, for each beat, that the bar is counted anew.
const BAR_SLIP: f32 = 5e-4;

/// Weights of the accents, of the beats that the network hears, and of the first beats of bars among them:
/// frames that follow each other are not independent.
const ACCENT_TRUST: f32 = 0.2;
const BEAT_TRUST: f32 = 0.25;
const BAR_TRUST: f32 = 1.0;

/// Weight, in each frame, of how common a tempo is: of two levels of the metre that explain what is heard about
/// as well, the moderate one is the beat (Parncutt 1994).
const TEMPO_TRUST: f64 = 0.006;

/// How likely a beat is in a frame of which nothing is known but that it may be one.
const USUAL_BEAT: f32 = 0.12;

/// How much of a beat the network hears in the frame of the beat and in the next ones on both sides.
const NEAR_BEAT: [f32; 3] = [1.0, 0.5, 0.06];

/// Bounds of what it hears: of beats, and of the share of the bar's first beat in them.
const LEAST_BEAT: f32 = 1e-4;
const SURE_BAR: [f32; 2] = [0.02, 0.98];

/// From here on a beat that is heard tells all it can about the bar.
const CLEAR_BEAT: f32 = 1.0 / 3.0;

/// Kinds of nearness to a beat: none, and each of [`NEAR_BEAT`] for the first beat of a bar and for
/// another.
const NEAR_KINDS: usize = 1 + 2 * NEAR_BEAT.len();

/// Accents per frame where none is expected.
const SURPRISE: f32 = 0.03;

/// Time constant of what is going on in each part of the spectrum, in seconds.
const ACTIVITY_SECS: f64 = 0.7;

/// A tempo belongs to another when they differ by less than this share.
const SAME_TEMPO: f32 = 0.06;

/// A new tempo must be this much more likely than the one that is on.
const STAY: f32 = 1.8;

/// Half or twice the tempo must become this much more likely in the end: both are in most music, and which of
/// them is the beat was said when it began. So a break in half time or a busy bar does not turn it over.
const STAY_IN_OCTAVE: f32 = 1000.0;

/// How long a tempo must be on for that, in seconds: at first little is known.
const STAY_GROWS_SECS: f64 = 8.0;

/// Half and twice a tempo, give or take this, in octaves.
const OCTAVE_SLACK: f32 = 0.2;

/// Kinds of moments: between the places, and each place with each frame of its reach.
const KINDS: usize = 1 + PLACES * SPREAD.len();

/// What is expected `at` frames into a bar of `bar` frames.
fn kind_of(at: usize, bar: usize) -> usize {
    let place = (2 * at * PLACES + bar) / (2 * bar);
    let offset =
        (at as f64 - (place * bar) as f64 / PLACES as f64).round() as isize + REACH[0] as isize;
    match usize::try_from(offset) {
        Ok(offset) if offset < SPREAD.len() => 1 + (place % PLACES) * SPREAD.len() + offset,
        _ => 0,
    }
}

/// How near a beat is `at` frames into a bar of beats of `beat` frames: one of [`NEAR_KINDS`].
fn nearness_of(at: usize, beat: usize) -> usize {
    let near = (at + beat / 2) / beat;
    let apart = at.abs_diff(near * beat);
    if apart < NEAR_BEAT.len() {
        1 + 2 * apart + usize::from(near.is_multiple_of(BEATS))
    } else {
        0
    }
}

fn tempo_prior(bpm: f64) -> f64 {
    (-0.5 * ((bpm / USUAL_BPM).log2() / USUAL_OCTAVES).powi(2)).exp()
}

/// States of one tempo.
#[derive(Clone, Debug)]
struct Lane {
    /// Frames per beat.
    beat_frames: usize,
    /// Probability of each place in the bar, one per frame.
    p: Vec<f32>,
    /// What is expected there: one of [`KINDS`].
    kinds: Vec<u16>,
    /// How near a beat is: one of [`NEAR_KINDS`].
    nearness: Vec<u8>,
    /// What each frame makes of how common the tempo is, in (0, 1].
    usual: f32,
    /// Share of each of its states when everything is new.
    prior: f32,
    /// First lane to which a beat may lead, and the weights from there.
    first_next: usize,
    weights: Vec<f32>,
}

/// Whether half or twice the tempo is likelier.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Doubt {
    #[default]
    None,
    /// And it is the less common tempo.
    OfLessCommon,
    /// And it is the more common tempo.
    OfMoreCommon,
}

/// What the filter believes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Belief {
    /// Frames per beat.
    pub(super) beat_frames: f32,
    /// Way since the last beat, in \[0, 1).
    pub(super) phase: f32,
    /// Which beat of the bar it was.
    pub(super) beat_in_bar: u8,
    /// Probability of this tempo, give or take [`SAME_TEMPO`]; and of half or twice it, if that is likelier: the
    /// same pulse.
    pub(super) tempo_share: f32,
    pub(super) doubt: Doubt,
    /// How well the phase is known: length of the mean vector, in \[0, 1\].
    pub(super) phase_sure: f32,
    /// Probability of the beat in the bar.
    pub(super) bar_share: f32,
}

/// The tempo that is on.
#[derive(Clone, Copy, Debug)]
pub(super) struct TempoOn {
    /// Frames per beat.
    pub(super) beat_frames: f32,
    /// How long it has been on without doubt, in seconds, less what lasting doubt took away.
    pub(super) secs: f64,
}

impl TempoOn {
    fn has(self, beat_frames: usize) -> bool {
        (beat_frames as f32 / self.beat_frames - 1.0).abs() < SAME_TEMPO
    }

    fn is_octave(self, beat_frames: usize) -> bool {
        let octaves = (beat_frames as f32 / self.beat_frames).log2().abs();
        (octaves - 1.0).abs() < OCTAVE_SLACK
    }

    /// How much more likely this tempo must be for it to give way.
    fn stay(self, beat_frames: usize) -> f32 {
        if self.is_octave(beat_frames) {
            let grown = (self.secs / STAY_GROWS_SECS).min(1.0) as f32;
            STAY * (STAY_IN_OCTAVE / STAY).powf(grown * grown)
        } else {
            STAY
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct BarPointer {
    lanes: Vec<Lane>,
    /// Expected accents of each kind of moment, per frame, and their logarithms.
    rates: Vec<[f32; PARTS]>,
    log_rates: Vec<[f32; PARTS]>,
    likelihood: Vec<f32>,
    /// The same of what the network hears, of each kind of nearness.
    heard_likelihood: [f32; NEAR_KINDS],
    /// How much is going on in each part.
    activity: [Follower; PARTS],
    /// How much it is in the table at the usual tempo.
    usual: [f32; PARTS],
    /// Probability that leaves each lane at the end of each beat.
    leaving: Vec<[f32; BEATS]>,
    /// Probability of each tempo.
    tempo_share: Vec<f32>,
}

impl BarPointer {
    pub(super) fn new(frame_secs: f64) -> Self {
        let frames = |bpm: f64| 60.0 / (bpm * frame_secs);
        let lengths: Vec<usize> =
            (frames(BPM[1]).floor() as usize..=frames(BPM[0]).ceil() as usize).collect();
        let mut lanes: Vec<Lane> = lengths
            .iter()
            .map(|&beat_frames| {
                let bar = BEATS * beat_frames;
                let all: Vec<f64> = lengths
                    .iter()
                    .map(|&next| {
                        (-TEMPO_HOLD * (next as f64 / beat_frames as f64 - 1.0).abs()).exp()
                    })
                    .collect();
                let sum: f64 = all.iter().sum();
                let first_next = all.iter().position(|w| w / sum > LEAST_WEIGHT).unwrap_or(0);
                let weights = all[first_next..]
                    .iter()
                    .map(|w| (w / sum) as f32)
                    .take_while(|w| f64::from(*w) > LEAST_WEIGHT)
                    .collect();
                let bpm = 60.0 / (beat_frames as f64 * frame_secs);
                Lane {
                    beat_frames,
                    p: vec![0.0; bar],
                    kinds: (0..bar).map(|at| kind_of(at, bar) as u16).collect(),
                    nearness: (0..bar)
                        .map(|at| nearness_of(at, beat_frames) as u8)
                        .collect(),
                    usual: tempo_prior(bpm).powf(TEMPO_TRUST) as f32,
                    // A step of one frame is a smaller step of a slow tempo.
                    prior: (tempo_prior(bpm) / beat_frames as f64 / bar as f64) as f32,
                    first_next,
                    weights,
                }
            })
            .collect();
        let sum: f32 = lanes.iter().map(|l| l.prior * l.p.len() as f32).sum();
        for lane in &mut lanes {
            lane.prior /= sum;
            lane.p.fill(lane.prior);
        }
        let mut rates = vec![[SURPRISE; PARTS]; KINDS];
        for place in 0..PLACES {
            for (offset, share) in SPREAD.iter().enumerate() {
                let rate = &mut rates[1 + place * SPREAD.len() + offset];
                for (rate, mass) in rate.iter_mut().zip(&MASS) {
                    *rate += share * mass[place];
                }
            }
        }
        let usual_frames = (BEATS as f64 * frames(USUAL_BPM)) as f32;
        Self {
            log_rates: rates.iter().map(|kind| kind.map(f32::ln)).collect(),
            rates,
            likelihood: vec![1.0; KINDS],
            heard_likelihood: [1.0; NEAR_KINDS],
            activity: std::array::from_fn(|_| {
                Follower::new(frame_secs, ACTIVITY_SECS, ACTIVITY_SECS)
            }),
            usual: MASS.map(|mass| mass.iter().sum::<f32>() / usual_frames),
            leaving: vec![[0.0; BEATS]; lanes.len()],
            tempo_share: vec![0.0; lanes.len()],
            lanes,
        }
    }

    /// One frame on, having heard `accents`, and a beat and a bar that began just now with these
    /// probabilities.
    pub(super) fn step(&mut self, accents: &Accents, beat: f32, bar: f32) {
        self.weigh(accents);
        self.weigh_heard(beat, bar);
        self.advance();
        let mut total = 0.0;
        for lane in &mut self.lanes {
            let fresh = FORGET * lane.prior;
            let usual = lane.usual;
            let places = lane.p.iter_mut().zip(&lane.kinds).zip(&lane.nearness);
            for ((p, kind), near) in places {
                let likelihood =
                    self.likelihood[usize::from(*kind)] * self.heard_likelihood[usize::from(*near)];
                *p = (*p * (1.0 - FORGET) + fresh) * likelihood * usual;
                total += *p;
            }
        }
        let scale = 1.0 / total.max(f32::MIN_POSITIVE);
        for (lane, share) in self.lanes.iter_mut().zip(&mut self.tempo_share) {
            *share = 0.0;
            for p in &mut lane.p {
                *p *= scale;
                *share += *p;
            }
        }
    }

    /// How likely what is heard is at each kind of moment: the accents of each part are a Poisson
    /// process. Where little is going on, as in a break, little is expected.
    fn weigh(&mut self, accents: &Accents) {
        let mut activity = [0.0; PARTS];
        for part in 0..PARTS {
            let now = self.activity[part].follow(accents[part]);
            activity[part] = (now / self.usual[part]).min(1.0);
        }
        let kinds = self.rates.iter().zip(&self.log_rates);
        for (likelihood, (rates, log_rates)) in self.likelihood.iter_mut().zip(kinds) {
            let mut log = 0.0;
            for part in 0..PARTS {
                log += accents[part] * log_rates[part] - activity[part] * rates[part];
            }
            *likelihood = (ACCENT_TRUST * log).exp();
        }
    }

    /// How likely what the network hears is, by Bayes' rule: where a beat is and where none is, that it hears
    /// one, against the usual; at the bar's first beat and at others, the share of first beats in what
    /// it takes for a beat, against one in four.
    fn weigh_heard(&mut self, beat: f32, bar: f32) {
        let heard = beat.clamp(LEAST_BEAT, 1.0 - LEAST_BEAT);
        let [here, nowhere] = [heard / USUAL_BEAT, (1.0 - heard) / (1.0 - USUAL_BEAT)]
            .map(|odds| BEAT_TRUST * odds.ln());
        let share = (bar / beat.max(LEAST_BEAT)).clamp(SURE_BAR[0], SURE_BAR[1]);
        let clear = (beat / CLEAR_BEAT).min(1.0);
        let usual = 1.0 / BEATS as f32;
        let told = [(1.0 - share) / (1.0 - usual), share / usual];
        self.heard_likelihood[0] = nowhere.exp();
        let kinds = self.heard_likelihood[1..].chunks_exact_mut(told.len());
        for (pair, near) in kinds.zip(NEAR_BEAT) {
            let beat = near * here + (1.0 - near) * nowhere;
            for (likelihood, told) in pair.iter_mut().zip(told) {
                *likelihood = (beat + BAR_TRUST * clear * near * told.ln()).exp();
            }
        }
    }

    /// Moves all pointers by one frame; at the end of a beat the tempo may change.
    fn advance(&mut self) {
        for (lane, leaving) in self.lanes.iter_mut().zip(&mut self.leaving) {
            let length = lane.beat_frames;
            for (beat, out) in leaving.iter_mut().enumerate() {
                *out = lane.p[(beat + 1) * length - 1];
            }
            let last = lane.p.len() - 1;
            lane.p.copy_within(..last, 1);
            for beat in 0..BEATS {
                lane.p[beat * length] = 0.0;
            }
        }
        for (from, leaving) in self.leaving.iter().enumerate() {
            let first = self.lanes[from].first_next;
            let slip = BAR_SLIP / BEATS as f32 * leaving.iter().sum::<f32>();
            for offset in 0..self.lanes[from].weights.len() {
                let weight = self.lanes[from].weights[offset];
                let next = &mut self.lanes[first + offset];
                for (beat, out) in leaving.iter().enumerate() {
                    let to = (beat + 1) % BEATS * next.beat_frames;
                    next.p[to] += weight * ((1.0 - BAR_SLIP) * out + slip);
                }
            }
        }
    }

    /// Lanes of about the same tempo.
    fn around(&self, centre: usize) -> std::ops::Range<usize> {
        let frames = self.lanes[centre].beat_frames as f32;
        let slack = (SAME_TEMPO * frames).max(1.0);
        let below = |most: f32| {
            self.lanes
                .partition_point(|lane| (lane.beat_frames as f32) < most)
        };
        below(frames - slack)..below(frames + slack + 0.5)
    }

    /// The most likely tempo of those that `wanted` has, as the place of its lane, and its probability.
    fn likeliest(&self, wanted: impl Fn(&Lane) -> bool) -> (usize, f32) {
        let mut best = (0, 0.0);
        for tempo in (0..self.lanes.len()).filter(|tempo| wanted(&self.lanes[*tempo])) {
            let share = self.tempo_share[self.around(tempo)].iter().sum::<f32>();
            if share > best.1 {
                best = (tempo, share);
            }
        }
        best
    }

    /// What is most likely now, where the tempo that is `on` stays unless another is far likelier.
    pub(super) fn belief(&self, on: Option<TempoOn>) -> Belief {
        let mut best = self.likeliest(|_| true);
        let (mut doubt, mut other_level) = (Doubt::None, 0.0);
        if let Some(on) = on {
            let kept = self.likeliest(|lane| on.has(lane.beat_frames));
            let likeliest = &self.lanes[best.0];
            if kept.1 * on.stay(likeliest.beat_frames) > best.1 {
                if on.is_octave(likeliest.beat_frames) {
                    other_level = best.1;
                    doubt = if likeliest.usual > self.lanes[kept.0].usual {
                        Doubt::OfMoreCommon
                    } else {
                        Doubt::OfLessCommon
                    };
                }
                best = kept;
            }
        }
        let lanes = &self.lanes[self.around(best.0)];
        let (mut x, mut y, mut share, mut frames) = (0.0, 0.0, 0.0, 0.0);
        for lane in lanes {
            let length = lane.beat_frames;
            let (step_y, step_x) = (std::f32::consts::TAU / length as f32).sin_cos();
            let (mut at_x, mut at_y) = (1.0_f32, 0.0_f32);
            let mut sum = 0.0;
            for place in 0..length {
                let p: f32 = (0..BEATS).map(|b| lane.p[b * length + place]).sum();
                x += p * at_x;
                y += p * at_y;
                sum += p;
                (at_x, at_y) = (at_x * step_x - at_y * step_y, at_x * step_y + at_y * step_x);
            }
            share += sum;
            frames += sum * length as f32;
        }
        let phase = (y.atan2(x) / std::f32::consts::TAU).rem_euclid(1.0);
        let mut by_beat = [0.0_f32; BEATS];
        for lane in lanes {
            // Beats counted so that each lies within half a beat of the mean phase.
            let (length, bar) = (lane.beat_frames, lane.p.len());
            let first = (((phase - 0.5) * length as f32).ceil() + bar as f32) as usize;
            for (beat, sum) in by_beat.iter_mut().enumerate() {
                for place in 0..length {
                    *sum += lane.p[(first + beat * length + place) % bar];
                }
            }
        }
        let beat_in_bar = (0..BEATS)
            .max_by(|a, b| by_beat[*a].total_cmp(&by_beat[*b]))
            .unwrap_or(0);
        let share = share.max(f32::MIN_POSITIVE);
        Belief {
            beat_frames: frames / share,
            phase,
            beat_in_bar: beat_in_bar as u8,
            tempo_share: (share + other_level).min(1.0),
            doubt,
            phase_sure: (x.hypot(y) / share).min(1.0),
            bar_share: by_beat[beat_in_bar] / share,
        }
    }
}
