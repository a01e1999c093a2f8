//! `bendwave bends`: what each transform does to a model, at three layers.

use crate::app::cli::BendsArgs;
use crate::app::print;
use crate::app::sheet::{self, Sheet};
use crate::app::stage::Stage;
use crate::bend::{Reads, TRANSFORMS, TransformSpec};
use crate::frame::Frame;
use crate::param::Drive;
use crate::scene::Scene;
use crate::signal::Snapshot;
use anyhow::bail;
use std::path::Path;

/// Frames before the one that is shown: what feeds back has a past then.
const FRAMES: usize = 12;
const DT_SECS: f32 = 1.0 / 12.0;

pub(crate) fn run(args: &BendsArgs) -> anyhow::Result<()> {
    let mut empty = Scene::empty(args.latent.seed.unwrap_or(1));
    empty.truncation = Drive::Constant(args.truncation);
    let mut stage = Stage::set(&args.engine.for_pictures(), empty.clone())?;
    stage.set_latent(&args.latent, true)?;
    let count = stage.engine.generator().manifest().layers.len();
    let layers = match args.layers.as_slice() {
        [] => vec![count / 4, count / 2, count * 3 / 4],
        layers => layers.to_vec(),
    };
    if let Some(layer) = layers.iter().find(|&&l| l >= count) {
        bail!(
            "--layers {layer}: the model's layers are 0 to {}",
            count - 1
        );
    }
    let shape = stage.engine.generator().image_shape();
    let picture = (shape.width as u32, shape.height as u32);
    if let Some(path) = &args.strip {
        return strip(args, path, &mut stage, picture);
    }
    let span = layers.len() as u32;
    let cells = (TRANSFORMS.len() as u32 + 1).next_multiple_of(args.columns) * span;
    let size = sheet::cell(picture, args.cell);
    let mut sheet = Sheet::grouped(cells, span, args.columns, size)?;
    let mut frame = Frame::black(picture.0, picture.1);
    let mut place = 0;
    let numbers: Vec<String> = layers.iter().map(usize::to_string).collect();
    for transform in [None].into_iter().chain(TRANSFORMS.iter().map(Some)) {
        for &layer in &layers {
            let scene = match transform {
                Some(transform) => bent(transform, layer, &empty)?,
                None => empty.clone(),
            };
            draw(&mut stage, scene, &mut frame)?;
            sheet.picture(place, &frame);
            place += 1;
        }
        let unbent = || format!("unbent; layers {}", numbers.join(", "));
        let caption = transform.map_or_else(unbent, caption);
        sheet.caption(place - span, span, &caption)?;
    }
    sheet.write(&args.out)?;
    print(&args.out.display().to_string())
}

/// One picture for each layer, as the papers' tool draws strips.
fn strip(
    args: &BendsArgs,
    path: &Path,
    stage: &mut Stage,
    picture: (u32, u32),
) -> anyhow::Result<()> {
    let count = stage.engine.generator().manifest().layers.len();
    let mut sheet = Sheet::new(
        count as u32 + 1,
        count as u32 + 1,
        sheet::cell(picture, args.cell),
    )?;
    let mut frame = Frame::black(picture.0, picture.1);
    let empty = stage.scene.clone();
    draw(stage, empty.clone(), &mut frame)?;
    sheet.picture(0, &frame);
    sheet.caption(0, 1, "unbent")?;
    for (layer, own) in (0..).zip(Scene::load_strip(path, 0..count)?) {
        let mut scene = empty.clone();
        scene.bends = own.bends;
        draw(stage, scene, &mut frame)?;
        sheet.picture(layer + 1, &frame);
        sheet.caption(layer + 1, 1, &layer.to_string())?;
    }
    sheet.write(&args.out)?;
    print(&args.out.display().to_string())
}

fn draw(stage: &mut Stage, scene: Scene, frame: &mut Frame) -> anyhow::Result<()> {
    stage.change_scene(scene)?;
    for _ in 0..FRAMES {
        stage.engine.frame(&Snapshot::SILENCE, DT_SECS)?;
    }
    if let Some(message) = stage.engine.take_message() {
        bail!("{message}");
    }
    frame.fill_from_chw(stage.engine.generator().image());
    Ok(())
}

fn caption(transform: &TransformSpec) -> String {
    let values: Vec<String> = setting(transform).iter().map(f32::to_string).collect();
    format!("{} {}", transform.name, values.join(", "))
}

/// One transform on all features of a layer.
fn bent(transform: &TransformSpec, layer: usize, empty: &Scene) -> anyhow::Result<Scene> {
    let values: Vec<String> = setting(transform).iter().map(f32::to_string).collect();
    let text = format!(
        "transforms:\n- {{layer: {layer}, transform: {}, params: [{}], features: all{}}}\n",
        transform.name,
        values.join(", "),
        partners(transform)
    );
    let mut scene = empty.clone();
    scene.bends = Scene::parse(&text, Path::new(transform.name))?.bends;
    Ok(scene)
}

/// What an entry of a transform on all features needs beside its parameters.
pub(crate) fn partners(transform: &TransformSpec) -> &'static str {
    match transform.reads {
        Reads::Partners => ", with: {features: random, feature-param: 0.5}",
        Reads::Map | Reads::Time | Reads::Past => "",
    }
}

/// Values that show what a transform does. One that is not listed gets those half-way between no
/// change and the top of its range.
pub(crate) fn setting(transform: &TransformSpec) -> Vec<f32> {
    let shown: &[f32] = match transform.name {
        "translate" => &[0.25, 0.0],
        "scale" => &[1.6],
        "rotate" => &[45.0],
        "scalar-multiply" => &[2.5],
        "shear" => &[0.5],
        "affine" => &[0.8, -0.5, 0.0, 0.3, 1.2, 0.0],
        "erode" | "dilate" => &[1.0],
        "feedback" => &[1.0, 1.6, 60.0],
        _ => {
            let nothing = transform.resolve_clamped(&[]);
            return transform.params[..transform.required()]
                .iter()
                .zip(nothing)
                .map(|(param, same)| (same + param.range[1]) / 2.0)
                .collect();
        }
    };
    shown.to_vec()
}
