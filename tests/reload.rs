//! Files saved during a performance change the picture; broken ones do not.

use crate::support::program::{bendwave_beside, text, tiny_model};
use crate::support::xvfb::{Display, Shot, wait_for};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

struct Show {
    display: Display,
    program: Child,
    log: PathBuf,
}

impl Show {
    fn start(dir: &Path, arguments: &[&str]) -> Option<Self> {
        let display = Display::start(480, 360, true)?;
        let model = tiny_model(dir);
        let mut program = bendwave_beside(&[display.command("true")]);
        let log = dir.join("log.txt");
        let program = program
            .env("BENDWAVE_LOG", "bendwave=info")
            .args(["perform", "--audio", "none", "--provider", "cpu"])
            .args(["--model", text(&model)])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let show = Self {
            display,
            program,
            log,
        };
        wait_for("a picture that stands still", || {
            let first = show.shot();
            let there = first.lit().is_some_and(|[_, _, w, h]| w >= 300 && h >= 300);
            std::thread::sleep(Duration::from_millis(300));
            (there && difference(&first, &show.shot()) < 0.5).then_some(())
        });
        Some(show)
    }

    fn shot(&self) -> Shot {
        self.display.shot("now")
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the picture is another than `before` and stands still; gives it.
    fn another_than(&self, before: &Shot, what: &str) -> Shot {
        let started = Instant::now();
        wait_for(what, || {
            (difference(before, &self.shot()) > 3.0).then_some(())
        });
        println!("{what}: seen after {:?}", started.elapsed());
        wait_for("a picture that stands still", || {
            let first = self.shot();
            std::thread::sleep(Duration::from_millis(100));
            (difference(&first, &self.shot()) < 0.2).then_some(first)
        })
    }

    fn said(&self, what: &str) {
        wait_for(what, || self.log().contains(what).then_some(()));
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        self.program.kill().ok();
        self.program.wait().ok();
    }
}

fn difference(a: &Shot, b: &Shot) -> f32 {
    let (mut sum, mut count) = (0u32, 0u32);
    for y in (0..a.height).step_by(3) {
        for x in (0..a.width).step_by(3) {
            for (p, q) in a.pixel(x, y).into_iter().zip(b.pixel(x, y)) {
                sum += u32::from(p.abs_diff(q));
                count += 1;
            }
        }
    }
    sum as f32 / count as f32
}

fn scene(factor: &str) -> String {
    format!(
        "seed: 3\nclusters: clusters.yaml\ntransforms:\n\
         - {{layer: 2, transform: scalar-multiply, params: [{factor}], features: cluster, feature-param: 1}}\n"
    )
}

/// Lines of a cluster file for layer 2 with these features in cluster 1.
fn clusters(features: std::ops::Range<u32>) -> String {
    let entries: Vec<String> = features
        .map(|f| format!("{{cluster_index: 1, feature_index: {f}}}"))
        .collect();
    format!("{{2: [{}]}}\n", entries.join(", "))
}

/// As an editor does that keeps the old file until the new one is whole.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn saved_scenes_and_clusters_change_the_picture_and_broken_ones_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scene.yaml");
    let cluster_path = dir.path().join("clusters.yaml");
    fs::write(&path, scene("1.0")).unwrap();
    fs::write(&cluster_path, clusters(0..12)).unwrap();
    let Some(mut show) = Show::start(dir.path(), &["--scene", text(&path)]) else {
        return;
    };
    let plain = show.shot();

    replace(&path, &scene("-2.0"));
    let bent = show.another_than(&plain, "a scene moved into place");
    fs::write(&cluster_path, clusters(0..4)).unwrap();
    let fewer = show.another_than(&bent, "a cluster file written in place");

    fs::write(&path, scene("[oops")).unwrap();
    show.said("scene.yaml");
    show.said("line 4");
    show.said("the last good one plays on");
    assert!(difference(&fewer, &show.shot()) < 0.2, "{}", show.log());

    // Names a cluster file that comes later.
    replace(&path, &scene("1.0").replace("clusters.yaml", "later.yaml"));
    show.said("later.yaml");
    assert!(difference(&fewer, &show.shot()) < 0.2, "{}", show.log());
    fs::write(dir.path().join("later.yaml"), clusters(0..12)).unwrap();
    let mended = show.another_than(&fewer, "mended");
    assert!(difference(&plain, &mended) < 0.2, "{}", show.log());
    for line in show
        .log()
        .lines()
        .filter(|l| l.contains("after it was saved"))
    {
        println!("{line}");
    }
    assert!(show.program.try_wait().unwrap().is_none());
}

#[test]
fn saved_shaders_change_the_picture_and_broken_ones_do_not() {
    if std::env::var_os("BENDWAVE_SKIP_GPU_TESTS").is_some() {
        println!("skipped on request: shaders on the GPU");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let shaders = dir.path().join("shaders");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    for part in ["bend", "shared"] {
        fs::create_dir_all(shaders.join(part)).unwrap();
        for entry in fs::read_dir(ours.join(part)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), shaders.join(part).join(entry.file_name())).unwrap();
        }
    }
    let path = dir.path().join("scene.yaml");
    fs::write(&path, "seed: 3\ntransforms: []\n").unwrap();
    let arguments = [
        "--scene",
        text(&path),
        "--shaders",
        text(&shaders),
        "--bend-on",
        "gpu",
    ];
    let Some(mut show) = Show::start(dir.path(), &arguments) else {
        return;
    };
    let plain = show.shot();
    // The first bends of the show: where they run is chosen now.
    replace(
        &path,
        "seed: 3\ntransforms:\n- {layer: 5, transform: flip-h, params: [], features: all}\n",
    );
    show.said("bends: ");
    let flipped = show.another_than(&plain, "the first bends");
    let file = shaders.join("bend/affine.wgsl");
    let good = fs::read_to_string(&file).unwrap();
    let flip = "dst[i] = fade(";
    assert!(good.contains(flip));

    fs::write(&file, good.replace(flip, "dst[i] = -2.0 * fade(")).unwrap();
    let own = show.another_than(&flipped, "a shader written in place");
    fs::write(&file, good.replace(flip, "dst[i] = no_such_thing(")).unwrap();
    let line = 1 + good.lines().position(|l| l.contains(flip)).unwrap();
    show.said(&format!("affine.wgsl: line {line}"));
    show.said("the last good one plays on");
    assert!(difference(&own, &show.shot()) < 0.2, "{}", show.log());
    replace(&file, &good);
    let again = show.another_than(&own, "mended");
    assert!(difference(&flipped, &again) < 0.2, "{}", show.log());
    assert!(show.program.try_wait().unwrap().is_none());
}

#[test]
fn clusters_of_the_picture_on_show_are_found_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scene.yaml");
    fs::write(&path, scene("-2.0")).unwrap();
    fs::write(dir.path().join("clusters.yaml"), clusters(0..12)).unwrap();
    let Some(mut show) = Show::start(dir.path(), &["--scene", text(&path)]) else {
        return;
    };
    let bent = show.shot();
    show.display.key("g");
    show.said("clusters of this picture");
    show.another_than(&bent, "clusters of this picture");
    if cfg!(target_os = "linux") {
        assert_eq!(niceness(show.program.id(), "recluster"), Some(9));
        assert!(niceness(show.program.id(), "render") < Some(9));
    }
    assert!(show.program.try_wait().unwrap().is_none());
    assert!(!show.log().contains("the last picture stays"));
}

fn painted(path: &Path, white: impl Fn(u32) -> bool) {
    let file = fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, 8, 8);
    encoder.set_color(png::ColorType::Grayscale);
    let bytes: Vec<u8> = (0..64)
        .map(|i| if white(i % 8) { 255 } else { 0 })
        .collect();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&bytes).unwrap();
    writer.finish().unwrap();
}

#[test]
fn random_features_are_drawn_anew_and_painted_masks_are_watched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scene.yaml");
    let scene = |share: &str, factor: &str| {
        format!(
            "seed: 3\ntransforms:\n\
             - {{layer: 2, transform: scalar-multiply, params: [-2.0], features: random, feature-param: {share}}}\n\
             - {{layer: 5, transform: scalar-multiply, params: [{factor}], mask: {{shape: picture, file: mask.png}}}}\n"
        )
    };
    let mask = dir.path().join("mask.png");
    painted(&mask, |_| false);
    fs::write(&path, scene("0.4", "1.0")).unwrap();
    let Some(mut show) = Show::start(dir.path(), &["--scene", text(&path)]) else {
        return;
    };
    let first = show.shot();
    show.display.key("d");
    show.said("random features, draw 1");
    let second = show.another_than(&first, "features drawn anew");
    // What was drawn stays when the scene is saved; the mask lets nothing through yet.
    replace(&path, &scene("0.4", "-3.0"));
    show.said("loaded scene.yaml");
    std::thread::sleep(Duration::from_millis(300));
    assert!(difference(&second, &show.shot()) < 0.2, "{}", show.log());

    painted(&mask, |x| x < 4);
    let half = show.another_than(&second, "a mask painted anew");
    fs::write(&mask, b"no picture").unwrap();
    show.said("mask.png");
    show.said("the last good one plays on");
    assert!(difference(&half, &show.shot()) < 0.2, "{}", show.log());
    painted(&mask, |_| false);
    let again = show.another_than(&half, "mended");
    assert!(difference(&second, &again) < 0.2, "{}", show.log());

    fs::write(&path, "seed: 3\ntransforms: []\n").unwrap();
    show.another_than(&again, "no bends");
    show.display.key("d");
    show.said("draws no features at random");
    assert!(show.program.try_wait().unwrap().is_none());
}

/// The niceness of a program's thread: the 19th field of its `stat`.
fn niceness(program: u32, thread: &str) -> Option<i32> {
    for task in fs::read_dir(format!("/proc/{program}/task")).ok()? {
        let stat = fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(") ")?;
        if name == thread {
            return fields.split(' ').nth(16)?.parse().ok();
        }
    }
    None
}
