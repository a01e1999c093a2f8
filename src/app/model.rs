//! Which model: a folder, a checkpoint that is imported on the way, or the one that comes along.

use crate::app::say;
use crate::generator::Runtime;
use crate::generator::manifest::{FORMAT, MANIFEST_FILE};
use crate::import;
use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The checkpoint in a folder that was not imported.
const CHECKPOINT_FILE: &str = "checkpoint.pt";

/// The model folder for `--model`, else for the scene's `model:`, else the default model.
///
/// # Errors
/// When there is none, or a checkpoint cannot be imported.
pub(crate) fn folder(
    asked: Option<&Path>,
    scene: Option<&Path>,
    ort_lib: Option<&Path>,
) -> anyhow::Result<PathBuf> {
    match asked.or(scene) {
        Some(path) if path.is_dir() => in_folder(path, ort_lib),
        Some(path) if path.is_file() => cached_import(path, ort_lib),
        Some(path) => bail!("{}: no such model folder or checkpoint", path.display()),
        None => default_model(ort_lib),
    }
}

/// A file that comes with bendwave, as `assets/scenes/demo.yaml`: looked for in the current folder,
/// then in the folders above the program.
pub(crate) fn bundled(relative: &str) -> Option<PathBuf> {
    let here = std::env::current_dir().ok();
    let program = std::env::current_exe().ok();
    let above = program.iter().flat_map(|p| p.ancestors().skip(1).take(4));
    here.iter()
        .map(PathBuf::as_path)
        .chain(above)
        .map(|dir| dir.join(relative))
        .find(|p| p.exists())
}

fn default_model(ort_lib: Option<&Path>) -> anyhow::Result<PathBuf> {
    let found = [MANIFEST_FILE, CHECKPOINT_FILE]
        .iter()
        .find_map(|file| bundled(&format!("models/default/{file}")));
    let Some(folder) = found.as_deref().and_then(Path::parent) else {
        bail!("no model: give --model DIR, made by `bendwave import CHECKPOINT --out DIR`");
    };
    in_folder(folder, ort_lib)
}

/// The folder, or what is imported from its checkpoint where it has nothing else, as the model that comes
/// along.
fn in_folder(folder: &Path, ort_lib: Option<&Path>) -> anyhow::Result<PathBuf> {
    let checkpoint = folder.join(CHECKPOINT_FILE);
    if folder.join(MANIFEST_FILE).is_file() || !checkpoint.is_file() {
        Ok(folder.to_path_buf())
    } else {
        cached_import(&checkpoint, ort_lib)
    }
}

/// Imports a checkpoint into the user's cache, under its hash; the second time it is there.
fn cached_import(checkpoint: &Path, ort_lib: Option<&Path>) -> anyhow::Result<PathBuf> {
    let mut hasher = Sha256::new();
    let mut file = File::open(checkpoint).with_context(|| checkpoint.display().to_string())?;
    io::copy(&mut file, &mut HashWriter(&mut hasher))
        .with_context(|| checkpoint.display().to_string())?;
    let hash: String = hasher
        .finalize()
        .iter()
        .take(12)
        .map(|b| format!("{b:02x}"))
        .collect();
    let cache = dirs::cache_dir()
        .context("the system names no cache folder for this user (HOME is not set?)")?;
    let name = format!("{hash}-{}-{FORMAT}", env!("CARGO_PKG_VERSION"));
    let folder = cache.join("bendwave").join("models").join(name);
    if folder.join(MANIFEST_FILE).is_file() {
        return Ok(folder);
    }
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    }
    let options = import::ImportOptions {
        verify: Runtime::load(ort_lib).ok(),
        ..import::ImportOptions::default()
    };
    import::import(checkpoint, &folder, options)?;
    say(&format!(
        "imported {} into {}",
        checkpoint.display(),
        folder.display()
    ));
    Ok(folder)
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
