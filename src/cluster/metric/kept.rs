//! Trained networks in a folder: `quick/layer-03.safetensors` and so on.

use super::{Learned, Recipe};
use crate::cluster::ClusteringError;
use bendwave_metric::{FileError, Info, Network};
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// A folder of trained networks.
#[derive(Clone, Debug)]
pub struct Kept {
    dir: PathBuf,
    /// Where else to look.
    also: Option<PathBuf>,
    /// What tells the model: the hash of its checkpoint.
    model: String,
}

/// A layer's trained network.
#[derive(Debug)]
pub struct KeptLayer {
    /// The network.
    pub network: Network,
    /// What stands beside it.
    pub info: Info,
}

impl KeptLayer {
    /// Whether it comes of exactly this training.
    pub fn is_of(&self, training: &str) -> bool {
        self.note("training") == Some(training)
    }

    /// Share of held-out maps whose feature it knew, 0 to 1.
    pub fn accuracy(&self) -> Option<f64> {
        self.note("accuracy")?.parse().ok()
    }

    /// Seconds of its training, where it is known.
    pub fn secs(&self) -> Option<f64> {
        self.note("seconds")?.parse().ok()
    }

    fn note(&self, name: &str) -> Option<&str> {
        self.info.notes.get(name).map(String::as_str)
    }
}

impl Kept {
    /// Networks for the model of this hash in `dir`, which need not exist, and in `also`, where nothing
    /// is written.
    pub fn new(dir: PathBuf, also: Option<PathBuf>, model: &str) -> Self {
        Self {
            dir,
            also,
            model: model.to_owned(),
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(dir: &Path, recipe: &Recipe, layer: usize) -> PathBuf {
        dir.join(recipe.name)
            .join(format!("layer-{layer:02}.safetensors"))
    }

    /// Where a training that is not finished keeps its state.
    pub fn unfinished(&self, recipe: &Recipe, layer: usize) -> PathBuf {
        self.dir
            .join(recipe.name)
            .join(format!("layer-{layer:02}.unfinished"))
    }

    /// A layer's network, or None where there is none for this model.
    ///
    /// # Errors
    /// When there is a file that is none.
    pub fn get(&self, recipe: &Recipe, layer: usize) -> Result<Option<KeptLayer>, FileError> {
        for dir in [Some(&self.dir), self.also.as_ref()].into_iter().flatten() {
            let path = Self::path(dir, recipe, layer);
            if !path.is_file() {
                continue;
            }
            let (network, info) = Network::load(&path)?;
            let layer = KeptLayer { network, info };
            if layer.note("model") == Some(self.model.as_str()) {
                return Ok(Some(layer));
            }
        }
        Ok(None)
    }

    /// Keeps a layer's network.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn put(
        &self,
        recipe: &Recipe,
        layer: usize,
        mut kept: KeptLayer,
    ) -> Result<KeptLayer, ClusteringError> {
        let path = Self::path(&self.dir, recipe, layer);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(|source| ClusteringError::File {
                path: dir.to_path_buf(),
                source,
            })?;
        }
        kept.info
            .notes
            .insert("model".to_owned(), self.model.clone());
        kept.network.save(&path, &kept.info)?;
        // As it will be read, with 16 bits.
        Ok(self.get(recipe, layer)?.unwrap_or(kept))
    }

    /// Networks of those layers that have one of this recipe. A file that is none is said and passed
    /// over.
    pub fn learned(&self, recipe: &Recipe, layers: RangeInclusive<usize>) -> Learned {
        let mut learned = Learned::default();
        for layer in layers {
            match self.get(recipe, layer) {
                Ok(Some(kept)) => learned.insert(layer, kept.network, kept.info.range),
                Ok(None) => (),
                Err(error) => log::warn!("{error}"),
            }
        }
        learned
    }
}
