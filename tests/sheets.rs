//! Sweeps, variations, and the sheet of all transforms.

use crate::support::program::{bendwave, succeed, text, tiny_model};
use crate::support::tools;
use crate::support::xvfb::Shot;
use bendwave::scene::Scene;
use bendwave::tensor::MapShape;
use std::path::Path;

/// Every pixel of a picture.
fn pixels(shot: &Shot) -> Vec<[u8; 3]> {
    let rows = 0..shot.height;
    rows.flat_map(|y| (0..shot.width).map(move |x| (x, y)))
        .map(|(x, y)| shot.pixel(x, y))
        .collect()
}

fn picture(path: &Path) -> Vec<[u8; 3]> {
    pixels(&Shot::read(path))
}

fn refused(arguments: &[&str], wanted: &str) {
    let output = bendwave().args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(
        said.contains(wanted) && !said.contains("panicked"),
        "{arguments:?}: {said}"
    );
}

const SCENE: &str = "seed: 9
transforms:
- {layer: 3, transform: translate, params: [0.25, 0.0], features: random, feature-param: 0.5}
- {name: glow, layer: 2, transform: scalar-multiply, params: [1.5], features: random, feature-param: 0.4}
- {name: turn, layer: 4, transform: rotate, params: [{signal: bass, range: [10, 40]}], features: all}
";

#[test]
fn a_kept_variation_is_the_picture_of_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let file = |name: &str| dir.path().join(name);
    // The walk's own chances must stay as they are, whatever the latent is.
    let latents: [(&str, &str, &[&str]); 4] = [
        ("none", "", &[]),
        ("endless", "latent: {walk: endless, speed: 0.5}\n", &[]),
        ("seeds", "latent: {seeds: [4, 5]}\n", &[]),
        ("asked", "latent: {walk: endless}\n", &["--seed", "77"]),
    ];
    for (name, latent, asked) in latents {
        let scene = file("scene.yaml");
        std::fs::write(&scene, format!("{SCENE}{latent}")).unwrap();
        let kept = file("kept.yaml");
        let sheet = |first: &str, count: &str, out: &Path, keep: &[&str]| {
            let mut arguments = vec!["variations", "--model", text(&model), "--scene"];
            arguments.extend([text(&scene), "--first", first, "--count", count]);
            arguments.extend(["--columns", "1", "--cell", "32", "--out", text(out)]);
            arguments.extend([
                "--vary",
                "glow.factor=0.5..2.5",
                "--vary",
                "truncation=0.5..1",
            ]);
            arguments.extend([
                "--vary",
                "turn.angle=-50..50",
                "--vary",
                "turn.amount=0.5..1",
            ]);
            arguments.extend(asked);
            arguments.extend(keep);
            succeed(&arguments);
            Shot::read(out)
        };
        let out = file("sheet.png");
        let shot = sheet("5", "3", &out, &["--keep", "6", "--keep-to", text(&kept)]);
        // Six pixels of margin, then 32 of picture and 14 of caption for each.
        let cell = |shot: &Shot, place: u32| -> Vec<[u8; 3]> {
            let top = 6 + place * (32 + 14 + 6);
            (0..32)
                .flat_map(|y| (0..32).map(move |x| (x + 6, y + top)))
                .map(|(x, y)| shot.pixel(x, y))
                .collect()
        };
        let still = file("still.png");
        succeed(&[
            "still",
            "--model",
            text(&model),
            "--scene",
            text(&kept),
            "--out",
            text(&still),
        ]);
        assert_eq!(picture(&still), cell(&shot, 1), "{name}");
        assert_ne!(cell(&shot, 0), cell(&shot, 1), "{name}");
        assert_ne!(cell(&shot, 2), cell(&shot, 1), "{name}");
        // A number is the same variation on every sheet.
        let alone = sheet("6", "1", &file("alone.png"), &[]);
        assert_eq!(cell(&alone, 0), cell(&shot, 1), "{name}");
    }
}

#[test]
fn a_scene_kept_elsewhere_finds_its_files_and_its_masks_vary() {
    let dir = tempfile::tempdir().unwrap();
    let (own, other) = (dir.path().join("own"), dir.path().join("kept/here"));
    for folder in [&own, &other] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let mut encoder = png::Encoder::new(std::fs::File::create(own.join("spot.png")).unwrap(), 1, 1);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[255]).unwrap();
    writer.finish().unwrap();
    std::fs::write(own.join("clusters.yaml"), "{2: []}").unwrap();
    let scene = own.join("scene.yaml");
    std::fs::write(
        &scene,
        "clusters: clusters.yaml\nlatent: {accent: {seed: 4, amount: 0}}\ntransforms:\n\
         - {name: ink, layer: 2, transform: invert, mask: {shape: picture, file: spot.png}}\n\
         - {name: zoom, layer: 3, transform: scale, params: [1.5], mask: {shape: circle, x: 0.2}}\n",
    )
    .unwrap();
    let kept = other.join("kept.yaml");
    let mut arguments = vec!["variations", "--scene", text(&scene), "--keep", "3"];
    for vary in [
        "ink.mask-size=1.5..2",
        "zoom.mask-x=0.5..0.9",
        "zoom.y=2..3",
        "accent=0.2..0.4",
    ] {
        arguments.extend(["--vary", vary]);
    }
    arguments.extend(["--keep-to", text(&kept)]);
    succeed(&arguments);
    let written = std::fs::read_to_string(&kept).unwrap();
    for way in ["../../own/spot.png", "../../own/clusters.yaml"] {
        assert!(written.contains(way), "{written}");
    }
    let scene = Scene::load(&kept).unwrap();
    assert!(scene.clusters.as_ref().unwrap().exists());
    let shape = MapShape {
        channels: 4,
        height: 8,
        width: 8,
    };
    let patch = scene.patch(&|_| Some(shape), None).unwrap();
    for (address, [low, high]) in [
        ("ink.mask-size", [1.5, 2.0]),
        ("zoom.mask-x", [0.5, 0.9]),
        ("zoom.x", [1.5, 1.5]),
        ("zoom.y", [2.0, 3.0]),
        ("accent", [0.2, 0.4]),
    ] {
        let number = patch.find(address).unwrap().index();
        let value = patch.numbers[number].drive.bounds()[0];
        assert!((low..=high).contains(&value), "{address}: {value}");
    }
    let with = |vary: &str, wanted: &str| {
        let scene = own.join("scene.yaml");
        let arguments = ["variations", "--scene", text(&scene), "--vary", vary];
        refused(
            &[&arguments[..], &["--keep", "1", "--keep-to", "x.yaml"]].concat(),
            wanted,
        );
    };
    with("zoom.mask-size=0..1", "mask-radius");
    with("zoom.mask-radius=-1..1", "outside");
    with("zoom.size=0..1", "mask-softness");
}

#[test]
fn variation_errors_say_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let scene = dir.path().join("scene.yaml");
    std::fs::write(&scene, SCENE).unwrap();
    let out = dir.path().join("sheet.png");
    let with = |extra: &[&'static str], wanted: &str| {
        let mut arguments = vec!["variations", "--scene", text(&scene), "--out", text(&out)];
        arguments.extend(extra);
        refused(&arguments, wanted);
    };
    with(&["--count", "0"], "--count");
    with(&["--vary", "glow=1..2"], "NAME.PARAM");
    with(&["--vary", "gloom.factor=1..2"], "glow");
    with(&["--vary", "glow.size=1..2"], "factor");
    with(&["--vary", "glow.amount=1..2"], "outside 0 to 1");
    with(&["--vary", "glow.factor=1-2"], "FROM..TO");
    with(
        &[
            "--vary",
            "glow.factor=1..2",
            "--vary",
            "transforms[1].0=0..1",
        ],
        "twice",
    );
    with(&["--keep", "3"], "--keep-to");
    std::fs::write(
        &scene,
        "transforms:\n- {layer: 3, transform: invert, params: []}\n",
    )
    .unwrap();
    with(&[], "nothing varies");
    assert!(!out.exists());
}

#[test]
fn a_sweep_is_the_scenes_with_its_values_and_the_same_every_time() {
    if !tools::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let out = dir.path().join("sweep.mp4");
    let render = |arguments: &[&str]| -> String {
        let mut all = vec![
            "render",
            "--model",
            text(&model),
            "--fps",
            "10",
            "--seed",
            "3",
        ];
        all.extend(["--duration", "0.5", "--out", text(&out)]);
        all.extend(arguments);
        let said = String::from_utf8_lossy(&succeed(&all).stderr).into_owned();
        assert!(said.contains("5 frames"), "{said}");
        let (_, hash) = said.split_once("frames sha256 ").unwrap();
        hash.trim().to_owned()
    };
    let both = [
        "--sweep",
        "3:translate:x:0..0.5",
        "--sweep",
        "5:rotate:angle:0..90",
    ];
    let first = render(&both);
    assert_eq!(first, render(&both));
    assert_ne!(first, render(&both[..2]));
    let mut triangle = both.to_vec();
    triangle.extend(["--sweep-shape", "triangle"]);
    assert_ne!(first, render(&triangle));

    // Standing still, it is the picture of a scene that says so; a scene's own transform is moved.
    let scene = dir.path().join("scene.yaml");
    let entry = |x: f32| {
        format!(
            "transforms:\n- {{layer: 3, transform: translate, params: [{x}, 0.0], features: random, feature-param: 0.5}}\n"
        )
    };
    std::fs::write(&scene, entry(0.9)).unwrap();
    let moved = render(&[
        "--scene",
        text(&scene),
        "--sweep",
        "3:translate:x:0.25..0.25",
    ]);
    std::fs::write(&scene, entry(0.25)).unwrap();
    let said = render(&["--scene", text(&scene), "--sweep", "3:rotate:angle:0..0"]);
    assert_eq!(moved, said);

    for (sweep, wanted) in [
        ("12:rotate:angle:0..1", "its layers are 0 to 6"),
        ("3:spin:angle:0..1", "no transform is named"),
        ("3:rotate:angle:0", "FROM..TO"),
    ] {
        let arguments = [
            "render",
            "--model",
            text(&model),
            "--sweep",
            sweep,
            "--out",
            text(&out),
        ];
        refused(&arguments, wanted);
    }
}

#[test]
fn every_transform_is_on_the_sheet() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let out = dir.path().join("bends.png");
    succeed(&[
        "bends",
        "--model",
        text(&model),
        "--bend-on",
        "cpu",
        "--out",
        text(&out),
        "--columns",
        "1",
        "--cell",
        "16",
    ]);
    let shot = Shot::read(&out);
    let rows = bendwave::bend::TRANSFORMS.len() as u32 + 1;
    assert_eq!(shot.height, 6 + rows * (16 + 14 + 6));
    let row = |index: u32| -> Vec<[u8; 3]> {
        let top = 6 + index * (16 + 14 + 6);
        (top..top + 16)
            .flat_map(|y| (0..shot.width).map(move |x| (x, y)))
            .map(|(x, y)| shot.pixel(x, y))
            .collect()
    };
    for index in 1..rows {
        let name = bendwave::bend::TRANSFORMS[index as usize - 1].name;
        assert_ne!(row(0), row(index), "{name} shows nothing");
    }
    let strip = dir.path().join("strip.yaml");
    std::fs::write(
        &strip,
        "transform: invert\nparams: []\nfeatures: all\nfeature-param:\n",
    )
    .unwrap();
    succeed(&[
        "bends",
        "--model",
        text(&model),
        "--strip",
        text(&strip),
        "--out",
        text(&out),
        "--cell",
        "16",
    ]);
    let shot = Shot::read(&out);
    assert_eq!(
        (shot.width, shot.height),
        (6 + 8 * 22, 42),
        "unbent and seven layers"
    );
    refused(
        &[
            "bends",
            "--model",
            text(&model),
            "--layers",
            "9",
            "--out",
            text(&out),
        ],
        "0 to 6",
    );
}
