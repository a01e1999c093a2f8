//! `bendwave import`: a checkpoint becomes a model folder.

use crate::app::cli::ImportArgs;
use crate::app::print;
use crate::import;
use std::time::Instant;

pub(crate) fn run(args: &ImportArgs) -> anyhow::Result<()> {
    let started = Instant::now();
    let report = import::import(&args.checkpoint, &args.out)?;
    print(&format!("{report}"))?;
    print(&format!("{} in {:.1} s", args.out.display(), started.elapsed().as_secs_f64()))
}
