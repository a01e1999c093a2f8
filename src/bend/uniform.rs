//! What a kernel reads: one block for all kernels, the same bytes on CPU and GPU.

use crate::tensor::MapShape;
use bytemuck::{Pod, Zeroable};

/// Highest radius of erosion and dilation, in pixels.
pub const MAX_RADIUS: usize = 32;

/// Highest standard deviation of a blur, in pixels.
pub const MAX_SIGMA: f32 = 32.0;

/// Most weights of a blur: its middle and one side.
pub const MAX_TAPS: usize = 4 * MAX_SIGMA as usize + 1;

/// Words of four bytes-packed rows: room for `MAX_RADIUS + 1` entries.
pub const ROW_WORDS: usize = 3;

/// Parameters of one dispatch. Mirrors `struct Bend` in `shaders/shared/feature_map.wgsl`; a test
/// compares the offsets.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct BendUniform {
    /// Columns and rows of a feature map.
    pub size: [u32; 2],
    /// Where the jobs of this dispatch start in `lists`: for each, the plane and one more word that
    /// the kernel explains.
    pub first_job: u32,
    /// 0 leaves the input, 1 is the full effect.
    pub amount: f32,
    /// Row-major 2×2: source = `matrix` · (pixel − `centre`) + `offset`, in pixels.
    pub matrix: [f32; 4],
    /// Pixel coordinates that the matrix turns about.
    pub centre: [f32; 2],
    /// Where `centre` comes from, in pixels.
    pub offset: [f32; 2],
    /// `x · multiply + add`.
    pub multiply: f32,
    /// See `multiply`.
    pub add: f32,
    /// 1 where `x ≥ threshold`.
    pub threshold: f32,
    /// From the inner disc (0) to the outer (1).
    pub blend: f32,
    /// 1 where columns, rows are reversed.
    pub mirror: [u32; 2],
    /// Radius of the outer disc, in pixels.
    pub radius: u32,
    /// 1 takes the highest value, −1 the lowest.
    pub sign: f32,
    /// Outer disc: byte d is 1 + its half-width d rows from the middle; 0 when it has no such row.
    pub outer_rows: [[u32; 4]; ROW_WORDS],
    /// Inner disc, in the same way.
    pub inner_rows: [[u32; 4]; ROW_WORDS],
    /// Place in [`super::border::BORDERS`].
    pub border: u32,
    /// Where weights start in `lists`, as the bits of floats.
    pub first_tap: u32,
    /// Number of the noise.
    pub field: u32,
    /// Seed of the noise.
    pub seed: u32,
    /// Where the planes of the frame before start in `memory`.
    pub before: u32,
    /// Where those of this frame go.
    pub after: u32,
    /// 1 when there is no frame before.
    pub fresh: u32,
    /// 0 no mask, 1 circle, 2 gradient, 3 picture.
    pub mask: u32,
    /// Centre of the mask, in pixels from the top left corner.
    pub mask_at: [f32; 2],
    /// Unit vector in which a gradient rises.
    pub mask_axis: [f32; 2],
    /// Radius of a circle, in pixels.
    pub mask_edge: f32,
    /// Rise of the weight at the edge, per pixel; for a picture, its pixels per pixel of the map.
    pub mask_slope: f32,
    /// 1 swaps inside and outside.
    pub mask_invert: f32,
    /// Where the weights of a picture start in `memory`.
    pub painting: u32,
    /// Level of runs that a pass begins with; level n has runs of 2ⁿ values.
    pub level: u32,
    /// Levels above the map itself that a disc needs; `scratch` has so many planes for each job.
    pub levels: u32,
    /// To a multiple of 16 bytes.
    pub padding: [u32; 2],
}

impl BendUniform {
    /// For maps of this shape, with full amount and nothing else set.
    pub fn new(shape: MapShape) -> Self {
        Self {
            size: [shape.width as u32, shape.height as u32],
            amount: 1.0,
            ..Self::zeroed()
        }
    }
}

/// Half-width of a disc `dy` rows from its middle; `None` when it has no such row.
pub(super) fn half_width(rows: &[[u32; 4]; ROW_WORDS], dy: usize) -> Option<usize> {
    let word = rows.as_flattened().get(dy / 4)?;
    let byte = word >> (dy % 4 * 8) & 0xFF;
    (byte as usize).checked_sub(1)
}
