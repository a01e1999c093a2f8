//! The whole program in an Ableton Link session.

#[cfg(not(feature = "link"))]
use crate::support::program::bendwave;
use crate::support::program::{text, tiny_model};
use std::process::Stdio;

#[cfg(not(feature = "link"))]
#[test]
fn a_build_without_link_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    for wish in [&["--link"][..], &["--clock", "link"]] {
        let out = bendwave()
            // Never opened: it is asked for before.
            .env("DISPLAY", ":77")
            .args(["perform", "--model", text(&model)])
            .args(wish)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success());
        assert!(said.contains("--features link"), "{said}");
    }
}

#[cfg(feature = "link")]
#[test]
fn a_session_on_the_network_leads_the_picture() {
    use crate::support::program::bendwave_beside;
    use crate::support::xvfb::Display;
    use rusty_link::AblLink;
    use std::fs;
    use std::time::{Duration, Instant};

    let Some(display) = Display::start(320, 240, true) else {
        return;
    };
    let (other, second) = (AblLink::new(133.0), AblLink::new(133.0));
    other.enable(true);
    second.enable(true);
    let start = Instant::now();
    while other.num_peers() == 0 {
        if start.elapsed() > Duration::from_secs(10) {
            eprintln!("skipped: Link's programs do not find each other here (no multicast)");
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let scene = dir.path().join("scene.yaml");
    fs::write(&scene, "seed: 3\n").unwrap();
    let log = dir.path().join("log.txt");
    let mut program = bendwave_beside(&[display.command("true")]);
    let mut child = program
        .env("BENDWAVE_LOG", "bendwave=debug")
        .args(["perform", "--model", text(&model), "--scene", text(&scene)])
        .args(["--link", "--audio", "none", "--provider", "cpu"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut wait = |wanted: &str| {
        for _ in 0..600 {
            let said = fs::read_to_string(&log).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "{said}");
            let line = said.lines().rev().find(|line| line.contains("clock: "));
            if line.is_some_and(|line| line.contains(wanted)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{wanted}: {}", fs::read_to_string(&log).unwrap());
    };
    wait("Ableton Link (auto), 2 others on Link, 133.0 bpm");
    drop((other, second));
    wait("source lost, going on (auto), nobody else on Link, 133.0 bpm");
    child.kill().unwrap();
    child.wait().unwrap();
}
