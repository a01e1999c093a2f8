//! Scene files: the papers' own run unchanged, and what is wrong is named.

use bendwave::bend::{Border, ClusterFile};
use bendwave::param::{Drive, DriveState, ModulatorBank, Values};
use bendwave::scene::{Features, NumberId, Scene};
use bendwave::signal::{Beat, Snapshot};
use bendwave::tensor::MapShape;
use std::path::Path;

fn parse(text: &str) -> Result<Scene, String> {
    Scene::parse(text, Path::new("show.yaml")).map_err(|e| e.to_string())
}

/// Thirteen layers of 32 features, as a 256 px model has.
fn model(layer: usize) -> Option<MapShape> {
    (layer < 13).then(|| MapShape {
        channels: 32,
        height: 4 << layer.div_ceil(2),
        width: 4 << layer.div_ceil(2),
    })
}

fn patch_error(text: &str) -> String {
    parse(text)
        .unwrap()
        .patch(&model, None)
        .unwrap_err()
        .to_string()
}

/// The reference tool's example configuration.
const EXAMPLE: &str = "
transforms:
  - layer: 4
    transform: translate
    params: [0.25, 0.0]
    features: all
    feature-param:
  - layer: 5
    transform: ablate
    params: []
    features: cluster
    feature-param: 2
  - layer: 12
    transform: binary-thresh
    params: [0.5]
    features: random
    feature-param: 0.5
";

#[test]
fn the_papers_example_is_a_scene() {
    let scene = parse(EXAMPLE).unwrap();
    let clusters = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&clusters, "{5: [{cluster_index: 2, feature_index: 7}, {cluster_index: 2, feature_index: 3}, {cluster_index: 1, feature_index: 0}]}").unwrap();
    let clusters = ClusterFile::load(clusters.path()).unwrap();
    let patch = scene.patch(&model, Some(&clusters)).unwrap();
    assert_eq!(patch.bends.len(), 3);
    assert_eq!(patch.bends[0].channels.len(), 32);
    assert_eq!(patch.bends[1].channels.as_slice(), [3, 7]);
    assert_eq!(patch.bends[2].channels.len(), 16);
    let x = patch.find("4.translate.x").unwrap();
    assert_eq!(patch.numbers[x.index()].drive, Drive::Constant(0.25));
    assert_eq!(patch.find("transforms[0].x"), Some(x));
    assert_eq!(patch.find("truncation"), Some(NumberId::TRUNCATION));
    assert_eq!(patch.find("5.ablate.strength"), None);
}

#[test]
fn every_transform_of_the_papers_sample() {
    let names = [
        ("erode", "[2]"),
        ("dilate", "[2]"),
        ("translate", "[0.5, -.2]"),
        ("scale", "[1.2]"),
        ("rotate", "[45]"),
        ("flip-h", "[]"),
        ("flip-v", "[]"),
        ("invert", "[]"),
        ("binary-tresh", "[]"),
        ("scalar-multiply", "[-0.5]"),
        ("ablate", "[]"),
    ];
    for (name, params) in names {
        let text = format!(
            "transforms:\n- {{layer: 1, transform: {name}, params: {params}, features: all, feature-param: null}}\n"
        );
        let scene = parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        scene
            .patch(&model, None)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    // The tool's empty file: one transform that changes nothing, on layer 0.
    let scene = parse("transforms:\n- {layer: 0, transform: scalar-multiply, params: [1], features: random, feature-param: 0}\n").unwrap();
    assert_eq!(scene.bends[0].features, Features::Random(0.0));
}

#[test]
fn a_parameter_left_out_moves_with_the_one_it_is_like() {
    let scene = parse("transforms:\n- {name: zoom, layer: 2, transform: scale, params: [{signal: bass, range: [1, 2]}]}\n").unwrap();
    let patch = scene.patch(&model, None).unwrap();
    assert_eq!(patch.find("zoom.x"), patch.find("zoom.y"));
    assert_ne!(patch.find("zoom.x"), patch.find("zoom.amount"));
}

#[test]
fn random_features_are_the_seeds_own() {
    let text = |seed| {
        format!(
            "seed: {seed}\ntransforms:\n- {{layer: 2, transform: ablate, params: [], features: random, feature-param: 0.5}}\n- {{layer: 2, transform: ablate, params: [], features: random, feature-param: 0.5}}\n"
        )
    };
    let channels = |seed| {
        let patch = parse(&text(seed)).unwrap().patch(&model, None).unwrap();
        patch
            .bends
            .iter()
            .map(|b| b.channels.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(channels(1), channels(1));
    assert_ne!(channels(1), channels(2));
    assert_ne!(channels(1)[0], channels(1)[1]);
}

#[test]
fn equal_names_are_told_apart() {
    let twice = "transforms:\n- {layer: 2, transform: ablate, params: []}\n- {layer: 2, transform: ablate, params: []}\n";
    let patch = parse(twice).unwrap().patch(&model, None).unwrap();
    assert!(patch.find("2.ablate.amount").is_some());
    assert!(patch.find("2.ablate#2.amount").is_some());
    let named = "transforms:\n- {name: a, layer: 2, transform: ablate, params: []}\n- {name: a, layer: 2, transform: ablate, params: []}\n";
    assert!(parse(named).unwrap_err().contains("transforms[1].name"));
}

#[test]
fn modulators_stand_where_signals_do() {
    let text = "transforms:\n\
        - {name: a, layer: 2, transform: scale, params: [{signal: sway, range: [1, 2]}]}\n\
        - {name: b, layer: 2, transform: rotate, params: [{signal: [kick, sway, {lfo: saw, beats: 2}], combine: sum}]}\n\
        truncation: {signal: taken, threshold: 0.5, quantise: 3, invert: true}\n\
        modulators:\n  sway: {lfo: sine, beats: 8}\n  taken: {sample: sway, on: bar}\n";
    let patch = parse(text).unwrap().patch(&model, None).unwrap();
    assert_eq!(patch.modulators.len(), 3, "two by name and one in place");
    let drive = |address: &str| patch.numbers[patch.find(address).unwrap().index()].drive;
    assert_eq!(drive("a.x").bounds(), [1.0, 2.0]);
    // Half way through the bar of a slow LFO: half its way up.
    let mut bank = ModulatorBank::default();
    bank.reset(patch.modulators.len());
    let mut snapshot = Snapshot::SILENCE;
    snapshot.set_beat(Beat {
        phase: 0.0,
        beat_in_bar: 2,
        bpm: 120.0,
        confidence: 1.0,
        count: 2,
    });
    bank.evaluate(&patch.modulators, &snapshot, 0.0);
    let values = Values {
        snapshot: &snapshot,
        modulators: bank.values(),
    };
    let value = DriveState::default().eval(&drive("a.x"), &values, 0.0);
    assert!((value - 1.5).abs() < 1e-5, "{value}");
}

#[test]
fn wrong_modulators_are_named() {
    for (text, wanted) in [
        (
            "modulators: {kick: {lfo: sine, beats: 1}}",
            "modulators.kick: is a signal's name",
        ),
        (
            "modulators: {'a b': {lfo: sine, beats: 1}}",
            "modulators.a b",
        ),
        (
            "modulators: {a: {lfo: sine, beats: 1}, a: {lfo: saw, beats: 1}}",
            "modulators.a",
        ),
        ("modulators: [sine]", "modulators"),
        ("modulators:\n  a: {lfo: sine}\n", "line 2"),
        (
            "modulators: {a: {lfo: sine, secs: 1}}\ntruncation: {signal: b}",
            "there are a, level",
        ),
    ] {
        let error = parse(text).unwrap_err();
        assert!(
            error.contains("show.yaml") && error.contains(wanted),
            "{text}: {error}"
        );
    }
}

#[test]
fn what_is_wrong_is_named() {
    let bend = |rest: &str| {
        format!("transforms:\n- {{layer: 2, transform: scale, params: [1.1]}}\n- {{{rest}}}\n")
    };
    let cases = [
        (
            bend("layer: 2, transform: zoom, params: [1]"),
            "transforms[1].transform",
        ),
        (
            bend("layer: -1, transform: scale, params: [1]"),
            "transforms[1].layer",
        ),
        (
            bend("layer: 2, transform: scale, params: []"),
            "transforms[1].params",
        ),
        (
            bend("layer: 2, transform: rotate, params: [1, 1, 1]"),
            "transforms[1].params",
        ),
        (bend("layer: 2, transform: scale, params: [.nan]"), "finite"),
        (
            bend("layer: 2, transform: scale, params: [1], features: some"),
            "transforms[1].features",
        ),
        (
            bend("layer: 2, transform: scale, params: [1], features: random, feature-param: 7"),
            "transforms[1].feature-param",
        ),
        (
            bend("layer: 2, transform: scale, params: [1], features: cluster"),
            "transforms[1].feature-param",
        ),
        (
            bend("layer: 2, transform: scale, params: [1], colour: red"),
            "colour",
        ),
        (
            bend("layer: 2, transform: scale, params: [{signal: bassline}]"),
            "bassline",
        ),
        (
            bend("layer: 2, transform: scale, params: [1], amount: 2"),
            "amount",
        ),
        ("latent: {seeds: []}".to_owned(), "latent.seeds"),
        ("latent: {speed: -1}".to_owned(), "latent.speed"),
        (
            "latent: {walk: endless, seeds: [1]}".to_owned(),
            "latent.seeds",
        ),
        ("truncation: .inf".to_owned(), "finite"),
        ("- just\n- a list".to_owned(), "show.yaml"),
        (String::new(), "empty"),
        ("transforms: [\n".to_owned(), "line"),
    ];
    for (text, wanted) in cases {
        let error = parse(&text).unwrap_err();
        assert!(
            error.contains("show.yaml") && error.contains(wanted),
            "{text}: {error}"
        );
    }
}

#[test]
fn what_does_not_fit_the_model_is_named() {
    let error = patch_error("transforms:\n- {layer: 13, transform: ablate, params: []}\n");
    assert!(
        error.contains("transforms[0].layer") && error.contains("0 to 12"),
        "{error}"
    );
    let error = patch_error(
        "transforms:\n- {layer: 1, transform: ablate, params: [], features: cluster, feature-param: 0}\n",
    );
    assert!(error.contains("--clusters"), "{error}");
}

#[test]
fn the_scenes_that_come_along_are_scenes() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/scenes");
    let mut count = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let scene = Scene::load(&entry.unwrap().path()).unwrap();
        scene.patch(&model, None).unwrap();
        count += 1;
    }
    assert!(count > 0);
}

/// What cannot be meant is told with its line, whether the file alone shows it or the model does.
#[test]
fn errors_name_the_line() {
    let two =
        |second: &str| format!("seed: 1\ntransforms:\n- {{layer: 1, transform: invert}}\n{second}");
    for (second, wanted) in [
        (
            "- layer: 2\n  transform: spin\n",
            "line 5: transforms[1].transform",
        ),
        (
            "- layer: 2\n  transform: rotate\n  params: [1, 2, 3]\n",
            "line 6: transforms[1].params",
        ),
        (
            "- layer: 2\n  transform: rotate\n",
            "line 4: transforms[1].params",
        ),
        (
            "- layer: 2\n  transform: resize\n  params: [2, 2]\n",
            "Use `scale`",
        ),
        (
            "- {layer: 2, transform: invert,\n   features: some}\n",
            "line 5: transforms[1].features",
        ),
        ("- layer: 2\n  transform: rotate\n  params: [x]\n", "line 6"),
    ] {
        let error = parse(&two(second)).unwrap_err();
        assert!(
            error.starts_with("show.yaml: ") && error.contains(wanted),
            "{error}"
        );
    }
    for (second, wanted) in [
        (
            "- transform: invert\n  layer: 13\n",
            "line 5: transforms[1].layer",
        ),
        (
            "- transform: invert\n  layer: 5\n  features: cluster\n  feature-param: 3\n",
            "line 6: transforms[1].features",
        ),
    ] {
        let error = patch_error(&two(second));
        assert!(
            error.starts_with("show.yaml: ") && error.contains(wanted),
            "{error}"
        );
    }
}

/// A file for the papers' tool's strips: one transform, no list, no layer.
#[test]
fn a_strip_is_told_from_a_scene() {
    let strip = "transform: \"binary-thresh\"\nparams: [0.9]\nfeatures: \"all\"\nfeature-param:\n";
    let error = parse(strip).unwrap_err();
    assert!(error.contains("bends --strip"), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, strip).unwrap();
    let scenes = Scene::load_strip(file.path(), 0..3).unwrap();
    let layers: Vec<usize> = scenes.iter().map(|s| s.bends[0].layer).collect();
    assert_eq!(layers, [0, 1, 2]);
    assert_eq!(scenes[2].bends[0].params, [Drive::Constant(0.9)]);
    std::fs::write(&file, "transforms: []\n").unwrap();
    let error = Scene::load_strip(file.path(), 0..3)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no strip"), "{error}");
}

/// An edit elsewhere in the file must not draw other features during a show.
#[test]
fn random_selections_stay_when_others_change() {
    let draws = |text: &str| {
        let patch = parse(text).unwrap().patch(&model, None).unwrap();
        let drawn = |name: &str| {
            let bend = patch.bends.iter().find(|b| b.name == name).unwrap();
            bend.channels.as_slice().to_vec()
        };
        (drawn("a"), drawn("b"))
    };
    let a = "- {name: a, layer: 3, transform: invert, features: random, feature-param: 0.5}\n";
    let b = "- {name: b, layer: 4, transform: invert, features: random, feature-param: 0.5}\n";
    let before = draws(&format!("transforms:\n{a}{b}"));
    assert_ne!(before.0, before.1);
    let other = "- {layer: 4, transform: rotate, params: [3], features: all}\n";
    let c = "- {layer: 2, transform: invert, features: random, feature-param: 0.5}\n";
    let after = draws(&format!(
        "transforms:\n{c}{other}{b}{}",
        a.replace("invert", "ablate")
    ));
    assert_eq!(before, after);
    // A larger share keeps what was drawn and adds to it.
    let more = draws(&format!("transforms:\n{a}{}", b.replace("0.5", "0.75"))).1;
    assert!(before.1.iter().all(|channel| more.contains(channel)));
    assert_ne!(before, draws(&format!("seed: 2\ntransforms:\n{a}{b}")));
}

#[test]
fn features_are_channels_or_several_clusters() {
    let clusters = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        &clusters,
        "{5: [{cluster_index: 2, feature_index: 7}, {cluster_index: 0, feature_index: 3}, {cluster_index: 1, feature_index: 0}]}",
    )
    .unwrap();
    let clusters = ClusterFile::load(clusters.path()).unwrap();
    let chosen = |features: &str| -> Result<Vec<u32>, String> {
        let scene = parse(&format!(
            "transforms:\n- {{layer: 5, transform: invert, {features}}}\n"
        ))?;
        let patch = scene.patch(&model, Some(&clusters));
        Ok(patch.map_err(|e| e.to_string())?.bends[0]
            .channels
            .as_slice()
            .to_vec())
    };
    let channels = |list: &str| chosen(&format!("features: channels, feature-param: {list}"));
    assert_eq!(channels("[2-4, 9, 31]").unwrap(), [2, 3, 4, 9, 31]);
    assert_eq!(channels("'0-1, 3'").unwrap(), [0, 1, 3]);
    assert_eq!(channels("12").unwrap(), [12]);
    let several = chosen("features: cluster, feature-param: [0, 2]").unwrap();
    assert_eq!(several, [3, 7]);
    for (error, wanted) in [
        (channels("[30-32]").unwrap_err(), "there is no feature 32"),
        (channels("[4-2]").unwrap_err(), "runs backwards"),
        (channels("[some]").unwrap_err(), "[0-15, 20, 31]"),
        (
            chosen("features: cluster, feature-param: [0, 9]").unwrap_err(),
            "no cluster 9",
        ),
    ] {
        assert!(
            error.contains("line 2: transforms[0].feature-param") && error.contains(wanted),
            "{error}"
        );
    }
}

#[test]
fn borders_masks_and_partners_reach_the_patch() {
    let dir = tempfile::tempdir().unwrap();
    let mut encoder = png::Encoder::new(
        std::fs::File::create(dir.path().join("left.png")).unwrap(),
        2,
        1,
    );
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[255, 0]).unwrap();
    writer.finish().unwrap();
    let load = |text: &str| {
        let scene = Scene::parse(text, &dir.path().join("show.yaml")).map_err(|e| e.to_string())?;
        scene.patch(&model, None).map_err(|e| e.to_string())
    };
    let patch = load(
        "transforms:
- {layer: 4, transform: translate, params: [0.1, 0], border: wrap}
- {layer: 4, transform: translate, params: [0.1, 0]}
- {layer: 4, transform: erode, params: [1]}
- name: spot
  layer: 3
  transform: invert
  mask: {shape: circle, x: 0.25, radius: {signal: bass, range: [0.1, 0.4]}}
- {layer: 2, transform: blur, mask: {shape: picture, file: left.png, invert: 1}}
- {layer: 2, transform: mix, params: [0.5], with: {features: channels, feature-param: [3-5]}}
",
    )
    .unwrap();
    let border = |index: usize| patch.bends[index].border;
    assert_eq!(border(0), Border::Wrap);
    assert_eq!(border(1), Border::Zero);
    assert_eq!(border(2), Border::Replicate);
    let drive = |address: &str| patch.numbers[patch.find(address).unwrap().index()].drive;
    assert_eq!(drive("spot.mask-x"), Drive::Constant(0.25));
    assert_eq!(drive("spot.mask-y"), Drive::Constant(0.5));
    assert_eq!(drive("transforms[3].mask-radius").bounds(), [0.1, 0.4]);
    let painted = patch.bends[4].mask.as_ref().unwrap();
    let weights = painted.painting.as_ref().unwrap();
    assert_eq!(weights[..8], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(drive("2.blur.mask-invert"), Drive::Constant(1.0));
    assert_eq!(patch.bends[5].partners.as_slice(), [3, 4, 5]);
    for (entry, key, wanted) in [
        (
            "translate, params: [1, 1], border: mirror",
            "border",
            "reflect",
        ),
        ("invert, border: wrap", "border", "no neighbours"),
        ("invert, mask: {shape: square}", "mask", "circle"),
        ("invert, mask: {x: 1}", "mask", "needs a `shape`"),
        (
            "invert, mask: {shape: circle, angle: 1}",
            "mask",
            "softness",
        ),
        (
            "invert, mask: {shape: circle, radius: -1}",
            "mask",
            "within",
        ),
        (
            "invert, mask: {shape: circle, file: left.png}",
            "mask",
            "no `file`",
        ),
        ("invert, mask: {shape: picture}", "mask", "needs a `file`"),
        (
            "invert, mask: {shape: picture, file: right.png}",
            "mask",
            "right.png",
        ),
        ("mix", "with", "needs the features"),
        ("invert, with: {features: all}", "with", "no other features"),
        (
            "mix, with: {features: channels, feature-param: 99}",
            "with",
            "no feature 99",
        ),
    ] {
        let error = load(&format!(
            "transforms:\n- {{layer: 1, transform: {entry}}}\n"
        ))
        .unwrap_err();
        assert!(
            error.contains(&format!("line 2: transforms[0].{key}")) && error.contains(wanted),
            "{error}"
        );
    }
}

/// `redraw` draws again, the same way each time, and only what is random.
#[test]
fn random_selections_are_redrawn_on_request() {
    let text = "transforms:\n\
                - {layer: 3, transform: invert, features: random, feature-param: 0.5}\n\
                - {layer: 3, transform: noise, params: [1], features: all}\n";
    let mut scene = parse(text).unwrap();
    let drawn = |scene: &Scene| {
        let bends = scene.patch(&model, None).unwrap().bends;
        (bends[0].channels.clone(), bends[1].seed)
    };
    let first = drawn(&scene);
    scene.redraw();
    let second = drawn(&scene);
    assert_ne!(first.0, second.0);
    assert_eq!(first.0.len(), second.0.len());
    assert_eq!(first.1, second.1);
    let mut again = parse(text).unwrap();
    again.redraw();
    assert_eq!(drawn(&again), second);
}
