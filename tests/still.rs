//! `bendwave still` against reference pictures of an independent implementation.

use crate::support::program::{bendwave, fixture, succeed, text, tiny_model};
use bendwave::generator::npy::{self, Array};
use std::path::Path;

/// Largest difference that float32 in another order of operations may make, as a share of the
/// picture's range. Measured: about 1e-6 plain, 1e-5 behind warps of feature maps.
const TOLERANCE: f32 = 1e-4;

fn reference(name: &str) -> Array {
    npy::read_from_npz(&fixture("generator/tiny-reference.npz"), name).unwrap()
}

/// Difference as a share of the range of `wanted`.
fn difference(got: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(got.len(), wanted.len());
    let (low, high) = wanted
        .iter()
        .fold((f32::MAX, f32::MIN), |(l, h), &x| (l.min(x), h.max(x)));
    let worst = got
        .iter()
        .zip(wanted)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    worst / (high - low)
}

fn still(dir: &Path, model: &Path, extra: &[&str]) -> Array {
    let raw = dir.join("out.npy");
    let mut arguments = vec![
        "still",
        "--model",
        text(model),
        "--raw",
        text(&raw),
        "--provider",
        "cpu",
    ];
    arguments.extend(extra);
    succeed(&arguments);
    let array = npy::read(&raw).unwrap();
    assert_eq!(array.shape, [3, 32, 32]);
    array
}

/// Writes row `index` of the reference's z.
fn z_file(dir: &Path, index: usize) -> std::path::PathBuf {
    let z = reference("z");
    let path = dir.join(format!("z{index}.npy"));
    let len = z.shape[1];
    npy::write(&path, &[1, len], &z.data[index * len..(index + 1) * len]).unwrap();
    path
}

#[test]
fn pictures_are_the_references() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let len = 3 * 32 * 32;
    for index in 0..2 {
        let z = z_file(dir.path(), index);
        for (noise, psi, name) in [
            ("none", "1", "noise_none_trunc_1"),
            ("const", "1", "noise_const_trunc_1"),
            ("none", "0.5", "noise_none_trunc_05"),
            ("const", "0.5", "noise_const_trunc_05"),
        ] {
            let got = still(
                dir.path(),
                &model,
                &["--z", text(&z), "--noise", noise, "--truncation", psi],
            );
            let wanted = reference(name);
            let off = difference(&got.data, &wanted.data[index * len..(index + 1) * len]);
            println!("{name} {index}: {off:.1e}");
            assert!(off <= TOLERANCE, "{name} {index}: {off}");
        }
    }
}

/// Where it applies, w by itself gives the picture of the z that it came from.
#[test]
fn a_latent_file_gives_the_picture_of_its_z() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let w = reference("w");
    let path = dir.path().join("w.npy");
    npy::write(&path, &[1, w.shape[1]], &w.data[..w.shape[1]]).unwrap();
    let got = still(
        dir.path(),
        &model,
        &["--latent", text(&path), "--noise", "none"],
    );
    let wanted = reference("noise_none_trunc_1");
    let off = difference(&got.data, &wanted.data[..3 * 32 * 32]);
    assert!(off <= TOLERANCE, "{off}");
}

#[test]
fn bent_pictures_are_the_references_on_cpu_and_gpu() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let z = z_file(dir.path(), 0);
    let clusters = fixture("generator/clusters.yaml");
    let plain = reference("noise_const_trunc_1");
    let mut places = vec!["cpu", "gpu"];
    if std::env::var_os("BENDWAVE_SKIP_GPU_TESTS").is_some() {
        println!("skipped on request: bends on the GPU");
        places.pop();
    }
    for name in [
        "translate",
        "scale",
        "rotate",
        "multiply",
        "ablate",
        "invert",
        "binary-thresh",
        "flip-h",
        "flip-v",
        "erode",
        "dilate",
        "layer0",
        "chain",
    ] {
        let scene = fixture(&format!("generator/scene-{name}.yaml"));
        let wanted = reference(&format!("bend_{name}"));
        // The bend must matter, or this compares nothing.
        let effect = difference(&plain.data[..wanted.data.len()], &wanted.data);
        assert!(
            effect > 0.01,
            "{name}: the reference hardly differs from the plain picture: {effect}"
        );
        for place in &places {
            let arguments = [
                "--z",
                text(&z),
                "--transforms",
                text(&scene),
                "--clusters",
                text(&clusters),
                "--bend-on",
                place,
            ];
            let got = still(dir.path(), &model, &arguments);
            let off = difference(&got.data, &wanted.data);
            println!("{name} on {place}: {off:.1e}");
            assert!(off <= TOLERANCE, "{name} on {place}: {off}");
        }
    }
}

/// `fixtures/generator/generate_beyond.py` made them with OpenCV and NumPy. That both benders give the
/// same is tested elsewhere.
#[test]
fn bends_beyond_the_papers_are_the_references() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let z = z_file(dir.path(), 0);
    let plain = reference("noise_const_trunc_1");
    for name in [
        "shear",
        "affine-wrap",
        "blur",
        "sharpen",
        "smooth-thresh",
        "posterise",
        "mix",
        "translate-reflect",
        "rotate-replicate",
        "scale-uneven",
        "erode-fraction",
        "invert-in-circle",
        "flip-across-gradient",
    ] {
        let file = fixture("generator/beyond-reference.npz");
        let wanted = npy::read_from_npz(&file, name).unwrap();
        let effect = difference(&plain.data[..wanted.data.len()], &wanted.data);
        assert!(effect > 0.02, "{name} hardly matters: {effect}");
        let scene = fixture(&format!("generator/scene-{name}.yaml"));
        let arguments = ["--z", text(&z), "--transforms", text(&scene)];
        let got = still(dir.path(), &model, &arguments);
        let off = difference(&got.data, &wanted.data);
        println!("{name}: {off:.1e}");
        assert!(off <= TOLERANCE, "{name}: {off}");
    }
}

/// The papers' tool's own files, in fixtures that say the same in the same spellings, on a 256 px
/// network. Measured: 1e-6.
#[test]
fn the_papers_samples_give_the_references_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    let checkpoint = fixture("generator/tiny-256.pt");
    succeed(&["import", text(&checkpoint), "--out", text(&model)]);
    let sample =
        |name: &str| npy::read_from_npz(&fixture("generator/sample-reference.npz"), name).unwrap();
    let z = dir.path().join("z.npy");
    npy::write(&z, &[1, 32], &sample("z").data).unwrap();
    let raw = dir.path().join("out.npy");
    let clusters = fixture("generator/clusters-sample.yaml");
    let picture = |extra: &[&str]| -> Vec<f32> {
        let mut arguments = vec!["still", "--model", text(&model), "--provider", "cpu"];
        arguments.extend(["--z", text(&z), "--noise", "none", "--raw", text(&raw)]);
        arguments.extend(["--clusters", text(&clusters)]);
        arguments.extend(extra);
        succeed(&arguments);
        let whole = npy::read(&raw).unwrap();
        assert_eq!(whole.shape, [3, 256, 256]);
        // Every fourth pixel, as in the file.
        let rows = whole.data.chunks_exact(256).step_by(4);
        rows.flat_map(|row| row.iter().step_by(4).copied())
            .collect()
    };
    let plain = sample("plain").data;
    let off = difference(&picture(&[]), &plain);
    println!("plain: {off:.1e}");
    assert!(off <= TOLERANCE, "{off}");
    for name in ["sample", "sample-all"] {
        let wanted = sample(name).data;
        assert!(difference(&plain, &wanted) > 0.1, "{name}: no effect");
        let scene = fixture(&format!("generator/scene-{name}.yaml"));
        let off = difference(&picture(&["--transforms", text(&scene)]), &wanted);
        println!("{name}: {off:.1e}");
        assert!(off <= TOLERANCE, "{name}: {off}");
    }
}

#[test]
fn seeds_and_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let a = still(dir.path(), &model, &["--seed", "1"]);
    assert_eq!(a, still(dir.path(), &model, &["--seed", "1"]));
    assert_ne!(a, still(dir.path(), &model, &["--seed", "2"]));
    let png = dir.path().join("a.png");
    succeed(&[
        "still",
        "--model",
        text(&model),
        "--seed",
        "1",
        "--out",
        text(&png),
    ]);
    assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG"));
}

/// What cannot be done ends with 2 and a sentence that names what is wrong, never with a panic.
#[test]
fn bad_input_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        text(&path).to_owned()
    };
    let model = text(&model).to_owned();
    let out = text(&dir.path().join("out")).to_owned();
    let png = text(&dir.path().join("out.png")).to_owned();
    let mp4 = text(&dir.path().join("out.mp4")).to_owned();
    let hello = file("hello.pt", b"hello");
    let checkpoint = std::fs::read(fixture("generator/tiny.pt")).unwrap();
    let cut = file("cut.pt", &checkpoint[..checkpoint.len() / 2]);
    let unknown = file(
        "unknown.yaml",
        b"transforms:\n- {layer: 2, transform: zoom, params: [1], features: all}\n",
    );
    let layer = file(
        "layer.yaml",
        b"transforms:\n- {layer: 12, transform: ablate, params: [], features: all}\n",
    );
    let nan = file(
        "nan.yaml",
        b"transforms:\n- {layer: 2, transform: scale, params: [.nan], features: all}\n",
    );
    let fine = file("fine.yaml", b"seed: 1\n");
    let z = file("z.npy", b"not numpy");
    let wrong_z = dir.path().join("wrong.npy");
    npy::write(&wrong_z, &[1, 5], &[0.0; 5]).unwrap();
    let wrong_z = text(&wrong_z).to_owned();
    let text_wav = file("noise.wav", b"this is no sound");
    let cases: &[(&[&str], &str)] = &[
        (&["import", &hello, "--out", &out], "hello.pt"),
        (&["import", &cut, "--out", &out], "cut.pt"),
        (&["import", "/no/such.pt", "--out", &out], "/no/such.pt"),
        (
            &[
                "still",
                "--model",
                "/no/model",
                "--seed",
                "1",
                "--out",
                &png,
            ],
            "/no/model",
        ),
        (&["still", "--model", &model, "--seed", "1"], "--out"),
        (
            &[
                "still",
                "--model",
                &model,
                "--seed",
                "1",
                "--out",
                &png,
                "--transforms",
                &unknown,
            ],
            "transforms[0].transform",
        ),
        (
            &[
                "still",
                "--model",
                &model,
                "--seed",
                "1",
                "--out",
                &png,
                "--transforms",
                &layer,
            ],
            "0 to 6",
        ),
        (
            &[
                "still",
                "--model",
                &model,
                "--seed",
                "1",
                "--out",
                &png,
                "--transforms",
                &nan,
            ],
            "finite",
        ),
        (
            &[
                "still",
                "--model",
                &model,
                "--seed",
                "1",
                "--out",
                &png,
                "--truncation",
                "NaN",
            ],
            "--truncation",
        ),
        (
            &[
                "still",
                "--model",
                &model,
                "--seed",
                "1",
                "--out",
                &png,
                "--provider",
                "cuda",
            ],
            "cuda",
        ),
        (
            &[
                "still",
                "--model",
                &model,
                "--seed",
                "1",
                "--out",
                &png,
                "--ort-lib",
                "/no/lib.so",
            ],
            "/no/lib.so",
        ),
        (
            &["still", "--model", &model, "--z", &z, "--out", &png],
            "z.npy",
        ),
        (
            &["still", "--model", &model, "--z", &wrong_z, "--out", &png],
            "wants [1, 32]",
        ),
        (
            &[
                "render",
                "--model",
                &model,
                "--audio",
                "/no/song.wav",
                "--scene",
                &fine,
                "--out",
                &mp4,
            ],
            "/no/song.wav",
        ),
        (
            &[
                "render", "--model", &model, "--audio", &text_wav, "--scene", &fine, "--out", &mp4,
            ],
            "noise.wav",
        ),
        (&["bench", "--model", &model, "--frames", "0"], "--frames"),
    ];
    for (arguments, wanted) in cases {
        let output = bendwave().args(*arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(
            said.contains(wanted) && !said.contains("panicked"),
            "{arguments:?}: {said}"
        );
    }
    assert!(!Path::new(&out).exists() && !Path::new(&png).exists() && !Path::new(&mp4).exists());
}

/// Another library than ONNX Runtime, and one byte changed in a model.
#[test]
fn damaged_parts_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let segment = model.join("segment_03.onnx");
    let mut bytes = std::fs::read(&segment).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let arguments = [
        "still",
        "--model",
        text(&model),
        "--seed",
        "1",
        "--raw",
        "/dev/null",
    ];
    let output = bendwave().args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("segment_03.onnx") && said.contains("import"),
        "{said}"
    );

    let other = dir.path().join("libonnxruntime.so");
    std::fs::write(&other, b"no library").unwrap();
    let output = bendwave()
        .args(arguments)
        .args(["--ort-lib", text(&other)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("libonnxruntime.so") && said.contains("make setup"),
        "{said}"
    );
}
