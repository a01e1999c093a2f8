//! `bendwave cluster`, as its user runs it, and what it promises beside.

use crate::support::program::{bendwave, fixture, succeed, text, tiny_model};
use bendwave::bend::ClusterFile;
use bendwave::cluster::agreement::adjusted_rand_index;
use bendwave::cluster::state::WorkFolder;
use bendwave::cluster::{
    Analysis, ClusteringError, Describe, Latents, LayerClusters, Progress, Settings, Step,
};
use bendwave::generator::{Generator, ProviderChoice, Runtime, npy};
use std::fs;
use std::path::Path;

fn cluster(dir: &Path, model: &Path, extra: &[&str]) -> ClusterFile {
    let out = dir.join("clusters.yaml");
    let mut arguments = vec!["cluster", "--model", text(model), "--out", text(&out)];
    arguments.extend(["--samples", "12", "--effects", "2", "--provider", "cpu"]);
    arguments.extend(extra);
    succeed(&arguments);
    ClusterFile::load(&out).unwrap()
}

fn generator(model: &Path) -> Generator {
    let runtime = Runtime::load(None).unwrap();
    Generator::load(model, runtime, "cpu".parse::<ProviderChoice>().unwrap()).unwrap()
}

#[test]
fn one_command_makes_everything_and_the_same_again() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let at = |name: &str| dir.path().join(name);
    let (report, mapping) = (at("report"), at("knobs.yaml"));
    let file = cluster(
        dir.path(),
        &model,
        &[
            "--report",
            text(&report),
            "--mapping",
            text(&mapping),
            "--controller",
            "nanokontrol2",
        ],
    );
    let generator = generator(&model);
    for layer in 0..7 {
        let channels = generator.layer_shape(layer).unwrap().channels;
        let mut features: Vec<u32> = file
            .ids(layer)
            .flat_map(|id| file.cluster(layer, id).unwrap().to_vec())
            .collect();
        features.sort_unstable();
        assert!(features.iter().copied().eq(0..channels as u32), "{layer}");
        for id in file.ids(layer) {
            let info = file.info(layer, id).unwrap();
            assert!(info.name.is_some() && info.colour.is_some());
            assert_eq!(info.sensitivity.len(), 6);
        }
    }
    // Beside the file nothing is left of the work.
    assert!(!at("clusters.yaml.partial").exists());
    let first = fs::read(at("clusters.yaml")).unwrap();
    cluster(dir.path(), &model, &[]);
    assert_eq!(fs::read(at("clusters.yaml")).unwrap(), first);
    cluster(dir.path(), &model, &["--random-state", "1"]);
    assert_ne!(fs::read(at("clusters.yaml")).unwrap(), first);
    fs::write(at("clusters.yaml"), first).unwrap();

    let page = fs::read_to_string(report.join("index.html")).unwrap();
    for source in page.split("src=\"").skip(1) {
        assert!(source.starts_with("data:image/png;base64,"));
    }
    assert!(!page.contains("http"));
    assert!(page.contains("Layer 6"));
    let heat = fs::read(report.join("layer-03-cluster-0-heat.png")).unwrap();
    assert!(heat.starts_with(b"\x89PNG"));

    // The scene plays: at rest it changes nothing, with one knob turned it does.
    let scene = at("knobs-scene.yaml");
    let picture = |transforms: &Path| {
        let raw = at("out.npy");
        succeed(&[
            "still",
            "--transforms",
            text(transforms),
            "--raw",
            text(&raw),
            "--seed",
            "3",
            "--bend-on",
            "cpu",
        ]);
        npy::read(&raw).unwrap().data
    };
    let plain = at("plain.yaml");
    fs::write(&plain, "model: tiny\ntransforms: []\n").unwrap();
    assert_eq!(picture(&scene), picture(&plain));
    let turned = fs::read_to_string(&scene).unwrap();
    let (moved, count) = (
        turned.replacen(
            "scalar-multiply, params: [1]",
            "scalar-multiply, params: [4]",
            1,
        ),
        turned.matches("features: cluster").count(),
    );
    assert_ne!(moved, turned);
    assert_eq!(count, 14);
    fs::write(&scene, moved).unwrap();
    assert_ne!(picture(&scene), picture(&plain));
    assert!(
        fs::read_to_string(&mapping)
            .unwrap()
            .contains("device: nanoKONTROL2")
    );
}

#[test]
fn one_picture_has_clusters_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let all = cluster(dir.path(), &model, &["--layers", "4-6"]);
    assert_eq!(all.layers().collect::<Vec<_>>(), [4, 5, 6]);
    let one = cluster(dir.path(), &model, &["--layers", "4-6", "--seed", "5"]);
    assert_ne!(one, all);
    // The same picture, given as w.
    let mut generator = generator(&model);
    let z = bendwave::generator::latent::z_from_seed(5, generator.manifest().z_dim);
    let w = generator.map(&z).unwrap().to_vec();
    let path = dir.path().join("w.npy");
    npy::write(&path, &[1, w.len()], &w).unwrap();
    let given = cluster(
        dir.path(),
        &model,
        &["--layers", "4-6", "--latent", text(&path)],
    );
    assert_eq!(given, one);
    let two = cluster(dir.path(), &model, &["--layers", "6", "--count", "2"]);
    assert_eq!((two.count(6), two.count(5)), (2, 0));
}

#[test]
fn a_stopped_run_goes_on_with_the_same_result() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let mut generator = generator(&model);
    let settings = Settings {
        layers: 1..=3,
        latents: Latents::Random {
            samples: 6,
            truncation: 1.0,
        },
        count: None,
        seed: 9,
        effect_pictures: 2,
    };
    let mut run = |work: Option<&WorkFolder>,
                   on_step: &mut dyn FnMut(Progress) -> bool|
     -> Result<Vec<LayerClusters>, ClusteringError> {
        let mut embedding = Describe::default();
        Analysis::new(&mut generator, &mut embedding, settings.clone(), work)?.run(on_step)
    };
    let whole = run(None, &mut |_| true).unwrap();
    assert_eq!(whole.len(), 3);
    let path = dir.path().join("work");
    let mut steps = 0;
    // Stopped in the middle of both steps.
    for (step, after) in [(Step::Watch, 3), (Step::Measure, 40)] {
        let work = WorkFolder::open(&path, "k").unwrap();
        let stopped = run(Some(&work), &mut |progress| {
            steps += 1;
            !(progress.step == step && progress.done >= after)
        });
        assert!(matches!(stopped, Err(ClusteringError::Stopped)));
    }
    let work = WorkFolder::open(&path, "k").unwrap();
    assert!(work.resumed);
    let mut watched = 0;
    let resumed = run(Some(&work), &mut |progress| {
        watched += u32::from(progress.step == Step::Watch);
        true
    });
    assert_eq!(resumed.unwrap(), whole);
    // Nothing was watched a second time.
    assert_eq!(watched, 0);
    assert!(steps > 40);
}

#[test]
fn what_can_not_be_is_refused_in_plain_words() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let out = dir.path().join("c.yaml");
    let base = ["cluster", "--model", text(&model), "--out", text(&out)];
    for (extra, wanted) in [
        (
            &["--layers", "5-9"][..],
            "layers 5 to 9 are asked for, but the model's layers are 0 to 6",
        ),
        (&["--layers", "5-3"], "the lower one first"),
        (&["--samples", "0"], "a number from 1 to 1000000"),
        (&["--truncation", "nan"], "must be within -4 and 4"),
        (&["--latent", "no.npy"], "no.npy"),
        (&["--compare", "no.yaml"], "no.yaml"),
        (
            &["--mapping", "m.yaml", "--controller", "piano"],
            "nanokontrol2",
        ),
    ] {
        let output = bendwave().args(base).args(extra).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{extra:?}");
        assert!(said.contains(wanted), "{extra:?}: {said}");
        assert!(!out.exists());
    }
}

/// Against scikit-learn's `adjusted_rand_score`; `tests/fixtures/cluster/generate_ari.py`.
#[test]
fn agreement_is_scikit_learns() {
    let text = fs::read_to_string(fixture("cluster/ari.json")).unwrap();
    let cases: Vec<(Vec<u32>, Vec<u32>, f64)> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() >= 12);
    for (a, b, wanted) in cases {
        let got = adjusted_rand_index(&a, &b);
        assert!((got - wanted).abs() < 1e-12, "{got} {wanted}");
    }
}

#[test]
fn a_network_beside_the_show_makes_the_same_picture() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let mut one = generator(&model);
    let mut other = Generator::load_aside(&model, Runtime::load(None).unwrap()).unwrap();
    let z = bendwave::generator::latent::z_from_seed(2, one.manifest().z_dim);
    let latents = one.latents();
    let styles = one.map(&z).unwrap().repeat(latents);
    let wanted = one.synthesize(&styles, &mut |_, _| {}).unwrap();
    let got = other.synthesize(&styles, &mut |_, _| {}).unwrap();
    let off = wanted.iter().zip(got).map(|(a, b)| (a - b).abs());
    assert!(off.fold(0.0, f32::max) < 1e-4);
}

#[cfg(not(feature = "metric-learning"))]
#[test]
fn a_build_without_training_says_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let out = dir.path().join("c.yaml");
    let output = bendwave()
        .args(["cluster", "--model", text(&model), "--out", text(&out)])
        .args(["--quality", "quick", "--layers", "2-3"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for wanted in [
        "layers 2, 3",
        "--features metric-learning",
        "quality baseline",
    ] {
        assert!(said.contains(wanted), "{said}");
    }
}

#[cfg(feature = "metric-learning")]
mod learned {
    use super::{cluster, generator};
    use crate::support::program::{succeed, text, tiny_model};
    use bendwave::cluster::metric::{Kept, Learner, Quality, Recipe};
    use bendwave::cluster::{ClusteringError, Drawn, Step};
    use std::fs;

    #[test]
    fn networks_are_trained_kept_and_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let model = tiny_model(dir.path());
        let metric = dir.path().join("metric");
        let quick = ["--quality", "quick", "--layers", "1-2", "--epochs", "1"];
        let quick = [&quick[..], &["--metric", text(&metric)]].concat();
        let first = cluster(dir.path(), &model, &quick);
        let network = |layer: usize| metric.join(format!("quick/layer-{layer:02}.safetensors"));
        let written = [1, 2].map(|layer| fs::read(network(layer)).unwrap());
        let baseline = cluster(dir.path(), &model, &["--layers", "1-2"]);
        assert_ne!(first, baseline);

        // The second time they are used as they are, and for one picture, too.
        let out = dir.path().join("again.yaml");
        let base = ["cluster", "--model", text(&model), "--out", text(&out)];
        let rest = ["--samples", "12", "--effects", "2", "--provider", "cpu"];
        let again = succeed(&[&base[..], &rest, &quick].concat());
        let said = String::from_utf8_lossy(&again.stderr).into_owned();
        assert!(!said.contains("held-out"), "{said}");
        let clusters = dir.path().join("clusters.yaml");
        cluster(dir.path(), &model, &quick);
        assert_eq!(fs::read(&out).unwrap(), fs::read(&clusters).unwrap());
        let one = succeed(&[&base[..], &rest[2..], &quick, &["--seed", "5"]].concat());
        assert!(!String::from_utf8_lossy(&one.stderr).contains("held-out"));
        assert_eq!(
            written,
            [1, 2].map(|layer| fs::read(network(layer)).unwrap())
        );
        // Another random state is another training.
        cluster(
            dir.path(),
            &model,
            &[&quick[..], &["--random-state", "1"]].concat(),
        );
        assert_ne!(written[0], fs::read(network(1)).unwrap());
        let left: Vec<_> = fs::read_dir(metric.join("quick")).unwrap().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn a_stopped_training_goes_on_to_the_same_network() {
        let dir = tempfile::tempdir().unwrap();
        let mut generator = generator(&tiny_model(dir.path()));
        let recipe = Recipe {
            samples: 12,
            epochs: 2,
            batch: Some(16),
            held_out: 3,
            ..Quality::Quick.recipe().unwrap()
        };
        let mut learn = |name: &str, stop_at: Option<u64>| {
            let kept = Kept::new(dir.path().join(name), None, "tiny");
            let learner = Learner {
                recipe,
                seed: 1,
                kept: &kept,
                training: "t".to_owned(),
            };
            let mut pictures = Drawn {
                generator: &mut generator,
                seed: 1,
                truncation: 1.0,
            };
            let mut first = None;
            let outcome = learner.layer(2, &mut pictures, &mut |progress| {
                assert_eq!(progress.step, Step::Learn(2));
                first.get_or_insert(progress.done);
                stop_at.is_none_or(|stop| progress.done < stop)
            });
            (outcome.map(|outcome| outcome.kept.network), first.unwrap())
        };
        let (whole, _) = learn("whole", None);
        let (stopped, _) = learn("parts", Some(3));
        assert!(matches!(stopped, Err(ClusteringError::Stopped)));
        let (resumed, from) = learn("parts", None);
        assert_eq!(from, 3);
        assert_eq!(resumed.unwrap().parts(), whole.unwrap().parts());
    }
}
