//! Files that are no usable checkpoint: each has a typed error, soon, and leaves nothing behind.

use super::{fixture, given};
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
        (
            b"\x40\x00\x00\x00\x00\x00\x00\x00{\"__meta",
            "a damaged safetensors file",
        ),
        (b"\x80\x02K\x05.", "a saved object that is no dict"),
        (b"\x00\x01\x02\x03", "no file of torch.save"),
        (&zipped(b"\x80\x02}."), "an empty dict"),
        (
            &zipped(b"\x80\x02}X\x03\x00\x00\x00abcK\x01s."),
            "it holds `abc`",
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

/// What the fuzzer kept: each takes another way through the readers.
#[test]
fn the_fuzzers_files_end_with_a_network_or_an_error() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let folder = tempfile::tempdir().unwrap();
    let (mut networks, mut refused) = (0, 0);
    for entry in fs::read_dir(corpus).unwrap() {
        let out = folder.path().join("out");
        match bendwave::import::import(&entry.unwrap().path(), &out, Default::default()) {
            Ok(_) => {
                networks += 1;
                fs::remove_dir_all(&out).unwrap();
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    assert!(networks > 5 && refused > 100, "{networks}, {refused}");
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

/// Pickles that want more than data. Each in a file of its own and inside a zip.
#[test]
fn attacks_are_refused_by_name() {
    let nested = |code: &[u8]| {
        // A persistent object whose state is the attack.
        let mut p = b"\x80\x04ctorch_utils.persistence\n_reconstruct_persistent_obj\n}(".to_vec();
        p.extend(b"\x8c\x0aclass_name\x8c\x09Generator\x8c\x05state");
        p.extend(code);
        p.extend(b"u\x85R.");
        p
    };
    let eval: &[u8] = b"cbuiltins\neval\nX\x04\x00\x00\x001+1\n\x85R";
    for (pickle, part) in [
        (
            &b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R."[..],
            "`os.system`",
        ),
        (
            b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x01x\x85R.",
            "`builtins.exec`",
        ),
        (b"\x80\x02cbuiltins\neval\n.", "`builtins.eval`"),
        (b"\x80\x02ctorch\nload\n.", "`torch.load`"),
        (b"\x80\x02csubprocess\nPopen\n.", "`subprocess.Popen`"),
        (b"\x80\x02cnumpy\nload\n.", "`numpy.load`"),
        (
            b"\x80\x02ctorch_utils.persistence\nimport_hook\n.",
            "`torch_utils.persistence.import_hook`",
        ),
        (&nested(eval), "`builtins.eval`"),
    ] {
        for bytes in [pickle.to_vec(), zipped(pickle)] {
            let error = refuse_bytes(&bytes).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}

/// The files inside NVIDIA's pickles are read with the same list.
#[test]
fn code_in_a_nested_file_is_refused() {
    let mut bytes = fs::read(given("conditional-p3.pkl")).unwrap();
    let class = b"ctorch\nFloatStorage\n";
    let at = bytes
        .windows(class.len())
        .rposition(|w| w == class)
        .unwrap();
    bytes[at..at + class.len()].copy_from_slice(b"cos\nsystem_________\n");
    let error = refuse_bytes(&bytes).to_string();
    assert!(error.contains("`os.system_________`"), "{error}");
}

#[test]
fn sizes_without_their_bytes_are_refused() {
    // A tensor of 2^60 bytes: in torch's zip, and in NVIDIA's nested file.
    let mut huge = b"\x80\x02}X\x05\x00\x00\x00g_ema}(X\x0b\x00\x00\x00input.input".to_vec();
    let tensor = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n\
        X\x01\x00\x00\x000X\x03\x00\x00\x00cpu\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x04tQK\x00(K\x01\x8a\x08\x00\x00\x00\x00\x00\x00@\x00\
        K\x04K\x04t(K\x01K\x01K\x01K\x01t\x89}tR";
    huge.extend(tensor);
    huge.extend(b"X\x11\x00\x00\x00conv1.conv.weight");
    huge.extend(tensor);
    huge.extend(b"X\x0e\x00\x00\x00style.1.weight");
    huge.extend(tensor);
    huge.extend(b"us.");
    let error = refuse_bytes(&zipped(&huge)).to_string();
    assert!(error.contains("style.1.weight"), "{error}");
    // Bytes, texts and long integers that claim 2^60 bytes; a zip that is cut in the middle.
    for head in [&b"\x80\x04\x8e"[..], b"\x80\x04\x8d", b"\x80\x04\x96"] {
        let mut bytes = head.to_vec();
        bytes.extend((1_u64 << 60).to_le_bytes());
        bytes.extend([0; 100]);
        refuse_bytes(&bytes);
        refuse_bytes(&zipped(&bytes));
    }
    let whole = zipped(&huge);
    let error = refuse_bytes(&whole[..whole.len() - 30]);
    assert!(matches!(error, ImportError::Zip { .. }), "{error}");
    // A dict, and modules, that hold themselves; a list of a million lists.
    refuse_bytes(b"\x80\x02}q\x00X\x05\x00\x00\x00g_emah\x00s.");
    let mut own = b"\x80\x04}q\x00(\x8c\x0aclass_name\x8c\x01G\x8c\x05state}q\x01u".to_vec();
    own.extend(b"0ctorch_utils.persistence\n_reconstruct_persistent_obj\nh\x00\x85Rq\x02");
    own.extend(b"0h\x01\x8c\x08_modules}q\x03s0h\x03\x8c\x01ah\x02s0h\x02.");
    let error = refuse_bytes(&own).to_string();
    assert!(error.contains("nested without end"), "{error}");
    let mut deep = vec![b']'; 1_000_000];
    deep.splice(0..0, *b"\x80\x02");
    deep.extend(vec![b'a'; 999_999]);
    deep.push(b'.');
    refuse_bytes(&deep);
}

#[test]
fn cut_off_files_are_refused_at_every_length() {
    for path in [
        fixture("tiny.pt"),
        fixture("tiny-trained-legacy.pt"),
        given("ada-p4.pkl"),
        given("ada-p2.pkl"),
        given("ada.safetensors"),
    ] {
        let whole = fs::read(path).unwrap();
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
    for path in [
        fixture("tiny.pt"),
        fixture("tiny-trained-legacy.pt"),
        given("ada-p4.pkl"),
        given("ada-p2.pkl"),
        given("rosinality.safetensors"),
    ] {
        let whole = fs::read(path).unwrap();
        let mut refused = 0;
        for _ in 0..100 {
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
        assert!(refused > 20, "only {refused} refused");
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
        ("synthesis.b4.const", "damaged StyleGAN2 generator"),
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
