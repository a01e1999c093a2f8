//! All signals of a whole sound, for rendering offline.

use super::{AnalysisConfig, Analyzer, AudioError, Decoded};
use crate::signal::{Beat, SignalId, Snapshot};

/// The snapshots of a sound, in order of time.
#[derive(Clone, Debug)]
pub struct SignalTrack {
    snapshots: Vec<Snapshot>,
    duration_secs: f64,
}

impl SignalTrack {
    /// What a listener knows at `secs`: the last snapshot that is not later, as it would be live.
    /// Silence before the first; the last one holds after the end.
    pub fn at(&self, secs: f64) -> Snapshot {
        let later = self.snapshots.partition_point(|s| s.at_secs <= secs);
        match later.checked_sub(1) {
            Some(index) => self.snapshots[index],
            None => Snapshot::SILENCE,
        }
    }

    /// All snapshots, one per hop.
    pub fn snapshots(&self) -> &[Snapshot] {
        &self.snapshots
    }

    /// Times of the beats in seconds, interpolated between snapshots.
    pub fn beats_secs(&self) -> Vec<f64> {
        self.ticks(|_| true)
    }

    /// Times of the first beats of the bars in seconds.
    pub fn downbeats_secs(&self) -> Vec<f64> {
        self.ticks(|beat| beat.beat_in_bar == 0)
    }

    fn ticks(&self, wanted: impl Fn(&Beat) -> bool) -> Vec<f64> {
        let mut count = 0;
        let mut told_secs = f64::NEG_INFINITY;
        let mut times = Vec::new();
        for snapshot in &self.snapshots {
            let beat = &snapshot.beat;
            if beat.count != count {
                count = beat.count;
                if wanted(beat) {
                    let since = f64::from(beat.phase) * 60.0 / f64::from(beat.bpm);
                    // Where the phase jumped, the beat may lie before the one that was told last.
                    times.push((snapshot.at_secs - since).max(told_secs));
                }
                told_secs = snapshot.at_secs;
            }
        }
        times
    }

    /// Times at which a pulse signal jumps to 1, in seconds.
    pub fn pulses_secs(&self, id: SignalId) -> Vec<f64> {
        let mut before = 0.0;
        let mut times = Vec::new();
        for snapshot in &self.snapshots {
            let now = snapshot.get(id);
            if now == 1.0 && before < 1.0 {
                times.push(snapshot.at_secs);
            }
            before = now;
        }
        times
    }

    /// Length of the sound in seconds.
    pub fn duration_secs(&self) -> f64 {
        self.duration_secs
    }
}

/// Analyses a whole sound. Deterministic; the same code as live.
///
/// # Errors
/// [`AudioError::Format`] when rate or channels are out of bounds.
pub fn analyze_all(sound: &Decoded) -> Result<SignalTrack, AudioError> {
    analyze_with(sound, &AnalysisConfig::default())
}

/// The same as a scene wants it.
///
/// # Errors
/// [`AudioError::Format`] and [`AudioError::Config`] for what is out of bounds.
pub fn analyze_with(sound: &Decoded, config: &AnalysisConfig) -> Result<SignalTrack, AudioError> {
    let mut analyzer = Analyzer::with_config(sound.sample_rate, sound.channels, config)?;
    let duration_secs = sound.duration_secs();
    let mut snapshots = Vec::with_capacity((duration_secs / analyzer.hop_secs()) as usize + 1);
    analyzer.push(&sound.samples, |snapshot| snapshots.push(*snapshot));
    Ok(SignalTrack {
        snapshots,
        duration_secs,
    })
}

/// What the network of the ears gets of a sound, row after row. For training it.
///
/// # Errors
/// [`AudioError::Format`] when rate or channels are out of bounds.
pub fn hearing_of(sound: &Decoded) -> Result<Vec<f32>, AudioError> {
    let mut analyzer = Analyzer::new(sound.sample_rate, sound.channels)?;
    let mut rows = Vec::new();
    // A hop at a time: what is heard is asked for after each.
    let hop_len = (analyzer.hop_secs() * f64::from(sound.sample_rate)).round() as usize;
    for hop in sound.samples.chunks_exact(hop_len * sound.channels) {
        analyzer.push(hop, |_| ());
        rows.extend(analyzer.hearing().into_iter().flatten());
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::{Decoded, SignalTrack, analyze_all};
    use crate::signal::{Beat, Snapshot};
    use std::path::PathBuf;

    #[test]
    fn beats_are_in_order_where_the_phase_jumps() {
        let at = |at_secs: f64, count: u64, phase: f32| {
            let mut snapshot = Snapshot::SILENCE;
            snapshot.at_secs = at_secs;
            snapshot.beat = Beat {
                count,
                phase,
                bpm: 120.0,
                ..Beat::NONE
            };
            snapshot
        };
        let track = SignalTrack {
            snapshots: vec![
                at(0.9, 1, 0.98),
                at(1.0, 2, 0.1),
                // Over a beat, far into the next one.
                at(1.01, 3, 0.4),
                at(1.5, 4, 0.2),
            ],
            duration_secs: 1.5,
        };
        let beats = track.beats_secs();
        assert!(beats.is_sorted_by(|a, b| a < b), "{beats:?}");
        assert!((beats[1] - 0.95).abs() < 1e-6 && (beats[3] - 1.4).abs() < 1e-6);
    }

    #[test]
    fn a_moment_sees_only_its_past() {
        let sound = Decoded {
            path: PathBuf::from("made here"),
            sample_rate: 48_000,
            channels: 1,
            samples: vec![0.5; 4800],
            warning: None,
        };
        let track = analyze_all(&sound).unwrap();
        assert_eq!(track.snapshots().len(), 4800 / 256);
        assert_eq!(track.at(0.0), Snapshot::SILENCE);
        assert_eq!(track.at(-1.0), Snapshot::SILENCE);
        let hop_secs = 256.0 / 48_000.0;
        assert_eq!(track.at(hop_secs).at_secs, hop_secs);
        assert_eq!(track.at(1.9 * hop_secs).at_secs, hop_secs);
        assert_eq!(track.at(1e9).at_secs, 18.0 * hop_secs);
        assert_eq!(track.at(f64::NAN), Snapshot::SILENCE);
    }
}
