//! What is played when, and the mix.

use super::SAMPLE_RATE;
use super::groove::{ROLL, hits};
use super::instruments::{Band, Instrument};
use super::recipe::{Master, Middle, Recipe};
use crate::demo_track::voices::Noise;

/// When things happen, in seconds from the start, ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// Every beat, also where nothing plays.
    pub beats_secs: Vec<f64>,
    /// The first beats of the bars.
    pub downbeats_secs: Vec<f64>,
    /// Tempo at each beat, in beats per minute.
    pub bpm: Vec<f64>,
    /// Everything that begins; what begins together counts once.
    pub onsets_secs: Vec<f64>,
    /// Onsets of kicks.
    pub kicks_secs: Vec<f64>,
    /// Onsets of snares, claps and rims; no ghost notes.
    pub snares_secs: Vec<f64>,
    /// Onsets of hats and rides.
    pub hats_secs: Vec<f64>,
    /// Length of the track.
    pub duration_secs: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Score {
    notes: Vec<(f64, Instrument, f32)>,
    pub(super) truth: Truth,
}

/// Chord roots in semitones above the key, one a bar; minor except where marked.
const PROGRESSIONS: [[(f32, bool); 4]; 4] = [
    [(0.0, true), (8.0, false), (3.0, false), (10.0, false)],
    [(0.0, false), (7.0, false), (9.0, true), (5.0, false)],
    [(2.0, true), (7.0, false), (0.0, false), (0.0, false)],
    [(0.0, true), (5.0, true), (7.0, true), (0.0, true)],
];

impl Score {
    pub(super) fn write(recipe: &Recipe) -> Self {
        let mut noise = Noise::new(31 + 7 * recipe.number);
        let beats = 4 * recipe.bars;
        // Times of sixty-fourths of a beat, in the middle of which the tempo is taken.
        let mut grid = vec![0.2];
        for step in 0..64 * (beats + 1) {
            let beat = (step as f64 + 0.5) / 64.0;
            grid.push(grid[step] + 60.0 / recipe.bpm_at(beat) / 64.0);
        }
        let at = |beat: f64| {
            let place = beat * 64.0;
            let index = place.floor() as usize;
            grid[index] + (place - index as f64) * (grid[index + 1] - grid[index])
        };
        let mut truth = Truth {
            beats_secs: (0..beats).map(|n| at(n as f64)).collect(),
            downbeats_secs: (0..recipe.bars).map(|n| at(4.0 * n as f64)).collect(),
            bpm: (0..beats).map(|n| recipe.bpm_at(n as f64)).collect(),
            duration_secs: at(beats as f64) + 0.5,
            ..Truth::default()
        };
        let mut notes = Vec::new();
        let progression = PROGRESSIONS[(recipe.number as usize / 3) % PROGRESSIONS.len()];
        let key = 33.0 + (5 * recipe.number % 12) as f32;
        for bar in 0..recipe.bars {
            let (drums, harmony) = layers(recipe, bar);
            let (root, minor) = progression[bar % 4];
            let root = key + root;
            let third = if minor { 3.0 } else { 4.0 };
            let groove = &recipe.groove;
            let mut play = |line: &str, on: bool, make: &mut dyn FnMut(usize) -> Instrument| {
                if !on {
                    return Vec::new();
                }
                let mut times = Vec::new();
                for (number, (beat, gain)) in hits(line, bar).enumerate() {
                    let sloppy = recipe.sloppiness_secs * f64::from(noise.next());
                    let time = at(4.0 * bar as f64 + swung(beat, recipe.swing)) + sloppy;
                    let accent = 1.0 + 0.1 * noise.next();
                    notes.push((time, make(number), gain * accent));
                    if gain > 0.5 {
                        times.push(time);
                    }
                }
                times
            };
            let beat_secs = (60.0 / recipe.bpm_at(4.0 * bar as f64)) as f32;
            let roll = recipe.rolls && bar % 8 == 7;
            let snare = if roll { ROLL } else { &groove.snare };
            let times = play(&groove.kick, drums && !(roll && bar % 16 == 7), &mut |_| {
                Instrument::Kick
            });
            truth.kicks_secs.extend(times);
            let times = play(snare, drums, &mut |_| Instrument::Snare);
            truth.snares_secs.extend(times);
            let times = play(&groove.hat, drums, &mut |_| Instrument::Hat);
            truth.hats_secs.extend(times);
            play(&groove.bass, drums && harmony, &mut |n| Instrument::Bass {
                note: root + if n % 4 == 3 { 7.0 } else { 0.0 },
                secs: 0.4 * beat_secs,
            });
            play(&groove.chords, harmony, &mut |_| Instrument::Chord {
                notes: [root + 24.0, root + 24.0 + third, root + 31.0],
                secs: 1.8 * beat_secs,
            });
            play(&groove.lead, harmony, &mut |n| Instrument::Lead {
                note: root + [36.0, 43.0, 36.0 + third, 48.0][(n + bar) % 4],
                secs: 0.45 * beat_secs,
            });
        }
        notes.sort_by(|a, b| a.0.total_cmp(&b.0));
        truth.onsets_secs = notes.iter().map(|note| note.0).collect();
        truth
            .onsets_secs
            .dedup_by(|later, earlier| *later - *earlier < 0.03);
        for times in [
            &mut truth.kicks_secs,
            &mut truth.snares_secs,
            &mut truth.hats_secs,
        ] {
            times.sort_by(f64::total_cmp);
        }
        Self { notes, truth }
    }

    /// Interleaved stereo.
    pub(super) fn mix(&self, recipe: &Recipe) -> Vec<f32> {
        let frames = (self.truth.duration_secs * f64::from(SAMPLE_RATE)) as usize;
        let mut out = vec![0.0; 2 * frames];
        let band = Band::of(recipe.set, recipe.number);
        for (number, (time, instrument, gain)) in self.notes.iter().enumerate() {
            let start = (time * f64::from(SAMPLE_RATE)).round() as usize;
            band.play(instrument, *gain, number as u32, |n, left, right| {
                if let Some(frame) = out.get_mut(2 * (start + n)..2 * (start + n) + 2) {
                    frame[0] += left;
                    frame[1] += right;
                }
            });
        }
        let peak = out.iter().fold(1e-9_f32, |peak, x| peak.max(x.abs()));
        let db = |db: f32| 10.0_f32.powf(db / 20.0);
        let mut noise = Noise::new(recipe.number + 5);
        for x in &mut out {
            *x /= peak;
            *x = match recipe.master {
                Master::Peak(at) => *x * db(at),
                Master::Clipped(by) => (*x * db(by)).clamp(-1.0, 1.0),
                Master::Noise(at) => 0.7 * (*x + db(at) * noise.next()),
            };
        }
        out
    }
}

/// Whether drums and harmony play in a bar.
fn layers(recipe: &Recipe, bar: usize) -> (bool, bool) {
    let middle = recipe.bars / 2;
    let inside = |bars: usize| (middle..middle + bars).contains(&bar);
    match recipe.middle {
        Middle::NoDrums if inside(8.min(recipe.bars / 3)) => (false, true),
        Middle::Silence if inside(2) => (false, false),
        // Many tracks begin with drums alone.
        _ => (
            true,
            bar >= 4 || recipe.number % 2 == 1 || !has_drums(recipe),
        ),
    }
}

fn has_drums(recipe: &Recipe) -> bool {
    recipe.groove.kick.contains(['x', 'X'])
}

fn swung(beat: f64, swing: f64) -> f64 {
    let eighths = 2.0 * beat;
    let inside = eighths.fract();
    // Only the sixteenths between are late.
    if (inside - 0.5).abs() < 1e-6 {
        (eighths.floor() + swing) / 2.0
    } else {
        beat
    }
}

impl Truth {
    /// As JSON.
    pub fn json(&self) -> String {
        let list = |times: &[f64]| {
            let times: Vec<String> = times.iter().map(|t| format!("{t:.6}")).collect();
            times.join(", ")
        };
        let lists = [
            ("beats_secs", &self.beats_secs),
            ("downbeats_secs", &self.downbeats_secs),
            ("bpm", &self.bpm),
            ("onsets_secs", &self.onsets_secs),
            ("kicks_secs", &self.kicks_secs),
            ("snares_secs", &self.snares_secs),
            ("hats_secs", &self.hats_secs),
        ];
        let lines: Vec<String> = lists
            .iter()
            .map(|(name, times)| format!("  \"{name}\": [{}]", list(times)))
            .collect();
        format!(
            "{{\n  \"duration_secs\": {:.6},\n{}\n}}\n",
            self.duration_secs,
            lines.join(",\n")
        )
    }
}
