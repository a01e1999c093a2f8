//! Trained networks for clusters: where they are kept, and training them.

use crate::app::model;
use crate::cluster::metric::{Kept, Learned, Quality, Recipe};
use crate::generator::manifest::Manifest;
use std::ops::RangeInclusive;
use std::path::Path;

/// The networks of the model in `folder`: in `asked`, else in its own folder; those that come with
/// the default model are found, too.
pub(crate) fn kept(asked: Option<&Path>, folder: &Path, manifest: &Manifest) -> Kept {
    let own = asked.map_or_else(|| folder.join("metric"), Path::to_path_buf);
    let also = match asked {
        Some(_) => None,
        None => model::bundled("models/default/metric"),
    };
    Kept::new(own, also, &manifest.provenance.sha256)
}

/// The best trained networks that there are for these layers; a layer without one is described without.
pub(crate) fn best(kept: &Kept, layers: &RangeInclusive<usize>) -> (Learned, Quality) {
    for quality in [Quality::Paper, Quality::Quick] {
        let Some(recipe) = quality.recipe() else {
            continue;
        };
        let learned = kept.learned(&recipe, layers.clone());
        if learned.layers().eq(layers.clone()) {
            return (learned, quality);
        }
    }
    (Learned::default(), Quality::Baseline)
}

/// What tells one training of a model from another.
#[cfg(feature = "metric-learning")]
pub(crate) fn training(recipe: &Recipe, seed: u32, truncation: f32) -> String {
    format!("{recipe:?}, truncation {truncation}, random state {seed}")
}

/// Without training: for networks that are there already.
#[cfg(not(feature = "metric-learning"))]
pub(crate) fn without_training(
    kept: &Kept,
    quality: Quality,
    recipe: &Recipe,
    layers: &RangeInclusive<usize>,
) -> anyhow::Result<Learned> {
    let learned = kept.learned(recipe, layers.clone());
    let missing: Vec<String> = layers
        .clone()
        .filter(|layer| !learned.layers().any(|found| found == *layer))
        .map(|layer| layer.to_string())
        .collect();
    if !missing.is_empty() {
        let dir = kept.dir().join(quality.name());
        anyhow::bail!(
            "--quality {quality}: there is no trained network for layers {} in {}, and this bendwave was \
             built without training; `cargo build --release --features metric-learning` builds one that \
             trains, and --quality baseline needs none",
            missing.join(", "),
            dir.display()
        );
    }
    Ok(learned)
}
