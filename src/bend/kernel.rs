//! Kernels: WGSL entry points and their CPU twin. Several transforms may share one.

use super::cpu::{self, Plane};

/// Carries out a transform on one feature map.
#[derive(Debug)]
pub struct Kernel {
    /// On the GPU: entry points one after another, each reading what the one before wrote.
    pub passes: &'static [&'static Pass],
    /// On the CPU: writes T(x), not yet faded. Input values are finite (see [`cpu::clean`]). The
    /// last argument is memory to work with, of any length and contents.
    pub twin: fn(&Plane<'_>, &mut [f32], &mut Vec<f32>),
}

/// A WGSL entry point.
#[derive(Debug)]
pub struct Pass {
    /// Index into [`PASSES`].
    pub index: usize,
    /// File `shaders/bend/<stem>.wgsl`; the twin is in `bend::cpu::<stem>`.
    pub stem: &'static str,
    /// Entry point of the shader.
    pub entry: &'static str,
    /// Invocations of a workgroup, in columns and rows.
    pub group: [u32; 2],
    /// Pixels that a workgroup works on, in columns and rows.
    pub tile: [u32; 2],
    /// What it writes.
    pub writes: Writes,
}

/// What a pass writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// The maps: the next pass reads them.
    Maps,
    /// Two more levels of `scratch`; it runs until there are [`super::uniform::BendUniform::levels`].
    Levels,
}

/// One pixel for each invocation.
const SQUARE: [u32; 2] = [8, 8];

const fn pass(index: usize, stem: &'static str, entry: &'static str) -> Pass {
    tiled(index, stem, entry, SQUARE, SQUARE)
}

const fn tiled(
    index: usize,
    stem: &'static str,
    entry: &'static str,
    group: [u32; 2],
    tile: [u32; 2],
) -> Pass {
    Pass {
        index,
        stem,
        entry,
        group,
        tile,
        writes: Writes::Maps,
    }
}

static PASS_LINEAR: Pass = pass(0, "pointwise", "linear");
static PASS_THRESHOLD: Pass = pass(1, "pointwise", "threshold");
static PASS_POSTERISE: Pass = pass(2, "pointwise", "posterise");
static PASS_NOISE: Pass = pass(3, "noise", "noise");
static PASS_MIX: Pass = pass(4, "pointwise", "mix_in");
static PASS_FLIP: Pass = pass(5, "affine", "flip");
static PASS_WARP: Pass = pass(6, "affine", "warp");
static PASS_EXTREMUM: Pass = tiled(7, "morphology", "extremum", [16, 4], [16, 16]);
static PASS_BLUR_ROWS: Pass = tiled(8, "blur", "blur_rows", [8, 8], [32, 8]);
static PASS_BLUR_COLUMNS: Pass = tiled(9, "blur", "blur_columns", [16, 4], [16, 16]);
static PASS_FEEDBACK: Pass = pass(10, "affine", "feedback");
static PASS_LEVELS: Pass = Pass {
    writes: Writes::Levels,
    ..tiled(11, "morphology", "levels", [16, 8], [16, 8])
};
static PASS_DISC: Pass = tiled(12, "morphology", "disc", [16, 8], [16, 8]);

/// Every pass, by [`Pass::index`].
pub static PASSES: [&Pass; 13] = [
    &PASS_LINEAR,
    &PASS_THRESHOLD,
    &PASS_POSTERISE,
    &PASS_NOISE,
    &PASS_MIX,
    &PASS_FLIP,
    &PASS_WARP,
    &PASS_EXTREMUM,
    &PASS_BLUR_ROWS,
    &PASS_BLUR_COLUMNS,
    &PASS_FEEDBACK,
    &PASS_LEVELS,
    &PASS_DISC,
];

/// `x · multiply + add`.
pub static LINEAR: Kernel = Kernel {
    passes: &[&PASS_LINEAR],
    twin: cpu::pointwise::linear,
};

/// A step or a smooth rise from 0 to 1.
pub static THRESHOLD: Kernel = Kernel {
    passes: &[&PASS_THRESHOLD],
    twin: cpu::pointwise::threshold,
};

/// The nearest of some levels.
pub static POSTERISE: Kernel = Kernel {
    passes: &[&PASS_POSTERISE],
    twin: cpu::pointwise::posterise,
};

/// Noise added.
pub static NOISE: Kernel = Kernel {
    passes: &[&PASS_NOISE],
    twin: cpu::noise::noise,
};

/// Another channel.
pub static MIX: Kernel = Kernel {
    passes: &[&PASS_MIX],
    twin: cpu::pointwise::mix_in,
};

/// Reversed columns or rows.
pub static FLIP: Kernel = Kernel {
    passes: &[&PASS_FLIP],
    twin: cpu::affine::flip,
};

/// Affine map, bilinear.
pub static WARP: Kernel = Kernel {
    passes: &[&PASS_WARP],
    twin: cpu::affine::warp,
};

/// Highest or lowest value within a disc.
pub static EXTREMUM: Kernel = Kernel {
    passes: &[&PASS_EXTREMUM],
    twin: cpu::morphology::extremum,
};

/// The same for large discs, where the GPU has room for levels.
pub static DISC: Kernel = Kernel {
    passes: &[&PASS_LEVELS, &PASS_DISC],
    twin: cpu::morphology::extremum,
};

/// Gaussian mean, along rows and then along columns.
pub static BLUR: Kernel = Kernel {
    passes: &[&PASS_BLUR_ROWS, &PASS_BLUR_COLUMNS],
    twin: cpu::blur::blur,
};

/// The frame before, moved, and drawn to this one.
pub static FEEDBACK: Kernel = Kernel {
    passes: &[&PASS_FEEDBACK],
    twin: cpu::affine::feedback,
};

/// Every kernel.
pub static KERNELS: [&Kernel; 11] = [
    &LINEAR, &THRESHOLD, &POSTERISE, &NOISE, &MIX, &FLIP, &WARP, &EXTREMUM, &DISC, &BLUR, &FEEDBACK,
];

#[cfg(test)]
mod tests {
    use super::{KERNELS, PASSES};

    #[test]
    fn indices_are_positions_and_every_pass_has_its_kernel() {
        for (index, pass) in PASSES.iter().enumerate() {
            assert_eq!(pass.index, index);
            let used = |k: &&&super::Kernel| k.passes.iter().any(|p| p.index == index);
            assert_eq!(KERNELS.iter().filter(used).count(), 1, "{}", pass.entry);
        }
    }
}
