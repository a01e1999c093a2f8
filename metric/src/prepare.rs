//! What a network is shown of an activation map.

/// How values are brought to a range. The same when trained and when used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Cut off at -1 and 1: the papers treat maps as "images in the range -1 to 1".
    Clamp,
    /// Mean 0 and deviation 1 of each map, so that a feature's gain does not count.
    Standard,
}

impl Range {
    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clamp => "clamp",
            Self::Standard => "standard",
        }
    }

    /// From its name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Clamp, Self::Standard]
            .into_iter()
            .find(|range| range.name() == name)
    }
}

/// Standard deviation below which a map counts as flat.
const FLAT: f32 = 1e-6;

/// Averages a map of `from` rows and columns down to `side × side`, and brings it to its range. Values
/// that are not finite, and flat maps with [`Range::Standard`], become 0.
pub fn prepare(map: &[f32], from: [usize; 2], side: usize, range: Range, out: &mut [f32]) {
    if from == [side, side] {
        out.copy_from_slice(map);
    } else {
        average(map, from, side, out);
    }
    out.iter_mut()
        .filter(|x| !x.is_finite())
        .for_each(|x| *x = 0.0);
    match range {
        Range::Clamp => out.iter_mut().for_each(|x| *x = x.clamp(-1.0, 1.0)),
        Range::Standard => standardise(out),
    }
}

fn average(map: &[f32], from: [usize; 2], side: usize, out: &mut [f32]) {
    let edge = |axis: usize, index: usize| index * from[axis] / side;
    for row in 0..side {
        for column in 0..side {
            let (rows, columns) = (
                edge(0, row)..edge(0, row + 1).max(edge(0, row) + 1),
                edge(1, column)..edge(1, column + 1).max(edge(1, column) + 1),
            );
            let count = rows.len() * columns.len();
            let sum: f32 = rows
                .map(|y| map[y * from[1]..][columns.clone()].iter().sum::<f32>())
                .sum();
            out[row * side + column] = sum / count as f32;
        }
    }
}

fn standardise(map: &mut [f32]) {
    let count = map.len() as f64;
    let mean = map.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let square: f64 = map.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
    let deviation = (square / count).sqrt() as f32;
    // Not `<=`: NaN is flat, too.
    if !(deviation > FLAT && deviation.is_finite()) {
        map.fill(0.0);
        return;
    }
    map.iter_mut()
        .for_each(|x| *x = (*x - mean as f32) / deviation);
}

#[cfg(test)]
mod tests {
    use super::{Range, prepare};

    #[test]
    fn maps_are_averaged_and_brought_to_range() {
        let map: Vec<f32> = (0..64).map(|i| (i / 16) as f32 - 1.5).collect();
        let mut out = [0.0; 16];
        prepare(&map, [8, 8], 4, Range::Clamp, &mut out);
        assert_eq!((out[0], out[4], out[15]), (-1.0, -0.5, 1.0));
        prepare(&map, [8, 8], 4, Range::Standard, &mut out);
        let square: f32 = out.iter().map(|x| x * x).sum();
        assert!(out.iter().sum::<f32>().abs() < 1e-5 && (square - 16.0).abs() < 1e-4);
        prepare(&[f32::NAN; 64], [8, 8], 4, Range::Standard, &mut out);
        assert_eq!(out, [0.0; 16]);
        prepare(&[7.0; 64], [8, 8], 4, Range::Standard, &mut out);
        assert_eq!(out, [0.0; 16]);
    }
}
