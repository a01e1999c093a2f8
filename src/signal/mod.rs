//! The signals that can drive a parameter. Ids are stable: scene files name them.

mod beat;
mod table;

pub use beat::{BEATS_PER_BAR, Beat, TEMPO_RANGE_BPM};
pub use table::SIGNALS;

/// Number of signals in a [`Snapshot`].
pub const COUNT: usize = SIGNALS.len();

/// What a signal is.
#[derive(Clone, Copy, Debug)]
pub struct SignalSpec {
    /// Stable id, as scene files write it.
    pub id: &'static str,
    /// What it means. Every signal runs over \[0, 1\].
    pub doc: &'static str,
}

/// Where the signals of the beat stand.
const BEAT_PLACES: [usize; 6] = [
    place("beat"),
    place("bar"),
    place("beat-phase"),
    place("bar-phase"),
    place("tempo"),
    place("beat-confidence"),
];

/// Index of the signal with this id, when compiling. An unknown id fails to compile.
pub const fn place(id: &str) -> usize {
    let mut index = 0;
    while index < SIGNALS.len() {
        if same(SIGNALS[index].id.as_bytes(), id.as_bytes()) {
            return index;
        }
        index += 1;
    }
    panic!("no signal has this id")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// Index of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalId(u8);

impl SignalId {
    /// Finds a signal by its id.
    pub fn find(id: &str) -> Option<Self> {
        SIGNALS
            .iter()
            .position(|spec| spec.id == id)
            .map(|index| Self(index as u8))
    }

    /// Its index into [`SIGNALS`] and [`Snapshot::values`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Its specification.
    pub fn spec(self) -> &'static SignalSpec {
        &SIGNALS[self.index()]
    }
}

/// All signals at one moment: what one frame sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// Time of the last sample that went in, in seconds since the first.
    pub at_secs: f64,
    /// Values in \[0, 1\], indexed by [`SignalId::index`].
    pub values: [f32; COUNT],
    /// The metre. Set it with [`Snapshot::set_beat`], which keeps the signals in step.
    pub beat: Beat,
}

impl Snapshot {
    /// Silence at time 0.
    pub const SILENCE: Self = Self {
        at_secs: 0.0,
        values: [0.0; COUNT],
        beat: Beat::NONE,
    };

    /// Sets the metre and the signals that tell it: the tracker does, and whoever knows better
    /// (a clock, a finger).
    pub fn set_beat(&mut self, beat: Beat) {
        let [slow, fast] = TEMPO_RANGE_BPM;
        let running = f32::from(u8::from(beat.is_running()));
        let values = [
            beat.pulse(),
            beat.bar_pulse(),
            running * beat.phase,
            running * beat.bar_phase(),
            ((beat.bpm - slow) / (fast - slow)).clamp(0.0, 1.0),
            running * beat.confidence.clamp(0.0, 1.0),
        ];
        for (place, value) in BEAT_PLACES.into_iter().zip(values) {
            self.values[place] = value;
        }
        self.beat = beat;
    }

    /// Value of one signal.
    pub fn get(&self, id: SignalId) -> f32 {
        self.values[id.index()]
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self::SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::{Beat, SIGNALS, SignalId, Snapshot, place};

    #[test]
    fn ids_are_unique_and_found() {
        for (index, spec) in SIGNALS.iter().enumerate() {
            assert_eq!(SignalId::find(spec.id).unwrap().index(), index);
            assert_eq!(place(spec.id), index);
        }
    }

    #[test]
    fn the_signals_of_the_beat_follow_it() {
        let get = |snapshot: &Snapshot, id: &str| snapshot.get(SignalId::find(id).unwrap());
        let mut snapshot = Snapshot::SILENCE;
        snapshot.set_beat(Beat {
            phase: 0.5,
            beat_in_bar: 2,
            bpm: 130.0,
            confidence: 0.8,
            count: 6,
        });
        assert_eq!(get(&snapshot, "beat"), 0.25);
        assert_eq!(get(&snapshot, "bar"), 0.0);
        assert_eq!(get(&snapshot, "beat-phase"), 0.5);
        assert_eq!(get(&snapshot, "bar-phase"), 0.625);
        assert_eq!(get(&snapshot, "tempo"), 0.5);
        assert_eq!(get(&snapshot, "beat-confidence"), 0.8);
        snapshot.set_beat(Beat::NONE);
        assert_eq!(snapshot, Snapshot::SILENCE);
    }
}
