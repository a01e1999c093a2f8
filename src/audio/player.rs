//! A sound file being played: where it is now, and what comes next.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::Decoded;

/// No output has said yet when the sound began.
const UNSET: i64 = i64::MIN;

/// A file on its clock. The clock is that of the output device while one plays, and the system's
/// otherwise. Positions are frames since the start and go on rising when the file repeats.
#[derive(Debug)]
pub(super) struct Player {
    sound: Decoded,
    repeat: bool,
    epoch: Instant,
    /// When frame 0 is or was heard, in microseconds after `epoch`. Written by the output's
    /// callback, or once by the silent clock; a single value, so that readers never see half.
    begin_micros: AtomicI64,
    /// First frame that the output was not given yet, while an output plays.
    given: AtomicI64,
    on_output: AtomicBool,
}

impl Player {
    pub(super) fn new(sound: Decoded, repeat: bool) -> Self {
        Self {
            sound,
            repeat,
            epoch: Instant::now(),
            begin_micros: AtomicI64::new(UNSET),
            given: AtomicI64::new(0),
            on_output: AtomicBool::new(false),
        }
    }

    pub(super) fn sample_rate(&self) -> u32 {
        self.sound.sample_rate
    }

    pub(super) fn channels(&self) -> usize {
        self.sound.channels
    }

    fn now_micros(&self) -> i64 {
        self.epoch.elapsed().as_micros() as i64
    }

    fn micros_to_frames(&self, micros: i64) -> i64 {
        (i128::from(micros) * i128::from(self.sound.sample_rate) / 1_000_000) as i64
    }

    /// Goes on without an output, from where it is.
    pub(super) fn play_silently(&self) {
        // It is this thread or the callback, never both: the stream is gone by now, or none was.
        if self.begin_micros.load(Relaxed) == UNSET {
            self.begin_micros.store(self.now_micros(), Relaxed);
        }
        self.on_output.store(false, Relaxed);
    }

    /// The frame that is heard now; 0 before the sound begins.
    pub(super) fn position(&self) -> i64 {
        let begin = self.begin_micros.load(Relaxed);
        if begin == UNSET {
            return 0;
        }
        let position = self.micros_to_frames(self.now_micros() - begin).max(0);
        if self.on_output.load(Relaxed) {
            position.min(self.given.load(Relaxed))
        } else {
            position
        }
    }

    /// Whether the whole file was heard at this position.
    pub(super) fn is_over(&self, position: i64) -> bool {
        !self.repeat && position >= self.sound.frames() as i64
    }

    /// Interleaved samples from `position` on, at most `frames` frames and up to the end or the
    /// next repetition; empty after the end.
    pub(super) fn slice(&self, position: i64, frames: usize) -> &[f32] {
        let len = self.sound.frames();
        let start = if self.repeat {
            position.rem_euclid(len as i64) as usize
        } else {
            (position.max(0) as usize).min(len)
        };
        let end = (start + frames).min(len);
        let channels = self.sound.channels;
        &self.sound.samples[start * channels..end * channels]
    }

    /// One sample of one channel; silence outside.
    fn at(&self, frame: i64, channel: usize) -> f32 {
        self.slice(frame, 1).get(channel).copied().unwrap_or(0.0)
    }

    /// What an output plays from, at its own rate in Hz.
    pub(super) fn voice(&self, output_rate: u32) -> Voice {
        Voice {
            step: f64::from(self.sound.sample_rate) / f64::from(output_rate),
            frame: 0,
            between: 0.0,
            started: false,
        }
    }
}

/// The reading end of one output stream; lives in its callback. Repeats and resamples.
#[derive(Debug)]
pub(super) struct Voice {
    /// Frames of the file per frame of the output.
    step: f64,
    frame: i64,
    between: f64,
    started: bool,
}

impl Voice {
    /// Begins a buffer that is heard in `delay`.
    pub(super) fn begin(&mut self, player: &Player, delay: Duration) {
        let heard_at = player.now_micros() + delay.as_micros() as i64;
        if !self.started {
            self.started = true;
            let begin = player.begin_micros.load(Relaxed);
            if begin != UNSET {
                // Another output or the silent clock was here before: go on from there.
                self.frame = player.micros_to_frames(heard_at - begin).max(0);
            }
            player.given.store(self.frame, Relaxed);
            player.on_output.store(true, Relaxed);
        }
        let played = self.frame as f64 + self.between;
        let played_micros = played * 1e6 / f64::from(player.sound.sample_rate);
        player
            .begin_micros
            .store(heard_at - played_micros as i64, Relaxed);
    }

    /// The sample for one of the output's `channels`.
    pub(super) fn sample(&self, player: &Player, channel: usize, channels: usize) -> f32 {
        let have = player.sound.channels;
        if channels == 1 && have > 1 {
            let sum: f32 = (0..have).map(|c| self.one(player, c)).sum();
            return sum / have as f32;
        }
        if have == 1 && channel < 2 {
            return self.one(player, 0);
        }
        if channel < have {
            self.one(player, channel)
        } else {
            0.0
        }
    }

    /// One channel between two frames: Catmull–Rom spline; exact where rates agree.
    fn one(&self, player: &Player, channel: usize) -> f32 {
        let at = |offset: i64| player.at(self.frame + offset, channel);
        let t = self.between as f32;
        if t == 0.0 {
            return at(0);
        }
        let (a, b, c, d) = (at(-1), at(0), at(1), at(2));
        let slope = 0.5 * (c - a);
        let square = a - 2.5 * b + 2.0 * c - 0.5 * d;
        let cube = 1.5 * (b - c) + 0.5 * (d - a);
        b + t * (slope + t * (square + t * cube))
    }

    pub(super) fn advance(&mut self) {
        self.between += self.step;
        let whole = self.between.floor();
        self.frame += whole as i64;
        self.between -= whole;
    }

    /// Ends a buffer.
    pub(super) fn end(&self, player: &Player) {
        player.given.store(self.frame, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Player;
    use crate::audio::Decoded;
    use std::path::PathBuf;
    use std::time::Duration;

    fn player(repeat: bool) -> Player {
        let sound = Decoded {
            path: PathBuf::from("made here"),
            sample_rate: 48_000,
            channels: 2,
            samples: (0..200)
                .map(|n| (n / 2) as f32 * if n % 2 == 0 { 1.0 } else { -1.0 })
                .collect(),
            warning: None,
        };
        Player::new(sound, repeat)
    }

    #[test]
    fn equal_rates_copy_and_others_interpolate() {
        let player = player(false);
        let mut voice = player.voice(48_000);
        voice.begin(&player, Duration::ZERO);
        for n in 0..100_u8 {
            assert_eq!(voice.sample(&player, 0, 2), f32::from(n));
            assert_eq!(voice.sample(&player, 1, 2), -f32::from(n));
            voice.advance();
        }
        assert_eq!(voice.sample(&player, 0, 2), 0.0, "silence after the end");
        let mut voice = player.voice(96_000);
        voice.advance();
        voice.advance();
        voice.advance();
        assert!((voice.sample(&player, 0, 2) - 1.5).abs() < 1e-6);
    }

    #[test]
    fn a_repeated_file_starts_over() {
        let player = player(true);
        assert_eq!(player.slice(95, 20).len(), 2 * 5);
        assert_eq!(player.slice(100, 20)[0], 0.0);
        assert_eq!(player.slice(205, 1), [5.0, -5.0]);
        assert!(!player.is_over(1_000_000));
        let once = self::player(false);
        assert!(once.slice(100, 20).is_empty());
        assert!(once.is_over(100));
        assert!(!once.is_over(99));
    }

    #[test]
    fn what_is_heard_waits_for_the_output() {
        let player = player(true);
        assert_eq!(player.position(), 0);
        let mut voice = player.voice(48_000);
        voice.begin(&player, Duration::from_secs(10));
        for _ in 0..480 {
            voice.advance();
        }
        voice.end(&player);
        assert_eq!(player.position(), 0, "heard in ten seconds");
        voice.begin(&player, Duration::ZERO);
        let position = player.position();
        assert!((470..=480).contains(&position), "{position}");
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(
            player.position(),
            480,
            "never beyond what the output was given"
        );
        player.play_silently();
        assert!(player.position() > 1000);
    }
}
