//! The commands, which wire everything together.
//!
//! Only this module prints. The exit status is 0 only when what was asked for exists; errors go to
//! stderr, name the file and the key or line, and end the program with 2.

mod analyze;
mod beats;
mod bench;
mod bench_bends;
mod bench_ears;
mod bends;
mod cli;
mod cluster;
mod devices;
mod evenness;
mod glyphs;
mod import;
mod metric;
mod model;
mod perform;
mod plot;
mod recluster;
mod reload;
mod render;
mod render_thread;
mod save;
mod sheet;
mod span;
mod stage;
mod still;
mod sweep;
mod variations;
mod watch;

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

/// Runs the command line.
pub fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::new().filter_or("BENDWAVE_LOG", "off")).init();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap sends each to the right stream.
            let code = if error.use_stderr() { 2 } else { 0 };
            return match error.print() {
                Ok(()) => ExitCode::from(code),
                Err(_) => ExitCode::from(2),
            };
        }
    };
    let result = match cli.command {
        cli::Command::Import(args) => import::run(&args),
        cli::Command::Still(args) => still::run(&args),
        cli::Command::Render(args) => render::run(&args),
        cli::Command::Variations(args) => variations::run(&args),
        cli::Command::Bends(args) => bends::run(&args),
        cli::Command::Perform(args) => perform::run(&args),
        cli::Command::Cluster(args) => cluster::run(&args),
        cli::Command::Analyze(args) => analyze::run(&args),
        cli::Command::Devices(args) => devices::run(&args),
        cli::Command::Bench(args) => bench::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {}", chain(&error)));
            ExitCode::from(2)
        }
    }
}

/// An error and its causes in one line. Some errors name their cause themselves: it is said once.
pub(crate) fn chain(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

/// A line to stderr: what the program is doing, and errors. A closed stderr is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut stderr = std::io::stderr().lock();
    if writeln!(stderr, "{line}").is_err() {
        log::warn!("stderr is closed: {line}");
    }
}

/// Explains what sound libraries write to stderr, where they do.
pub(crate) fn explain_sound_noise() {
    if crate::audio::is_talkative() {
        say(
            "note: there is no PulseAudio or PipeWire here, so ALSA was asked; lines of `ALSA lib` \
             and about a JACK server are its own and mean no harm",
        );
    }
}

/// A line to stdout: what was asked for.
///
/// # Errors
/// When stdout is closed.
pub(crate) fn print(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::chain;
    use anyhow::Context;

    #[test]
    fn a_cause_is_said_once() {
        let error = std::fs::read("/no/such/file").unwrap_err();
        let why = error.to_string();
        let error = anyhow::Error::new(error).context(format!("/no/such/file: {why}"));
        assert_eq!(chain(&error), format!("/no/such/file: {why}"));
        let error = Err::<(), _>(error).context("no scene").unwrap_err();
        assert_eq!(chain(&error), format!("no scene: /no/such/file: {why}"));
    }
}
