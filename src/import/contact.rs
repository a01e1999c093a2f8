//! A sheet of small pictures, so that one sees what was imported.

use std::io;

use super::{ImportError, Step};
use crate::generator::{Generator, NoiseMode, latent};

/// Pictures in a row and in a column.
const GRID: usize = 4;
/// Largest edge of one picture.
const CELL: usize = 256;
/// Truncation: typical pictures rather than the rarest.
const PSI: f32 = 0.7;

/// A PNG of seeds 0 to 15, left to right and down, constant noise, ψ 0.7. A conditional model shows
/// its classes in turn.
///
/// # Errors
/// When ONNX Runtime fails.
pub(super) fn sheet(
    generator: &mut Generator,
    on_step: &mut dyn FnMut(Step),
) -> Result<Vec<u8>, ImportError> {
    let side = generator.manifest().resolution;
    let step = side.div_ceil(CELL);
    let cell = side / step;
    let edge = GRID * cell;
    let mut rgb = vec![0_u8; 3 * edge * edge];
    let w_avg = generator.manifest().w_avg.clone();
    let z_dim = generator.manifest().z_dim;
    let classes = generator.manifest().classes;
    generator.set_noise(NoiseMode::Const, 0);
    for seed in 0..GRID * GRID {
        on_step(Step::Picture {
            done: seed,
            of: GRID * GRID,
        });
        if classes > 0 {
            generator.set_class(seed % classes)?;
        }
        let z = latent::z_from_seed(seed as u32, z_dim);
        let latents = generator.latents();
        let mut styles = generator.map(&z)?.repeat(latents);
        latent::truncate(&mut styles, &w_avg, PSI);
        let image = generator.synthesize(&styles, &mut |_, _| {})?;
        let (top, left) = (seed / GRID * cell, seed % GRID * cell);
        for y in 0..cell {
            for x in 0..cell {
                for channel in 0..3 {
                    let at = ((top + y) * edge + left + x) * 3 + channel;
                    rgb[at] = eight_bits(mean(image, side, channel, y * step, x * step, step));
                }
            }
        }
    }
    png(edge as u32, &rgb).map_err(|e| ImportError::io(generator.folder(), e))
}

/// Mean of a square of pixels.
fn mean(image: &[f32], side: usize, channel: usize, top: usize, left: usize, step: usize) -> f32 {
    let rows = (top..top + step).map(|y| (channel * side + y) * side + left);
    let sum: f32 = rows
        .map(|at| image[at..at + step].iter().sum::<f32>())
        .sum();
    sum / (step * step) as f32
}

/// \[−1, 1\] to \[0, 255\]; what is no number is black.
fn eight_bits(value: f32) -> u8 {
    ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8
}

fn png(edge: u32, rgb: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, edge, edge);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let mut writer = encoder.write_header().map_err(io::Error::other)?;
    writer.write_image_data(rgb).map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)?;
    Ok(bytes)
}
