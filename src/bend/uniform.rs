//! What a kernel reads: one block for all kernels, the same bytes on CPU and GPU.

use crate::tensor::MapShape;
use bytemuck::{Pod, Zeroable};

/// Highest radius of erosion and dilation, in pixels.
pub const MAX_RADIUS: usize = 32;

/// Words of four bytes-packed rows: room for `MAX_RADIUS + 1` entries.
pub const ROW_WORDS: usize = 3;

/// Parameters of one dispatch. Mirrors `struct Bend` in `shaders/shared/feature_map.wgsl`; a test
/// compares the offsets.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct BendUniform {
    /// Columns and rows of a feature map.
    pub size: [u32; 2],
    /// Where this dispatch starts in the list of planes.
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

/// `x · multiply + add`.
pub(super) fn linear(multiply: f32, add: f32, out: &mut BendUniform) {
    out.multiply = multiply;
    out.add = add;
}

/// 1 where `x ≥ threshold`, else 0 (2021 paper, equation 1; the tool itself uses `>`).
pub(super) fn threshold(threshold: f32, out: &mut BendUniform) {
    out.threshold = threshold;
}

/// Reverses columns, rows where 1.
pub(super) fn flip(mirror: [u32; 2], out: &mut BendUniform) {
    out.mirror = mirror;
}

/// Shift by fractions of width and height, right and down.
pub(super) fn translate(x: f32, y: f32, shape: MapShape, out: &mut BendUniform) {
    let x = f64::from(x) * shape.width as f64;
    let y = f64::from(y) * shape.height as f64;
    warp([[1.0, 0.0, x], [0.0, 1.0, y]], shape, out);
}

/// Magnification about (W/2, H/2).
pub(super) fn scale(kx: f32, ky: f32, shape: MapShape, out: &mut BendUniform) {
    let (kx, ky) = (f64::from(kx), f64::from(ky));
    let [cx, cy] = centre(shape);
    let matrix = [[kx, 0.0, (1.0 - kx) * cx], [0.0, ky, (1.0 - ky) * cy]];
    warp(matrix, shape, out);
}

/// Counter-clockwise turn about (W/2, H/2), as OpenCV's `getRotationMatrix2D` defines it.
pub(super) fn rotate(degrees: f32, shape: MapShape, out: &mut BendUniform) {
    let degrees = f64::from(degrees).rem_euclid(360.0);
    // Quarter turns are exact, so that they move pixels without touching values.
    let (sin, cos) = match degrees {
        0.0 => (0.0, 1.0),
        90.0 => (1.0, 0.0),
        180.0 => (0.0, -1.0),
        270.0 => (-1.0, 0.0),
        _ => degrees.to_radians().sin_cos(),
    };
    let [cx, cy] = centre(shape);
    let matrix = [
        [cos, sin, (1.0 - cos) * cx - sin * cy],
        [-sin, cos, sin * cx + (1.0 - cos) * cy],
    ];
    warp(matrix, shape, out);
}

/// Highest (`sign` 1) or lowest (−1) value within a disc. A fractional radius blends the discs of
/// the whole radii around it.
pub(super) fn extremum(radius: f32, sign: f32, out: &mut BendUniform) {
    let radius = radius.clamp(0.0, MAX_RADIUS as f32);
    let (inner, outer) = (radius.floor(), radius.ceil());
    out.sign = sign;
    out.radius = outer as u32;
    out.outer_rows = disc_rows(outer as u32);
    out.inner_rows = disc_rows(inner as u32);
    out.blend = if inner < outer { radius - inner } else { 1.0 };
}

/// The pixel *coordinate* (W/2, H/2), as the papers' tool has it: half a pixel right of and below
/// the middle of the picture.
fn centre(shape: MapShape) -> [f64; 2] {
    [shape.width as f64 / 2.0, shape.height as f64 / 2.0]
}

/// From a forward matrix to the inverse that a kernel reads. A matrix without inverse maps
/// everything to the source's (0, 0), as in OpenCV.
fn warp(forward: [[f64; 3]; 2], shape: MapShape, out: &mut BendUniform) {
    let [[a, b, tx], [c, d, ty]] = forward;
    let det = a * d - b * c;
    let [cx, cy] = centre(shape);
    out.centre = [cx as f32, cy as f32];
    if det == 0.0 {
        out.matrix = [0.0; 4];
        out.offset = [0.0; 2];
        return;
    }
    let inverse = [d / det, -b / det, -c / det, a / det];
    let (dx, dy) = (cx - tx, cy - ty);
    out.matrix = inverse.map(bounded);
    // Relative to the centre, both terms of a source coordinate stay small, and so do f32's errors.
    out.offset = [
        bounded(inverse[0] * dx + inverse[1] * dy),
        bounded(inverse[2] * dx + inverse[3] * dy),
    ];
}

/// Keeps products with pixel coordinates finite.
fn bounded(x: f64) -> f32 {
    x.clamp(-1e12, 1e12) as f32
}

/// OpenCV's ellipse of (2r+1)²: half-width at row dy is r·√(1 − dy²/r²), rounded half to even.
fn disc_rows(radius: u32) -> [[u32; 4]; ROW_WORDS] {
    let mut rows = [[0; 4]; ROW_WORDS];
    for dy in 0..=radius {
        let (r, y) = (f64::from(radius), f64::from(dy));
        let half = (r * r - y * y).sqrt().round_ties_even() as u32;
        let (word, shift) = (dy / 4, dy % 4 * 8);
        rows[word as usize / 4][word as usize % 4] |= (half + 1) << shift;
    }
    rows
}

/// Half-width of a disc `dy` rows from its middle; `None` when it has no such row.
pub(super) fn half_width(rows: &[[u32; 4]; ROW_WORDS], dy: usize) -> Option<usize> {
    let word = rows.as_flattened().get(dy / 4)?;
    let byte = word >> (dy % 4 * 8) & 0xFF;
    (byte as usize).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::{MAX_RADIUS, disc_rows, half_width};

    #[test]
    fn discs_have_opencvs_rows() {
        let widths = |r: u32| -> Vec<usize> {
            (0..=MAX_RADIUS + 2)
                .map_while(|dy| half_width(&disc_rows(r), dy))
                .map(|half| 2 * half + 1)
                .collect()
        };
        assert_eq!(widths(0), [1]);
        assert_eq!(widths(1), [3, 1]);
        assert_eq!(widths(2), [5, 5, 1]);
        assert_eq!(widths(3), [7, 7, 5, 1]);
        assert_eq!(widths(MAX_RADIUS as u32).len(), MAX_RADIUS + 1);
    }
}
