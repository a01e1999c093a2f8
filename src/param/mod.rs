//! Numbers that may be driven: a constant, or a signal with range, curve and smoothing.

mod curve;
mod drive;

pub use curve::Curve;
pub use drive::{Drive, DriveState, SignalDrive};
