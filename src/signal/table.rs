//! All signals, declared once. Ids are stable: new ones go to the end.

use super::SignalSpec;

/// All signals, in the order of [`Snapshot::values`](super::Snapshot::values).
pub const SIGNALS: &[SignalSpec] = &[
    signal("level", "loudness (RMS), relative to the recent past"),
    signal(
        "peak",
        "sample peak, absolute: 1 is full scale; falls in 100 ms",
    ),
    signal("sub", "20 to 60 Hz, relative to its recent past"),
    signal("bass", "60 to 150 Hz, relative to its recent past"),
    signal("low-mid", "150 to 500 Hz, relative to its recent past"),
    signal("mid", "500 to 2000 Hz, relative to its recent past"),
    signal("high-mid", "2 to 6 kHz, relative to its recent past"),
    signal("air", "6 to 16 kHz, relative to its recent past"),
    signal(
        "onset",
        "1 at an onset in any band, falling to 0 within 250 ms",
    ),
    signal("kick", "1 at a kick drum; falls to 0 within 250 ms"),
    signal("hat", "1 at a hat or cymbal; falls to 0 within 150 ms"),
    signal(
        "beat",
        "1 on each beat, falling to 0 at the next; 0 without a tempo, like all of the beat",
    ),
    signal(
        "bar",
        "1 on the first beat of each bar of four, falling to 0 at the second",
    ),
    signal(
        "beat-phase",
        "way from one beat to the next, rising from 0 to 1",
    ),
    signal("bar-phase", "way through the bar, rising from 0 to 1"),
    signal("tempo", "tempo: 0 is 60 bpm or less, 1 is 200 bpm or more"),
    signal(
        "beat-confidence",
        "how sure the beat is: 0 is a guess, 1 is certain",
    ),
    signal("snare", "1 at a snare or clap; falls to 0 within 200 ms"),
    signal(
        "salience",
        "how far the last second stands out from the last half minute: 0 is nothing new, 1 is a drop",
    ),
    signal(
        "loudness",
        "momentary loudness (BS.1770, 400 ms), absolute: 0 is −60 LUFS or less, 1 is 0 LUFS",
    ),
    signal(
        "loudness-slow",
        "short-term loudness (BS.1770, 3 s), on the same scale",
    ),
    signal(
        "centroid",
        "spectral centroid (brightness): 0 is 100 Hz, 1 is 10 kHz, evenly in octaves",
    ),
    signal(
        "flatness",
        "spectral flatness: near 0 is a tone, 1 is noise",
    ),
    signal(
        "flux",
        "how much begins now, relative to the strongest of the last seconds",
    ),
    signal(
        "percussive",
        "share of the sound that is percussive and not harmonic",
    ),
    signal(
        "chord-change",
        "1 where the harmony is new, falling as it becomes known",
    ),
    signal(
        "tonal-angle",
        "place on the circle of fifths: 0 is C (or A minor), 1/12 is G, 2/12 is D, and on to F",
    ),
    signal(
        "tonal-strength",
        "how clear that place is: 0 is noise or all keys at once",
    ),
    signal(
        "sub-onset",
        "1 at an onset from 20 to 60 Hz, falling to 0 within 200 ms",
    ),
    signal(
        "bass-onset",
        "1 at an onset from 60 to 150 Hz, falling to 0 within 200 ms",
    ),
    signal(
        "low-mid-onset",
        "1 at an onset from 150 to 500 Hz, falling to 0 within 200 ms",
    ),
    signal(
        "mid-onset",
        "1 at an onset from 500 to 2000 Hz, falling to 0 within 200 ms",
    ),
    signal(
        "high-mid-onset",
        "1 at an onset from 2 to 6 kHz, falling to 0 within 200 ms",
    ),
    signal(
        "air-onset",
        "1 at an onset from 6 to 16 kHz, falling to 0 within 200 ms",
    ),
    signal(
        "chroma-c",
        "note C in any octave, against the strongest note",
    ),
    signal(
        "chroma-c-sharp",
        "note C♯ in any octave, against the strongest note",
    ),
    signal(
        "chroma-d",
        "note D in any octave, against the strongest note",
    ),
    signal(
        "chroma-d-sharp",
        "note D♯ in any octave, against the strongest note",
    ),
    signal(
        "chroma-e",
        "note E in any octave, against the strongest note",
    ),
    signal(
        "chroma-f",
        "note F in any octave, against the strongest note",
    ),
    signal(
        "chroma-f-sharp",
        "note F♯ in any octave, against the strongest note",
    ),
    signal(
        "chroma-g",
        "note G in any octave, against the strongest note",
    ),
    signal(
        "chroma-g-sharp",
        "note G♯ in any octave, against the strongest note",
    ),
    signal(
        "chroma-a",
        "note A in any octave, against the strongest note",
    ),
    signal(
        "chroma-a-sharp",
        "note A♯ in any octave, against the strongest note",
    ),
    signal(
        "chroma-b",
        "note B in any octave, against the strongest note",
    ),
    signal(
        "bark-01",
        "Bark band 1, 20 to 100 Hz, relative to its recent past",
    ),
    signal(
        "bark-02",
        "Bark band 2, 100 to 200 Hz, relative to its recent past",
    ),
    signal(
        "bark-03",
        "Bark band 3, 200 to 300 Hz, relative to its recent past",
    ),
    signal(
        "bark-04",
        "Bark band 4, 300 to 400 Hz, relative to its recent past",
    ),
    signal(
        "bark-05",
        "Bark band 5, 400 to 510 Hz, relative to its recent past",
    ),
    signal(
        "bark-06",
        "Bark band 6, 510 to 630 Hz, relative to its recent past",
    ),
    signal(
        "bark-07",
        "Bark band 7, 630 to 770 Hz, relative to its recent past",
    ),
    signal(
        "bark-08",
        "Bark band 8, 770 to 920 Hz, relative to its recent past",
    ),
    signal(
        "bark-09",
        "Bark band 9, 920 to 1080 Hz, relative to its recent past",
    ),
    signal(
        "bark-10",
        "Bark band 10, 1080 to 1270 Hz, relative to its recent past",
    ),
    signal(
        "bark-11",
        "Bark band 11, 1270 to 1480 Hz, relative to its recent past",
    ),
    signal(
        "bark-12",
        "Bark band 12, 1480 to 1720 Hz, relative to its recent past",
    ),
    signal(
        "bark-13",
        "Bark band 13, 1720 to 2000 Hz, relative to its recent past",
    ),
    signal(
        "bark-14",
        "Bark band 14, 2000 to 2320 Hz, relative to its recent past",
    ),
    signal(
        "bark-15",
        "Bark band 15, 2320 to 2700 Hz, relative to its recent past",
    ),
    signal(
        "bark-16",
        "Bark band 16, 2700 to 3150 Hz, relative to its recent past",
    ),
    signal(
        "bark-17",
        "Bark band 17, 3150 to 3700 Hz, relative to its recent past",
    ),
    signal(
        "bark-18",
        "Bark band 18, 3700 to 4400 Hz, relative to its recent past",
    ),
    signal(
        "bark-19",
        "Bark band 19, 4400 to 5300 Hz, relative to its recent past",
    ),
    signal(
        "bark-20",
        "Bark band 20, 5300 to 6400 Hz, relative to its recent past",
    ),
    signal(
        "bark-21",
        "Bark band 21, 6400 to 7700 Hz, relative to its recent past",
    ),
    signal(
        "bark-22",
        "Bark band 22, 7700 to 9500 Hz, relative to its recent past",
    ),
    signal(
        "bark-23",
        "Bark band 23, 9500 to 12000 Hz, relative to its recent past",
    ),
    signal(
        "bark-24",
        "Bark band 24, 12000 to 15500 Hz, relative to its recent past",
    ),
    signal(
        "band-1",
        "band 1 of the scene's `analysis`, else 44 to 88 Hz, relative to its recent past",
    ),
    signal(
        "band-2",
        "band 2 of the scene's `analysis`, else 88 to 177 Hz, relative to its recent past",
    ),
    signal(
        "band-3",
        "band 3 of the scene's `analysis`, else 177 to 355 Hz, relative to its recent past",
    ),
    signal(
        "band-4",
        "band 4 of the scene's `analysis`, else 355 to 710 Hz, relative to its recent past",
    ),
    signal(
        "band-5",
        "band 5 of the scene's `analysis`, else 710 to 1420 Hz, relative to its recent past",
    ),
    signal(
        "band-6",
        "band 6 of the scene's `analysis`, else 1420 to 2840 Hz, relative to its recent past",
    ),
    signal(
        "band-7",
        "band 7 of the scene's `analysis`, else 2840 to 5680 Hz, relative to its recent past",
    ),
    signal(
        "band-8",
        "band 8 of the scene's `analysis`, else 5680 to 11360 Hz, relative to its recent past",
    ),
];

const fn signal(id: &'static str, doc: &'static str) -> SignalSpec {
    SignalSpec { id, doc }
}
