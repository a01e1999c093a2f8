//! Numbers that may be driven: a constant, or signals and modulators with range, curve and
//! smoothing.

mod curve;
mod drive;
mod modulator;
mod shape;
mod source;

pub use curve::Curve;
pub use drive::{Drive, DriveState, SignalDrive};
pub use modulator::{Inline, Modulator, ModulatorBank, NOTES, Named, Notes, Wave};
pub use shape::{MAX_LEVELS, MAX_SHAPE_SECS, Shape, ShapeState};
pub use source::{Combine, MAX_MODULATORS, MAX_SOURCES, Source, Sources, Values, with_modulators};
