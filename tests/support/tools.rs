//! Programs that a test drives.

use std::process::{Command, Stdio};

/// Whether all of them start; if not, says that the test skips.
pub(crate) fn have(programs: &[&str]) -> bool {
    for program in programs {
        let started = Command::new(program)
            .arg("-version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if started.is_err() {
            eprintln!("skipped: {program} is not installed");
            return false;
        }
    }
    true
}
