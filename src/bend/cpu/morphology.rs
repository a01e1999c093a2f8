//! Twin of `shaders/bend/morphology.wgsl`.

use super::{Plane, fade};
use crate::bend::border::Border;
use crate::bend::uniform::{MAX_RADIUS, ROW_WORDS, half_width};

/// Highest (`sign` 1) or lowest (−1) value within the disc. Between two whole radii, the blend of
/// both.
///
/// A disc is a stack of runs, one for each row. The extreme of a run of any length is that of two
/// runs of the power of two below it, which overlap; so each row of the map is turned once into
/// levels, runs of 1, 2, 4, … values, and a disc of radius r costs 2 (2r + 1) comparisons a pixel
/// instead of about 3 r². Extremes do not depend on the order.
pub fn extremum(plane: &Plane<'_>, dst: &mut [f32], memory: &mut Vec<f32>) {
    if plane.uniform.sign > 0.0 {
        disc(
            plane,
            dst,
            memory,
            f32::MIN,
            |a, b| if b > a { b } else { a },
        );
    } else {
        disc(
            plane,
            dst,
            memory,
            f32::MAX,
            |a, b| if b < a { b } else { a },
        );
    }
}

/// `far` loses against every value.
fn disc(
    plane: &Plane<'_>,
    dst: &mut [f32],
    memory: &mut Vec<f32>,
    far: f32,
    pick: impl Fn(f32, f32) -> f32 + Copy,
) {
    let u = plane.uniform;
    let [width, height] = plane.size();
    let radius = u.radius as usize;
    let blends = u.blend < 1.0;
    let levels = Levels::new(width, radius);
    let inner_len = if blends { width * height } else { 0 };
    memory.resize(levels.len() + inner_len, 0.0);
    let (rows, inner) = memory.split_at_mut(levels.len());
    dst.fill(far);
    inner.fill(far);
    // Rows beyond the edge that count: none where the outside is a copy of what a disc reaches
    // anyway (see docs/bends.md).
    let beyond = match plane.border() {
        Border::Zero | Border::Wrap => radius,
        Border::Reflect | Border::Replicate => 0,
    };
    for row in 0..height + 2 * beyond {
        let row = row as i32 - beyond as i32;
        let from = plane.border().place(row, height as i32);
        let from = from.map(|y| &plane.src[y * width..][..width]);
        levels.fill(rows, from, plane.border(), far, pick);
        let first = (row - radius as i32).max(0);
        let last = (row + radius as i32).min(height as i32 - 1);
        for y in first..=last {
            let dy = row.abs_diff(y) as usize;
            let line = y as usize * width;
            levels.pick(rows, &u.outer_rows, dy, &mut dst[line..][..width], pick);
            if blends {
                levels.pick(rows, &u.inner_rows, dy, &mut inner[line..][..width], pick);
            }
        }
    }
    if blends {
        for (out, &inner) in dst.iter_mut().zip(inner.iter()) {
            *out = fade(inner, *out, u.blend);
        }
    }
}

/// Most powers of two up to the widest run, 2 · [`MAX_RADIUS`] + 1.
const MAX_LEVELS: usize = (2 * MAX_RADIUS + 1).ilog2() as usize + 1;

/// Extremes of runs of 1, 2, 4, … values of a row that is padded by the radius on both sides.
#[derive(Clone, Copy)]
struct Levels {
    width: usize,
    radius: usize,
    count: usize,
}

impl Levels {
    const fn new(width: usize, radius: usize) -> Self {
        Self {
            width,
            radius,
            count: (2 * radius + 1).ilog2() as usize + 1,
        }
    }

    const fn row(self) -> usize {
        self.width + 2 * self.radius
    }

    const fn len(self) -> usize {
        debug_assert!(self.count <= MAX_LEVELS);
        self.count * self.row()
    }

    /// A row that is outside of a map with a zero border is `None`.
    fn fill(
        self,
        rows: &mut [f32],
        from: Option<&[f32]>,
        border: Border,
        far: f32,
        pick: impl Fn(f32, f32) -> f32,
    ) {
        let (radius, width, row) = (self.radius, self.width, self.row());
        let padding = |i: usize| match border {
            Border::Zero => 0.0,
            Border::Reflect | Border::Replicate => far,
            Border::Wrap => {
                let place = border.place(i as i32 - radius as i32, width as i32);
                from.zip(place).map_or(0.0, |(from, x)| from[x])
            }
        };
        for i in (0..radius).chain(radius + width..row) {
            rows[i] = padding(i);
        }
        match from {
            Some(from) => rows[radius..][..width].copy_from_slice(from),
            None => rows[radius..][..width].fill(0.0),
        }
        for level in 1..self.count {
            let half = 1 << (level - 1);
            let (below, this) = rows.split_at_mut(level * row);
            let below = &below[(level - 1) * row..];
            for ((out, &a), &b) in this.iter_mut().zip(below).zip(&below[half..]) {
                *out = pick(a, b);
            }
        }
    }

    /// Picks, for each pixel, over the run that the disc `discs` has `dy` rows from its middle.
    fn pick(
        self,
        rows: &[f32],
        discs: &[[u32; 4]; ROW_WORDS],
        dy: usize,
        best: &mut [f32],
        pick: impl Fn(f32, f32) -> f32,
    ) {
        let Some(half) = half_width(discs, dy) else {
            return;
        };
        let run = 2 * half + 1;
        let level = run.ilog2() as usize;
        let row = &rows[level * self.row()..][..self.row()];
        let first = self.radius - half;
        let second = first + run - (1 << level);
        for ((best, &a), &b) in best.iter_mut().zip(&row[first..]).zip(&row[second..]) {
            *best = pick(*best, pick(a, b));
        }
    }
}
