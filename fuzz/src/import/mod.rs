//! The program's readers, by their files, and what they need around them.

#[path = "../../../src/import/checkpoint.rs"]
mod checkpoint;
#[path = "../../../src/import/layout.rs"]
mod layout;
#[path = "../../../src/import/nested.rs"]
mod nested;
#[path = "../../../src/import/network.rs"]
mod network;
#[path = "../../../src/import/nvidia.rs"]
mod nvidia;
#[path = "../../../src/import/pickle/mod.rs"]
mod pickle;
#[path = "../../../src/import/rosinality.rs"]
mod rosinality;
#[path = "../../../src/import/safetensors.rs"]
mod safetensors;
#[path = "../../../src/import/state.rs"]
mod state;

use std::io::Cursor;
use std::path::Path;

/// What the readers need of the program's error.
#[derive(Debug)]
pub enum ImportError {
    Io(std::io::Error),
    Pickle {
        path: std::path::PathBuf,
        source: pickle::PickleError,
    },
    Zip {
        path: std::path::PathBuf,
        source: zip::result::ZipError,
    },
    Text(String),
}

impl ImportError {
    pub fn io(_path: &Path, source: std::io::Error) -> Self {
        Self::Io(source)
    }

    pub fn not_a_generator(_path: &Path, seems: impl Into<String>) -> Self {
        Self::Text(seems.into())
    }

    pub fn tensor(_path: &Path, tensor: &str, problem: String) -> Self {
        Self::Text(format!("{tensor} {problem}"))
    }
}

/// Reads whatever the bytes are.
pub fn read(bytes: &[u8]) {
    let file = Box::new(Cursor::new(bytes.to_vec()));
    if let Ok(mut opened) = checkpoint::Checkpoint::from_source(Path::new("-"), file) {
        drop(layout::read(&mut opened));
    }
}
