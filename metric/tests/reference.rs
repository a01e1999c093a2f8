//! A network that PyTorch runs gives the same embeddings here.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use bendwave_metric::{FileError, Network, Range, Scratch};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/metric")
        .join(name)
}

fn values(file: &[u8], name: &str) -> Vec<f32> {
    let tensors = SafeTensors::deserialize(file).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    let numbers = tensor.data().chunks_exact(4);
    numbers
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// Largest difference to PyTorch's embeddings.
fn difference(network: &Network) -> f32 {
    let file = std::fs::read(fixture("maps.safetensors")).unwrap();
    let (maps, wanted) = (values(&file, "maps"), values(&file, "embeddings"));
    let mut found = vec![f32::NAN; wanted.len()];
    network.embed(&maps, &mut found, &mut Scratch::default());
    let pairs = found.iter().zip(&wanted);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn embeddings_are_those_of_pytorch() {
    let (network, info) = Network::load(&fixture("network.safetensors")).unwrap();
    assert_eq!((network.side(), info.range), (16, Range::Standard));
    // PyTorch ran with 64 bits.
    assert!(difference(&network) < 2e-5, "{}", difference(&network));

    // A convolution's weights off by a hundredth are seen.
    let mut parts = network.parts().clone();
    parts.units[1].0.iter_mut().for_each(|w| *w *= 1.01);
    let off = difference(&Network::new(parts).unwrap());
    assert!(off > 2e-4, "{off}");
}

#[test]
fn files_are_read_as_written_and_bad_ones_are_named() {
    let (network, mut info) = Network::load(&fixture("network.safetensors")).unwrap();
    info.notes.insert("accuracy".to_owned(), "0.5".to_owned());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("layer.safetensors");
    network.save(&path, &info).unwrap();
    let (again, found) = Network::load(&path).unwrap();
    assert_eq!((again.parts(), &found), (network.parts(), &info));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);

    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 7, 300, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let error = Network::load(&path).unwrap_err().to_string();
        assert!(
            error.contains("layer.safetensors: not a trained network"),
            "{error}"
        );
    }
    let mut parts = network.parts().clone();
    parts.units[0].1[2].variance[3] = -1.0;
    assert!(Network::new(parts).is_none());
    let mut parts = network.parts().clone();
    parts.neck.pop();
    assert!(Network::new(parts).is_none());
    let gone = Network::load(&dir.path().join("none"));
    assert!(matches!(gone, Err(FileError::Io { .. })));
}
