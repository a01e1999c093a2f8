//! From parameters to what a kernel reads.

use super::kernel::{self, Kernel};
use super::spec::ParamValues;
use super::uniform::{BendUniform, MAX_RADIUS, MAX_SIGMA, ROW_WORDS};
use crate::tensor::MapShape;

/// Where and when a bend works.
#[derive(Debug)]
pub(super) struct Site<'a> {
    pub(super) shape: MapShape,
    /// Time since the frame before.
    pub(super) dt_secs: f64,
    /// What this bend has counted up so far; kept between frames.
    pub(super) phase: &'a mut f64,
    /// Weights of all bends of the layer, to be added to.
    pub(super) taps: &'a mut Vec<f32>,
}

/// `x · multiply + add`.
pub(super) fn linear(multiply: f32, add: f32, out: &mut BendUniform) -> &'static Kernel {
    out.multiply = multiply;
    out.add = add;
    &kernel::LINEAR
}

/// 1 where `x ≥ threshold`, else 0 (2021 paper, equation 1; the tool itself uses `>`). With a
/// softness, t² (3 − 2t) of `t = (x − threshold) / softness + ½`, held within 0 and 1.
pub(super) fn threshold(threshold: f32, softness: f32, out: &mut BendUniform) -> &'static Kernel {
    out.threshold = threshold;
    // 0 is a step.
    out.multiply = if softness < 1e-6 { 0.0 } else { 1.0 / softness };
    &kernel::THRESHOLD
}

/// The nearest of `levels` values, evenly from `low` to `high`, both included; one level is the
/// middle. Between two whole numbers of levels the results are blended.
pub(super) fn posterise(
    levels: f32,
    low: f32,
    high: f32,
    out: &mut BendUniform,
) -> &'static Kernel {
    let range = high - low;
    let (few, many) = (levels.floor() - 1.0, levels.ceil() - 1.0);
    let inverse = |x: f32| if x.abs() < 1e-6 { 0.0 } else { 1.0 / x };
    out.threshold = low;
    out.multiply = inverse(range);
    out.add = range;
    out.matrix = [few, many, inverse(few), inverse(many)];
    out.blend = levels - levels.floor();
    &kernel::POSTERISE
}

/// x + level · n. Noise number k follows noise k − 1 by a crossfade of equal power, so that the
/// variance stays 1 at any time.
pub(super) fn noise(
    level: f32,
    rate: f32,
    site: &mut Site<'_>,
    out: &mut BendUniform,
) -> &'static Kernel {
    *site.phase += f64::from(rate) * site.dt_secs;
    let part = site.phase.fract() * std::f64::consts::FRAC_PI_2;
    // After 2³² noises the first comes again.
    out.field = (site.phase.floor() % 4_294_967_296.0) as u32;
    out.multiply = (f64::from(level) * part.cos()) as f32;
    out.add = (f64::from(level) * part.sin()) as f32;
    &kernel::NOISE
}

/// `partner · gain + x · keep`.
pub(super) fn mix(gain: f32, keep: f32, out: &mut BendUniform) -> &'static Kernel {
    out.multiply = gain;
    out.add = keep;
    &kernel::MIX
}

/// Reverses columns, rows where 1.
pub(super) fn flip(mirror: [u32; 2], out: &mut BendUniform) -> &'static Kernel {
    out.mirror = mirror;
    &kernel::FLIP
}

/// Shift by fractions of width and height, right and down.
pub(super) fn translate(x: f32, y: f32, site: &Site<'_>, out: &mut BendUniform) -> &'static Kernel {
    affine([1.0, 0.0, x, 0.0, 1.0, y], site, out)
}

/// Magnification about (W/2, H/2).
pub(super) fn scale(kx: f32, ky: f32, site: &Site<'_>, out: &mut BendUniform) -> &'static Kernel {
    affine([kx, 0.0, 0.0, 0.0, ky, 0.0], site, out)
}

/// Counter-clockwise turn about (W/2, H/2), as OpenCV's `getRotationMatrix2D` defines it.
pub(super) fn rotate(degrees: f32, site: &Site<'_>, out: &mut BendUniform) -> &'static Kernel {
    let [sin, cos] = sin_cos(f64::from(degrees));
    warp([[cos, sin], [-sin, cos]], [0.0; 2], centre(site.shape), out);
    &kernel::WARP
}

/// \[xx xy; yx yy\] about (W/2, H/2), then a shift by (x, y) of width and height.
pub(super) fn affine(
    [xx, xy, x, yx, yy, y]: [f32; 6],
    site: &Site<'_>,
    out: &mut BendUniform,
) -> &'static Kernel {
    let matrix = [[xx, xy], [yx, yy]].map(|row| row.map(f64::from));
    let (width, height) = (site.shape.width as f64, site.shape.height as f64);
    let shift = [f64::from(x) * width, f64::from(y) * height];
    warp(matrix, shift, centre(site.shape), out);
    &kernel::WARP
}

/// `x + (y − x) · exp(−dt / secs)` with y what this bend gave in the frame before, zoomed, turned
/// and shifted for the time between: after `secs`, 63 % of a step is done, at any frame rate.
pub(super) fn feedback(p: &ParamValues, site: &Site<'_>, out: &mut BendUniform) -> &'static Kernel {
    let [secs, zoom, angle, x, y, ..] = p.map(f64::from);
    let dt = site.dt_secs;
    out.multiply = if secs > 0.0 {
        (-dt / secs).exp() as f32
    } else {
        0.0
    };
    let zoom = zoom.powf(dt);
    let [sin, cos] = sin_cos(angle * dt).map(|v| v * zoom);
    let (width, height) = (site.shape.width as f64, site.shape.height as f64);
    let shift = [x * width * dt, y * height * dt];
    // The true middle: from frame to frame half a pixel beside it would add up.
    let middle = [(width - 1.0) / 2.0, (height - 1.0) / 2.0];
    warp([[cos, sin], [-sin, cos]], shift, middle, out);
    &kernel::FEEDBACK
}

/// Largest disc that a GPU takes run by run: beyond, levels are faster.
pub(super) const DIRECT_RADIUS: u32 = 6;

/// Highest (`sign` 1) or lowest (−1) value within a disc. A fractional radius blends the discs of
/// the whole radii around it.
pub(super) fn extremum(
    radius: f32,
    sign: f32,
    _site: &Site<'_>,
    out: &mut BendUniform,
) -> &'static Kernel {
    let radius = radius.clamp(0.0, MAX_RADIUS as f32);
    let (inner, outer) = (radius.floor(), radius.ceil());
    out.sign = sign;
    out.radius = outer as u32;
    out.outer_rows = disc_rows(outer as u32);
    out.inner_rows = disc_rows(inner as u32);
    out.blend = if inner < outer { radius - inner } else { 1.0 };
    if out.radius <= DIRECT_RADIUS {
        return &kernel::EXTREMUM;
    }
    // Up to the longest run, two at a time.
    out.levels = (2 * out.radius + 1).ilog2().next_multiple_of(2);
    &kernel::DISC
}

/// `x + (g − x) · gain` with g the Gaussian mean: weights exp(−d² / 2σ²) up to d = ⌊4σ + ½⌋, of sum
/// 1, as `SciPy`'s `gaussian_filter` has them.
pub(super) fn blur(
    sigma: f32,
    gain: f32,
    site: &mut Site<'_>,
    out: &mut BendUniform,
) -> &'static Kernel {
    let sigma = f64::from(sigma.min(MAX_SIGMA));
    let radius = (4.0 * sigma + 0.5).floor();
    let weight = |d: f64| {
        if d == 0.0 {
            1.0
        } else {
            (-d * d / (2.0 * sigma * sigma)).exp()
        }
    };
    let distances = || (0..=radius as u32).map(f64::from);
    let sum = 2.0 * distances().map(weight).sum::<f64>() - 1.0;
    out.radius = radius as u32;
    out.multiply = gain;
    out.first_tap = site.taps.len() as u32;
    site.taps
        .extend(distances().map(|d| (weight(d) / sum) as f32));
    &kernel::BLUR
}

/// Sine and cosine of an angle in degrees. Quarter turns are exact, so that they move pixels without
/// touching values.
fn sin_cos(degrees: f64) -> [f64; 2] {
    let degrees = degrees.rem_euclid(360.0);
    match degrees {
        0.0 => [0.0, 1.0],
        90.0 => [1.0, 0.0],
        180.0 => [0.0, -1.0],
        270.0 => [-1.0, 0.0],
        _ => degrees.to_radians().sin_cos().into(),
    }
}

/// The pixel *coordinate* (W/2, H/2), as the papers' tool has it: half a pixel right of and below
/// the middle of the picture.
fn centre(shape: MapShape) -> [f64; 2] {
    [shape.width as f64 / 2.0, shape.height as f64 / 2.0]
}

/// From `matrix · (p − centre) + centre + shift` to the inverse that a kernel reads. A matrix
/// without inverse maps everything to the source's (0, 0), as in OpenCV.
fn warp(matrix: [[f64; 2]; 2], shift: [f64; 2], centre: [f64; 2], out: &mut BendUniform) {
    let [[a, b], [c, d]] = matrix;
    let det = a * d - b * c;
    out.centre = centre.map(|v| v as f32);
    if det == 0.0 {
        out.matrix = [0.0; 4];
        out.offset = [0.0; 2];
        return;
    }
    let inverse = [d / det, -b / det, -c / det, a / det];
    out.matrix = inverse.map(bounded);
    // Relative to the centre, both terms of a source coordinate stay small, and so do f32's errors.
    out.offset = [
        bounded(centre[0] - inverse[0] * shift[0] - inverse[1] * shift[1]),
        bounded(centre[1] - inverse[2] * shift[0] - inverse[3] * shift[1]),
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

#[cfg(test)]
mod tests {
    use super::disc_rows;
    use crate::bend::uniform::{MAX_RADIUS, half_width};

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
