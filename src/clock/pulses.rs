//! MIDI clock: 24 pulses a beat, with a cable's jitter.

use super::{BPM_RANGE, Line};

/// Pulses of a beat.
const PULSES_PER_BEAT: f64 = 24.0;
/// Pulses that are looked back on: four beats.
const KEPT: usize = 96;
/// Fewest pulses that give a tempo: a quarter of a beat.
const FEWEST: usize = 6;
/// Newest pulses that tell whether the tempo has changed.
const NEWEST: usize = 8;
/// Without a pulse for this long the clock is lost, in seconds.
const LOST_SECS: f64 = 1.0;
/// Longest gap, in seconds, in which the sender is taken to have gone on counting.
const BRIDGED_SECS: f64 = 10.0;

/// What a MIDI clock sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One of 24 pulses of a beat.
    Pulse,
    /// Play from the beginning: the next pulse is the first of a bar.
    Start,
    /// Play on from where it is.
    Continue,
    /// Stop. Pulses may go on.
    Stop,
    /// Where to play on from, in sixteenths since the beginning, 0 to 16383.
    Position(u16),
}

/// The pulses of a MIDI clock. Tempo and phase come from a straight line through the last ones, by
/// least squares: a pulse may be milliseconds early or late. Allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Pulses {
    /// When the last pulses came, oldest first, and which they were.
    times: [f64; KEPT],
    numbers: [i64; KEPT],
    count: usize,
    /// Number of the next pulse; multiples of 96 begin bars.
    next: i64,
    /// Pulses that a gap had been taken to have swallowed, and that may still come all at once.
    owed: i64,
    playing: bool,
    line: Option<Line>,
}

impl Default for Pulses {
    fn default() -> Self {
        Self {
            times: [0.0; KEPT],
            numbers: [0; KEPT],
            count: 0,
            next: 0,
            owed: 0,
            playing: true,
            line: None,
        }
    }
}

impl Pulses {
    /// False between stop and start. A sender that knows neither is always playing.
    pub(super) fn is_playing(&self) -> bool {
        self.playing
    }

    /// Whether pulses come.
    pub(super) fn is_alive(&self, secs: f64) -> bool {
        let newest = self.count.checked_sub(1).map(|at| self.times[at]);
        newest.is_some_and(|newest| secs - newest < LOST_SECS)
    }

    /// The beat; `None` before there were enough pulses.
    pub(super) fn line(&self) -> Option<Line> {
        self.line
    }

    /// Takes a message in.
    pub(super) fn take(&mut self, secs: f64, transport: Transport) {
        match transport {
            Transport::Pulse => self.pulse(secs),
            Transport::Start => {
                self.playing = true;
                self.renumber(0);
            }
            Transport::Continue => self.playing = true,
            Transport::Stop => self.playing = false,
            // Six pulses are a sixteenth.
            Transport::Position(sixteenths) => self.renumber(6 * i64::from(sixteenths)),
        }
    }

    /// The next pulse is called `next`; those before keep their distance.
    fn renumber(&mut self, next: i64) {
        let shift = next - self.next;
        for number in &mut self.numbers[..self.count] {
            *number += shift;
        }
        self.next = next;
        self.owed = 0;
        if let Some(line) = &mut self.line {
            line.beats += shift as f64 / PULSES_PER_BEAT;
        }
    }

    fn period_secs(&self) -> Option<f64> {
        self.line.map(|line| 60.0 / line.bpm / PULSES_PER_BEAT)
    }

    fn pulse(&mut self, secs: f64) {
        if let (Some(newest), Some(period)) = (self.count.checked_sub(1), self.period_secs()) {
            let gap = secs - self.times[newest];
            if gap > BRIDGED_SECS {
                self.count = 0;
                self.owed = 0;
            } else if self.owed > 0 && gap < 0.4 * period {
                // A stalled driver delivers what the gap had held up: already counted.
                self.owed -= 1;
                return;
            } else if gap > 2.5 * period && gap > 0.05 {
                // A cable that was out, or a stall: the sender has gone on.
                let missed = (gap / period).round() as i64 - 1;
                self.owed = missed;
                self.next += missed;
            }
        }
        if self.count == KEPT {
            self.drop_oldest(1);
        }
        self.times[self.count] = secs;
        self.numbers[self.count] = self.next;
        self.count += 1;
        self.next += 1;
        self.fit();
    }

    fn drop_oldest(&mut self, count: usize) {
        self.times.copy_within(count..self.count, 0);
        self.numbers.copy_within(count..self.count, 0);
        self.count -= count;
    }

    fn fit(&mut self) {
        while self.count >= FEWEST {
            let Some(line) = self.least_squares() else {
                return;
            };
            let period = 60.0 / line.bpm / PULSES_PER_BEAT;
            // How far the newest pulses are from the line, all to one side or growing: the mean
            // of jitter is nothing, that of a new tempo is not.
            let newest = &self.times[self.count.saturating_sub(NEWEST)..self.count];
            let numbers = &self.numbers[self.count.saturating_sub(NEWEST)..self.count];
            let off = newest
                .iter()
                .zip(numbers)
                .map(|(secs, number)| (line.at(*secs) * PULSES_PER_BEAT - *number as f64) * period);
            let off = off.sum::<f64>().abs() / newest.len() as f64;
            let spread = self.spread(&line) * period;
            // Jitter's mean over eight is about a third of its spread; 0.4 ms are a floor.
            if self.count > 2 * NEWEST && off > (0.75 * spread).max(0.000_4) {
                self.drop_oldest(self.count / 2);
                continue;
            }
            let (slowest, fastest) = BPM_RANGE;
            self.line = Some(Line {
                bpm: line.bpm.clamp(slowest, fastest),
                ..line
            });
            return;
        }
    }

    /// Standard deviation of the pulses from a line, in pulses.
    fn spread(&self, line: &Line) -> f64 {
        let pulses = self.times[..self.count].iter().zip(&self.numbers);
        let sum: f64 = pulses
            .map(|(secs, number)| {
                let off = line.at(*secs) * PULSES_PER_BEAT - *number as f64;
                off * off
            })
            .sum();
        (sum / self.count as f64).sqrt()
    }

    fn least_squares(&self) -> Option<Line> {
        let (times, numbers) = (&self.times[..self.count], &self.numbers[..self.count]);
        let n = self.count as f64;
        let mean_secs = times.iter().sum::<f64>() / n;
        let mean_number = numbers.iter().map(|v| *v as f64).sum::<f64>() / n;
        let (mut rise, mut run) = (0.0, 0.0);
        for (secs, number) in times.iter().zip(numbers) {
            let number = *number as f64 - mean_number;
            rise += number * (secs - mean_secs);
            run += number * number;
        }
        let period = rise / run;
        (period.is_finite() && period > 0.0).then(|| Line {
            at_secs: mean_secs,
            beats: mean_number / PULSES_PER_BEAT,
            bpm: 60.0 / period / PULSES_PER_BEAT,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Pulses, Transport};

    /// Even in \[−1, 1\], the same each time.
    fn noise(index: u32) -> f64 {
        let bits = index.wrapping_mul(2_654_435_761).rotate_left(13) ^ index;
        f64::from(bits.wrapping_mul(2_246_822_519) >> 8) / f64::from(1u32 << 23) - 1.0
    }

    /// A sender: where its beat is, by exact tempo.
    struct Sender {
        secs: f64,
        sent: u32,
        jitter_secs: f64,
    }

    impl Sender {
        fn new(jitter_secs: f64) -> Self {
            Self {
                secs: 5.0,
                sent: 0,
                jitter_secs,
            }
        }

        fn play(&mut self, pulses: &mut Pulses, bpm: f64, count: u32) {
            for _ in 0..count {
                let late = self.jitter_secs * (1.0 + noise(self.sent));
                pulses.take(self.secs + late, Transport::Pulse);
                self.sent += 1;
                self.secs += 60.0 / bpm / 24.0;
            }
        }

        /// How far the line is from the sender's beat now, in beats.
        fn off(&self, pulses: &Pulses) -> f64 {
            let line = pulses.line().unwrap();
            line.at(self.secs + self.jitter_secs) - f64::from(self.sent) / 24.0
        }
    }

    #[test]
    fn tempo_and_phase_come_through_jitter() {
        // ±3 ms is a busy USB bus; a pulse at 120 bpm lasts 21 ms.
        for bpm in [60.0, 120.0, 128.0, 174.0] {
            let mut pulses = Pulses::default();
            let mut sender = Sender::new(0.003);
            sender.play(&mut pulses, bpm, 48);
            let line = pulses.line().unwrap();
            assert!((line.bpm - bpm).abs() < 0.01 * bpm, "two beats: {line:?}");
            sender.play(&mut pulses, bpm, 96);
            for _ in 0..96 {
                sender.play(&mut pulses, bpm, 1);
                let line = pulses.line().unwrap();
                assert!((line.bpm - bpm).abs() < 0.004 * bpm, "{line:?}");
                assert!(sender.off(&pulses).abs() < 0.006, "{}", sender.off(&pulses));
            }
        }
    }

    #[test]
    fn a_new_tempo_is_followed_within_a_beat() {
        let mut pulses = Pulses::default();
        let mut sender = Sender::new(0.001);
        sender.play(&mut pulses, 120.0, 200);
        sender.play(&mut pulses, 128.0, 24);
        assert!(sender.off(&pulses).abs() < 0.02, "{}", sender.off(&pulses));
        sender.play(&mut pulses, 128.0, 24);
        let line = pulses.line().unwrap();
        assert!((line.bpm - 128.0).abs() < 1.0, "{line:?}");
        // A pitch fader that is moved for four bars.
        for step in 0..384 {
            sender.play(&mut pulses, 128.0 + f64::from(step) * 0.03, 1);
            assert!(sender.off(&pulses).abs() < 0.03, "{}", sender.off(&pulses));
        }
    }

    #[test]
    fn lost_pulses_and_bursts_keep_the_count() {
        let mut pulses = Pulses::default();
        let mut sender = Sender::new(0.0005);
        sender.play(&mut pulses, 120.0, 100);
        // The cable is out for a second and a half.
        let mut void = Pulses::default();
        sender.play(&mut void, 120.0, 72);
        assert!(!pulses.is_alive(sender.secs));
        sender.play(&mut pulses, 120.0, 48);
        assert!(pulses.is_alive(sender.secs));
        assert!(sender.off(&pulses).abs() < 0.02, "{}", sender.off(&pulses));
        // A stall: eight pulses arrive at once, at the time of the last.
        let stalled = sender.secs + 7.0 * 60.0 / 120.0 / 24.0;
        for burst in 0..8 {
            pulses.take(stalled + f64::from(burst) * 1e-4, Transport::Pulse);
        }
        sender.secs = stalled + 60.0 / 120.0 / 24.0;
        sender.sent += 8;
        sender.play(&mut pulses, 120.0, 96);
        assert!(sender.off(&pulses).abs() < 0.02, "{}", sender.off(&pulses));
    }

    #[test]
    fn start_position_and_stop() {
        let mut pulses = Pulses::default();
        let mut sender = Sender::new(0.0);
        sender.play(&mut pulses, 120.0, 31);
        assert!(pulses.is_playing());
        pulses.take(sender.secs, Transport::Stop);
        assert!(!pulses.is_playing());
        pulses.take(sender.secs, Transport::Start);
        let first = sender.secs;
        sender.play(&mut pulses, 120.0, 24);
        let line = pulses.line().unwrap();
        assert!(
            line.at(first).abs() < 1e-6,
            "the pulse after start is beat 0"
        );
        // Third sixteenth of the fifth bar.
        pulses.take(sender.secs, Transport::Position(66));
        pulses.take(sender.secs, Transport::Continue);
        let first = sender.secs;
        sender.play(&mut pulses, 120.0, 1);
        assert!((pulses.line().unwrap().at(first) - 16.5).abs() < 1e-6);
    }

    #[test]
    fn nothing_that_comes_makes_it_mad() {
        let mut pulses = Pulses::default();
        for index in 0..5000u32 {
            let secs = f64::from(index) * 0.001 * (1.0 + noise(index));
            let message = match index % 97 {
                0 => Transport::Position((index % 16_384) as u16),
                1 => Transport::Start,
                _ => Transport::Pulse,
            };
            pulses.take(secs, message);
            if let Some(line) = pulses.line() {
                assert!(line.bpm.is_finite() && line.beats.is_finite());
                assert!((20.0..=400.0).contains(&line.bpm), "{line:?}");
            }
        }
    }
}
