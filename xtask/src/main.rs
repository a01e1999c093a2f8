//! Chores of the repository.

use std::process::ExitCode;

fn run(args: &[String]) -> anyhow::Result<()> {
    match args.split_first() {
        Some((name, rest)) if name == "demo-track" => xtask::demo_track::command(rest),
        Some((name, rest)) if name == "listening-set" => xtask::listening_set::command(rest),
        Some((name, rest)) if name == "random-checkpoint" => {
            xtask::random_checkpoint::command(rest)
        }
        _ => anyhow::bail!("commands: demo-track, listening-set, random-checkpoint"),
    }
}

#[expect(clippy::print_stderr, reason = "a command tells its error")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}
