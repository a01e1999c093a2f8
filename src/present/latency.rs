//! How long a frame takes to the screen.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Weight of the newest frame in the average.
const NEWEST: f32 = 1.0 / 16.0;

/// Measured by the window, read by who makes frames. The newest value wins.
#[derive(Debug, Default)]
pub struct Latency {
    /// From the start of a frame's making until the display had it, in microseconds.
    to_display_micros: AtomicU32,
    /// Time between two pictures of the monitor, in microseconds.
    refresh_micros: AtomicU32,
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

impl Latency {
    /// A new frame was handed to a display that shows one each `refresh`.
    pub(super) fn shown(&self, age: Duration, refresh: Duration) {
        self.refresh_micros.store(micros(refresh), Relaxed);
        let before = self.to_display_micros.load(Relaxed);
        // Only one thread writes.
        let now = match before {
            0 => micros(age).max(1),
            before => {
                let now = NEWEST.mul_add(micros(age) as f32 - before as f32, before as f32);
                (now as u32).max(1)
            }
        };
        self.to_display_micros.store(now, Relaxed);
    }

    /// From the start of a frame's making until the display had it; `None` before the first.
    pub fn to_display(&self) -> Option<Duration> {
        match self.to_display_micros.load(Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(u64::from(micros))),
        }
    }

    /// Until it is seen: half the monitor's interval more, the mean time to the middle of the
    /// screen. What a projector or screen adds by itself cannot be measured from here.
    pub fn to_screen(&self) -> Option<Duration> {
        let half = Duration::from_micros(u64::from(self.refresh_micros.load(Relaxed) / 2));
        Some(self.to_display()? + half)
    }
}

#[cfg(test)]
mod tests {
    use super::Latency;
    use std::time::Duration;

    #[test]
    fn the_average_follows() {
        let latency = Latency::default();
        assert_eq!(latency.to_screen(), None);
        let refresh = Duration::from_millis(10);
        latency.shown(Duration::from_millis(40), refresh);
        assert_eq!(latency.to_display(), Some(Duration::from_millis(40)));
        assert_eq!(latency.to_screen(), Some(Duration::from_millis(45)));
        for _ in 0..100 {
            latency.shown(Duration::from_millis(20), refresh);
        }
        let now = latency.to_display().unwrap();
        assert!(now.abs_diff(Duration::from_millis(20)) < Duration::from_millis(1));
    }
}
