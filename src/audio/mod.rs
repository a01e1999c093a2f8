//! The ears: sound files and devices to [`signal::Snapshot`](crate::signal::Snapshot)s.
//!
//! [`Analyzer`] turns samples into one snapshot per hop. It is the same code live ([`live`]) and
//! offline ([`timeline`]), so that a rendered take matches the show. It knows no device, file or
//! thread, allocates only when made, and doesn't care how the samples are cut into chunks.

mod analysis;
mod bands;
mod beat;
mod channels;
mod chroma;
mod config;
mod decode;
mod device;
mod edit_list;
mod error;
mod flux;
mod history;
pub mod live;
mod loudness;
mod network;
mod onset;
mod player;
mod relative;
mod separate;
mod shape;
mod stft;
mod stream;
pub mod timeline;

pub use analysis::{Analyzer, HOP_SECS, WINDOW_SECS};
pub use channels::Channels;
pub use config::{AnalysisConfig, MAX_BANDS};
pub use decode::{Decoded, MAX_CHANNELS, MAX_SAMPLES, SAMPLE_RATES, decode};
pub use device::{DeviceInfo, Direction, OUTPUTS_ARE_HEARD, devices, is_talkative};
pub use error::AudioError;
pub use live::{AudioChoice, Counters, LiveAudio, SoundLatency, start, start_with};
pub use timeline::{SignalTrack, analyze_all, analyze_with, hearing_of};
