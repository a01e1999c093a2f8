//! A model folder's files, read and checked.

use crate::generator::GeneratorError;
use crate::generator::aspect::START;
use crate::generator::manifest::{self, Manifest};
use crate::generator::npy;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

/// Largest model a folder may describe.
const LARGEST_RESOLUTION: usize = 4096;

/// Checks a model folder's files without running them.
///
/// # Errors
/// When one is missing, damaged or contradicts another.
pub fn check_folder(folder: &Path) -> Result<Manifest, GeneratorError> {
    ModelFiles::read(folder).map(|files| files.manifest)
}

/// A model folder's files, read and checked.
pub(super) struct ModelFiles {
    pub(super) manifest: Manifest,
    pub(super) mapping_network: Vec<u8>,
    pub(super) constant: Vec<f32>,
    pub(super) segments: Vec<Vec<u8>>,
    pub(super) to_rgb: Vec<u8>,
    pub(super) noise: Vec<Vec<f32>>,
}

impl ModelFiles {
    /// # Errors
    /// When one is missing, damaged or contradicts another.
    pub(super) fn read(folder: &Path) -> Result<Self, GeneratorError> {
        let manifest = read_manifest(folder)?;
        let mapping_network = checked(
            folder,
            &manifest.mapping_network.file,
            &manifest.mapping_network.sha256,
        )?;
        let entry = &manifest.constant;
        checked(folder, &entry.file, &entry.sha256)?;
        let constant = npy::read(&folder.join(&entry.file))?;
        let [1, 1..=8192, START, START] = constant.shape[..] else {
            return Err(GeneratorError::Folder {
                path: folder.join(&entry.file),
                why: format!("has shape {:?}, not [1, C, 4, 4]", constant.shape),
            });
        };
        let segments = manifest
            .layers
            .iter()
            .map(|layer| checked(folder, &layer.file, &layer.sha256))
            .collect::<Result<_, _>>()?;
        let to_rgb = checked(folder, &manifest.to_rgb.file, &manifest.to_rgb.sha256)?;
        checked(folder, &manifest.noise.file, &manifest.noise.sha256)?;
        let noise_path = folder.join(&manifest.noise.file);
        let noise = manifest
            .layers
            .iter()
            .map(|layer| {
                let array = npy::read_from_npz(&noise_path, &format!("noise_{}", layer.layer))?;
                if array.data.len() == layer.resolution * layer.resolution {
                    Ok(array.data)
                } else {
                    Err(GeneratorError::Folder {
                        path: noise_path.clone(),
                        why: format!(
                            "noise_{} has shape {:?}, the layer wants [1, 1, {r}, {r}]",
                            layer.layer,
                            array.shape,
                            r = layer.resolution
                        ),
                    })
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            manifest,
            mapping_network,
            constant: constant.data,
            segments,
            to_rgb,
            noise,
        })
    }
}

/// Reads and checks `model.yaml`.
///
/// # Errors
/// When it is missing, no YAML, of another format version, or contradicts itself.
fn read_manifest(folder: &Path) -> Result<Manifest, GeneratorError> {
    let path = folder.join(manifest::MANIFEST_FILE);
    let wrong = |why: String| GeneratorError::Folder {
        path: path.clone(),
        why,
    };
    let text = fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
    // The format first: a folder of another format has other keys.
    let yaml: serde_yaml::Value = serde_yaml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    match yaml.get("format").and_then(serde_yaml::Value::as_u64) {
        Some(format) if format != u64::from(manifest::FORMAT) => {
            return Err(wrong(format!(
                "format: {format} is not the {} that this version of bendwave reads",
                manifest::FORMAT
            )));
        }
        _ => {}
    }
    let manifest: Manifest = serde_yaml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let r = manifest.resolution;
    if !r.is_power_of_two() || !(8..=LARGEST_RESOLUTION).contains(&r) {
        return Err(wrong(format!(
            "resolution: {r} is not a power of two from 8 to {LARGEST_RESOLUTION}"
        )));
    }
    let layers = 2 * r.trailing_zeros() as usize - 3;
    if manifest.layers.len() != layers {
        return Err(wrong(format!(
            "layers: {} for {r} px there must be {layers}",
            manifest.layers.len()
        )));
    }
    for (index, layer) in manifest.layers.iter().enumerate() {
        let side = 4usize << index.div_ceil(2);
        if layer.layer != index || layer.resolution != side || !(1..=8192).contains(&layer.channels)
        {
            return Err(wrong(format!(
                "layers[{index}]: layer {index} must be {side} px with 1 to 8192 channels"
            )));
        }
    }
    let sizes = 1..=65536;
    if !sizes.contains(&manifest.z_dim) || !sizes.contains(&manifest.w_dim) {
        return Err(wrong("z_dim, w_dim: must be 1 to 65536".to_owned()));
    }
    if manifest.classes > 65536 {
        return Err(wrong("classes: must be at most 65536".to_owned()));
    }
    if manifest.w_avg.len() != manifest.w_dim || !manifest.w_avg.iter().all(|x| x.is_finite()) {
        return Err(wrong(format!(
            "w_avg: must be {} finite numbers",
            manifest.w_dim
        )));
    }
    Ok(manifest)
}

fn checked(folder: &Path, file: &str, sha256: &str) -> Result<Vec<u8>, GeneratorError> {
    let path = folder.join(file);
    let wrong = |why: String| GeneratorError::Folder {
        path: path.clone(),
        why,
    };
    if Path::new(file).file_name().is_none_or(|name| name != file) {
        return Err(wrong(
            "a file of a model lies in its folder, without `/`".to_owned(),
        ));
    }
    let bytes = fs::read(&path).map_err(|e| wrong(e.to_string()))?;
    let hash = Sha256::digest(&bytes);
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    if hex == sha256 {
        Ok(bytes)
    } else {
        Err(wrong(
            "its bytes are not the ones that were imported (SHA-256 differs)".to_owned(),
        ))
    }
}
