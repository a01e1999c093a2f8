//! The commands, which wire everything together.
//!
//! Only this module prints. The exit status is 0 only when what was asked for exists; errors go to
//! stderr, name the file and the key or line, and end the program with 2.

//mod bench;
mod cli;
//mod devices;
//mod import;
//mod model;
//mod perform;
//mod render;
//mod stage;
//mod still;

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

/// Runs the command line.
//Xpub fn main() -> ExitCode {
//X    env_logger::Builder::from_env(env_logger::Env::new().filter_or("BENDWAVE_LOG", "off")).init();
//X    let cli = match cli::Cli::try_parse() {
//X        Ok(cli) => cli,
//X        Err(error) => {
//X            // Help and version are no errors; clap sends each to the right stream.
//X            let code = if error.use_stderr() { 2 } else { 0 };
//X            return match error.print() {
//X                Ok(()) => ExitCode::from(code),
//X                Err(_) => ExitCode::from(2),
//X            };
//X        }
//X    };
//X    let result = match cli.command {
//X        cli::Command::Import(args) => import::run(&args),
//X        cli::Command::Still(args) => still::run(&args),
//X        cli::Command::Render(args) => render::run(&args),
//X        cli::Command::Perform(args) => perform::run(&args),
//X        cli::Command::Devices(args) => devices::run(&args),
//X        cli::Command::Bench(args) => bench::run(&args),
//X    };
//X    match result {
//X        Ok(()) => ExitCode::SUCCESS,
//X        Err(error) => {
//X            say(&format!("error: {error:#}"));
//X            ExitCode::from(2)
//X        }
//X    }
//X}

/// A line to stderr: what the program is doing, and errors. A closed stderr is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut stderr = std::io::stderr().lock();
    if writeln!(stderr, "{line}").is_err() {
        log::warn!("stderr is closed: {line}");
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
pub fn main() -> ExitCode { ExitCode::SUCCESS }
