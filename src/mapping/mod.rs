//! Controller mappings: which knob, fader or pad does what. (StyleGAN's mapping is always called
//! `mapping_network`.)
//!
//! [`Mapping`] is a file of the folder `mappings/`, whose README describes the format.
//! [`ControlState`] follows a controller while playing. Targets stay names here: what
//! `zoom.k` is, only a scene knows.

mod format;
mod state;

pub use format::{Control, MAX_CONTROLS, Mapping, MappingError, Source};
pub use state::ControlState;
