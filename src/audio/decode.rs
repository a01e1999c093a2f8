//! Sound files to samples.

use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::AudioError;
use super::edit_list::lead_in_secs;

/// Sample rates that are accepted, in Hz.
pub const SAMPLE_RATES: RangeInclusive<u32> = 8_000..=384_000;

/// Most channels that are accepted.
pub const MAX_CHANNELS: usize = 64;

/// Most samples of all channels that are kept: 2 GiB of f32, 93 minutes of 48 kHz stereo. What
/// comes after is left out with a warning.
pub const MAX_SAMPLES: usize = 1 << 29;

/// A whole sound file in memory.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// Where it came from.
    pub path: PathBuf,
    /// Samples per second and channel, in Hz.
    pub sample_rate: u32,
    /// Channels, at least 1.
    pub channels: usize,
    /// Interleaved samples, full scale ±1; whole frames only.
    pub samples: Vec<f32>,
    /// What is wrong with the file, if anything: it is damaged or too long, and `samples` hold
    /// what could be read.
    pub warning: Option<String>,
}

impl Decoded {
    /// Samples per channel.
    pub fn frames(&self) -> usize {
        self.samples.len() / self.channels
    }

    /// Length in seconds.
    pub fn duration_secs(&self) -> f64 {
        self.frames() as f64 / f64::from(self.sample_rate)
    }
}

/// Fails for rates and channel counts out of bounds.
pub(super) fn check_format(
    what: &str,
    sample_rate: u32,
    channels: usize,
) -> Result<(), AudioError> {
    if SAMPLE_RATES.contains(&sample_rate) && (1..=MAX_CHANNELS).contains(&channels) {
        return Ok(());
    }
    Err(AudioError::Format {
        what: what.to_owned(),
        sample_rate,
        channels,
    })
}

/// Decodes the first audio track of a file: WAV, AIFF, FLAC, MP3, OGG Vorbis, M4A (AAC, ALAC),
/// told by content and not by name. The lead-in that an encoder put before the sound is left out
/// where the file tells its length. A file that breaks off or has damaged packets gives what could
/// be read, with a [`Decoded::warning`].
///
/// # Errors
/// When the file cannot be read, is no sound, holds none, or its format is out of bounds.
pub fn decode(path: &Path) -> Result<Decoded, AudioError> {
    let read_error = |source: io::Error| AudioError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(read_error)?;
    if file.metadata().map_err(read_error)?.is_dir() {
        return Err(read_error(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    let mut again = file.try_clone().map_err(read_error)?;
    let stream = MediaSourceStream::new(Box::new(file), Default::default());
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
        hint.with_extension(extension);
    }
    let mut reader = symphonia::default::get_probe()
        .probe(
            &hint,
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(|e| AudioError::NotAudio {
            path: path.to_owned(),
            reason: e.to_string(),
        })?;
    let mut track = Track::open(path, reader.as_ref())?;
    let mut decoded = track.read(path, reader.as_mut())?;
    // The file's handles share their place: only now, when all is read.
    let lead_in_secs = lead_in_secs(&mut again, track.id).map_err(read_error)?;
    let lead_in = (lead_in_secs * f64::from(decoded.sample_rate)).round() as usize;
    if lead_in < decoded.frames() {
        decoded.samples.drain(..lead_in * decoded.channels);
    }
    Ok(decoded)
}

/// The track being decoded.
struct Track {
    id: u32,
    decoder: Box<dyn AudioDecoder>,
    /// Samples per channel, as the header says.
    expected_frames: Option<u64>,
}

impl Track {
    fn open(path: &Path, reader: &dyn FormatReader) -> Result<Self, AudioError> {
        let not_audio = |reason: &str| AudioError::NotAudio {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let track = reader
            .default_track(TrackType::Audio)
            .ok_or_else(|| not_audio("it has no audio track"))?;
        let params = track
            .codec_params
            .as_ref()
            .and_then(|p| p.audio())
            .ok_or_else(|| not_audio("its audio track is not described"))?;
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(params, &AudioDecoderOptions::default())
            .map_err(|e| AudioError::Codec {
                path: path.to_owned(),
                reason: e.to_string(),
            })?;
        if let (Some(rate), Some(channels)) = (params.sample_rate, params.channels.as_ref()) {
            check_format(&path.display().to_string(), rate, channels.count())?;
        }
        Ok(Self {
            id: track.id,
            decoder,
            expected_frames: track.num_frames,
        })
    }

    fn read(&mut self, path: &Path, reader: &mut dyn FormatReader) -> Result<Decoded, AudioError> {
        let mut format: Option<(u32, usize)> = None;
        let mut samples: Vec<f32> = Vec::new();
        let mut packet_samples: Vec<f32> = Vec::new();
        let mut damaged = 0_usize;
        // Why reading stopped before the end.
        let mut stopped: Option<String> = None;
        loop {
            let packet = match reader.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(e) => {
                    stopped = Some(e.to_string());
                    break;
                }
            };
            if packet.track_id != self.id {
                continue;
            }
            let buffer = match self.decoder.decode(&packet) {
                Ok(buffer) => buffer,
                Err(Error::DecodeError(_) | Error::IoError(_)) => {
                    damaged += 1;
                    continue;
                }
                Err(e) => {
                    stopped = Some(e.to_string());
                    break;
                }
            };
            let here = (buffer.spec().rate(), buffer.spec().channels().count());
            match format {
                None => {
                    check_format(&path.display().to_string(), here.0, here.1)?;
                    format = Some(here);
                }
                Some(before) if before != here => {
                    stopped = Some("sample rate or channels change inside the file".to_owned());
                    break;
                }
                Some(_) => {}
            }
            buffer.copy_to_vec_interleaved(&mut packet_samples);
            if samples.len() + packet_samples.len() > MAX_SAMPLES {
                stopped = Some("it is longer than bendwave keeps in memory".to_owned());
                break;
            }
            samples.extend_from_slice(&packet_samples);
        }
        let Some((sample_rate, channels)) = format.filter(|_| !samples.is_empty()) else {
            return Err(match stopped {
                Some(reason) => AudioError::NotAudio {
                    path: path.to_owned(),
                    reason,
                },
                None => AudioError::Empty {
                    path: path.to_owned(),
                },
            });
        };
        let mut decoded = Decoded {
            path: path.to_owned(),
            sample_rate,
            channels,
            samples,
            warning: None,
        };
        decoded.warning = self.warning(&decoded, damaged, stopped);
        Ok(decoded)
    }

    fn warning(
        &self,
        decoded: &Decoded,
        damaged: usize,
        stopped: Option<String>,
    ) -> Option<String> {
        let secs = decoded.duration_secs();
        let name = decoded.path.display();
        if let Some(reason) = stopped {
            return Some(format!(
                "{name}: only the first {secs:.1} s are used: {reason}"
            ));
        }
        if damaged > 0 {
            return Some(format!("{name}: {damaged} damaged packets left out"));
        }
        // Headers may count encoder delay and padding, hence the tenth of a second.
        let expected = self.expected_frames?;
        let missing = expected.saturating_sub(decoded.frames() as u64);
        (missing > u64::from(decoded.sample_rate) / 10).then(|| {
            let expected_secs = expected as f64 / f64::from(decoded.sample_rate);
            format!("{name}: breaks off after {secs:.1} s of {expected_secs:.1} s")
        })
    }
}
