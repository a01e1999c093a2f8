//! The signals that can drive a parameter. Ids are stable: scene files name them.

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

/// All signals, in the order of [`Snapshot::values`].
pub const SIGNALS: &[SignalSpec] = &[
    SignalSpec {
        id: "level",
        doc: "loudness (RMS), relative to the recent past",
    },
    SignalSpec {
        id: "peak",
        doc: "sample peak, absolute: 1 is full scale; falls in 100 ms",
    },
    SignalSpec {
        id: "sub",
        doc: "20 to 60 Hz, relative to its recent past",
    },
    SignalSpec {
        id: "bass",
        doc: "60 to 150 Hz, relative to its recent past",
    },
    SignalSpec {
        id: "low-mid",
        doc: "150 to 500 Hz, relative to its recent past",
    },
    SignalSpec {
        id: "mid",
        doc: "500 to 2000 Hz, relative to its recent past",
    },
    SignalSpec {
        id: "high-mid",
        doc: "2 to 6 kHz, relative to its recent past",
    },
    SignalSpec {
        id: "air",
        doc: "6 to 16 kHz, relative to its recent past",
    },
    SignalSpec {
        id: "onset",
        doc: "1 at an onset in any band, falling to 0 within 250 ms",
    },
    SignalSpec {
        id: "kick",
        doc: "1 at a loud onset below 160 Hz, falling to 0 within 250 ms",
    },
    SignalSpec {
        id: "hat",
        doc: "1 at an onset above 6 kHz, falling to 0 within 150 ms",
    },
];

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
}

impl Snapshot {
    /// Silence at time 0.
    pub const SILENCE: Self = Self {
        at_secs: 0.0,
        values: [0.0; COUNT],
    };

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
