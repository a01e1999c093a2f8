//! The demo track: 124 bpm in F minor, made from nothing, the same samples at each run.
//!
//! Intro, groove, break with riser, drop, outro. What it plays is known exactly, which is how
//! tests know when kicks, claps and hats really happen. The music is CC0.

mod arrangement;
pub(crate) mod effects;
mod mix;
pub(crate) mod voices;
pub(crate) mod wav;

use std::path::Path;

use anyhow::Context as _;

/// Frames per second.
pub const SAMPLE_RATE: u32 = 48_000;
/// Beats per minute.
pub const BPM: f64 = 124.0;
/// Seconds of a beat.
pub const BEAT_SECS: f64 = 60.0 / BPM;

/// When things happen, in seconds from the start, ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// Onsets of kicks.
    pub kicks_secs: Vec<f64>,
    /// Onsets of claps and snares.
    pub claps_secs: Vec<f64>,
    /// Onsets of closed and open hats.
    pub hats_secs: Vec<f64>,
    /// Onsets of bass notes.
    pub bass_secs: Vec<f64>,
    /// Onsets of arpeggio, chords and effects.
    pub notes_secs: Vec<f64>,
    /// Name and start of each section.
    pub sections: Vec<(&'static str, f64)>,
}

/// A finished track.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Interleaved stereo at [`SAMPLE_RATE`], peaks at −1 dBFS.
    pub samples: Vec<f32>,
    /// What is in it.
    pub truth: Truth,
}

/// Plays the track into memory. `secs` is the length, 10 to 600; sections keep their proportions.
///
/// # Errors
/// When `secs` is out of bounds.
pub fn render(secs: f64) -> anyhow::Result<Track> {
    anyhow::ensure!(
        (10.0..=600.0).contains(&secs),
        "--secs {secs}: give 10 to 600"
    );
    let score = arrangement::Score::write(secs);
    Ok(Track {
        samples: mix::render(&score, secs),
        truth: score.truth,
    })
}

/// The `demo-track` command: `--out F.wav [--secs N] [--truth F.json]`.
///
/// # Errors
/// For unknown arguments and files that cannot be written.
pub fn command(args: &[String]) -> anyhow::Result<()> {
    const USAGE: &str = "usage: xtask demo-track --out F.wav [--secs N] [--truth F.json]";
    let (mut out, mut truth, mut secs) = (None, None, 75.0);
    for pair in args.chunks(2) {
        match pair {
            [name, value] if name == "--out" => out = Some(value),
            [name, value] if name == "--truth" => truth = Some(value),
            [name, value] if name == "--secs" => {
                secs = value
                    .parse()
                    .with_context(|| format!("--secs {value} is no number"))?;
            }
            _ => anyhow::bail!("unexpected {pair:?}; {USAGE}"),
        }
    }
    let out = out.context(USAGE)?;
    let track = render(secs)?;
    let in_file = |path: &String| format!("cannot write {path}");
    for path in [Some(out), truth].into_iter().flatten() {
        if let Some(folder) = Path::new(path).parent() {
            std::fs::create_dir_all(folder).with_context(|| in_file(path))?;
        }
    }
    std::fs::write(out, wav::bytes(&track.samples, SAMPLE_RATE)).with_context(|| in_file(out))?;
    if let Some(path) = truth {
        std::fs::write(path, track.truth.json()).with_context(|| in_file(path))?;
    }
    Ok(())
}

impl Truth {
    /// As JSON.
    pub fn json(&self) -> String {
        let list = |times: &[f64]| {
            let times: Vec<String> = times.iter().map(|t| format!("{t:.6}")).collect();
            times.join(", ")
        };
        let sections: Vec<String> = self
            .sections
            .iter()
            .map(|(name, start)| format!("{{\"name\": \"{name}\", \"start_secs\": {start:.6}}}"))
            .collect();
        format!(
            "{{\n  \"tempo_bpm\": {BPM},\n  \"sections\": [{}],\n  \"kicks_secs\": [{}],\n  \
             \"claps_secs\": [{}],\n  \"hats_secs\": [{}],\n  \"bass_secs\": [{}],\n  \"notes_secs\": [{}]\n}}\n",
            sections.join(", "),
            list(&self.kicks_secs),
            list(&self.claps_secs),
            list(&self.hats_secs),
            list(&self.bass_secs),
            list(&self.notes_secs),
        )
    }
}
