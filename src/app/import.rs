//! `bendwave import`: a checkpoint becomes a model folder.

use crate::app::cli::ImportArgs;
use crate::app::{print, say};
use crate::generator::Runtime;
use crate::generator::manifest::{CONTACT_FILE, Precision};
use crate::import::{self, ImportOptions, Step};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Instant;

pub(crate) fn run(args: &ImportArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let runtime = match Runtime::load(args.ort_lib.as_deref()) {
        _ if args.no_verify => None,
        Ok(runtime) => Some(runtime),
        Err(error) if args.ort_lib.is_some() => return Err(error.into()),
        Err(error) => {
            say(&format!("note: the import is not verified: {error}"));
            None
        }
    };
    let options = ImportOptions {
        precision: if args.half {
            Precision::F16
        } else {
            Precision::F32
        },
        class: args.class,
        verify: runtime,
        contact: true,
        ..ImportOptions::default()
    };
    let bar = bar();
    let report = import::import_watched(&args.checkpoint, &args.out, options, &mut |step| {
        if let Step::Picture { done, of } = step {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
            bar.set_message("drawing the contact sheet");
        } else {
            bar.set_message("checking the segments");
        }
    });
    bar.finish_and_clear();
    let report = report?;
    for note in &report.notes {
        say(&format!("note: {note}"));
    }
    let manifest = &report.manifest;
    let provenance = &manifest.provenance;
    let classes = match (manifest.classes, provenance.class) {
        (0, None) => String::new(),
        (0, Some(class)) => format!(", class {class}"),
        (n, _) => format!(", classes 0 to {} (choose with --class)", n - 1),
    };
    let weights = match report.parameters {
        0 => String::new(),
        n => format!(", {:.2} M weights", n as f64 / 1e6),
    };
    say(&format!(
        "{} layout: {} px, {} layers{classes}{weights}, {:.2} GFLOP a picture, in {:.1} s",
        provenance.layout,
        manifest.resolution,
        manifest.layers.len(),
        manifest.flop_per_frame() / 1e9,
        started.elapsed().as_secs_f64()
    ));
    if let Some(check) = &manifest.verification {
        say(&format!(
            "verified: differs from a plain evaluation by {:.1e} of the range ({:.0e} is accepted), \
             {:.1} MB",
            check.picture_error,
            check.tolerance,
            check.bytes as f64 / 1e6
        ));
    }
    let contact = args.out.join(CONTACT_FILE);
    if contact.is_file() {
        say(&format!("seeds 0 to 15: {}", contact.display()));
    }
    print(&args.out.display().to_string())
}

/// What is done now; nothing where there is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message("reading");
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}
