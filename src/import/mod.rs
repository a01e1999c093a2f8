//! Checkpoints to model folders.
//!
//! [`import`] reads a StyleGAN2 generator in rosinality's or NVIDIA's layout and writes the folder
//! that [`crate::generator::manifest`] describes. Nothing in the file is executed: `pickle` builds
//! plain data only.
//!
//! ```text
//! file ─► checkpoint (torch.save's zip and legacy formats, NVIDIA's pickle, safetensors)
//!      ─► layout (which network, whose names) ─► rosinality, nvidia (shapes) ─► network::Network
//!      ─► segment (one graph per layer; onnx) ─► folder (hashes, rename at the end)
//! ```
//!
//! Another layout becomes another reader that gives a `Network`, and more names in
//! `pickle::Global`.

mod checkpoint;
mod contact;
mod draw;
mod folder;
mod fuse;
mod latent;
mod layout;
mod nested;
mod network;
mod nvidia;
mod onnx;
mod pickle;
mod plain;
mod product;
mod rosinality;
mod safetensors;
mod segment;
mod state;
mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use prost::Message;

pub use self::fuse::{FuseError, fuse, join};
pub use self::latent::{SavedLatent, read_latent, write_latent};
pub use self::pickle::PickleError;
pub use self::product::matrix_product;
use crate::generator::manifest::{
    CONTACT_FILE, FORMAT, FileEntry, LayerEntry, MANIFEST_FILE, Manifest, Precision, Provenance,
};

use crate::generator::latent::LatentError;
use crate::generator::npy::{self, NpyError};
use crate::generator::{Generator, GeneratorError, Runtime, check_folder};

/// Choices of an import.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportOptions<'a> {
    /// Seed of what the checkpoint lacks: its noise, and the z of its mean w.
    pub seed: u64,
    /// Number format of the 3×3 convolutions.
    pub precision: Precision,
    /// Class to fix in a conditional network; without one it stays an input.
    pub class: Option<usize>,
    /// What the segments are checked with; without it they are not.
    pub verify: Option<&'a Runtime>,
    /// Whether pictures of 16 seeds are made too, where `verify` is given.
    pub contact: bool,
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

/// What an import does next, for those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The segments are written; they are run beside a plain evaluation.
    Verify,
    /// Picture `done` of `of` of the contact sheet.
    Picture {
        /// How many there are.
        done: usize,
        /// How many there will be.
        of: usize,
    },
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
    /// It has no such class.
    #[error("{}: there is no class {class}: {has}", path.display())]
    Class {
        /// The checkpoint.
        path: PathBuf,
        /// The class that was asked for.
        class: usize,
        /// What there is instead.
        has: String,
    },
    /// The segments do not give the network's picture.
    #[error(
        "{}: the segments are not the network: the picture differs by {picture_error:.1e} of its \
         range, layer {worst_layer} by {worst_layer_error:.1e}, and {tolerance:.0e} is accepted; \
         nothing was written. If the network is sound, this is a fault of bendwave: please report it",
        path.display()
    )]
    Unverified {
        /// The folder that was checked.
        path: PathBuf,
        /// Largest difference of the picture over its range.
        picture_error: f32,
        /// Where the maps differ most.
        worst_layer: usize,
        /// By how much.
        worst_layer_error: f32,
        /// What is accepted.
        tolerance: f32,
    },
    /// The model does not run, or the model folder is damaged.
    #[error(transparent)]
    Generator(#[from] GeneratorError),
    /// A model folder cannot be changed.
    #[error("{}: is a model folder, which is copied as it is: {what} works on a checkpoint", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What was asked for.
        what: &'static str,
    },
    /// A latent file of NumPy cannot be used.
    #[error(transparent)]
    Latent(#[from] LatentError),
    /// An array cannot be read or written.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// The file holds no latent.
    #[error("{}: holds no latent: a .pt of rosinality's projector or of network bending has one under `latent`", path.display())]
    NoLatent {
        /// The file.
        path: PathBuf,
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

    fn no_class(path: &Path, class: usize, classes: usize) -> Self {
        Self::Class {
            path: path.to_owned(),
            class,
            has: match classes {
                0 => "the network has no classes".to_owned(),
                n => format!("the network's classes are 0 to {}", n - 1),
            },
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
    options: ImportOptions<'_>,
) -> Result<ImportReport, ImportError> {
    import_watched(checkpoint, out, options, &mut |_| ())
}

/// As [`import`], telling what it does.
///
/// # Errors
/// See [`ImportError`].
pub fn import_watched(
    checkpoint: &Path,
    out: &Path,
    options: ImportOptions<'_>,
    on_step: &mut dyn FnMut(Step),
) -> Result<ImportReport, ImportError> {
    let started = Instant::now();
    folder::check_target(out)?;
    if checkpoint.is_dir() {
        return copy_model(checkpoint, out, options);
    }
    let sha256 = folder::sha256_of_file(checkpoint).map_err(|e| ImportError::io(checkpoint, e))?;
    let mut file = checkpoint::Checkpoint::open(checkpoint)?;
    let state::Read {
        network: mut net,
        layout,
        mut notes,
    } = layout::read(&mut file)?;
    drop(file);
    match (options.class, net.classes()) {
        (None, _) => {}
        (Some(class), classes) if class < classes => net.fix_class(class),
        (Some(class), classes) => return Err(ImportError::no_class(checkpoint, class, classes)),
    }
    let staging = folder::Staging::beside(out)?;

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
        let FileEntry { file, sha256 } =
            save(&name, &segment::segment(&net, layer, options.precision))?;
        layers.push(LayerEntry {
            layer,
            resolution: conv.resolution,
            channels: conv.outputs,
            file,
            sha256,
        });
    }
    let to_rgb = save("to_rgb.onnx", &segment::last_to_rgb(&net))?;
    let channels = net.constant.len() / 16;
    let constant =
        npy::npy_bytes(&[1, channels, 4, 4], &net.constant).map_err(|e| ImportError::io(out, e))?;
    let maps: Vec<(String, Vec<usize>, &[f32])> = net
        .layers
        .iter()
        .zip(&noise)
        .enumerate()
        .map(|(i, (layer, map))| {
            let side = layer.resolution;
            (format!("noise_{i}"), vec![1, 1, side, side], map.as_slice())
        })
        .collect();
    let npz = npy::npz_bytes(&maps).map_err(|e| ImportError::io(out, e))?;
    let mut manifest = Manifest {
        format: FORMAT,
        resolution: net.resolution,
        z_dim: net.z_dim,
        w_dim: net.w_dim,
        classes: net.classes(),
        precision: options.precision,
        provenance: Provenance {
            source: checkpoint
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            sha256,
            layout: layout.to_owned(),
            importer: concat!("bendwave ", env!("CARGO_PKG_VERSION")).to_owned(),
            class: options.class,
            w_avg: w_avg_source,
            noise: noise_source,
        },
        verification: None,
        mapping_network,
        constant: staging.write("constant.npy", &constant)?,
        layers,
        to_rgb,
        noise: staging.write("noise.npz", &npz)?,
        w_avg,
    };
    staging.write_manifest(&manifest)?;
    let parameters = net.parameters();
    if let Some(runtime) = options.verify {
        on_step(Step::Verify);
        let mut generator = Generator::load_once(staging.folder(), runtime)?;
        let bytes = staging.bytes()?;
        manifest.verification = Some(verify::verify(
            &net,
            &mut generator,
            runtime,
            &noise,
            started,
            bytes,
        )?);
        drop((net, noise));
        if options.contact {
            staging.write(CONTACT_FILE, &contact::sheet(&mut generator, on_step)?)?;
        }
        staging.write_manifest(&manifest)?;
    }
    staging.commit()?;
    Ok(ImportReport {
        parameters,
        manifest,
        notes,
    })
}

/// Copies a model folder, its files checked and unchanged.
fn copy_model(
    folder: &Path,
    out: &Path,
    options: ImportOptions<'_>,
) -> Result<ImportReport, ImportError> {
    let refuse = |what| {
        Err(ImportError::Folder {
            path: folder.to_owned(),
            what,
        })
    };
    let manifest = check_folder(folder)?;
    if options.class.is_some() {
        return refuse("--class");
    }
    if options.precision != manifest.precision && options.precision != Precision::default() {
        return refuse("--half");
    }
    let staging = folder::Staging::beside(out)?;
    let layers = manifest.layers.iter().map(|l| &l.file);
    let others = [
        &manifest.mapping_network,
        &manifest.to_rgb,
        &manifest.noise,
        &manifest.constant,
    ];
    for file in layers.chain(others.into_iter().map(|entry| &entry.file)) {
        staging.copy(folder, file)?;
    }
    if folder.join(CONTACT_FILE).is_file() {
        staging.copy(folder, CONTACT_FILE)?;
    }
    staging.copy(folder, MANIFEST_FILE)?;
    staging.commit()?;
    Ok(ImportReport {
        parameters: 0,
        manifest,
        notes: vec!["A model folder: its files are copied as they are.".to_owned()],
    })
}
