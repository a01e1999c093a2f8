//! One entry of `transforms:` as it is written.

use crate::bend::{self, Border, Painting, ParamSpec, Reads, TransformSpec, mask, spec};
use crate::param::Drive;
use crate::scene::{Features, SceneBend, SceneMask};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Highest layer that a file may name, plus one.
const MAX_LAYERS: usize = 64;
/// Names that addresses begin with already.
const TAKEN_NAMES: &[&str] = &["walk", "action", "accent"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransformEntry {
    layer: i64,
    transform: String,
    params: Option<Vec<Drive>>,
    features: Option<String>,
    // Two spellings: the reference tool's and the one that fits the rest of a scene.
    #[serde(rename = "feature-param", alias = "feature_param")]
    feature_param: Option<Value>,
    name: Option<String>,
    amount: Option<Drive>,
    border: Option<String>,
    mask: Option<MaskEntry>,
    with: Option<WithEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithEntry {
    features: Option<String>,
    #[serde(rename = "feature-param", alias = "feature_param")]
    feature_param: Option<Value>,
}

/// A mask as it is written: its parameters depend on the shape, which may stand behind them.
#[derive(Default)]
struct MaskEntry {
    shape: Option<String>,
    file: Option<String>,
    params: BTreeMap<String, Drive>,
}

impl<'de> Deserialize<'de> for MaskEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = MaskEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mask, as {shape: circle}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MaskEntry, A::Error> {
                let mut entry = MaskEntry::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "shape" => entry.shape = Some(map.next_value()?),
                        "file" => entry.file = Some(map.next_value()?),
                        _ => {
                            entry.params.insert(key, map.next_value()?);
                        }
                    }
                }
                Ok(entry)
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// The key that is wrong and why.
type KeyError = (&'static str, String);

impl TransformEntry {
    /// Checks it by itself. `folder` is where the files that it names are.
    pub(super) fn check(self, folder: &Path) -> Result<SceneBend, KeyError> {
        let layer = usize::try_from(self.layer)
            .ok()
            .filter(|&l| l < MAX_LAYERS)
            .ok_or_else(|| {
                let why = format!("{} is no layer: layers count from 0", self.layer);
                ("layer", why)
            })?;
        let transform = find(&self.transform)?;
        let params = self.params.unwrap_or_default();
        transform
            .check_count(params.len())
            .map_err(|e| ("params", e.to_string()))?;
        if self.amount.is_some() && params.len() == transform.params.len() {
            let why = "is given twice: here and as the last of `params`";
            return Err(("amount", why.to_owned()));
        }
        for (drive, spec) in params.iter().zip(transform.params) {
            check_drive(drive, spec, spec.name).map_err(|why| ("params", why))?;
        }
        if let (Some(drive), Some(spec)) = (&self.amount, transform.params.last()) {
            check_drive(drive, spec, spec.name).map_err(|why| ("amount", why))?;
        }
        let border = border(self.border.as_deref(), transform)?;
        let mask = match self.mask {
            Some(entry) => Some(scene_mask(entry, folder).map_err(|why| ("mask", why))?),
            None => None,
        };
        let with = with(self.with, transform)?;
        let features = Features::parse(self.features.as_deref(), self.feature_param.as_ref())?;
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        Ok(SceneBend {
            name: self.name.unwrap_or_default(),
            layer,
            transform,
            params,
            amount: self.amount,
            features,
            border,
            mask,
            with,
        })
    }
}

fn find(name: &str) -> Result<&'static TransformSpec, KeyError> {
    spec::find(name).ok_or_else(|| {
        if name == "resize" {
            let why = "`resize` changes the size of the feature maps, which the next layer cannot \
                       take; the papers' tool fails there, too. Use `scale`";
            return ("transform", why.to_owned());
        }
        let known: Vec<&str> = bend::TRANSFORMS.iter().map(|t| t.name).collect();
        let known = known.join(", ");
        (
            "transform",
            format!("no transform is named {name:?}; there are {known}"),
        )
    })
}

fn check_drive(drive: &Drive, spec: &ParamSpec, name: &str) -> Result<(), String> {
    let [low, high] = drive.bounds();
    if low < spec.limits[0] || high > spec.limits[1] {
        return Err(format!(
            "`{name}` must stay within {} and {}",
            spec.limits[0], spec.limits[1]
        ));
    }
    Ok(())
}

fn border(name: Option<&str>, transform: &TransformSpec) -> Result<Border, KeyError> {
    let own = transform.border;
    let Some(name) = name else {
        return Ok(own.unwrap_or_default());
    };
    let wrong = |why: String| ("border", why);
    let border = Border::find(name).ok_or_else(|| {
        let known: Vec<&str> = bend::border::BORDERS.iter().map(|b| b.0).collect();
        wrong(format!("{name:?}: one of {}", known.join(", ")))
    })?;
    if own.is_none() {
        return Err(wrong(format!(
            "`{}` reads no neighbours, so it has no border: leave this out",
            transform.name
        )));
    }
    Ok(border)
}

fn with(entry: Option<WithEntry>, transform: &TransformSpec) -> Result<Option<Features>, KeyError> {
    let reads = transform.reads == Reads::Partners;
    match entry {
        Some(_) if !reads => Err((
            "with",
            format!(
                "`{}` reads no other features: leave this out",
                transform.name
            ),
        )),
        None if reads => Err((
            "with",
            format!(
                "`{}` needs the features that it mixes in, as `with: {{features: cluster, feature-param: 2}}`",
                transform.name
            ),
        )),
        None => Ok(None),
        Some(entry) => Features::parse(entry.features.as_deref(), entry.feature_param.as_ref())
            .map(Some)
            .map_err(|(key, why)| ("with", format!("{key}: {why}"))),
    }
}

fn scene_mask(entry: MaskEntry, folder: &Path) -> Result<SceneMask, String> {
    let known = || -> String {
        let names: Vec<&str> = bend::MASKS.iter().map(|m| m.name).collect();
        names.join(", ")
    };
    let shape = entry
        .shape
        .ok_or_else(|| format!("needs a `shape`: one of {}", known()))?;
    let spec =
        mask::find(&shape).ok_or_else(|| format!("shape: {shape:?} is none of {}", known()))?;
    let painting = match (spec.kind, entry.file) {
        (mask::MaskKind::Picture, Some(file)) => {
            let painting = Painting::load(&folder.join(file)).map_err(|e| e.to_string())?;
            Some(Arc::new(painting))
        }
        (mask::MaskKind::Picture, None) => {
            return Err("`picture` needs a `file`: a PNG, relative to the scene".to_owned());
        }
        (_, Some(_)) => return Err(format!("`{shape}` has no `file`")),
        (_, None) => None,
    };
    let mut params = vec![None; spec.params.len()];
    for (key, drive) in entry.params {
        let Some(index) = spec.param_index(&key) else {
            let names = (0..spec.params.len()).map(|index| spec.file_name(index));
            let names: Vec<&str> = names.collect();
            return Err(format!(
                "`{shape}` has no {key:?}; it has {}",
                names.join(", ")
            ));
        };
        check_drive(&drive, &spec.params[index], &key)?;
        params[index] = Some(drive);
    }
    Ok(SceneMask {
        spec,
        params,
        painting,
        fitted: OnceLock::new(),
    })
}

fn check_name(name: &str) -> Result<(), KeyError> {
    let fits = !name.is_empty()
        && name.len() <= 64
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '-' || c == '_' || c == ' ');
    if !fits || TAKEN_NAMES.contains(&name) {
        return Err((
            "name",
            format!("{name:?}: letters, digits, `-` and `_`, and not walk, accent or action"),
        ));
    }
    Ok(())
}
