//! NVIDIA's layout, safetensors, classes and wide pictures against `tests/fixtures/import/generate.py`.
//!
//! The reference is float64 in another form of the equations. The issue asks for 1e-4 of the range;
//! measured at most 4.4e-7 in f32 and 5.4e-4 with 16-bit convolutions.

use super::pictures::picture;
use super::{given, load, relative_error};
use bendwave::generator::manifest::Precision;
use bendwave::generator::{
    Generator, NoiseMode, Provider, ProviderChoice, RunOptions, Runtime, npy,
};
use bendwave::import::{self, ImportError, ImportOptions};

const TOLERANCE: f32 = 1e-4;
/// Of 16-bit convolutions: 11 bits in each of 7 layers.
const HALF_TOLERANCE: f32 = 3e-3;

fn reference(name: &str) -> Vec<f32> {
    npy::read_from_npz(&given("reference.npz"), name)
        .unwrap()
        .data
}

fn imported(name: &str, options: ImportOptions<'_>) -> (tempfile::TempDir, Generator) {
    let folder = tempfile::tempdir().unwrap();
    import::import(&given(name), folder.path(), options).unwrap();
    let generator = load(folder.path());
    (folder, generator)
}

/// The worst error of the four pictures of a network, and of its w.
fn worst_error(net: &mut Generator, prefix: &str) -> f32 {
    let w = net.map(&reference("z")).unwrap().to_vec();
    let mut worst = relative_error(&w, &reference(&format!("{prefix}_w")));
    for (noise, mode) in [("none", NoiseMode::None), ("const", NoiseMode::Const)] {
        for (name, truncation) in [("1", 1.0), ("05", 0.5)] {
            let got = picture(net, &w, truncation, mode);
            let expected = reference(&format!("{prefix}_noise_{noise}_trunc_{name}"));
            let error = relative_error(&got, &expected);
            println!("| {prefix} | {noise} | {truncation} | {error:.1e} |");
            worst = worst.max(error);
        }
    }
    worst
}

#[test]
fn pickles_of_every_protocol_match_an_independent_implementation() {
    for name in ["ada-p4.pkl", "ada-p2.pkl"] {
        let (_folder, mut net) = imported(name, ImportOptions::default());
        assert_eq!(net.manifest().provenance.layout, "nvidia");
        assert_eq!((net.manifest().z_dim, net.manifest().w_dim), (12, 16));
        let error = worst_error(&mut net, "ada");
        assert!(error <= TOLERANCE, "{name}: {error}");
    }
    // The clamp was read from the layers: without it the pictures are others.
    let apart = relative_error(
        &reference("unclamped_noise_const_trunc_1"),
        &reference("ada_noise_const_trunc_1"),
    );
    assert!(apart > 0.1);
}

/// The comparison can fail: two slips that a port easily makes.
#[test]
fn a_wrong_network_does_not_match() {
    let (_folder, mut net) = imported("ada-p4.pkl", ImportOptions::default());
    let w = reference("ada_w");
    let got = picture(&mut net, &w, 1.0, NoiseMode::Const);
    for slip in ["unflipped", "wrong_gain"] {
        let error = relative_error(&got, &reference(slip));
        assert!(error > 0.01, "{slip}: {error}");
    }
}

#[test]
fn a_class_is_chosen_when_playing_or_fixed_at_import() {
    let (folder, mut net) = imported("conditional-p3.pkl", ImportOptions::default());
    assert_eq!(net.manifest().classes, 3);
    for class in [2, 0, 1] {
        net.set_class(class).unwrap();
        let error = worst_error(&mut net, &format!("class{class}"));
        assert!(error <= TOLERANCE, "class {class}: {error}");
    }
    let error = net.set_class(3).unwrap_err();
    assert!(error.to_string().contains("0 to 2"), "{error}");
    let choice = ProviderChoice::Only(Provider::Cpu);
    let at_load = |class| {
        let options = RunOptions {
            class,
            ..RunOptions::default()
        };
        Generator::load_with(folder.path(), Runtime::load(None).unwrap(), choice, options)
    };
    for (class, prefix) in [(None, "class0"), (Some(2), "class2")] {
        let mut net = at_load(class).unwrap();
        let w = net.map(&reference("z")).unwrap().to_vec();
        assert!(relative_error(&w, &reference(&format!("{prefix}_w"))) <= TOLERANCE);
    }
    assert!(at_load(Some(3)).is_err());

    let fixed = ImportOptions {
        class: Some(1),
        ..ImportOptions::default()
    };
    let (_folder, mut net) = imported("conditional-p3.pkl", fixed);
    assert_eq!(net.manifest().classes, 0);
    assert_eq!(net.manifest().provenance.class, Some(1));
    let error = worst_error(&mut net, "class1");
    assert!(error <= TOLERANCE, "{error}");
    assert!(net.set_class(0).is_err());

    let folder = tempfile::tempdir().unwrap();
    for (file, class, part) in [
        ("conditional-p3.pkl", 3, "0 to 2"),
        ("ada-p4.pkl", 0, "no classes"),
    ] {
        let options = ImportOptions {
            class: Some(class),
            ..ImportOptions::default()
        };
        let error = import::import(&given(file), &folder.path().join("x"), options);
        let error = error.unwrap_err();
        assert!(matches!(error, ImportError::Class { .. }));
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn safetensors_with_either_naming_load() {
    let folder = tempfile::tempdir().unwrap();
    let report = super::import(&given("ada.safetensors"), folder.path());
    // What a state dict cannot say.
    assert!(report.notes[0].contains("clamped"), "{:?}", report.notes);
    let error = worst_error(&mut load(folder.path()), "unclamped");
    assert!(error <= TOLERANCE, "{error}");

    let (from_pt, from_safetensors) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pt = super::import(&super::fixture("tiny.pt"), from_pt.path());
    let same = super::import(&given("rosinality.safetensors"), from_safetensors.path());
    assert_eq!(pt.manifest.layers, same.manifest.layers);
    assert_eq!(pt.manifest.noise, same.manifest.noise);
    assert_eq!(pt.manifest.w_avg, same.manifest.w_avg);
}

#[test]
fn half_precision_stays_near() {
    let half = ImportOptions {
        precision: Precision::F16,
        ..ImportOptions::default()
    };
    let (folder, mut net) = imported("ada-p4.pkl", half);
    let error = worst_error(&mut net, "ada");
    assert!(error <= HALF_TOLERANCE, "{error}");
    assert!(error > 1e-5, "nothing is rounded: {error}");
    let (whole, _) = imported("ada-p4.pkl", ImportOptions::default());
    let size = |folder: &tempfile::TempDir| {
        std::fs::metadata(folder.path().join("segment_01.onnx"))
            .unwrap()
            .len()
    };
    assert!(size(&folder) < size(&whole));
}

/// Weights and styles far beyond what 16 bits hold: the normalisation takes them out.
#[test]
fn half_precision_does_not_overflow() {
    // Same pictures: demodulation makes a layer's weights' scale irrelevant.
    let mut bytes = std::fs::read(given("ada.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let json: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    for (name, factor) in [
        ("synthesis.b8.conv1.weight", 1e5),
        ("synthesis.b16.conv0.affine.weight", 1e5),
        ("synthesis.b16.conv0.affine.bias", 1e5),
    ] {
        let offsets = &json[name]["data_offsets"];
        let at = |i: usize| 8 + header + offsets[i].as_u64().unwrap() as usize;
        for value in bytes[at(0)..at(1)].chunks_exact_mut(4) {
            let scaled = factor * f32::from_le_bytes((&*value).try_into().unwrap());
            value.copy_from_slice(&scaled.to_le_bytes());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.safetensors");
    std::fs::write(&file, bytes).unwrap();
    let out = folder.path().join("model");
    let half = ImportOptions {
        precision: Precision::F16,
        ..ImportOptions::default()
    };
    import::import(&file, &out, half).unwrap();
    let error = worst_error(&mut load(&out), "unclamped");
    assert!(error <= HALF_TOLERANCE, "{error}");
}

#[test]
fn wide_and_high_pictures_start_from_a_larger_constant() {
    let (folder, _) = imported("ada-p4.pkl", ImportOptions::default());
    for (aspect, name, [height, width]) in [
        ("16:9", "wide_stretch", [32, 56]),
        ("16:9/tile", "wide_tile", [32, 56]),
        ("9:16", "high_stretch", [56, 32]),
    ] {
        let options = RunOptions {
            aspect: aspect.parse().unwrap(),
            ..RunOptions::default()
        };
        let runtime = Runtime::load(None).unwrap();
        let choice = ProviderChoice::Only(Provider::Cpu);
        let mut net = Generator::load_with(folder.path(), runtime, choice, options).unwrap();
        let shape = net.image_shape();
        assert_eq!([shape.height, shape.width], [height, width]);
        let got = picture(&mut net, &reference("ada_w"), 1.0, NoiseMode::Const);
        let error = relative_error(&got, &reference(name));
        assert!(error <= TOLERANCE, "{aspect}: {error}");
    }
    let apart = relative_error(&reference("wide_stretch"), &reference("wide_tile"));
    assert!(apart > 0.1);
}

#[test]
fn networks_of_other_kinds_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for (file, part) in [
        ("stylegan3.pkl", "StyleGAN3"),
        ("discriminator.pkl", "discriminator"),
        ("tensorflow.pkl", "legacy.py --source"),
        ("resnet.pkl", "`resnet`"),
    ] {
        let error = import::import(
            &given(file),
            &folder.path().join("out"),
            ImportOptions::default(),
        )
        .unwrap_err();
        assert!(
            matches!(error, ImportError::NotAGenerator { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn latents_of_every_tool_give_their_picture() {
    let (folder, mut net) = imported("ada-p4.pkl", ImportOptions::default());
    let manifest = net.manifest().clone();
    let expected = reference("latent_picture");
    let own = folder.path().join("own.npz");
    let mut saved = import::read_latent(&given("projected.pt"), &manifest).unwrap();
    import::write_latent(&own, &saved, manifest.w_dim).unwrap();
    for file in [given("projected.pt"), given("bending.pt"), own] {
        let latent = import::read_latent(&file, &manifest).unwrap();
        assert_eq!(latent.styles, reference("latent_w"));
        net.set_const_noise(latent.noise.unwrap()).unwrap();
        net.set_noise(NoiseMode::Const, 0);
        let got = net.synthesize(&latent.styles, &mut |_, _| {}).unwrap();
        let error = relative_error(got, &expected);
        assert!(error <= TOLERANCE, "{}: {error}", file.display());
    }
    // Without noise in the file there is none in what is read.
    saved.noise = None;
    let plain = folder.path().join("plain.npz");
    import::write_latent(&plain, &saved, manifest.w_dim).unwrap();
    assert_eq!(import::read_latent(&plain, &manifest).unwrap(), saved);
    for (file, part) in [
        (given("ada-p4.pkl"), "holds no latent"),
        (super::fixture("tiny.pt"), "holds no latent"),
        (given("reference.npz"), "`w`"),
        (given("ada.safetensors"), ".npy or .npz"),
    ] {
        let error = import::read_latent(&file, &manifest).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let tiny = tempfile::tempdir().unwrap();
    let other = super::import(&super::fixture("tiny.pt"), tiny.path()).manifest;
    let error = import::read_latent(&given("projected.pt"), &other).unwrap_err();
    assert!(error.to_string().contains("[8, 16]"), "{error}");
}
