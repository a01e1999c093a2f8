//! The commands, which wire everything together.

/// Runs the command line. The exit status is 0 only when what was asked for exists.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
