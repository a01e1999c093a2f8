//! What can go wrong with sound.

use std::io;
use std::path::PathBuf;

/// Errors of files, devices and formats. Every message names what it is about.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file could not be opened or read.
    #[error("cannot read audio file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is none of the known formats, or damaged from the start.
    #[error("{} is not an audio file bendwave can read ({reason}); give WAV, FLAC, MP3, OGG Vorbis or M4A", path.display())]
    NotAudio {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file holds sound in a format without a decoder here.
    #[error("{}: no decoder for this audio codec ({reason}); convert it to WAV or FLAC", path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Sample rate or channel count out of bounds.
    #[error(
        "{what}: {sample_rate} Hz with {channels} channels is outside 8 to 384 kHz and 1 to 64 channels"
    )]
    Format {
        /// File or device.
        what: String,
        /// Samples per second and channel.
        sample_rate: u32,
        /// Channels.
        channels: usize,
    },
    /// The key `analysis` of a scene holds what cannot be.
    #[error("analysis: {0}")]
    Config(String),
    /// The file has a header and no sound.
    #[error("{} holds no sound", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// No device matches what was asked for.
    #[error("no audio input {asked:?}; there are: {found}. `bendwave devices` lists them")]
    NoSuchInput {
        /// Name or number, as given.
        asked: String,
        /// What there is.
        found: String,
    },
    /// There is no input device at all.
    #[error(
        "no audio input device was found ({host}); give a file with --audio, or `--audio none`"
    )]
    NoInput {
        /// The sound system that was asked.
        host: String,
    },
    /// A channel was asked for that the input lacks.
    #[error("{what} has {channels} channels: --channels {asked} is more than it has")]
    NoSuchChannel {
        /// The device.
        what: String,
        /// What it has.
        channels: usize,
        /// What was asked for.
        asked: String,
    },
    /// The sound system said no.
    #[error("{what}: {reason}")]
    Device {
        /// What was tried.
        what: String,
        /// The sound system's words.
        reason: String,
    },
    /// The system refused a thread.
    #[error("cannot start a sound thread: {0}")]
    Thread(#[from] io::Error),
}
