//! The one place where transforms are declared.

use crate::tensor::ChannelSet;

/// Most parameters a transform has.
pub const MAX_PARAMS: usize = 8;

/// One parameter of a transform.
#[derive(Clone, Copy, Debug)]
pub struct ParamSpec {
    /// Name, as mappings and panels show it.
    pub name: &'static str,
    /// Unit, as panels show it: "", "°", "of width"…
    pub unit: &'static str,
    /// Lowest and highest sensible value: what a knob sweeps. A file may go beyond.
    pub range: [f32; 2],
    /// The value that changes nothing (with the other parameters at theirs).
    pub identity: f32,
}

/// A transform.
#[derive(Clone, Copy, Debug)]
pub struct TransformSpec {
    /// Name in files, as the papers' reference tool spells it.
    pub name: &'static str,
    /// Other spellings that files use.
    pub aliases: &'static [&'static str],
    /// Parameters in file order.
    pub params: &'static [ParamSpec],
}

/// A transform with its parameters and channels: what runs on one layer in one frame.
#[derive(Clone, Debug)]
pub struct Bend {
    /// Which transform.
    pub transform: &'static TransformSpec,
    /// On which channels of the layer.
    pub channels: ChannelSet,
    /// Parameters in the order of [`TransformSpec::params`]; the rest is 0.
    pub params: [f32; MAX_PARAMS],
}
