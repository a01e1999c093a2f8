//! What an import leaves behind.

use super::{fixture, given, import, load};
use bendwave::generator::Runtime;
use bendwave::generator::manifest::{MANIFEST_FILE, Manifest, Precision};
use bendwave::import::{ImportError, ImportOptions};
use std::fs;
use std::path::Path;
use xtask::random_checkpoint::{self, Shapes};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn number_types_and_strides_do_not_matter() {
    let parent = tempfile::tempdir().unwrap();
    let plain = import(&fixture("tiny.pt"), &parent.path().join("plain")).manifest;
    let mixed = import(&fixture("tiny-mixed.pt"), &parent.path().join("mixed")).manifest;
    let expected = Manifest {
        provenance: mixed.provenance.clone(),
        ..plain.clone()
    };
    assert_eq!(mixed, expected);

    let legacy = parent.path().join("legacy");
    let legacy = import(&fixture("tiny-trained-legacy.pt"), &legacy).manifest;
    assert_eq!(legacy.layers, plain.layers);
    assert_eq!(legacy.mapping_network, plain.mapping_network);
}

#[test]
fn the_manifest_says_what_was_imported() {
    let folder = tempfile::tempdir().unwrap();
    let report = import(&fixture("tiny.pt"), folder.path());
    let text = fs::read_to_string(folder.path().join(MANIFEST_FILE)).unwrap();
    let manifest: Manifest = serde_yaml::from_str(&text).unwrap();
    assert_eq!(manifest, report.manifest);
    assert_eq!((manifest.resolution, manifest.z_dim), (32, 32));
    let layers: Vec<(usize, usize)> = manifest
        .layers
        .iter()
        .map(|l| (l.resolution, l.channels))
        .collect();
    let expected = [
        (4, 16),
        (8, 12),
        (8, 12),
        (16, 14),
        (16, 14),
        (32, 8),
        (32, 8),
    ];
    assert_eq!(layers, expected);
    assert_eq!(manifest.provenance.source, "tiny.pt");
    assert!(text.lines().count() < 80, "mean w is in rows:\n{text}");
}

#[test]
fn the_same_file_gives_the_same_bytes_and_a_seed_other_noise() {
    let parent = tempfile::tempdir().unwrap();
    let with_seed = |name: &str, seed| {
        bendwave::import::import(
            &fixture("tiny-trained-legacy.pt"),
            &parent.path().join(name),
            ImportOptions {
                seed,
                ..Default::default()
            },
        )
        .unwrap()
        .manifest
    };
    let first = with_seed("a", 5);
    assert_eq!(first, with_seed("b", 5));
    let other = with_seed("c", 6);
    assert_ne!(first.noise, other.noise);
    assert_ne!(first.w_avg, other.w_avg);
    assert_eq!(first.layers, other.layers);
}

#[test]
fn only_an_earlier_model_is_replaced() {
    let parent = tempfile::tempdir().unwrap();
    let out = parent.path().join("deep/model");
    import(&fixture("tiny.pt"), &out);
    fs::write(out.join("clusters.yaml"), "mine").unwrap();
    fs::write(out.join("segment_99.onnx"), "left over").unwrap();
    import(&fixture("tiny-mixed.pt"), &out);
    assert_eq!(
        fs::read_to_string(out.join("clusters.yaml")).unwrap(),
        "mine"
    );
    assert!(!out.join("segment_99.onnx").exists());
    load(&out);

    // A failed import leaves the earlier model, and nothing beside it.
    let before = fs::read(out.join(MANIFEST_FILE)).unwrap();
    bendwave::import::import(&fixture("clusters.yaml"), &out, Default::default()).unwrap_err();
    assert_eq!(fs::read(out.join(MANIFEST_FILE)).unwrap(), before);
    assert_eq!(names(&parent.path().join("deep")), ["model"]);

    let home = parent.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("thesis.txt"), "years of work").unwrap();
    for taken in [&home, &home.join("thesis.txt")] {
        let error = bendwave::import::import(&fixture("tiny.pt"), taken, Default::default());
        assert!(
            matches!(error, Err(ImportError::OutInUse { .. })),
            "{error:?}"
        );
    }
    assert_eq!(names(&home), ["thesis.txt"]);
    let empty = parent.path().join("empty");
    fs::create_dir(&empty).unwrap();
    import(&fixture("tiny.pt"), &empty);
    assert_eq!(names(parent.path()), ["deep", "empty", "home"]);
}

#[test]
fn random_checkpoints_of_any_shape_load() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("random.pt");
    for (channels, w_dim, mapping_layers) in [(vec![5, 3], 7, 1), (vec![16, 8, 24, 4], 20, 8)] {
        let shapes = Shapes {
            channels,
            w_dim,
            mapping_layers,
        };
        random_checkpoint::write(&shapes.tensors(), 3, &file).unwrap();
        let out = folder.path().join("model");
        let report = import(&file, &out);
        let gap = report.manifest.flop_per_frame() / shapes.flop_per_frame() - 1.0;
        assert!(gap.abs() < 1e-9, "two counts of the same work");
        let mut net = load(&out);
        let w = net.map(&vec![0.5; w_dim]).unwrap().to_vec();
        let styles = w.repeat(net.latents());
        let image = net.synthesize(&styles, &mut |_, _| {}).unwrap();
        assert_eq!(image.len(), 3 * report.manifest.resolution.pow(2));
        assert!(image.iter().all(|v| v.is_finite()));
    }
}

#[test]
fn an_import_is_checked_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    for (file, precision, least) in [
        (fixture("tiny.pt"), Precision::F32, 0.0),
        (given("ada-p2.pkl"), Precision::F32, 0.0),
        (given("conditional-p3.pkl"), Precision::F32, 0.0),
        (given("ada-p4.pkl"), Precision::F16, 1e-5),
    ] {
        let options = ImportOptions {
            precision,
            verify: Some(Runtime::load(None).unwrap()),
            contact: true,
            ..ImportOptions::default()
        };
        let out = folder.path().join("model");
        let report = bendwave::import::import(&file, &out, options).unwrap();
        let check = report.manifest.verification.unwrap();
        println!("{}: {check:?}", file.display());
        let most = if precision == Precision::F16 {
            1e-2
        } else {
            1e-5
        };
        assert!((least..most).contains(&check.picture_error), "{check:?}");
        assert!(check.worst_layer_error <= most, "{check:?}");
        assert!(check.bytes > 50_000 && check.secs > 0.0, "{check:?}");
        let text = fs::read_to_string(out.join("model.yaml")).unwrap();
        assert!(text.contains("picture_error"), "{text}");
        let png = fs::read(out.join("contact.png")).unwrap();
        // 4 by 4 pictures of 32 pixels.
        assert_eq!(png[16..24], [0, 0, 0, 128, 0, 0, 0, 128]);
    }
}

#[test]
fn a_model_folder_is_copied_unchanged() {
    let parent = tempfile::tempdir().unwrap();
    let (first, second) = (parent.path().join("a"), parent.path().join("b"));
    import(&given("conditional-p3.pkl"), &first);
    let report = import(&first, &second);
    assert_eq!(report.manifest.classes, 3);
    assert_eq!(names(&first), names(&second));
    for name in names(&first) {
        assert_eq!(
            fs::read(first.join(&name)).unwrap(),
            fs::read(second.join(&name)).unwrap(),
            "{name}"
        );
    }
    let half = ImportOptions {
        precision: Precision::F16,
        ..ImportOptions::default()
    };
    let error = bendwave::import::import(&first, &second, half).unwrap_err();
    assert!(error.to_string().contains("--half"), "{error}");
    // A damaged folder is not passed on.
    fs::write(first.join("to_rgb.onnx"), "x").unwrap();
    let out = parent.path().join("c");
    let error = bendwave::import::import(&first, &out, Default::default()).unwrap_err();
    assert!(error.to_string().contains("to_rgb.onnx"), "{error}");
    assert!(!out.exists());
}
