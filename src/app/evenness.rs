//! How evenly frames follow each other over a whole performance.

use std::fmt;
use std::time::Duration;

/// Resolution of the quantiles.
const BIN: Duration = Duration::from_micros(500);
/// One second; what takes longer is in the last bin.
const BINS: usize = 2000;

/// Counts the times from one frame to the next. Never allocates after it was made.
pub(crate) struct Evenness {
    bins: Box<[u32]>,
    count: u32,
    longest: Duration,
}

impl Default for Evenness {
    fn default() -> Self {
        Self {
            bins: vec![0; BINS].into_boxed_slice(),
            count: 0,
            longest: Duration::ZERO,
        }
    }
}

impl Evenness {
    /// A frame began so long after the one before.
    pub(crate) fn count(&mut self, since_last: Duration) {
        let bin = (since_last.as_micros() / BIN.as_micros()) as usize;
        self.bins[bin.min(BINS - 1)] += 1;
        self.count += 1;
        self.longest = self.longest.max(since_last);
    }

    /// The time that the share `q` of the intervals does not exceed, to half a millisecond.
    fn quantile(&self, q: f64) -> Duration {
        let wanted = (q * f64::from(self.count)).ceil() as u32;
        let mut seen = 0;
        for (bin, n) in (1..).zip(&self.bins) {
            seen += n;
            if seen >= wanted {
                return (BIN * bin).min(self.longest);
            }
        }
        self.longest
    }
}

impl fmt::Display for Evenness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            f,
            "a frame each {:.1} ms (p50), {:.1} (p99), {:.1} (longest)",
            ms(self.quantile(0.5)),
            ms(self.quantile(0.99)),
            ms(self.longest)
        )
    }
}

impl fmt::Debug for Evenness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Evenness({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Evenness;
    use std::time::Duration;

    #[test]
    fn quantiles_of_a_show_with_two_hitches() {
        let mut even = Evenness::default();
        for _ in 0..197 {
            even.count(Duration::from_micros(16_600));
        }
        even.count(Duration::from_millis(80));
        even.count(Duration::from_millis(90));
        even.count(Duration::from_secs(3));
        let text = even.to_string();
        assert_eq!(
            text,
            "a frame each 17.0 ms (p50), 80.5 (p99), 3000.0 (longest)"
        );
        assert_eq!(Evenness::default().quantile(0.5), Duration::ZERO);
    }
}
