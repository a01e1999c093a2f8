//! Latents: z by seed as NumPy draws it, z and w from files, truncation.

use crate::generator::npy::{self, NpyError};
use std::path::{Path, PathBuf};

/// Why a latent file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LatentError {
    /// It cannot be read.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// It has the wrong shape for the model.
    #[error("{path}: {what} has shape {found:?}, the model wants {wanted}", path = path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Which array.
        what: &'static str,
        /// Shape found.
        found: Vec<usize>,
        /// Shape wanted.
        wanted: String,
    },
    /// It holds NaN or infinity.
    #[error("{path}: {what} holds a value that is not finite", path = path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Which array.
        what: &'static str,
    },
    /// An ending that is not known.
    #[error("{path}: a latent is read from .npy or .npz (array `w`)", path = path.display())]
    Ending {
        /// The file.
        path: PathBuf,
    },
}

/// The z of a seed: what `numpy.random.RandomState(seed).randn(1, z_dim)` gives, as f32. NVIDIA's
/// tools number their pictures so.
pub fn z_from_seed(seed: u32, z_dim: usize) -> Vec<f32> {
    let mut random = RandomState::new(seed);
    (0..z_dim).map(|_| random.gauss() as f32).collect()
}

/// Reads z, \[1, z_dim\] or \[z_dim\], from a `.npy` file.
///
/// # Errors
/// When it cannot be read, has another shape or is not finite.
pub fn z_from_file(path: &Path, z_dim: usize) -> Result<Vec<f32>, LatentError> {
    let array = npy::read(path)?;
    check_shape(
        path,
        "z",
        &array.shape,
        array.shape == [1, z_dim] || array.shape == [z_dim],
        || format!("[1, {z_dim}]"),
    )?;
    check_finite(path, "z", array.data)
}

/// Reads w from a `.npy` file, or from the array `w` of a `.npz` file (NVIDIA's projector):
/// \[1, w_dim\] for all layers, or \[1, latents, w_dim\] with one for each. Gives `latents · w_dim`
/// values.
///
/// # Errors
/// When it cannot be read, has another shape or is not finite.
pub fn w_from_file(path: &Path, latents: usize, w_dim: usize) -> Result<Vec<f32>, LatentError> {
    let array = match path.extension().and_then(|e| e.to_str()) {
        Some("npy") => npy::read(path)?,
        Some("npz") => npy::read_from_npz(path, "w")?,
        _ => {
            return Err(LatentError::Ending {
                path: path.to_path_buf(),
            });
        }
    };
    let broadcast =
        array.shape == [1, w_dim] || array.shape == [w_dim] || array.shape == [1, 1, w_dim];
    let whole = array.shape == [1, latents, w_dim] || array.shape == [latents, w_dim];
    check_shape(path, "w", &array.shape, broadcast || whole, || {
        format!("[1, {w_dim}] or [1, {latents}, {w_dim}]")
    })?;
    let data = check_finite(path, "w", array.data)?;
    // [latents, w_dim] wins where both fit (latents = 1).
    Ok(if whole { data } else { data.repeat(latents) })
}

/// Truncation: `w_avg + psi · (w − w_avg)` for each layer's w. ψ 1 changes nothing, ψ 0 gives the
/// mean picture (Karras et al. 2019). `styles` is `latents · w_dim` values.
pub fn truncate(styles: &mut [f32], w_avg: &[f32], psi: f32) {
    if psi == 1.0 {
        return;
    }
    for w in styles.chunks_exact_mut(w_avg.len().max(1)) {
        for (value, mean) in w.iter_mut().zip(w_avg) {
            *value = psi.mul_add(*value - mean, *mean);
        }
    }
}

fn check_shape(
    path: &Path,
    what: &'static str,
    found: &[usize],
    fits: bool,
    wanted: impl FnOnce() -> String,
) -> Result<(), LatentError> {
    if fits {
        return Ok(());
    }
    Err(LatentError::Shape {
        path: path.to_path_buf(),
        what,
        found: found.to_vec(),
        wanted: wanted(),
    })
}

fn check_finite(path: &Path, what: &'static str, data: Vec<f32>) -> Result<Vec<f32>, LatentError> {
    if data.iter().all(|x| x.is_finite()) {
        Ok(data)
    } else {
        Err(LatentError::NotFinite {
            path: path.to_path_buf(),
            what,
        })
    }
}

/// NumPy's legacy `RandomState`: MT19937 (Matsumoto & Nishimura 1998, `init_genrand`) with the polar
/// method of Marsaglia for Gaussians, second of a pair first.
#[derive(Debug)]
pub struct RandomState {
    words: [u32; 624],
    next: usize,
    spare: Option<f64>,
}

impl RandomState {
    /// `numpy.random.RandomState(seed)`.
    pub fn new(seed: u32) -> Self {
        let mut words = [0u32; 624];
        words[0] = seed;
        for i in 1..624 {
            let before = words[i - 1];
            words[i] = 1_812_433_253u32
                .wrapping_mul(before ^ (before >> 30))
                .wrapping_add(i as u32);
        }
        Self {
            words,
            next: 624,
            spare: None,
        }
    }

    fn word(&mut self) -> u32 {
        if self.next == 624 {
            for i in 0..624 {
                let y = (self.words[i] & 0x8000_0000) | (self.words[(i + 1) % 624] & 0x7FFF_FFFF);
                let twist = if y & 1 == 1 { 0x9908_B0DF } else { 0 };
                self.words[i] = self.words[(i + 397) % 624] ^ (y >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut y = self.words[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9D2C_5680;
        y ^= (y << 15) & 0xEFC6_0000;
        y ^ (y >> 18)
    }

    /// Uniform over [0, 1), 53 bits.
    fn uniform(&mut self) -> f64 {
        let high = f64::from(self.word() >> 5);
        let low = f64::from(self.word() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// The next standard normal number.
    pub fn gauss(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            // Plain multiplications and additions: NumPy's C is not contracted, bits must agree.
            let x1 = 2.0 * self.uniform() - 1.0;
            let x2 = 2.0 * self.uniform() - 1.0;
            let r2 = x1 * x1 + x2 * x2;
            if r2 < 1.0 && r2 != 0.0 {
                let f = (-2.0 * r2.ln() / r2).sqrt();
                self.spare = Some(f * x1);
                return f * x2;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RandomState, truncate, z_from_seed};

    /// `numpy.random.RandomState(s).randn(5)` of NumPy 2.
    #[test]
    fn seeds_are_numpys_bit_for_bit() {
        let want: [(u32, [f64; 5]); 3] = NUMPY_RANDN;
        for (seed, values) in want {
            let mut random = RandomState::new(seed);
            for value in values {
                assert_eq!(random.gauss().to_bits(), value.to_bits(), "seed {seed}");
            }
        }
        assert_eq!(z_from_seed(0, 700).len(), 700);
    }

    #[test]
    fn truncation_pulls_to_the_mean() {
        let mut w = [3.0, 5.0, 1.0, 1.0];
        truncate(&mut w, &[1.0, 1.0], 0.5);
        assert_eq!(w, [2.0, 3.0, 1.0, 1.0]);
        truncate(&mut w, &[1.0, 1.0], 0.0);
        assert_eq!(w, [1.0; 4]);
    }

    const NUMPY_RANDN: [(u32, [f64; 5]); 3] = [
        (
            0,
            [
                1.764052345967664,
                0.4001572083672233,
                0.9787379841057392,
                2.240893199201458,
                1.8675579901499675,
            ],
        ),
        (
            7,
            [
                1.690525703800356,
                -0.4659373705408328,
                0.0328201636785844,
                0.40751628299650783,
                -0.7889230286257386,
            ],
        ),
        (
            4294967295,
            [
                0.6484086742306527,
                0.6693235306338161,
                -1.0805437227474493,
                0.2845010447986309,
                0.11388773652167104,
            ],
        ),
    ];
}
