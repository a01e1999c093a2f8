//! The ffmpeg child process.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::{Kept, Log, RecordError};
use crate::rt;

/// Bytes of ffmpeg's messages that are kept: the last ones.
const LOG_BYTES: usize = 2048;

/// One run of ffmpeg.
#[derive(Debug)]
pub(super) struct Ffmpeg {
    child: Mutex<Child>,
    log: Mutex<Option<JoinHandle<Log>>>,
}

impl Ffmpeg {
    /// Starts `program` with our usual head (quiet, no keyboard) and `arguments`; with `piped`,
    /// its standard input comes back.
    pub(super) fn start(
        program: &Path,
        arguments: &[OsString],
        piped: bool,
    ) -> Result<(Self, Option<ChildStdin>), RecordError> {
        let mut command = Command::new(program);
        command
            .args(["-hide_banner", "-loglevel", "warning", "-nostats", "-y"])
            .args((!piped).then_some("-nostdin"))
            .args(arguments)
            .stdin(if piped { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        own_group(&mut command);
        let mut child = command.spawn().map_err(|source| {
            let program = program.to_owned();
            if source.kind() == io::ErrorKind::NotFound {
                RecordError::NoFfmpeg { program }
            } else {
                RecordError::Spawn { program, source }
            }
        })?;
        let stdin = child.stdin.take();
        let log = match child.stderr.take() {
            Some(stderr) => Some(
                rt::thread::spawn("record-log", move || tail(stderr))
                    .map_err(RecordError::Thread)?,
            ),
            None => None,
        };
        let ffmpeg = Self {
            child: Mutex::new(child),
            log: Mutex::new(log),
        };
        Ok((ffmpeg, stdin))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it at once. What it has written stays.
    pub(super) fn kill(&self) {
        if let Err(error) = self.child().kill() {
            log::debug!("ffmpeg cannot be ended: {error}");
        }
    }

    /// Waits for its end, at most `limit` if there is one; past it, ends it.
    fn wait(&self, limit: Option<Duration>) -> io::Result<ExitStatus> {
        let start = Instant::now();
        loop {
            // The lock is held for an instant only, so that `kill` works from another thread.
            if let Some(status) = self.child().try_wait()? {
                return Ok(status);
            }
            if limit.is_some_and(|limit| start.elapsed() > limit) {
                self.kill();
                return self.child().wait();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn last_lines(&self) -> Log {
        let reader = self
            .log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        reader
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }

    /// Waits for a good end.
    pub(super) fn finish(&self, stage: &'static str) -> Result<(), RecordError> {
        match self.wait(None) {
            Ok(status) if status.success() => Ok(()),
            ended => Err(self.error(ended, stage)),
        }
    }

    /// The error of a run whose pipe broke.
    pub(super) fn broken(&self, stage: &'static str) -> RecordError {
        let ended = self.wait(Some(Duration::from_secs(2)));
        self.error(ended, stage)
    }

    fn error(&self, ended: io::Result<ExitStatus>, stage: &'static str) -> RecordError {
        let how = match ended {
            Ok(status) => match status.code() {
                Some(code) => format!("ended with status {code}"),
                // As in `signal: 9 (SIGKILL)`.
                None => format!("was ended by {status}"),
            },
            Err(error) => format!("was lost ({error})"),
        };
        RecordError::Encoder {
            how,
            stage,
            log: self.last_lines(),
            kept: Kept::default(),
        }
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        // Only after an error: a finished run has been waited for.
        let mut child = self.child();
        if matches!(child.try_wait(), Ok(None)) {
            if let Err(error) = child.kill() {
                log::debug!("ffmpeg cannot be ended: {error}");
            }
            if let Err(error) = child.wait() {
                log::debug!("ffmpeg cannot be waited for: {error}");
            }
        }
    }
}

/// The last lines of `stderr`, after the child has closed it.
fn tail(mut stderr: ChildStderr) -> Log {
    let mut kept = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        match stderr.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => {
                kept.extend_from_slice(&chunk[..read]);
                if kept.len() > LOG_BYTES {
                    kept.drain(..kept.len() - LOG_BYTES);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let text = String::from_utf8_lossy(&kept);
    let mut lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(4);
    Log(lines.split_off(from).join("\n"))
}

/// Keeps a Ctrl-C at the terminal from the encoder, which has to finish its file.
#[cfg(unix)]
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

/// Keeps a Ctrl-C at the terminal from the encoder, which has to finish its file.
#[cfg(windows)]
fn own_group(command: &mut Command) {
    use std::os::windows::process::CommandExt as _;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
}

#[cfg(not(any(unix, windows)))]
fn own_group(_command: &mut Command) {}

/// A path as ffmpeg takes it: whatever its name, it is a file and neither an option nor a URL.
pub(super) fn file_argument(path: &Path) -> OsString {
    let mut argument = OsString::from("file:");
    argument.push(path);
    argument
}

/// The program to run: `given`, or `ffmpeg` from the PATH.
pub(super) fn program(given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(|| PathBuf::from("ffmpeg"))
}
