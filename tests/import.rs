//! Checkpoints to model folders.

mod nvidia;
mod pictures;
mod refusals;
mod writing;

use bendwave::generator::{Generator, Provider, ProviderChoice, Runtime, npy};
use std::path::{Path, PathBuf};

/// A file of `tests/fixtures/generator`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/generator")
        .join(name)
}

/// A file of `tests/fixtures/import`.
fn given(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/import")
        .join(name)
}

fn import(checkpoint: &Path, out: &Path) -> bendwave::import::ImportReport {
    bendwave::import::import(checkpoint, out, Default::default()).unwrap()
}

fn load(folder: &Path) -> Generator {
    let runtime = Runtime::load(None).unwrap();
    Generator::load(folder, runtime, ProviderChoice::Only(Provider::Cpu)).unwrap()
}

/// An array of a reference file: values of each picture or latent.
fn reference(file: &Path, name: &str) -> Vec<Vec<f32>> {
    let array = npy::read_from_npz(file, name).unwrap();
    let count = if array.shape.len() > 1 {
        array.shape[0]
    } else {
        1
    };
    let each = array.data.len() / count;
    array.data.chunks(each).map(<[f32]>::to_vec).collect()
}

/// Largest difference over the range of `expected`.
fn relative_error(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    let fold = |f: fn(f32, f32) -> f32, start| expected.iter().copied().fold(start, f);
    let range = fold(f32::max, f32::MIN) - fold(f32::min, f32::MAX);
    let worst = got
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(got.iter().all(|v| v.is_finite()));
    worst / range
}
