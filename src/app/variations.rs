//! `bendwave variations`: one latent, many draws of a scene's chances.
//!
//! A variation is a scene file: the scene's own with another `seed`, the walk as it was, and the
//! varied parameters filled in. The sheet plays those files, so that a kept one is what it showed.

use crate::app::cli::VariationsArgs;
use crate::app::sheet::{self, Sheet};
use crate::app::span::Span;
use crate::app::stage::{self, Stage};
use crate::app::{print, say};
use crate::bend::Missing;
use crate::frame::Frame;
use crate::scene::{Route, Scene, SceneBend};
use crate::signal::Snapshot;
use crate::tensor::split_mix;
use anyhow::{Context, bail};
use serde_yaml::{Mapping, Value};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Most variations on one sheet.
const MOST: u32 = 4096;

pub(crate) fn run(args: &VariationsArgs) -> anyhow::Result<()> {
    if args.count == 0 || args.count > MOST {
        bail!("--count {}: must be 1 to {MOST}", args.count);
    }
    let draws = Draws::read(args)?;
    if let (Some(number), Some(path)) = (args.keep, &args.keep_to) {
        if path.exists() && same_file(path, &args.scene) {
            bail!("--keep-to {}: is the scene itself", path.display());
        }
        let text = draws.text(number, path)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
        print(&path.display().to_string())?;
    }
    let Some(out) = &args.out else {
        return Ok(());
    };
    let mut stage = Stage::set(&args.engine.for_pictures(), draws.scene.clone())?;
    stage.set_latent(&args.latent, false)?;
    let shape = stage.engine.generator().image_shape();
    let picture = (shape.width as u32, shape.height as u32);
    let columns = args
        .columns
        .unwrap_or_else(|| f64::from(args.count).sqrt().ceil() as u32);
    let mut sheet = Sheet::new(args.count, columns, sheet::cell(picture, args.cell))?;
    let mut frame = Frame::black(picture.0, picture.1);
    for place in 0..args.count {
        let number = args.first.saturating_add(place);
        let text = draws.text(number, &args.scene)?;
        stage.change_scene(Scene::parse(&text, &args.scene)?)?;
        stage.engine.frame(&Snapshot::SILENCE, 0.0)?;
        if let Some(message) = stage.engine.take_message() {
            bail!("{message}");
        }
        frame.fill_from_chw(stage.engine.generator().image());
        sheet.picture(place, &frame);
        sheet.caption(place, 1, &number.to_string())?;
    }
    sheet.write(out)?;
    say(&format!(
        "variations {} to {}; keep one with --keep N --keep-to SCENE.yaml",
        args.first,
        args.first.saturating_add(args.count - 1)
    ));
    print(&out.display().to_string())
}

/// `NAME.PARAM=FROM..TO`.
#[derive(Clone, Debug)]
pub(crate) struct Vary {
    address: String,
    span: Span,
}

impl FromStr for Vary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, span) = text
            .split_once('=')
            .ok_or("is NAME.PARAM=FROM..TO, as zoom.x=0.8..1.6")?;
        Ok(Self {
            address: address.trim().to_owned(),
            span: span.parse()?,
        })
    }
}

/// Where a varied number stands in a scene file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Truncation,
    Accent,
    Param { bend: usize, param: usize },
    Mask { bend: usize, param: usize },
}

/// A scene file and its chances.
struct Draws {
    /// The file's text as data, with the latent that was asked for.
    file: Mapping,
    path: PathBuf,
    scene: Scene,
    vary: Vec<(Place, Span)>,
}

impl Draws {
    fn read(args: &VariationsArgs) -> anyhow::Result<Self> {
        let path = args.scene.clone();
        let scene = stage::scene(Some(&path), None)?;
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut file: Mapping =
            serde_yaml::from_str(&text).with_context(|| path.display().to_string())?;
        let mut vary: Vec<(Place, Span)> = Vec::new();
        for wanted in &args.vary {
            let place = place(&scene, wanted)
                .map_err(|why| anyhow::anyhow!("--vary {}: {why}", wanted.address))?;
            if vary.iter().any(|(known, _)| *known == place) {
                bail!("--vary {}: is varied twice", wanted.address);
            }
            vary.push((place, wanted.span));
        }
        if vary.is_empty() && !scene.bends.iter().any(SceneBend::is_random) {
            bail!(
                "{}: nothing varies: no transform has `features: random`; give --vary NAME.PARAM=FROM..TO",
                path.display()
            );
        }
        fix_walk(&mut file, &scene, args.latent.seed);
        Ok(Self {
            file,
            path,
            scene,
            vary,
        })
    }

    /// Variation `number` as a scene file at `to`. Number 0 is the scene as it is.
    fn text(&self, number: u32, to: &Path) -> anyhow::Result<String> {
        let mut file = self.file.clone();
        let mut state = u64::from(self.scene.seed) << 32 | u64::from(number);
        if number > 0 {
            file.insert("seed".into(), (split_mix(&mut state) as u32).into());
            for (place, span) in &self.vary {
                // 24 bits: each value is an f32 between the ends.
                let t = (split_mix(&mut state) >> 40) as f32 / (1 << 24) as f32;
                self.set(&mut file, *place, span.at(t))?;
            }
        }
        if let Some(folder) = to.parent() {
            self.keep_paths(&mut file, folder);
        }
        let text = serde_yaml::to_string(&file)?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        Ok(format!("# Variation {number} of {name}.\n{text}"))
    }

    fn set(&self, file: &mut Mapping, place: Place, value: f32) -> anyhow::Result<()> {
        let lost = || anyhow::anyhow!("{}: has another shape than before", self.path.display());
        fn entry(file: &mut Mapping, bend: usize) -> Option<&mut Mapping> {
            let list = file.get_mut("transforms")?;
            list.get_mut(bend)?.as_mapping_mut()
        }
        let (bend, param) = match place {
            Place::Truncation => {
                file.insert("truncation".into(), value.into());
                return Ok(());
            }
            Place::Accent => {
                let accent = file.get_mut("latent").and_then(|l| l.get_mut("accent"));
                let accent = accent.and_then(Value::as_mapping_mut).ok_or_else(lost)?;
                accent.insert("amount".into(), value.into());
                return Ok(());
            }
            Place::Mask { bend, param } => {
                let mask = entry(file, bend).and_then(|e| e.get_mut("mask"));
                let mask = mask.and_then(Value::as_mapping_mut).ok_or_else(lost)?;
                let spec = self.scene.bends[bend].mask.as_ref().ok_or_else(lost)?.spec;
                mask.insert(spec.file_name(param).into(), value.into());
                return Ok(());
            }
            Place::Param { bend, param } => (bend, param),
        };
        let entry = entry(file, bend).ok_or_else(lost)?;
        let specs = self.scene.bends[bend].transform.params;
        let mut params = match entry.get("params") {
            Some(Value::Sequence(params)) => params.clone(),
            _ => Vec::new(),
        };
        if param + 1 == specs.len() && params.len() < specs.len() {
            entry.insert("amount".into(), value.into());
            return Ok(());
        }
        while params.len() < param {
            let left_out = match specs[params.len()].missing {
                Missing::Value(value) => value.into(),
                Missing::Like(other) => params.get(other).cloned().unwrap_or_default(),
                Missing::Required => return Err(lost()),
            };
            params.push(left_out);
        }
        match params.get_mut(param) {
            Some(old) => *old = value.into(),
            None => params.push(value.into()),
        }
        entry.insert("params".into(), Value::Sequence(params));
        Ok(())
    }

    /// Files that the scene names by a path relative to itself, as seen from another folder.
    fn keep_paths(&self, file: &mut Mapping, folder: &Path) {
        let own = self.path.parent().unwrap_or(Path::new(""));
        if same_file(non_empty(own), non_empty(folder)) {
            return;
        }
        let moved = |path: &mut String| {
            let seen = seen_from(non_empty(folder), &own.join(&*path));
            *path = seen.display().to_string();
        };
        for key in ["model", "clusters"] {
            if let Some(Value::String(path)) = file.get_mut(key) {
                moved(path);
            }
        }
        let entries = file
            .get_mut("transforms")
            .and_then(Value::as_sequence_mut)
            .into_iter()
            .flatten();
        for entry in entries {
            if let Some(Value::String(path)) = entry.get_mut("mask").and_then(|m| m.get_mut("file"))
            {
                moved(path);
            }
        }
    }
}

/// The way to a file from a folder; its whole path where there is no such way.
fn seen_from(folder: &Path, file: &Path) -> PathBuf {
    let whole = |path: &Path| {
        let real = path.canonicalize();
        real.or_else(|_| std::path::absolute(path))
            .unwrap_or_else(|_| path.to_owned())
    };
    let (folder, file) = (whole(folder), whole(file));
    let shared = folder
        .components()
        .zip(file.components())
        .take_while(|(a, b)| a == b)
        .count();
    // With nothing in common, not even the root: another drive.
    if shared == 0 {
        return file;
    }
    let up = folder.components().skip(shared).map(|_| "..");
    let mut way: PathBuf = up.collect();
    way.extend(file.components().skip(shared));
    way
}

fn non_empty(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Writes the walk's seed down, so that another `seed` of the scene leaves the latent alone; with
/// `seed`, the walk stands there.
fn fix_walk(file: &mut Mapping, scene: &Scene, seed: Option<u32>) {
    if let Some(seed) = seed {
        let mut latent = Mapping::new();
        latent.insert("seeds".into(), vec![Value::from(seed)].into());
        latent.insert("speed".into(), 0.into());
        file.insert("latent".into(), latent.into());
        return;
    }
    let start = match &scene.walk.route {
        Route::Endless(start) => *start,
        Route::Loop(seeds) => seeds.first().copied().unwrap_or(scene.seed),
    };
    if let Some(Value::Mapping(latent)) = file.get_mut("latent") {
        if !latent.contains_key("seeds") {
            latent.insert("seed".into(), start.into());
        }
    } else {
        let mut latent = Mapping::new();
        latent.insert("seed".into(), start.into());
        latent.insert("speed".into(), 0.into());
        file.insert("latent".into(), latent.into());
    }
}

fn place(scene: &Scene, vary: &Vary) -> Result<Place, String> {
    if vary.address == "truncation" {
        vary.span.check([-4.0, 4.0])?;
        return Ok(Place::Truncation);
    }
    if vary.address == "accent" {
        if scene.walk.accent.is_none() {
            return Err("the scene's `latent` has no `accent`".to_owned());
        }
        vary.span.check([-4.0, 4.0])?;
        return Ok(Place::Accent);
    }
    let known = || {
        let names: Vec<&str> = scene.bends.iter().map(|b| b.name.as_str()).collect();
        format!(
            "is not `truncation` or `accent` and no NAME.PARAM of the scene's transforms; there are {}",
            names.join(", ")
        )
    };
    let (name, param) = vary.address.rsplit_once('.').ok_or_else(known)?;
    let numbered = name
        .strip_prefix("transforms[")
        .and_then(|rest| rest.strip_suffix(']')?.parse().ok());
    let bend = numbered
        .or_else(|| scene.bends.iter().position(|b| b.name == name))
        .filter(|&bend| bend < scene.bends.len())
        .ok_or_else(known)?;
    let transform = scene.bends[bend].transform;
    let mask = scene.bends[bend].mask.as_ref().map(|mask| mask.spec);
    if param.starts_with("mask-") {
        let mask = mask.ok_or_else(|| format!("`{name}` has no `mask:`"))?;
        let param = mask.param_index(param).ok_or_else(|| {
            let names: Vec<&str> = mask.params.iter().map(|p| p.name).collect();
            format!("this mask has {}", names.join(", "))
        })?;
        vary.span.check(mask.params[param].limits)?;
        return Ok(Place::Mask { bend, param });
    }
    let param = transform
        .param_index(param)
        .or_else(|| param.parse().ok())
        .filter(|&index: &usize| index < transform.params.len())
        .ok_or_else(|| {
            let masks = mask.map_or(&[][..], |mask| mask.params);
            let params = transform.params.iter().chain(masks);
            let names: Vec<&str> = params.map(|p| p.name).collect();
            format!("`{}` has {}", transform.name, names.join(", "))
        })?;
    vary.span.check(transform.params[param].limits)?;
    Ok(Place::Param { bend, param })
}
