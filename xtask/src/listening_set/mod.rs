//! Tracks with exact truth, to measure the ears: grooves, tempi, breaks and masters of many kinds.
//!
//! Sets with nothing in common but the code that plays them: `training` is what the ears' network
//! learns from, grooves and bands of chance; `tuning` has grooves of its own and is what constants are
//! chosen on; `held-out` has other grooves, other sounds, other seeds and other tempi, and is only
//! for reports.

mod groove;
mod instruments;
mod recipe;
mod score;

use std::path::Path;

use anyhow::Context as _;

use crate::demo_track::wav;

pub use recipe::{Recipe, Set};
pub use score::Truth;

/// Frames per second.
pub const SAMPLE_RATE: u32 = 48_000;

/// A track of a set.
#[derive(Clone, Debug)]
pub struct Track {
    /// Set, number, groove and what happens, as a file name without ending.
    pub name: String,
    /// Interleaved stereo at [`SAMPLE_RATE`].
    pub samples: Vec<f32>,
    /// What is in it.
    pub truth: Truth,
}

impl Recipe {
    /// Plays the track into memory. The same recipe gives the same samples.
    pub fn play(&self) -> Track {
        let score = score::Score::write(self);
        Track {
            name: self.name(),
            samples: score.mix(self),
            truth: score.truth,
        }
    }
}

/// The `listening-set` command: `--out DIR [--set training|tuning|held-out]`.
///
/// # Errors
/// For unknown arguments and files that cannot be written.
pub fn command(args: &[String]) -> anyhow::Result<()> {
    const USAGE: &str = "usage: xtask listening-set --out DIR [--set training|tuning|held-out]";
    let mut out = None;
    let mut sets = vec![Set::Training, Set::Tuning, Set::HeldOut];
    for pair in args.chunks(2) {
        match pair {
            [name, value] if name == "--out" => out = Some(Path::new(value)),
            [name, value] if name == "--set" => {
                sets.retain(|set| set.name() == value);
                anyhow::ensure!(
                    !sets.is_empty(),
                    "--set {value}: training, tuning or held-out"
                );
            }
            _ => anyhow::bail!("unexpected {pair:?}; {USAGE}"),
        }
    }
    let out = out.context(USAGE)?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for recipe in sets.into_iter().flat_map(Set::recipes) {
        let track = recipe.play();
        let write = |ending: &str, bytes: Vec<u8>| {
            let path = out.join(format!("{}.{ending}", track.name));
            std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
        };
        write("wav", wav::bytes(&track.samples, SAMPLE_RATE))?;
        write("json", track.truth.json().into_bytes())?;
    }
    Ok(())
}
