//! Files that are no usable checkpoint: each has a typed error, soon, and leaves nothing behind.

use super::fixture;
use bendwave::import::{ImportError, PickleError};
use bendwave::tensor::split_mix;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use xtask::random_checkpoint::{self, Fill, Shapes, Tensor};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn refuse(checkpoint: &Path) -> ImportError {
    let parent = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let result =
        bendwave::import::import(checkpoint, &parent.path().join("out"), Default::default());
    assert!(started.elapsed() < Duration::from_secs(30));
    let error = result.unwrap_err();
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    error
}

fn refuse_bytes(bytes: &[u8]) -> ImportError {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    refuse(file.path())
}

/// A zip of `torch.save` with this pickle.
fn zipped(pickle: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    zip.start_file("x/data.pkl", options).unwrap();
    zip.write_all(pickle).unwrap();
    zip.finish().unwrap().into_inner()
}

#[test]
fn other_files_are_told_apart() {
    for (bytes, part) in [
        (&b""[..], "an empty file"),
        (b"hello, world", "a text file"),
        (b"\x89PNG\r\n\x1a\n........", "a picture"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': ", "a NumPy array"),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00{\"__meta", "safetensors"),
        (b"\x80\x02K\x05.", "a Python pickle"),
        (
            b"\x00\x01\x02\x03",
            "something that torch.save did not write",
        ),
        (&zipped(b"\x80\x02}."), "an empty dict"),
        (
            &zipped(b"\x80\x02}X\x03\x00\x00\x00abcK\x01s."),
            "it holds `abc`",
        ),
        (
            b"\x80\x04ctorch_utils.persistence\n_reconstruct_persistent_obj\n.",
            "an NVIDIA network pickle",
        ),
        (b"\x80\x03cdnnlib.tflib.network\nNetwork\n.", "TensorFlow"),
    ] {
        let error = refuse_bytes(bytes);
        assert!(matches!(error, ImportError::NotAGenerator { .. }));
        assert!(error.to_string().contains(part), "{error}");
    }
    let missing = refuse(Path::new("/no/such/file.pt"));
    assert!(matches!(missing, ImportError::Io { .. }));
    assert!(missing.to_string().contains("/no/such/file.pt"));
}

#[test]
fn code_in_a_file_is_named_and_not_run() {
    let marker = std::env::temp_dir().join(format!("bendwave-{}", std::process::id()));
    let attack = format!(
        "\u{80}cposix\nsystem\n(X\x00\x00\x00\x00touch {}tR.",
        marker.display()
    );
    let mut attack: Vec<u8> = attack.chars().map(|c| c as u8).collect();
    attack.insert(1, 2);
    let error = refuse_bytes(&zipped(&attack));
    assert!(
        matches!(&error, ImportError::Pickle { source: PickleError::Refused { module, name }, .. }
            if module == "posix" && name == "system"),
        "{error}"
    );
    assert!(error.to_string().contains("posix.system"));
    assert!(!marker.exists());
}

#[test]
fn cut_off_files_are_refused_at_every_length() {
    for name in ["tiny.pt", "tiny-trained-legacy.pt"] {
        let whole = fs::read(fixture(name)).unwrap();
        for part in 0..50 {
            refuse_bytes(&whole[..whole.len() * part / 50]);
        }
        refuse_bytes(&whole[..whole.len() - 1]);
    }
}

/// Whatever a byte becomes, the import ends with a folder or an error, soon, and never panics.
#[test]
fn damaged_files_never_panic() {
    let mut state = 7;
    for name in ["tiny.pt", "tiny-trained-legacy.pt"] {
        let whole = fs::read(fixture(name)).unwrap();
        let mut refused = 0;
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..4 {
                let at = split_mix(&mut state) as usize;
                // Half of the damage goes to the head, where the pickle is.
                let span = if at.is_multiple_of(2) {
                    8000
                } else {
                    bytes.len()
                };
                let len = bytes.len();
                bytes[(at / 2) % span.min(len)] = split_mix(&mut state) as u8;
            }
            let parent = tempfile::tempdir().unwrap();
            let file = parent.path().join("damaged.pt");
            fs::write(&file, bytes).unwrap();
            let started = Instant::now();
            let out = parent.path().join("out");
            let result = bendwave::import::import(&file, &out, Default::default());
            assert!(started.elapsed() < Duration::from_secs(30));
            assert_eq!(result.is_ok(), out.exists());
            refused += usize::from(result.is_err());
        }
        assert!(refused > 20, "{name}: only {refused} refused");
    }
}

fn tiny() -> Vec<Tensor> {
    Shapes {
        channels: vec![4, 6, 3],
        w_dim: 5,
        mapping_layers: 2,
    }
    .tensors()
}

/// The error of a network with one tensor changed.
fn changed(name: &str, change: impl FnOnce(&mut Vec<Tensor>, usize)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("changed.pt");
    let mut tensors = tiny();
    let at = tensors.iter().position(|t| t.name == name).unwrap();
    change(&mut tensors, at);
    random_checkpoint::write(&tensors, 1, &file).unwrap();
    refuse(&file).to_string()
}

#[test]
fn every_missing_or_misshapen_tensor_is_named() {
    for Tensor { name, .. } in tiny() {
        let shape = changed(&name, |all, at| {
            all[at].shape.push(2);
            all[at].fill = Some(Fill {
                mean: 0.0,
                deviation: 1.0,
            });
        });
        assert!(shape.contains(&name), "{name}: {shape}");

        // Kernels are known.
        if !name.ends_with("kernel") {
            let missing = changed(&name, |all, at| drop(all.remove(at)));
            // Without the weight that shows the depth, what is left of the layer is named.
            let layer = name
                .trim_end_matches("conv.weight")
                .trim_end_matches("weight");
            let told = missing.contains(layer) || missing.contains("`input.input` or");
            assert!(told, "{name}: {missing}");
        }

        if !name.ends_with("kernel") {
            let not_finite = changed(&name, |all, at| {
                all[at].fill = Some(Fill {
                    mean: f32::NAN,
                    deviation: 0.0,
                });
            });
            assert!(not_finite.contains(&name) && not_finite.contains("finite"));
        }
    }
}

#[test]
fn related_networks_are_told_apart() {
    let swagan = changed("to_rgb1.conv.weight", |all, at| all[at].shape[1] = 12);
    assert!(swagan.contains("SWAGAN"), "{swagan}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.pt");
    for (name, part) in [
        ("final_linear.0.weight", "discriminator"),
        ("model.diffusion_model.out.2.bias", "diffusion"),
        ("synthesis.b4.const", "NVIDIA"),
        ("layer1.0.conv1.weight", "another network"),
    ] {
        let tensor = Tensor {
            name: name.to_owned(),
            shape: vec![4, 4],
            fill: None,
        };
        random_checkpoint::write(&[tensor], 1, &file).unwrap();
        let error = refuse(&file).to_string();
        assert!(error.contains(part), "{name}: {error}");
    }
}
