//! What a run has finished, on disk, so that it can go on after it was stopped.

use super::ClusteringError;
use super::effect::Effect;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder beside the cluster file that is being made. Every file is written whole or not at all.
#[derive(Debug)]
pub struct WorkFolder {
    dir: PathBuf,
    /// Whether something was there to go on from.
    pub resumed: bool,
}

/// Sums of vectors so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sums {
    /// Pictures that are in them.
    pub(super) samples: usize,
    /// By layer of the run: channels · vector length.
    pub(super) layers: Vec<Vec<f64>>,
}

const KEY_FILE: &str = "run.txt";
const SUMS_FILE: &str = "sums.bin";

impl WorkFolder {
    /// Opens the folder. `key` says what is computed: a folder of another key is begun anew.
    ///
    /// # Errors
    /// When it can not be made.
    pub fn open(dir: &Path, key: &str) -> Result<Self, ClusteringError> {
        let resumed = fs::read_to_string(dir.join(KEY_FILE)).is_ok_and(|found| found == key);
        if !resumed && dir.join(KEY_FILE).is_file() {
            clear(dir).map_err(|source| file(dir, source))?;
        }
        fs::create_dir_all(dir).map_err(|source| file(dir, source))?;
        let folder = Self {
            dir: dir.to_path_buf(),
            resumed,
        };
        if !resumed {
            folder.write(KEY_FILE, key.as_bytes())?;
        }
        Ok(folder)
    }

    /// Removes it: what it was for exists.
    ///
    /// # Errors
    /// When it can not be removed.
    pub fn remove(self) -> Result<(), ClusteringError> {
        clear(&self.dir)
            .and_then(|()| fs::remove_dir(&self.dir))
            .map_err(|source| file(&self.dir, source))
    }

    /// The sums, if there are some of these lengths.
    pub(super) fn sums(&self, lengths: &[usize]) -> Option<Sums> {
        let bytes = fs::read(self.dir.join(SUMS_FILE)).ok()?;
        let (head, rest) = bytes.split_at_checked(8)?;
        let samples = u64::from_le_bytes(head.try_into().ok()?);
        if rest.len() != 8 * lengths.iter().sum::<usize>() {
            return None;
        }
        let mut values = rest
            .chunks_exact(8)
            .map(|b| b.try_into().map_or(f64::NAN, f64::from_le_bytes));
        let layers: Vec<Vec<f64>> = lengths
            .iter()
            .map(|&len| values.by_ref().take(len).collect())
            .collect();
        let finite = layers.iter().flatten().all(|v| v.is_finite());
        finite.then_some(Sums {
            samples: usize::try_from(samples).ok()?,
            layers,
        })
    }

    pub(super) fn save_sums(&self, sums: &Sums) -> Result<(), ClusteringError> {
        let mut bytes = (sums.samples as u64).to_le_bytes().to_vec();
        for value in sums.layers.iter().flatten() {
            bytes.extend(value.to_le_bytes());
        }
        self.write(SUMS_FILE, &bytes)
    }

    /// Effects of a layer's clusters, if they are finished.
    pub(super) fn effects(&self, layer: usize) -> Option<Vec<Effect>> {
        let text = fs::read(self.dir.join(effects_file(layer))).ok()?;
        serde_json::from_slice(&text).ok()
    }

    pub(super) fn save_effects(
        &self,
        layer: usize,
        effects: &[Effect],
    ) -> Result<(), ClusteringError> {
        let name = effects_file(layer);
        let text = serde_json::to_vec(effects)
            .map_err(|error| file(&self.dir.join(&name), error.into()))?;
        self.write(&name, &text)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ClusteringError> {
        let path = self.dir.join(name);
        let part = self.dir.join(format!("{name}.part"));
        fs::write(&part, bytes)
            .and_then(|()| fs::rename(&part, &path))
            .map_err(|source| file(&path, source))
    }
}

/// Removes the files of a run, and nothing else.
fn clear(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".part").unwrap_or(&name);
        if name == KEY_FILE || name == SUMS_FILE || name.starts_with("effects-") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn effects_file(layer: usize) -> String {
    format!("effects-{layer:02}.json")
}

fn file(path: &Path, source: std::io::Error) -> ClusteringError {
    ClusteringError::File {
        path: path.to_path_buf(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::{Sums, WorkFolder};

    #[test]
    fn sums_are_read_back_by_the_same_run_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("work");
        let sums = Sums {
            samples: 7,
            layers: vec![vec![0.1, -2.0], vec![3.0]],
        };
        let folder = WorkFolder::open(&path, "a").unwrap();
        assert!(!folder.resumed);
        assert_eq!(folder.sums(&[2, 1]), None);
        folder.save_sums(&sums).unwrap();
        let again = WorkFolder::open(&path, "a").unwrap();
        assert!(again.resumed);
        assert_eq!(again.sums(&[2, 1]), Some(sums));
        assert_eq!(again.sums(&[2, 2]), None);
        let other = WorkFolder::open(&path, "b").unwrap();
        assert!(!other.resumed);
        assert_eq!(other.sums(&[2, 1]), None);
        other.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_of_somebody_else_is_not_emptied() {
        let dir = tempfile::tempdir().unwrap();
        let theirs = dir.path().join("notes.txt");
        std::fs::write(&theirs, "mine").unwrap();
        WorkFolder::open(dir.path(), "a").unwrap();
        assert!(theirs.exists());
    }
}
