//! The desk: sounds to buses, buses to the master.

use super::arrangement::{Score, Sound, chord};
use super::effects::{Echo, Reverb, Svf, SvfMode};
use super::{BEAT_SECS, SAMPLE_RATE, voices};

/// Peak of the master: −1 dBFS.
const PEAK: f32 = 0.891_25;

/// Drive into the master's saturation; sets the loudness (about −12 LUFS).
const DRIVE: f32 = 0.62;

/// A stereo bus.
struct Bus {
    left: Vec<f32>,
    right: Vec<f32>,
}

impl Bus {
    fn new(frames: usize) -> Self {
        Self {
            left: vec![0.0; frames],
            right: vec![0.0; frames],
        }
    }

    fn add(&mut self, frame: usize, left: f32, right: f32) {
        if let (Some(l), Some(r)) = (self.left.get_mut(frame), self.right.get_mut(frame)) {
            *l += left;
            *r += right;
        }
    }
}

/// Buses: kick; drums; what the kick ducks, dry, with echo, with much reverb.
struct Desk {
    kick: Bus,
    drums: Bus,
    bass: Bus,
    pads: Bus,
    plucks: Bus,
    swells: Bus,
    /// How far music is turned down for the kick, 0 to 1.
    duck: Vec<f32>,
}

pub(super) fn render(score: &Score, secs: f64) -> Vec<f32> {
    let frames = (secs * f64::from(SAMPLE_RATE)).round() as usize;
    let mut desk = Desk {
        kick: Bus::new(frames),
        drums: Bus::new(frames),
        bass: Bus::new(frames),
        pads: Bus::new(frames),
        plucks: Bus::new(frames),
        swells: Bus::new(frames),
        duck: vec![0.0; frames],
    };
    for (number, (at_secs, sound)) in score.sounds.iter().enumerate() {
        let start = (at_secs * f64::from(SAMPLE_RATE)).round() as usize;
        desk.play(start, sound, number as u32);
    }
    desk.master()
}

impl Desk {
    fn play(&mut self, start: usize, sound: &Sound, number: u32) {
        // Hats and plucks wander between the speakers.
        let pan = 0.35 * (number as f32 * 2.4).sin();
        let sides = |x: f32| (x * (1.0 - pan), x * (1.0 + pan));
        match *sound {
            Sound::Kick { gain } => {
                voices::kick(gain, |n, x| self.kick.add(start + n, x, x));
                self.duck_for_kick(start);
            }
            Sound::Clap { gain } => voices::clap(0.75 * gain, number, |n, l, r| {
                self.drums.add(start + n, l, r);
            }),
            Sound::Hat { gain, fall_secs } => {
                voices::hat(0.3 * gain, fall_secs, number, |n, x| {
                    let (l, r) = sides(x);
                    self.drums.add(start + n, l, r);
                });
            }
            Sound::Bass {
                note,
                secs,
                cutoff_hz,
            } => voices::bass(voices::note_hz(note), secs, cutoff_hz, 0.45, |n, x| {
                self.bass.add(start + n, x, x);
            }),
            Sound::Pluck {
                note,
                cutoff_hz,
                fall_secs,
                gain,
            } => {
                let hz = voices::note_hz(note);
                voices::pluck(hz, cutoff_hz, fall_secs, 0.6 * gain, |n, x| {
                    let (l, r) = sides(x);
                    self.plucks.add(start + n, l, r);
                });
            }
            Sound::Pad {
                chord: number,
                secs,
                from_hz,
                to_hz,
                gain,
            } => {
                let cutoff = |t: f32| from_hz * (to_hz / from_hz).powf(t / secs);
                let notes = chord(number).1;
                voices::chord(notes, secs, 0.2, 0.25, 0.085 * gain, cutoff, |n, l, r| {
                    self.pads.add(start + n, l, r);
                });
            }
            Sound::Stab {
                chord: number,
                secs,
                gain,
            } => {
                let notes: Vec<f32> = chord(number).1.iter().map(|note| note + 12.0).collect();
                let cutoff = |t: f32| 1_300.0 + 9_000.0 * (-t / 0.07).exp();
                voices::chord(&notes, secs, 0.003, 0.12, 0.16 * gain, cutoff, |n, l, r| {
                    self.plucks.add(start + n, l, r);
                });
            }
            Sound::Riser { secs } => voices::riser(secs, 0.5, |n, l, r| {
                self.swells.add(start + n, l, r);
            }),
            Sound::Crash { gain } => voices::crash(0.5 * gain, |n, l, r| {
                self.swells.add(start + n, l, r);
            }),
            Sound::Impact => voices::impact(0.5, |n, x| self.swells.add(start + n, x, x)),
        }
    }

    /// Down at once, back over half a beat.
    fn duck_for_kick(&mut self, start: usize) {
        let len = (0.62 * BEAT_SECS * f64::from(SAMPLE_RATE)) as usize;
        for n in 0..len {
            if let Some(duck) = self.duck.get_mut(start + n) {
                let way = n as f32 / len as f32;
                let attack = (n as f32 / 96.0).min(1.0);
                *duck = duck.max(attack * (1.0 - way * way));
            }
        }
    }

    fn master(self) -> Vec<f32> {
        let mut echo = Echo::new(0.75 * BEAT_SECS, 0.5);
        let mut reverb = Reverb::new(2.2);
        let mut low_cut = [Svf::default(), Svf::default()];
        let mut wet_cut = [Svf::default(), Svf::default()];
        let frames = self.duck.len();
        let mut out = Vec::with_capacity(2 * frames);
        let fade_frames = 0.4 * SAMPLE_RATE as f32;
        for n in 0..frames {
            let duck = self.duck[n];
            let (soft, hard) = (1.0 - 0.7 * duck, 1.0 - 0.92 * duck);
            let pluck = (self.plucks.left[n], self.plucks.right[n]);
            let echoes = echo.next(pluck.0, pluck.1);
            let send = |drum: f32, pad: f32, pluck: f32, echo: f32, swell: f32| {
                0.12 * drum + 0.55 * pad + 0.3 * pluck + 0.5 * echo + 0.5 * swell
            };
            let room = reverb.next(
                send(
                    self.drums.left[n],
                    self.pads.left[n],
                    pluck.0,
                    echoes.0,
                    self.swells.left[n],
                ),
                send(
                    self.drums.right[n],
                    self.pads.right[n],
                    pluck.1,
                    echoes.1,
                    self.swells.right[n],
                ),
            );
            let end = ((frames - n) as f32 / fade_frames).min(1.0);
            for side in 0..2 {
                let of = |bus: &Bus| if side == 0 { bus.left[n] } else { bus.right[n] };
                let pick = |pair: (f32, f32)| if side == 0 { pair.0 } else { pair.1 };
                // Room and echo leave the low end to kick and bass.
                let wet = 0.8 * pick(room) + 0.55 * pick(echoes);
                let wet = wet_cut[side].next(wet, 180.0, 0.7, SvfMode::High);
                let music = soft * (of(&self.pads) + pick(pluck) + wet) + hard * of(&self.bass);
                let sum = 0.9 * of(&self.kick)
                    + of(&self.drums)
                    + music
                    + (1.0 - 0.4 * duck) * of(&self.swells);
                let sum = low_cut[side].next(sum, 24.0, 0.7, SvfMode::High);
                out.push(end * (DRIVE * sum).tanh());
            }
        }
        let peak = out.iter().fold(1e-9_f32, |peak, x| peak.max(x.abs()));
        for x in &mut out {
            *x *= PEAK / peak;
        }
        out
    }
}
