//! `bendwave import`: a checkpoint becomes a model folder.

use crate::app::cli::ImportArgs;
use crate::app::{print, say};
use crate::import::{self, ImportOptions};
use std::time::Instant;

pub(crate) fn run(args: &ImportArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let report = import::import(&args.checkpoint, &args.out, ImportOptions::default())?;
    for note in &report.notes {
        say(&format!("note: {note}"));
    }
    let manifest = &report.manifest;
    say(&format!(
        "{} px, {} layers, {:.2} M weights, {:.2} GFLOP a picture, in {:.1} s",
        manifest.resolution,
        manifest.layers.len(),
        report.parameters as f64 / 1e6,
        manifest.flop_per_frame() / 1e9,
        started.elapsed().as_secs_f64()
    ));
    print(&args.out.display().to_string())
}
