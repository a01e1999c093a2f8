//! Kernels: a WGSL entry point and its CPU twin. Several transforms may share one.

use super::cpu;
use super::uniform::BendUniform;

/// Carries out a transform on one feature map.
#[derive(Debug)]
pub struct Kernel {
    /// Index into [`KERNELS`].
    pub index: usize,
    /// File `shaders/bend/<stem>.wgsl` and module `bend::cpu::<stem>`.
    pub stem: &'static str,
    /// Entry point of the shader.
    pub entry: &'static str,
    /// CPU twin: reads one map, writes another of the same size. Input values are finite
    /// (see [`cpu::clean`]).
    pub twin: fn(&BendUniform, &[f32], &mut [f32]),
}

/// `x · multiply + add`.
pub static LINEAR: Kernel = Kernel {
    index: 0,
    stem: "pointwise",
    entry: "linear",
    twin: cpu::pointwise::linear,
};

/// 1 where `x ≥ threshold`, else 0.
pub static THRESHOLD: Kernel = Kernel {
    index: 1,
    stem: "pointwise",
    entry: "threshold",
    twin: cpu::pointwise::threshold,
};

/// Reversed columns or rows.
pub static FLIP: Kernel = Kernel {
    index: 2,
    stem: "affine",
    entry: "flip",
    twin: cpu::affine::flip,
};

/// Affine map, bilinear, zero outside.
pub static WARP: Kernel = Kernel {
    index: 3,
    stem: "affine",
    entry: "warp",
    twin: cpu::affine::warp,
};

/// Highest or lowest value within a disc.
pub static EXTREMUM: Kernel = Kernel {
    index: 4,
    stem: "morphology",
    entry: "extremum",
    twin: cpu::morphology::extremum,
};

/// Every kernel, by [`Kernel::index`].
pub static KERNELS: [&Kernel; 5] = [&LINEAR, &THRESHOLD, &FLIP, &WARP, &EXTREMUM];

#[cfg(test)]
mod tests {
    use super::KERNELS;

    #[test]
    fn indices_are_positions() {
        for (index, kernel) in KERNELS.iter().enumerate() {
            assert_eq!(kernel.index, index);
        }
    }
}
