//! Batch normalisation (Ioffe and Szegedy 2015).

/// Added to a variance before its root, as in PyTorch.
pub const EPSILON: f32 = 1e-5;

/// Mean and 1 / deviation of each feature in a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// Mean.
    pub mean: Vec<f32>,
    /// Variance, over the number of values.
    pub variance: Vec<f32>,
}

impl Moments {
    /// From sums of values and of squares of each feature, `count` values each, in parts that are
    /// added up in their order.
    pub fn from_sums(parts: &[Vec<[f32; 2]>], count: usize) -> Self {
        let features = parts.first().map_or(0, Vec::len);
        let mut moments = Self::default();
        for feature in 0..features {
            let mut sums = [0.0_f64; 2];
            for part in parts {
                sums[0] += f64::from(part[feature][0]);
                sums[1] += f64::from(part[feature][1]);
            }
            let [mean, square] = sums.map(|sum| sum / count as f64);
            moments.mean.push(mean as f32);
            moments
                .variance
                .push((square - mean * mean).max(0.0) as f32);
        }
        moments
    }

    /// 1 / deviation of a feature.
    pub fn inverse(&self, feature: usize) -> f32 {
        (self.variance[feature] + EPSILON).sqrt().recip()
    }

    /// Scale and shift that do what normalising, `gain` and `bias` do.
    pub fn affine(&self, feature: usize, gain: f32, bias: f32) -> [f32; 2] {
        let scale = gain * self.inverse(feature);
        [scale, bias - scale * self.mean[feature]]
    }
}

/// Sum and sum of squares of a row.
#[inline(always)]
pub fn sums(row: &[f32]) -> [f32; 2] {
    products(row, row)
}

/// Sum of `a`, and of `a · b`.
#[inline(always)]
pub fn products(a: &[f32], b: &[f32]) -> [f32; 2] {
    let mut lanes = [[0.0_f32; 16]; 2];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for lane in 0..16 {
            lanes[0][lane] += a[lane];
            lanes[1][lane] += a[lane] * b[lane];
        }
    }
    lanes.map(super::product::total)
}

/// The gradient by what was normalised, as `a · grad + b · value + c`.
///
/// `sums` are the batch's sums of the gradient by the result and of that times the value.
/// Also gives the gradients by gain and bias.
pub fn gradient(
    moments: &Moments,
    feature: usize,
    gain: f32,
    sums: [f64; 2],
    count: usize,
) -> ([f32; 3], [f32; 2]) {
    let mean = f64::from(moments.mean[feature]);
    let inverse = f64::from(moments.inverse(feature));
    // Gradient by the normalised value, times that value.
    let by_normal = (sums[1] - mean * sums[0]) * inverse;
    let scale = f64::from(gain) * inverse;
    let count = count as f64;
    let value = -scale * inverse * by_normal / count;
    let constant = -scale * sums[0] / count - value * mean;
    (
        [scale as f32, value as f32, constant as f32],
        [by_normal as f32, sums[0] as f32],
    )
}
