//! What is played when.

use super::{BEAT_SECS, Truth};

/// A part of the track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Intro,
    Groove,
    Break,
    Drop,
    Outro,
}

/// One sound.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sound {
    Kick {
        gain: f32,
    },
    Clap {
        gain: f32,
    },
    Hat {
        gain: f32,
        fall_secs: f32,
    },
    Bass {
        note: f32,
        secs: f32,
        cutoff_hz: f32,
    },
    Pluck {
        note: f32,
        cutoff_hz: f32,
        fall_secs: f32,
        gain: f32,
    },
    /// A held chord; its filter goes from one cutoff to the other.
    Pad {
        chord: usize,
        secs: f32,
        from_hz: f32,
        to_hz: f32,
        gain: f32,
    },
    Stab {
        chord: usize,
        secs: f32,
        gain: f32,
    },
    Riser {
        secs: f32,
    },
    Crash {
        gain: f32,
    },
    Impact,
}

/// All sounds with their times, and the truth about them.
#[derive(Clone, Debug)]
pub(super) struct Score {
    pub(super) sounds: Vec<(f64, Sound)>,
    pub(super) truth: Truth,
}

/// F minor, D flat, A flat, E flat: MIDI notes of the chord, bass note first.
const CHORDS: [[f32; 5]; 4] = [
    [29.0, 56.0, 60.0, 63.0, 65.0],
    [25.0, 56.0, 60.0, 61.0, 65.0],
    [32.0, 55.0, 60.0, 63.0, 68.0],
    [27.0, 55.0, 58.0, 63.0, 65.0],
];

/// Bass note and upper notes of a chord, by number from 0 to 3.
pub(super) fn chord(number: usize) -> (f32, &'static [f32]) {
    let notes = &CHORDS[number % 4];
    (notes[0], &notes[1..])
}

const BAR_SECS: f64 = 4.0 * BEAT_SECS;
/// The second of two sixteenths comes at 58 % of the eighth.
const SWING: f64 = 0.58;

impl Score {
    /// Writes as many bars as fit into `secs`, with 1.4 s for the last tail where possible.
    pub(super) fn write(secs: f64) -> Self {
        let bars = ((secs - 1.4) / BAR_SECS).floor().max(5.0) as usize;
        // 38 bars make 75 s: 8, 8, 6, 12, 4.
        let share = |part: usize| ((part * bars) as f64 / 38.0).round() as usize;
        let ends = [share(8), share(16), share(22), share(34), bars];
        let mut score = Self {
            sounds: Vec::new(),
            truth: Truth::default(),
        };
        let names = [
            ("intro", Section::Intro),
            ("groove", Section::Groove),
            ("break", Section::Break),
            ("drop", Section::Drop),
            ("outro", Section::Outro),
        ];
        let mut start = 0;
        for ((name, section), end) in names.into_iter().zip(ends) {
            score.truth.sections.push((name, start as f64 * BAR_SECS));
            for bar in start..end {
                score.bar(section, bar, bar - start, end - start);
            }
            start = end;
        }
        // Everything ends on one chord.
        let end_secs = bars as f64 * BAR_SECS;
        score.kick(end_secs, 1.0);
        score.put(end_secs, Sound::Crash { gain: 0.3 });
        for times in [
            &mut score.truth.kicks_secs,
            &mut score.truth.claps_secs,
            &mut score.truth.hats_secs,
            &mut score.truth.bass_secs,
            &mut score.truth.notes_secs,
        ] {
            times.sort_by(f64::total_cmp);
        }
        score
    }

    fn put(&mut self, at_secs: f64, sound: Sound) {
        let truth = &mut self.truth;
        match sound {
            Sound::Kick { .. } => truth.kicks_secs.push(at_secs),
            Sound::Clap { .. } => truth.claps_secs.push(at_secs),
            Sound::Hat { .. } => truth.hats_secs.push(at_secs),
            Sound::Bass { .. } => truth.bass_secs.push(at_secs),
            _ => truth.notes_secs.push(at_secs),
        }
        self.sounds.push((at_secs, sound));
    }

    fn kick(&mut self, at_secs: f64, gain: f32) {
        self.put(at_secs, Sound::Kick { gain });
    }

    fn clap(&mut self, at_secs: f64, gain: f32) {
        self.put(at_secs, Sound::Clap { gain });
    }

    fn hat(&mut self, at_secs: f64, gain: f32, fall_secs: f32) {
        self.put(at_secs, Sound::Hat { gain, fall_secs });
    }

    /// One bar. `number` counts from the start of the track, `inside` within the section.
    fn bar(&mut self, section: Section, number: usize, inside: usize, bars: usize) {
        let start = number as f64 * BAR_SECS;
        let way = inside as f32 / bars as f32;
        let last = inside + 1 == bars;
        self.drums(section, start, inside, way, last);
        self.bass(section, start, number, way);
        self.harmony(section, start, number, way, bars);
        if section == Section::Break && inside == 0 {
            self.put(start, Sound::Crash { gain: 0.35 });
            self.put(start, Sound::Impact);
            // The riser ends a beat before the drop: the gap makes the drop.
            let secs = (bars as f64 * BAR_SECS - BEAT_SECS) as f32;
            self.put(start, Sound::Riser { secs });
        }
        if inside == 0 && matches!(section, Section::Groove | Section::Drop) {
            self.put(start, Sound::Crash { gain: 0.5 });
            if section == Section::Drop {
                self.put(start, Sound::Impact);
            }
        }
        if section == Section::Drop && inside > 0 && inside.is_multiple_of(4) {
            self.put(start, Sound::Crash { gain: 0.3 });
        }
    }

    fn drums(&mut self, section: Section, start: f64, inside: usize, way: f32, last: bool) {
        let beat = |n: f64| start + n * BEAT_SECS;
        let sixteenth = |n: usize| {
            let eighth = (n / 2) as f64;
            let late = if n % 2 == 1 { SWING } else { 0.0 };
            start + (eighth + late) * BEAT_SECS / 2.0
        };
        let kicks = match section {
            Section::Intro => way >= 0.25,
            Section::Break => false,
            _ => true,
        };
        // The last beat before break and drop belongs to the fill.
        let kick_beats = if last && section == Section::Groove {
            3
        } else {
            4
        };
        if kicks {
            for n in 0..kick_beats {
                self.kick(beat(f64::from(n)), 1.0);
            }
        }
        if matches!(section, Section::Groove | Section::Drop) {
            self.clap(beat(1.0), 1.0);
            if !last || section == Section::Drop {
                self.clap(beat(3.0), 1.0);
            }
        }
        if last && section == Section::Groove {
            for (n, gain) in [(12, 0.6), (14, 0.75), (15, 0.9)] {
                self.clap(start + f64::from(n) * BEAT_SECS / 4.0, gain);
            }
        }
        match section {
            Section::Intro | Section::Outro => {
                for n in 0..4 {
                    self.hat(beat(f64::from(n) + 0.5), 0.7, 0.05);
                }
            }
            Section::Groove | Section::Drop => {
                for n in 0..16 {
                    if n % 4 == 2 {
                        self.hat(sixteenth(n), 0.9, 0.11);
                    } else if n % 4 != 0 || section == Section::Drop {
                        let gain = if n % 2 == 0 { 0.5 } else { 0.38 };
                        self.hat(sixteenth(n), gain, 0.026);
                    }
                }
            }
            Section::Break => {
                // A roll: quarters, eighths, sixteenths; silent in the last beat.
                let steps: &[usize] = if last {
                    &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
                } else if way >= 0.66 {
                    &[0, 2, 4, 6, 8, 10, 12, 14]
                } else if way >= 0.45 {
                    &[0, 4, 8, 12]
                } else {
                    &[]
                };
                for n in steps {
                    let gain = 0.35 + 0.45 * (way + *n as f32 / 64.0);
                    self.clap(start + *n as f64 * BEAT_SECS / 4.0, gain);
                }
                if inside % 2 == 1 && !last {
                    self.hat(beat(3.5), 0.5, 0.11);
                }
            }
        }
    }

    fn bass(&mut self, section: Section, start: f64, number: usize, way: f32) {
        let (root, _) = chord(number);
        // Sixteenth, semitones above the root, length in sixteenths.
        let (line, cutoff_hz): (&[(usize, f32, f32)], f32) = match section {
            Section::Groove => (
                &[
                    (2, 12.0, 1.6),
                    (6, 12.0, 1.6),
                    (10, 12.0, 1.6),
                    (14, 12.0, 1.4),
                ],
                500.0 + 500.0 * way,
            ),
            Section::Drop => (
                &[
                    (2, 12.0, 1.0),
                    (3, 12.0, 0.8),
                    (6, 12.0, 1.6),
                    (9, 19.0, 0.8),
                    (10, 12.0, 1.6),
                    (13, 22.0, 0.8),
                    (14, 12.0, 1.6),
                ],
                1_100.0,
            ),
            Section::Outro => (&[(2, 12.0, 1.6), (10, 12.0, 1.6)], 500.0 - 300.0 * way),
            _ => (&[], 0.0),
        };
        for (step, above, length) in line {
            let at_secs = start + *step as f64 * BEAT_SECS / 4.0;
            self.put(
                at_secs,
                Sound::Bass {
                    note: root + above,
                    secs: length * BEAT_SECS as f32 / 4.0,
                    cutoff_hz,
                },
            );
        }
    }

    fn harmony(&mut self, section: Section, start: f64, number: usize, way: f32, bars: usize) {
        let (root, notes) = chord(number);
        let next_way = way + 1.0 / bars as f32;
        let pad = |low: f32, octaves: f32, gain: f32| {
            let hz = |w: f32| low * (octaves * w).exp2();
            Sound::Pad {
                chord: number,
                secs: BAR_SECS as f32 + 0.25,
                from_hz: hz(way),
                to_hz: hz(next_way),
                gain,
            }
        };
        match section {
            Section::Intro => self.put(start, pad(250.0, 2.0, 0.75)),
            Section::Groove => self.put(start, pad(600.0, 0.8, 0.6)),
            Section::Break => self.put(start, pad(380.0, 3.8, 0.95)),
            Section::Drop => self.put(start, pad(3_600.0, 0.7, 0.6)),
            Section::Outro => self.put(start, pad(1_400.0, -2.4, 0.6)),
        }
        if section == Section::Drop {
            for step in [0, 3, 6, 10, 13] {
                self.put(
                    start + f64::from(step) * BEAT_SECS / 4.0,
                    Sound::Stab {
                        chord: number,
                        secs: 0.24,
                        gain: 0.9,
                    },
                );
            }
        }
        // The arpeggio opens through the intro, rests in the groove's start, sweeps in the break.
        let (cutoff_hz, fall_secs, gain) = match section {
            Section::Intro => (300.0 * (3.0 * way).exp2(), 0.09, 0.55),
            Section::Groove => (900.0 * (1.5 * way).exp2(), 0.1, 0.42),
            Section::Break => (500.0 * (4.0 * way).exp2(), 0.1 + 0.1 * way, 0.7),
            Section::Drop => (6_500.0, 0.13, 0.6),
            Section::Outro => (2_400.0 * (-3.0 * way).exp2(), 0.1, 0.45),
        };
        const PATTERN: [usize; 16] = [0, 1, 2, 3, 1, 2, 3, 0, 2, 3, 1, 2, 3, 2, 1, 3];
        for (step, degree) in PATTERN.iter().enumerate() {
            // Sparse in the groove.
            if section == Section::Groove && step % 4 == 0 {
                continue;
            }
            let octave = if (step + number) % 5 == 4 { 24.0 } else { 12.0 };
            let accent = if step % 3 == 0 { 1.0 } else { 0.75 };
            debug_assert!(root < notes[0]);
            self.put(
                start + step as f64 * BEAT_SECS / 4.0,
                Sound::Pluck {
                    note: notes[*degree] + octave,
                    cutoff_hz,
                    fall_secs,
                    gain: gain * accent,
                },
            );
        }
    }
}
