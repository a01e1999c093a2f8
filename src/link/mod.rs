//! Ableton Link: tempo and bars shared with the other programs of the network, without a cable.
//!
//! Only with the feature `link`, which brings Ableton's own library (C++) along. Without it [`Link::join`]
//! says so. bendwave follows: it sets no tempo, and it enters only sessions that are there already, for
//! whoever is first in a session sets its tempo for those who come.

#[cfg(feature = "link")]
mod follow;
#[cfg(feature = "link")]
mod listen;
#[cfg(feature = "link")]
pub use follow::Link;

use std::io;
use std::time::Instant;
use thiserror::Error;

/// Why there is no Link.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The feature `link` is off.
    #[error(
        "this bendwave was built without Ableton Link; build it with `cargo build --release --features link` \
         (which needs cmake, a C++ compiler and libclang), or let a MIDI clock lead"
    )]
    NotBuiltIn,
    /// Others cannot be heard.
    #[error("Ableton Link cannot listen on UDP port 20808: {0}")]
    Deaf(#[source] io::Error),
}

/// Where a session is in its music.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Session {
    /// The moment that is meant.
    pub at: Instant,
    /// Beats; multiples of four begin bars.
    pub beats: f64,
    /// Beats per minute.
    pub bpm: f64,
    /// Other programs in the session. While there is none, there is no session, and the rest means nothing.
    pub peers: u64,
}

/// A follower of the network's session.
#[cfg(not(feature = "link"))]
#[derive(Debug)]
pub struct Link(std::convert::Infallible);

#[cfg(not(feature = "link"))]
impl Link {
    /// Follows the network's session.
    ///
    /// # Errors
    ///
    /// The feature `link` is off.
    pub fn join() -> Result<Self, LinkError> {
        Err(LinkError::NotBuiltIn)
    }

    /// Where the session is now.
    pub fn session(&mut self) -> Session {
        match self.0 {}
    }
}
