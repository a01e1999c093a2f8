//! What the performer may see over the picture.

use crate::signal::Beat;
use std::time::Instant;

/// Numbers and words for the overlay. The newest value wins; a few a second are enough.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Pictures made a second.
    pub fps: f32,
    /// Time to make a picture, in milliseconds: half of them were faster.
    pub frame_ms_p50: f32,
    /// The same, 99 of 100 were faster.
    pub frame_ms_p99: f32,
    /// Pictures lost so far: late ones, and those that the recording left out.
    pub dropped: u64,
    /// The beat, and when it was so: the light goes on by itself.
    pub beat: Beat,
    /// When `beat` was so; `None` without one.
    pub beat_at: Option<Instant>,
    /// Which clock leads.
    pub clock: String,
    /// From sample to signal, and from frame to screen.
    pub latency: String,
    /// Where the sound comes from and how it does.
    pub audio: String,
    /// Network, provider, adapter: what plays.
    pub engine: String,
    /// State of the recording; empty without one.
    pub recording: String,
    /// Last word to the performer; may be empty.
    pub message: String,
    /// Last errors, newest last. Four are shown.
    pub errors: Vec<String>,
}
