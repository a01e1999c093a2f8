//! Checkpoints to model folders.
//!
//! [`import`] reads a checkpoint of `torch.save` in rosinality's layout and writes the folder that
//! [`crate::generator::manifest`] describes. Nothing in the file is executed: `pickle` builds
//! plain data only.
//!
//! ```text
//! file ─► checkpoint (zip or legacy; pickle) ─► rosinality (names, shapes) ─► network::Network
//!      ─► segment (one graph per layer; onnx) ─► folder (hashes, rename at the end)
//! ```
//!
//! Another layout becomes another reader that gives a `Network`, and more names in
//! `pickle::Global`.

mod checkpoint;
mod draw;
mod folder;
mod fuse;
mod network;
mod onnx;
mod pickle;
mod product;
mod rosinality;
mod segment;

use std::io;
use std::path::{Path, PathBuf};

use prost::Message;

pub use self::fuse::{FuseError, fuse, join};
pub use self::pickle::PickleError;
pub use self::product::matrix_product;
use crate::generator::manifest::{FORMAT, FileEntry, LayerEntry, Manifest, Provenance};

/// Choices of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Seed of what the checkpoint lacks: its noise, and the z of its mean w.
    pub seed: u64,
}

/// What an import made.
#[derive(Clone, Debug)]
pub struct ImportReport {
    /// The folder's table of contents.
    pub manifest: Manifest,
    /// Number of weights and biases.
    pub parameters: usize,
    /// What the checkpoint lacked and how it was filled in, one sentence each.
    pub notes: Vec<String>,
}

/// Why an import failed. Nothing was written then, and an earlier model is still in place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file's pickle is damaged or refused.
    #[error("{}: {source}", path.display())]
    Pickle {
        /// The checkpoint.
        path: PathBuf,
        /// Why.
        source: PickleError,
    },
    /// The file's zip archive is damaged.
    #[error("{}: the archive is damaged or cut off: {source}", path.display())]
    Zip {
        /// The checkpoint.
        path: PathBuf,
        /// Why.
        source: zip::result::ZipError,
    },
    /// The file holds no StyleGAN2 generator that can be imported.
    #[error("{} holds no StyleGAN2 generator that can be imported; it seems to be {seems}", path.display())]
    NotAGenerator {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        seems: String,
    },
    /// A tensor is missing, misshapen or damaged.
    #[error("{}: tensor `{tensor}` {problem}", path.display())]
    Tensor {
        /// The checkpoint.
        path: PathBuf,
        /// Its name in the checkpoint.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The target is taken.
    #[error(
        "{} is not empty and no model folder of bendwave: choose another folder for --out",
        out.display()
    )]
    OutInUse {
        /// The target.
        out: PathBuf,
    },
}

impl ImportError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    fn not_a_generator(path: &Path, seems: impl Into<String>) -> Self {
        Self::NotAGenerator {
            path: path.to_owned(),
            seems: seems.into(),
        }
    }

    fn tensor(path: &Path, tensor: &str, problem: String) -> Self {
        Self::Tensor {
            path: path.to_owned(),
            tensor: tensor.to_owned(),
            problem,
        }
    }
}

/// Makes the model folder `out` from a checkpoint. `out` appears whole or not at all; an earlier
/// model there is replaced.
///
/// # Errors
/// See [`ImportError`].
pub fn import(
    checkpoint: &Path,
    out: &Path,
    options: ImportOptions,
) -> Result<ImportReport, ImportError> {
    folder::check_target(out)?;
    let sha256 = folder::sha256_of_file(checkpoint).map_err(|e| ImportError::io(checkpoint, e))?;
    let mut file = checkpoint::Checkpoint::open(checkpoint)?;
    let net = rosinality::read(&mut file)?;
    drop(file);
    let staging = folder::Staging::beside(out)?;

    let mut notes = Vec::new();
    let (w_avg, w_avg_source) = match &net.w_avg {
        Some(w) => (w.clone(), "checkpoint".to_owned()),
        None => {
            let how = format!("mean over {} z of seed {}", draw::W_SAMPLES, options.seed);
            notes.push(format!("The checkpoint has no mean w: {how}."));
            (draw::mean_w(&net, options.seed), how)
        }
    };
    let (noise, noise_source) = match &net.noise {
        Some(noise) => (noise.clone(), "checkpoint".to_owned()),
        None => {
            let how = format!("normal, seed {}", options.seed);
            notes.push(format!("The checkpoint has no constant noise: {how}."));
            (draw::noise(&net, options.seed), how)
        }
    };

    let save = |name: &str, model: &onnx::ModelProto| staging.write(name, &model.encode_to_vec());
    let mapping_network = save("mapping_network.onnx", &segment::mapping_network(&net))?;
    let mut layers = Vec::new();
    for (layer, conv) in net.layers.iter().enumerate() {
        let name = format!("segment_{layer:02}.onnx");
        let FileEntry { file, sha256 } = save(&name, &segment::segment(&net, layer))?;
        layers.push(LayerEntry {
            layer,
            resolution: conv.resolution,
            channels: conv.outputs,
            file,
            sha256,
        });
    }
    let to_rgb = save("to_rgb.onnx", &segment::last_to_rgb(&net))?;
    let npz = folder::noise_npz(&noise).map_err(|e| ImportError::io(out, e))?;
    let manifest = Manifest {
        format: FORMAT,
        resolution: net.resolution,
        z_dim: net.z_dim,
        w_dim: net.w_dim,
        provenance: Provenance {
            source: checkpoint
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            sha256,
            layout: "rosinality".to_owned(),
            importer: concat!("bendwave ", env!("CARGO_PKG_VERSION")).to_owned(),
            w_avg: w_avg_source,
            noise: noise_source,
        },
        mapping_network,
        layers,
        to_rgb,
        noise: staging.write("noise.npz", &npz)?,
        w_avg,
    };
    staging.write_manifest(&manifest)?;
    staging.commit()?;
    Ok(ImportReport {
        parameters: net.parameters(),
        manifest,
        notes,
    })
}
