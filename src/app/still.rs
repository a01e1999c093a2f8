//! `bendwave still`: one picture.

use crate::app::cli::StillArgs;
use crate::app::stage::{self, Stage};
use crate::app::{print, say};
use crate::frame::Frame;
use crate::generator::npy;
use crate::import;
use crate::param::Drive;
use crate::signal::Snapshot;
use anyhow::{Context, bail};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

pub(crate) fn run(args: &StillArgs) -> anyhow::Result<()> {
    let mut scene = stage::scene(args.transforms.as_deref(), args.latent.seed)?;
    if let Some(psi) = args.truncation {
        if !psi.is_finite() || !(-4.0..=4.0).contains(&psi) {
            bail!("--truncation {psi}: must be within -4 and 4");
        }
        scene.truncation = Drive::Constant(psi);
    }
    if let Some(noise) = args.noise {
        scene.noise = noise;
    }
    let mut stage = Stage::set(&args.engine.for_pictures(), scene)?;
    stage.set_latent(&args.latent, args.truncation.is_some())?;
    let shape = stage.engine.generator().image_shape();
    stage.engine.frame(&Snapshot::SILENCE, 0.0)?;
    if let Some(message) = stage.engine.take_message() {
        bail!("{message}");
    }
    if let Some(path) = &args.save_latent {
        let w_dim = stage.engine.generator().manifest().w_dim;
        import::write_latent(path, &stage.engine.saved_latent(), w_dim)?;
        print(&path.display().to_string())?;
    }
    let image = stage.engine.generator().image();
    if let Some(path) = &args.raw {
        npy::write(path, &[3, shape.height, shape.width], image)?;
        print(&path.display().to_string())?;
    }
    if let Some(path) = &args.out {
        let mut frame = Frame::black(shape.width as u32, shape.height as u32);
        frame.fill_from_chw(image);
        write_png(path, &frame)?;
        print(&path.display().to_string())?;
    }
    if image.iter().any(|x| !x.is_finite()) {
        say("note: the picture holds values that are not finite; they are black");
    }
    Ok(())
}

/// Writes a picture as PNG, sRGB.
pub(crate) fn write_png(path: &Path, frame: &Frame) -> anyhow::Result<()> {
    let name = || path.display().to_string();
    let file = File::create(path).with_context(name)?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), frame.width, frame.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let rgb: Vec<u8> = frame
        .rgba
        .chunks_exact(4)
        .flat_map(|p| [p[0], p[1], p[2]])
        .collect();
    let mut writer = encoder.write_header().with_context(name)?;
    writer.write_image_data(&rgb).with_context(name)?;
    writer.finish().with_context(name)
}
