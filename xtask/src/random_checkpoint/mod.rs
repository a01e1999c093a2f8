//! A StyleGAN2 checkpoint with random weights, in rosinality's layout, as `torch.save` writes it.
//!
//! Shapes are those of a real network; the weights are drawn as for a network before training:
//! normal weights, modulation biases of 1. Biases and noise strengths start at 0 there and are
//! small random numbers here, so that no part of the network is without effect, and `ToRGB`'s
//! weights are smaller, so that pictures stay near \[−1, 1\]. The same arguments give the same bytes.

mod pickle;
mod shapes;

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub use shapes::{Shapes, Tensor};

/// How a tensor's values are drawn: normal, with this mean and standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fill {
    /// Mean.
    pub mean: f32,
    /// Standard deviation; 0 for a constant.
    pub deviation: f32,
}

/// Writes tensors as the `g_ema` of a checkpoint.
///
/// # Errors
/// When the file cannot be written.
pub fn write(tensors: &[Tensor], seed: u64, path: &Path) -> anyhow::Result<()> {
    let in_file = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(in_file)?;
    }
    // A reader never sees half a file.
    let part = path.with_extension("part");
    let file = fs::File::create(&part).with_context(in_file)?;
    let mut zip = ZipWriter::new(BufWriter::new(file));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(false);
    let mut entry = |name: &str, bytes: &[u8]| -> anyhow::Result<()> {
        zip.start_file(format!("checkpoint/{name}"), options)?;
        zip.write_all(bytes)?;
        Ok(())
    };
    entry("data.pkl", &pickle::state_dict("g_ema", tensors)).with_context(in_file)?;
    entry("byteorder", b"little").with_context(in_file)?;
    let mut normal = Normal(seed);
    for (key, tensor) in tensors.iter().enumerate() {
        let bytes: Vec<u8> = tensor
            .values(&mut normal)
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        entry(&format!("data/{key}"), &bytes).with_context(in_file)?;
    }
    entry("version", b"3\n").with_context(in_file)?;
    zip.finish().with_context(in_file)?.flush()?;
    fs::rename(&part, path).with_context(in_file)
}

/// The `random-checkpoint` command.
///
/// # Errors
/// For unknown or impossible arguments, and files that cannot be written.
#[expect(clippy::print_stdout, reason = "a command says what it made")]
pub fn command(args: &[String]) -> anyhow::Result<()> {
    const USAGE: &str = "usage: xtask random-checkpoint --out F.pt [--size 256] \
        [--channels slim|config-f|N,N,… from 4x4 up] [--w-dim 128] [--mapping-layers 4] [--seed 1]";
    let (mut out, mut channels) = (None, "slim");
    let (mut size, mut w_dim, mut mapping_layers, mut seed) = (256, 128, 4, 1);
    for pair in args.chunks(2) {
        let [name, value] = pair else { bail!(USAGE) };
        let number = || {
            let parsed = value.parse::<u64>();
            parsed.with_context(|| format!("{name} {value} is no whole number"))
        };
        match name.as_str() {
            "--out" => out = Some(value),
            "--channels" => channels = value,
            "--size" => size = number()?,
            "--w-dim" => w_dim = number()?,
            "--mapping-layers" => mapping_layers = number()?,
            "--seed" => seed = number()?,
            _ => bail!("unexpected {name}; {USAGE}"),
        }
    }
    let out = out.context(USAGE)?;
    ensure!(
        size.is_power_of_two() && (8..=4096).contains(&size),
        "--size {size}: give a power of two from 8 to 4096"
    );
    ensure!(
        (1..=4096).contains(&w_dim),
        "--w-dim {w_dim}: give 1 to 4096"
    );
    ensure!(
        (1..=64).contains(&mapping_layers),
        "--mapping-layers {mapping_layers}: give 1 to 64"
    );
    let shapes = Shapes {
        channels: shapes::channels(channels, size as usize)?,
        w_dim: w_dim as usize,
        mapping_layers: mapping_layers as usize,
    };
    write(&shapes.tensors(), seed, Path::new(out))?;
    println!(
        "{out}: {size}x{size}, channels {:?}, {:.2} GFLOP a frame, random weights",
        shapes.channels,
        shapes.flop_per_frame() / 1e9
    );
    Ok(())
}

/// Standard normal numbers: Box and Muller's transform of `SplitMix64`.
#[derive(Debug)]
pub struct Normal(pub u64);

impl Normal {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn take(&mut self, count: usize, fill: Fill) -> Vec<f32> {
        let scale = f64::from(fill.deviation);
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let radius = (-2.0 * self.uniform().ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
            for v in [cos, sin] {
                values.push(fill.mean + (scale * radius * v) as f32);
            }
        }
        values.truncate(count);
        values
    }
}
