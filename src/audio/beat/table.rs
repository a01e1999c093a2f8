//! How much begins at each place in the bar: what the model expects. Means over 77 tracks, each of the
//! same weight: the tuning set of `xtask listening-set` and Freedoom's music from MIDI files.

use super::super::flux::PARTS;

/// Places in the bar, 12 per beat, so that sixteenths and triplets both have theirs.
pub(super) const PLACES: usize = 48;

/// Frames before a place at which its accents may be heard, and after.
pub(super) const REACH: [usize; 2] = [3, 4];

/// How an accent spreads over the frames around its place; sums to 1.
pub(super) const SPREAD: [f32; REACH[0] + 1 + REACH[1]] =
    [0.017, 0.112, 0.140, 0.232, 0.295, 0.182, 0.023, 0.000];

/// For each part of the spectrum, the sum of the accents of a place. A line is a beat.
#[rustfmt::skip]
pub(super) const MASS: [[f32; PLACES]; PARTS] = [
    [
        1.58, 0.61, 0.11, 0.20, 0.21, 0.11, 0.39, 0.33, 0.13, 0.32, 0.26, 0.13,
        1.07, 0.43, 0.10, 0.18, 0.19, 0.11, 0.64, 0.41, 0.12, 0.31, 0.23, 0.10,
        0.99, 0.41, 0.14, 0.25, 0.24, 0.12, 1.03, 0.51, 0.15, 0.23, 0.24, 0.12,
        0.83, 0.39, 0.12, 0.48, 0.35, 0.14, 0.35, 0.32, 0.14, 0.20, 0.22, 0.11,
    ],
    [
        1.36, 0.29, 0.08, 0.14, 0.11, 0.07, 0.35, 0.18, 0.08, 0.24, 0.14, 0.07,
        0.96, 0.22, 0.07, 0.13, 0.10, 0.06, 0.50, 0.22, 0.06, 0.17, 0.13, 0.07,
        0.85, 0.19, 0.08, 0.23, 0.20, 0.07, 0.87, 0.28, 0.08, 0.14, 0.12, 0.06,
        1.13, 0.22, 0.08, 0.32, 0.23, 0.07, 0.37, 0.21, 0.08, 0.17, 0.13, 0.07,
    ],
    [
        0.84, 0.31, 0.07, 0.13, 0.12, 0.07, 0.39, 0.21, 0.09, 0.22, 0.17, 0.08,
        1.55, 0.31, 0.06, 0.09, 0.10, 0.05, 0.32, 0.24, 0.07, 0.19, 0.15, 0.07,
        0.61, 0.21, 0.08, 0.22, 0.15, 0.06, 0.57, 0.27, 0.09, 0.17, 0.15, 0.08,
        1.60, 0.30, 0.08, 0.14, 0.15, 0.06, 0.33, 0.22, 0.08, 0.20, 0.17, 0.08,
    ],
    [
        1.35, 0.25, 0.01, 0.17, 0.11, 0.02, 1.00, 0.18, 0.09, 0.25, 0.14, 0.03,
        2.00, 0.29, 0.01, 0.11, 0.09, 0.02, 0.72, 0.14, 0.07, 0.27, 0.15, 0.02,
        1.21, 0.23, 0.01, 0.26, 0.12, 0.02, 1.07, 0.20, 0.09, 0.23, 0.13, 0.03,
        1.96, 0.30, 0.02, 0.15, 0.11, 0.02, 0.74, 0.16, 0.07, 0.29, 0.14, 0.03,
    ],
];
