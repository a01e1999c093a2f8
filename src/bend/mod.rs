//! Network bending: deterministic transforms of feature maps (Broad et al. 2021).
//!
//! A transform is declared once, in [`spec`]: name, aliases, parameters with unit, range and
//! identity, shader entry and CPU twin. Everything else reads that.

pub mod spec;

pub use spec::{Bend, MAX_PARAMS, ParamSpec, TransformSpec};
