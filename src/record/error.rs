//! What can go wrong while recording.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a recording failed. Each error is told once, by the call that met it.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// No encoder program.
    #[error(
        "{program:?} was not found: install ffmpeg (Debian, Ubuntu: `sudo apt install ffmpeg`; \
         macOS: `brew install ffmpeg`; Windows: `winget install ffmpeg`) and see that it is on \
         the PATH"
    )]
    NoFfmpeg {
        /// What was looked for.
        program: PathBuf,
    },
    /// The encoder is there but does not start.
    #[error("{program:?} does not start: {source}")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A container that we do not write.
    #[error("{path:?}: the name of a video must end in .mp4, .mov or .mkv")]
    Extension {
        /// The target.
        path: PathBuf,
    },
    /// The target's folder takes no file.
    #[error("{path:?}: cannot write here: {source}")]
    Create {
        /// The file that could not be made.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Sizes or rate out of range.
    #[error("{what} {value} cannot be recorded: {want}")]
    Setting {
        /// Name of the setting.
        what: &'static str,
        /// What was asked for.
        value: String,
        /// What is possible.
        want: &'static str,
    },
    /// The sound file cannot be opened.
    #[error("{path:?}: cannot open the sound for the video: {source}")]
    Audio {
        /// The sound file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A frame of another size than the recording's. The recording goes on without it.
    #[error("a frame of {got_width}x{got_height} came into a recording of {width}x{height}")]
    FrameSize {
        /// Columns that came.
        got_width: u32,
        /// Rows that came.
        got_height: u32,
        /// Columns of the recording.
        width: u32,
        /// Rows of the recording.
        height: u32,
    },
    /// A thread could not be started.
    #[error("the recording's thread cannot start: {0}")]
    Thread(io::Error),
    /// ffmpeg ended or refused.
    #[error("ffmpeg {how} while {stage}: {log}{kept}")]
    Encoder {
        /// How it ended, as in `exited with status 1`.
        how: String,
        /// What it was doing.
        stage: &'static str,
        /// Its last lines.
        log: Log,
        /// What is left on disk.
        kept: Kept,
    },
    /// The finished file could not take the target's name.
    #[error("{path:?}: cannot take its name: {source}{kept}")]
    Rename {
        /// The target.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
        /// What is left on disk.
        kept: Kept,
    },
    /// Nothing to make a video of.
    #[error("{path:?} was not made: no frame came while recording")]
    NoFrames {
        /// The target.
        path: PathBuf,
    },
    /// The recording had ended with an error that was told before.
    #[error("the recording has ended already")]
    Ended,
}

/// The encoder's last lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log(pub String);

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<&str> = self.0.lines().map(str::trim).collect();
        match lines.as_slice() {
            [] => f.write_str("it gave no reason"),
            lines => f.write_str(&lines.join(" | ")),
        }
    }
}

/// Files that a failed recording left, playable up to the failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept(pub Vec<PathBuf>);

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            let before = if index == 0 {
                "; what was recorded so far is in "
            } else {
                " and "
            };
            write!(f, "{before}{}", path.display())?;
        }
        Ok(())
    }
}
