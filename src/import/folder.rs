//! Writing a model folder: all of it or nothing.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::ImportError;
use crate::generator::manifest::{CONTACT_FILE, FORMAT, FileEntry, MANIFEST_FILE, Manifest};

/// A folder beside the wanted one, removed again unless [`Staging::commit`] puts it in place.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl Staging {
    /// Makes the folder, if `target` may be written.
    ///
    /// # Errors
    /// [`ImportError::OutInUse`] when `target` holds anything but an earlier model;
    /// [`ImportError::Io`].
    pub(super) fn beside(target: &Path) -> Result<Self, ImportError> {
        check_target(target)?;
        // A name to rename to: not `.`, not a link.
        let target = if target.exists() {
            target.canonicalize()
        } else {
            std::path::absolute(target)
        }
        .map_err(|e| ImportError::io(target, e))?;
        let folder = sibling(&target, "part");
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(|e| ImportError::io(parent, e))?;
        }
        remove(&folder)?;
        fs::create_dir(&folder).map_err(|e| ImportError::io(&folder, e))?;
        Ok(Self {
            folder,
            target,
            committed: false,
        })
    }

    /// Where the files are until [`Self::commit`].
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes of all files so far.
    ///
    /// # Errors
    /// [`ImportError::Io`].
    pub(super) fn bytes(&self) -> Result<u64, ImportError> {
        let io = |e| ImportError::io(&self.folder, e);
        let mut bytes = 0;
        for entry in fs::read_dir(&self.folder).map_err(io)? {
            bytes += entry.and_then(|e| e.metadata()).map_err(io)?.len();
        }
        Ok(bytes)
    }

    /// Copies a file of another folder.
    ///
    /// # Errors
    /// [`ImportError::Io`].
    pub(super) fn copy(&self, from: &Path, name: &str) -> Result<(), ImportError> {
        let from = from.join(name);
        fs::copy(&from, self.folder.join(name))
            .map(drop)
            .map_err(|e| ImportError::io(&from, e))
    }

    /// Writes a file.
    ///
    /// # Errors
    /// [`ImportError::Io`].
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<FileEntry, ImportError> {
        let path = self.folder.join(name);
        fs::write(&path, bytes).map_err(|e| ImportError::io(&path, e))?;
        Ok(FileEntry {
            file: name.to_owned(),
            sha256: hex(&Sha256::digest(bytes)),
        })
    }

    /// Writes the table of contents.
    ///
    /// # Errors
    /// [`ImportError::Io`].
    pub(super) fn write_manifest(&self, manifest: &Manifest) -> Result<(), ImportError> {
        let path = self.folder.join(MANIFEST_FILE);
        let text =
            manifest_text(manifest).map_err(|e| ImportError::io(&path, io::Error::other(e)))?;
        fs::write(&path, text).map_err(|e| ImportError::io(&path, e))
    }

    /// Puts the folder in place. Of an earlier model there, files that no import writes (notes,
    /// clusters) are kept.
    ///
    /// # Errors
    /// [`ImportError::Io`]; the earlier model is then still in place.
    pub(super) fn commit(mut self) -> Result<(), ImportError> {
        let io = |source| ImportError::io(&self.target, source);
        // Something may have been put there meanwhile.
        check_target(&self.target)?;
        if self.target.exists() {
            let old = sibling(&self.target, "old");
            remove(&old)?;
            fs::rename(&self.target, &old).map_err(io)?;
            if let Err(error) = fs::rename(&self.folder, &self.target) {
                fs::rename(&old, &self.target).map_err(io)?;
                return Err(io(error));
            }
            for entry in fs::read_dir(&old).map_err(io)?.flatten() {
                let kept = self.target.join(entry.file_name());
                if !is_ours(&entry.file_name().to_string_lossy()) {
                    fs::rename(entry.path(), kept).map_err(io)?;
                }
            }
            remove(&old)?;
        } else {
            fs::rename(&self.folder, &self.target).map_err(io)?;
        }
        self.committed = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.committed
            && let Err(error) = remove(&self.folder)
        {
            log::warn!("{error}");
        }
    }
}

/// Whether an import writes a file of this name.
fn is_ours(name: &str) -> bool {
    let segment = || name.strip_prefix("segment_")?.strip_suffix(".onnx");
    [
        MANIFEST_FILE,
        "mapping_network.onnx",
        "to_rgb.onnx",
        "noise.npz",
        "constant.npy",
        CONTACT_FILE,
    ]
    .contains(&name)
        || segment().is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
}

/// Refuses to write over what is no model folder.
///
/// # Errors
/// [`ImportError::OutInUse`], [`ImportError::Io`].
pub(super) fn check_target(target: &Path) -> Result<(), ImportError> {
    let in_use = || ImportError::OutInUse {
        out: target.to_owned(),
    };
    match fs::read_dir(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(in_use()),
        Err(error) => Err(ImportError::io(target, error)),
        Ok(mut entries) => {
            if entries.next().is_none() {
                return Ok(());
            }
            let is_model = fs::read_to_string(target.join(MANIFEST_FILE))
                .ok()
                .and_then(|text| serde_yaml::from_str::<serde_yaml::Value>(&text).ok())
                .is_some_and(|yaml| {
                    yaml.get("format").is_some() && yaml.get("mapping_network").is_some()
                });
            if is_model { Ok(()) } else { Err(in_use()) }
        }
    }
}

/// `.NAME.PURPOSE` in the same folder, so that a rename stays on one file system.
fn sibling(target: &Path, purpose: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_else(|| "model".as_ref()));
    name.push(format!(".{purpose}-{}", std::process::id()));
    target.with_file_name(name)
}

fn remove(folder: &Path) -> Result<(), ImportError> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(ImportError::io(folder, e)),
        _ => Ok(()),
    }
}

/// The manifest with `w_avg` in rows of eight; block style would give each value its own line.
fn manifest_text(manifest: &Manifest) -> Result<String, serde_yaml::Error> {
    let head = Manifest {
        format: FORMAT,
        w_avg: Vec::new(),
        ..manifest.clone()
    };
    let mut text = serde_yaml::to_string(&head)?;
    let empty = "w_avg: []\n";
    if !text.ends_with(empty) {
        return serde_yaml::to_string(manifest);
    }
    text.truncate(text.len() - empty.len());
    text.push_str("w_avg: [\n");
    for row in manifest.w_avg.chunks(8) {
        let row: Vec<String> = row.iter().map(|v| format!("{v:?}")).collect();
        text.push_str(&format!("  {},\n", row.join(", ")));
    }
    text.push_str("]\n");
    Ok(text)
}

/// SHA-256 of a file, read piece by piece.
///
/// # Errors
/// When it cannot be read.
pub(super) fn sha256_of_file(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
