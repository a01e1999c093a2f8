//! Latent files of every tool: `.npy`, `.npz` (NVIDIA's projector, our own), and the `.pt` of
//! rosinality's projector and of network bending, with their noise.

use std::path::Path;

use super::ImportError;
use super::checkpoint::{Checkpoint, Contents};
use super::pickle::{Node, Pickle, Tensor};
use crate::generator::manifest::Manifest;
use crate::generator::{latent, npy};

/// A picture's latent.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedLatent {
    /// w of each layer and of the last `ToRGB`: `latents · w_dim` values.
    pub styles: Vec<f32>,
    /// The picture's own noise, one square map for each layer, if the file has it.
    pub noise: Option<Vec<Vec<f32>>>,
}

/// Reads a latent for a model. A file with several pictures gives the first.
///
/// - `.npy`: w, \[1, w_dim\] for all layers or \[1, latents, w_dim\]
/// - `.npz`: the same as array `w`, and `noise_0`, `noise_1`, … if they are there
/// - `.pt`: rosinality's `{picture: {latent, noise}}` or network bending's `{latent, noises}`
///
/// # Errors
/// When the file cannot be read, or does not fit the model.
pub fn read_latent(path: &Path, manifest: &Manifest) -> Result<SavedLatent, ImportError> {
    let latents = manifest.layers.len() + 1;
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    if ["pt", "pth", "pkl"].contains(&ending) {
        return from_pickle(path, manifest, latents);
    }
    let styles = latent::w_from_file(path, latents, manifest.w_dim)?;
    let mut noise = None;
    if ending == "npz" && npy::has_array(path, "noise_0")? {
        let mut maps = Vec::with_capacity(manifest.layers.len());
        for layer in &manifest.layers {
            let name = format!("noise_{}", layer.layer);
            let array = npy::read_from_npz(path, &name)?;
            maps.push(noise_map(path, &name, array.data, layer.resolution)?);
        }
        noise = Some(maps);
    }
    Ok(SavedLatent { styles, noise })
}

/// Writes a latent as `.npz`: `w` \[1, latents, w_dim\], which NVIDIA's tools read too, and
/// `noise_0`, `noise_1`, … if there is noise.
///
/// # Errors
/// When the file cannot be written.
pub fn write_latent(path: &Path, saved: &SavedLatent, w_dim: usize) -> Result<(), ImportError> {
    let latents = saved.styles.len() / w_dim.max(1);
    let mut arrays = vec![(
        "w".to_owned(),
        vec![1, latents, w_dim],
        saved.styles.as_slice(),
    )];
    for (i, map) in saved.noise.iter().flatten().enumerate() {
        let side = map.len().isqrt();
        arrays.push((format!("noise_{i}"), vec![1, 1, side, side], map));
    }
    Ok(npy::write_npz(path, &arrays)?)
}

fn from_pickle(
    path: &Path,
    manifest: &Manifest,
    latents: usize,
) -> Result<SavedLatent, ImportError> {
    let mut checkpoint = Checkpoint::open(path)?;
    let Contents::Pickle(pickle) = &checkpoint.contents else {
        return Err(ImportError::not_a_generator(path, "no latent"));
    };
    let (w, noise) = find(pickle).ok_or_else(|| ImportError::NoLatent {
        path: path.to_owned(),
    })?;
    let w_dim = manifest.w_dim;
    let array = checkpoint.read("latent", &w)?;
    let wrong = || {
        let problem = format!(
            "has shape {:?}, the model wants [{w_dim}] or [{latents}, {w_dim}]",
            array.shape
        );
        ImportError::tensor(path, "latent", problem)
    };
    // Pictures come first, where there are several.
    let styles = match array.shape[..] {
        [n, d] if d == w_dim && n == latents => array.data,
        [_, n, d] if d == w_dim && n == latents && !array.data.is_empty() => {
            array.data[..n * d].to_vec()
        }
        [d] | [1, d] | [1, 1, d] if d == w_dim => array.data.repeat(latents),
        [n, d] if d == w_dim && n > 0 => array.data[..d].repeat(latents),
        _ => return Err(wrong()),
    };
    let noise = match noise {
        None => None,
        Some(tensors) => {
            let mut maps = Vec::with_capacity(manifest.layers.len());
            for layer in &manifest.layers {
                let name = format!("noise[{}]", layer.layer);
                let tensor = tensors
                    .get(layer.layer)
                    .ok_or_else(|| ImportError::tensor(path, &name, "is missing".to_owned()))?;
                let array = checkpoint.read(&name, tensor)?;
                maps.push(noise_map(path, &name, array.data, layer.resolution)?);
            }
            Some(maps)
        }
    };
    Ok(SavedLatent { styles, noise })
}

/// The first picture's map.
fn noise_map(
    path: &Path,
    name: &str,
    mut values: Vec<f32>,
    side: usize,
) -> Result<Vec<f32>, ImportError> {
    let wanted = side * side;
    if values.is_empty() || !values.len().is_multiple_of(wanted) {
        let problem = format!("has {} values, the layer wants {side}×{side}", values.len());
        return Err(ImportError::tensor(path, name, problem));
    }
    values.truncate(wanted);
    Ok(values)
}

/// The latent of a file of either tool, and its noise.
fn find(pickle: &Pickle) -> Option<(Tensor, Option<Vec<Tensor>>)> {
    let root = pickle.root();
    if let Node::Tensor(w) = root {
        return Some(((**w).clone(), None));
    }
    let inner = pickle.entries(root).map(|(_, node)| node);
    std::iter::once(root).chain(inner).find_map(|dict| {
        let get = |wanted: &str| {
            let mut entries = pickle.entries(dict);
            entries.find(|(key, _)| *key == wanted).map(|e| e.1)
        };
        let Some(Node::Tensor(w)) = get("latent") else {
            return None;
        };
        let noise = match get("noise").or_else(|| get("noises")) {
            Some(Node::List(list) | Node::Tuple(list)) => list
                .iter()
                .map(|&id| match pickle.node(id) {
                    Node::Tensor(t) => Some((**t).clone()),
                    _ => None,
                })
                .collect::<Option<Vec<Tensor>>>(),
            _ => None,
        };
        Some(((**w).clone(), noise.filter(|n| !n.is_empty())))
    })
}
