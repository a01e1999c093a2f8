//! The scene file as it is written.

use crate::audio::AnalysisConfig;
use crate::generator::NoiseMode;
use crate::param::{Drive, Named, with_modulators};
use crate::scene::entry::TransformEntry;
use crate::scene::names::modulator_names;
use crate::scene::{MAX_TRANSFORMS, Route, Scene, SceneBend, SceneError, Walk};
use serde::Deserialize;
use serde_yaml::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Most seeds of a walk.
const MAX_SEEDS: usize = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SceneFile {
    model: Option<PathBuf>,
    clusters: Option<PathBuf>,
    aspect: Option<String>,
    class: Option<usize>,
    seed: Option<u32>,
    noise: Option<NoiseMode>,
    truncation: Option<Drive>,
    latent: Option<LatentEntry>,
    #[serde(rename = "modulators")]
    _modulators: Option<Named>,
    analysis: Option<AnalysisConfig>,
    // Written by hand as a list; absent or empty in a scene that only walks.
    transforms: Option<Vec<TransformEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LatentEntry {
    seed: Option<u32>,
    seeds: Option<Vec<u32>>,
    walk: Option<WalkKind>,
    speed: Option<Drive>,
    accent: Option<AccentEntry>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum WalkKind {
    Loop,
    Endless,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccentEntry {
    seed: u32,
    amount: Drive,
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Scene, SceneError> {
    let wrong = |why: String| SceneError::Format {
        path: path.to_path_buf(),
        why,
    };
    if let Some(strip) = Strip::read(text) {
        return Err(strip.refusal(path));
    }
    let misfit = |key: String, why: String| SceneError::Fit {
        path: path.to_path_buf(),
        key,
        why,
    };
    let names =
        modulator_names(text).map_err(|(name, why)| misfit(format!("modulators.{name}"), why))?;
    let (file, modulators) = with_modulators(names, || serde_yaml::from_str(text));
    let file: Option<SceneFile> = file.map_err(|e: serde_yaml::Error| wrong(e.to_string()))?;
    let file =
        file.ok_or_else(|| wrong("is empty: a scene has at least `transforms:`".to_owned()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let seed = file.seed.unwrap_or(0);
    let entries = file.transforms.unwrap_or_default();
    if entries.len() > MAX_TRANSFORMS {
        return Err(wrong(format!(
            "transforms: {} are more than {MAX_TRANSFORMS}",
            entries.len()
        )));
    }
    let mut bends: Vec<SceneBend> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        let bend = entry
            .check(folder)
            .map_err(|(key, why)| misfit(format!("transforms[{index}].{key}"), why))?;
        bends.push(bend);
    }
    name_all(&mut bends).map_err(|(index, name)| {
        misfit(
            format!("transforms[{index}].name"),
            format!("{name:?} is taken by another transform"),
        )
    })?;
    let walk =
        walk(file.latent, seed).map_err(|(key, why)| misfit(format!("latent.{key}"), why))?;
    let analysis = file.analysis.unwrap_or_default();
    analysis.check().map_err(|error| wrong(error.to_string()))?;
    let aspect = file.aspect.map(|text| {
        text.parse().map_err(|why| SceneError::Fit {
            path: path.to_path_buf(),
            key: "aspect".to_owned(),
            why,
        })
    });
    Ok(Scene {
        analysis,
        path: path.to_path_buf(),
        text: text.into(),
        aspect: aspect.transpose()?,
        class: file.class,
        model: file.model.map(|p| folder.join(p)),
        clusters: file.clusters.map(|p| folder.join(p)),
        seed,
        draw: 0,
        noise: file.noise.unwrap_or_default(),
        truncation: file.truncation.unwrap_or(Drive::Constant(1.0)),
        walk,
        // What was announced and did not come had failed the file above.
        modulators: modulators.into_iter().flatten().collect(),
        bends,
    })
}

/// Pictures of masks that a text names, as far as it can be read.
pub(super) fn paintings(text: &str, folder: &Path) -> BTreeSet<PathBuf> {
    let file: Value = serde_yaml::from_str(text).unwrap_or_default();
    let entries = file.get("transforms").and_then(Value::as_sequence);
    let masks = entries.into_iter().flatten().take(MAX_TRANSFORMS);
    masks
        .filter_map(|entry| entry.get("mask")?.get("file")?.as_str())
        .map(|file| folder.join(file))
        .collect()
}

/// A single transform without a list and without a layer: what the papers' tool reads for a strip of
/// pictures, one for each layer.
struct Strip(serde_yaml::Mapping);

impl Strip {
    fn read(text: &str) -> Option<Self> {
        let map: serde_yaml::Mapping = serde_yaml::from_str(text).ok()?;
        let is_strip = map.contains_key("transform") && !map.contains_key("transforms");
        is_strip.then_some(Self(map))
    }

    fn refusal(&self, path: &Path) -> SceneError {
        SceneError::Format {
            path: path.to_path_buf(),
            why:
                "is a transform without a list, as the papers' tool reads for a strip of pictures: \
                  draw it with `bendwave bends --strip FILE`, or put it under `transforms:` with a \
                  `layer`"
                    .to_owned(),
        }
    }
}

/// The scenes of a strip: its transform on each of `layers`, alone.
pub(super) fn strip(
    text: &str,
    path: &Path,
    layers: std::ops::Range<usize>,
) -> Result<Vec<Scene>, SceneError> {
    let wrong = |why: String| SceneError::Format {
        path: path.to_path_buf(),
        why,
    };
    let Some(Strip(entry)) = Strip::read(text) else {
        let why =
            "is no strip: that is one `transform` with `params` and `features`, without a list";
        return Err(wrong(why.to_owned()));
    };
    layers
        .map(|layer| {
            let mut entry = entry.clone();
            entry.insert("layer".into(), layer.into());
            let mut scene = serde_yaml::Mapping::new();
            scene.insert("transforms".into(), vec![Value::Mapping(entry)].into());
            let text = serde_yaml::to_string(&scene).map_err(|e| wrong(e.to_string()))?;
            parse(&text, path)
        })
        .collect()
}

type KeyError = (&'static str, String);

fn walk(entry: Option<LatentEntry>, seed: u32) -> Result<Walk, KeyError> {
    let Some(entry) = entry else {
        return Ok(Walk {
            route: Route::Loop(vec![seed]),
            speed: Drive::Constant(0.0),
            accent: None,
        });
    };
    if entry.seed.is_some() && entry.seeds.is_some() {
        return Err(("seed", "stands beside `seeds`: one of the two".to_owned()));
    }
    let seed = entry.seed.unwrap_or(seed);
    let route = match (entry.walk.unwrap_or(WalkKind::Loop), entry.seeds) {
        (WalkKind::Loop, Some(seeds)) if seeds.is_empty() => {
            return Err(("seeds", "needs at least one seed".to_owned()));
        }
        (WalkKind::Loop, Some(seeds)) if seeds.len() > MAX_SEEDS => {
            return Err((
                "seeds",
                format!("{} are more than {MAX_SEEDS}", seeds.len()),
            ));
        }
        (WalkKind::Loop, Some(seeds)) => Route::Loop(seeds),
        (WalkKind::Loop, None) => Route::Loop(vec![seed]),
        (WalkKind::Endless, None) => Route::Endless(seed),
        (WalkKind::Endless, Some(_)) => {
            return Err((
                "seeds",
                "an endless walk draws its own seeds: leave this out or use `walk: loop`"
                    .to_owned(),
            ));
        }
    };
    let speed = entry.speed.unwrap_or(Drive::Constant(0.1));
    if speed.bounds()[0] < 0.0 || speed.bounds()[1] > 60.0 {
        return Err((
            "speed",
            "must stay within 0 and 60 stops per second".to_owned(),
        ));
    }
    Ok(Walk {
        route,
        speed,
        accent: entry.accent.map(|a| (a.seed, a.amount)),
    })
}

/// Gives nameless transforms the name `LAYER.TRANSFORM`, with `#2`, `#3` where it repeats.
fn name_all(bends: &mut [SceneBend]) -> Result<(), (usize, String)> {
    let mut taken: Vec<String> = Vec::new();
    for (index, bend) in bends.iter().enumerate() {
        if !bend.name.is_empty() {
            if taken.contains(&bend.name) {
                return Err((index, bend.name.clone()));
            }
            taken.push(bend.name.clone());
        }
    }
    for bend in bends.iter_mut().filter(|b| b.name.is_empty()) {
        let base = format!("{}.{}", bend.layer, bend.transform.name);
        let mut name = base.clone();
        let mut copy = 2;
        while taken.contains(&name) {
            name = format!("{base}#{copy}");
            copy += 1;
        }
        taken.push(name.clone());
        bend.name = name;
    }
    Ok(())
}
