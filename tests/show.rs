//! The window on a real X server: what is on the screen, and what keys do.
//!
//! The window lives in a child process, which is this test binary again, running [`probe`] alone.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bendwave::frame::Frame;
use bendwave::present::{Links, PresentOptions, Stats};
use bendwave::rt::latest;
use bendwave::signal::{Beat, COUNT, Snapshot};

use crate::support::xvfb::{Display, Shot, wait_for};

/// Every byte value, in every channel, none black.
fn pattern(width: u32, height: u32) -> Frame {
    let mut frame = Frame::black(width, height);
    for y in 0..height {
        for x in 0..width {
            let at = ((y * width + x) * 4) as usize;
            frame.rgba[at..at + 3].copy_from_slice(&pattern_at(x, y));
        }
    }
    frame
}

fn pattern_at(x: u32, y: u32) -> [u8; 3] {
    [(x % 256) as u8, (y % 256) as u8, 255 - (x * y % 128) as u8]
}

/// Blocks of the four corners, grey in the middle: for pictures that are enlarged.
fn corners(side: u32) -> Frame {
    let mut frame = Frame::black(side, side);
    for y in 0..side {
        for x in 0..side {
            let at = ((y * side + x) * 4) as usize;
            let rgb = match (x < side / 2, y < side / 2) {
                (true, true) => [255, 0, 0],
                (false, true) => [0, 255, 0],
                (true, false) => [0, 0, 255],
                (false, false) => [255, 255, 255],
            };
            frame.rgba[at..at + 3].copy_from_slice(&rgb);
        }
    }
    frame
}

/// Not a test: the program that [`Window`] starts. Settings come by the environment, what happens
/// goes to the standard output.
#[test]
#[ignore = "the child process of the other tests"]
fn probe() {
    let Ok(settings) = std::env::var("SHOW_PROBE") else {
        return;
    };
    let mut options = PresentOptions {
        title: "probe".to_owned(),
        fullscreen: false,
        duration: Some(Duration::from_secs(60)),
        ..PresentOptions::default()
    };
    let mut picture = Frame::black(64, 64);
    let (mut moving, mut loud) = (false, false);
    for setting in settings.split_whitespace() {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        let side = || value.parse().unwrap();
        match name {
            "fullscreen" => options.fullscreen = true,
            "stats" => options.stats = true,
            "meters" => options.meters = true,
            "loud" => loud = true,
            "monitor" => options.monitor = Some(value.parse().unwrap()),
            "pattern" => picture = pattern(side(), side()),
            "corners" => picture = corners(side()),
            "moving" => moving = true,
            "window" => {
                let (w, h) = value.split_once('x').unwrap();
                options.window_size = (w.parse().unwrap(), h.parse().unwrap());
            }
            "duration" => options.duration = Some(Duration::from_millis(value.parse().unwrap())),
            "lose" => {
                options.lose_device_after = Some(Duration::from_millis(value.parse().unwrap()));
            }
            other => panic!("no setting {other}"),
        }
    }
    let (mut frame_writer, frames) = latest::slot(&Arc::new(picture.clone()));
    frame_writer.write(Arc::new(picture.clone()));
    let (mut stats_writer, stats) = latest::slot(&Stats::default());
    stats_writer.write(Stats {
        fps: 31.5,
        frame_ms_p50: 30.1,
        frame_ms_p99: 44.0,
        dropped: 2,
        clock: "tapped (auto)".to_owned(),
        latency: "sound 12 ms, screen 40 ms".to_owned(),
        beat: Beat {
            phase: 0.0,
            beat_in_bar: 0,
            bpm: 128.0,
            confidence: 0.9,
            count: 0,
        },
        beat_at: Some(Instant::now()),
        audio: "dpren.ogg, file, 44.1 kHz".to_owned(),
        engine: "flora-256, cpu (ONNX Runtime 1.31), llvmpipe".to_owned(),
        recording: "show.mp4, 00:12, 3 skipped".to_owned(),
        message: "seed 43".to_owned(),
        errors: vec!["layer 9: no such layer, the last good frame stays".to_owned()],
    });
    let (mut heard_writer, heard) = latest::slot(&Snapshot::SILENCE);
    if loud {
        heard_writer.write(Snapshot {
            values: [1.0; COUNT],
            ..Snapshot::SILENCE
        });
    }
    let (commands, received) = crossbeam_channel::bounded(16);
    let stop = Arc::new(AtomicBool::new(false));
    let maker = bendwave::rt::thread::spawn("maker", {
        let stop = Arc::clone(&stop);
        move || {
            // 100 pictures a second, faster than the monitor.
            while moving && !stop.load(std::sync::atomic::Ordering::Relaxed) {
                picture.index += 1;
                frame_writer.write(Arc::new(picture.clone()));
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    })
    .unwrap();
    let say = |text: String| {
        // Past the test harness, which keeps what `println` prints.
        let mut out = std::io::stdout().lock();
        writeln!(out, "PROBE {text}").unwrap();
        out.flush().unwrap();
    };
    let listener = bendwave::rt::thread::spawn("listener", move || {
        for command in received {
            say(format!("{command:?}"));
        }
    })
    .unwrap();
    let links = Links {
        frames,
        stats,
        heard,
        commands,
        latency: Arc::default(),
        stop: Arc::clone(&stop),
    };
    let ended = bendwave::present::run(options, links);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    maker.join().unwrap();
    listener.join().unwrap();
    match ended {
        Ok(report) => say(format!(
            "ended {:?} lost {} drawn {}",
            report.ended, report.devices_lost, report.drawn
        )),
        Err(error) => {
            say(format!("error {error}"));
            std::process::exit(2);
        }
    }
}

/// A probe on a display.
struct Window<'a> {
    display: &'a Display,
    child: Child,
    said: Receiver<String>,
    heard: Vec<String>,
}

impl<'a> Window<'a> {
    fn open(display: &'a Display, settings: &str) -> Self {
        let mut child = display
            .command(std::env::current_exe().unwrap().to_str().unwrap())
            .args(["--exact", "show::probe", "--ignored", "--nocapture"])
            .env("SHOW_PROBE", settings)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (say, said) = std::sync::mpsc::sync_channel(100);
        bendwave::rt::thread::spawn("probe-out", move || {
            for line in out.lines().map_while(Result::ok) {
                // The harness prints on the same line.
                if let Some((_, text)) = line.split_once("PROBE ")
                    && say.send(text.to_owned()).is_err()
                {
                    return;
                }
            }
        })
        .unwrap();
        Self {
            display,
            child,
            said,
            heard: Vec::new(),
        }
    }

    /// Waits until the probe says a line that begins with `text`.
    #[track_caller]
    fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(line) = self.heard.iter().find(|line| line.starts_with(text)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(line) => self.heard.push(line),
                Err(_) => panic!("no {text:?} from the probe, only {:?}", self.heard),
            }
        }
    }

    /// Takes screenshots until one is as wanted; says what the last one had.
    #[track_caller]
    fn wait_shot(&self, name: &str, wanted: impl Fn(&Shot) -> bool) -> Shot {
        let mut last = None;
        let found = {
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                let shot = self.display.shot(name);
                if wanted(&shot) {
                    break Some(shot);
                }
                last = shot.lit();
                if Instant::now() > deadline {
                    break None;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        found.unwrap_or_else(|| panic!("{name}: the screen is not as wanted: lit {last:?}"))
    }

    /// Waits until the window has the keyboard, then presses a key. With `give_focus` it is given
    /// the keyboard first, which is what a window manager does.
    #[track_caller]
    fn key(&self, name: &str, give_focus: bool) {
        wait_for("the keyboard's focus", || {
            if give_focus {
                let search = ["search", "--name", "^probe$", "windowfocus"];
                self.display.run("xdotool", &search);
            }
            let focus = self
                .display
                .run("xdotool", &["getwindowfocus", "getwindowname"]);
            String::from_utf8_lossy(&focus.stdout)
                .contains("probe")
                .then_some(())
        });
        self.display.key(name);
    }

    /// Presses T until it is heard. A window without a picture does not show that it is there, and a key that comes
    /// just before it listens is lost.
    #[track_caller]
    fn wait_keys(&mut self) {
        let line = wait_for("a key to arrive", || {
            self.key("t", false);
            self.said.recv_timeout(Duration::from_millis(200)).ok()
        });
        self.heard.push(line);
    }

    /// Waits for the end; the exit status.
    fn end(mut self) -> Option<i32> {
        let status = wait_for("the probe's end", || self.child.try_wait().unwrap());
        status.code()
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().ok();
        }
    }
}

#[test]
fn a_picture_of_the_windows_size_is_shown_byte_by_byte() {
    // Without a window manager: the window stands in the corner, without a frame.
    let Some(display) = Display::start(400, 300, false) else {
        return;
    };
    let mut window = Window::open(&display, "pattern=256 window=256x256");
    let shot = window.wait_shot("one-to-one", |shot| {
        shot.pixel(200, 100) == pattern_at(200, 100)
    });
    let [left, top, ..] = shot.lit().unwrap();
    for y in 0..256 {
        for x in 0..256 {
            assert_eq!(
                shot.pixel(left + x, top + y),
                pattern_at(x, y),
                "pixel {x},{y}"
            );
        }
    }
    window.key("Escape", true);
    window.expect("Quit");
    window.expect("ended ByPerformer");
    assert_eq!(window.end(), Some(0));
}

#[test]
fn keys_do_what_they_say() {
    let Some(display) = Display::start(640, 360, true) else {
        return;
    };
    let mut window = Window::open(&display, "corners=64 window=128x128 fullscreen");
    // Letterboxed: 360 rows of the square in the middle.
    let full = |shot: &Shot| shot.lit() == Some([140, 0, 360, 360]);
    let shot = window.wait_shot("fullscreen", full);
    for (x, y, rgb) in [
        (150, 10, [255, 0, 0]),
        (490, 10, [0, 255, 0]),
        (150, 350, [0, 0, 255]),
        (490, 350, [255, 255, 255]),
    ] {
        assert_eq!(shot.pixel(x, y), rgb, "at {x},{y}");
    }

    window.key("b", false);
    window.wait_shot("black", |shot| shot.lit().is_none());
    window.expect("Blackout(true)");
    window.key("b", false);
    window.wait_shot("light", full);
    window.expect("Blackout(false)");

    window.key("space", false);
    window.expect("NextSeed");
    window.key("p", false);
    window.expect("Pause(true)");

    // The overlay covers a part of the left bar, which was black.
    window.key("s", false);
    let numbers = |shot: &Shot| shot.lit().is_some_and(|lit| lit[0] < 60);
    window.wait_shot("overlay", numbers);
    window.key("Tab", false);
    window.wait_shot("overlay-off", full);
    window.key("h", false);
    window.wait_shot("help", |shot| {
        shot.pixel(320, 90) != [255, 0, 0] && !full_white(shot)
    });
    window.key("h", false);
    window.wait_shot("help-off", full);

    window.key("f", false);
    // openbox frames the window; the picture is the window's 128 rows.
    window.wait_shot("windowed", |shot| {
        (0..shot.height).any(|y| {
            (0..shot.width).any(|x| {
                x + 127 < shot.width
                    && y + 127 < shot.height
                    && shot.pixel(x, y) == [255, 0, 0]
                    && shot.pixel(x + 127, y) == [0, 255, 0]
                    && shot.pixel(x, y + 127) == [0, 0, 255]
            })
        }) && shot.pixel(490, 350) != [255, 255, 255]
    });
    window.key("f", false);
    window.wait_shot("fullscreen-again", full);
    window.key("Escape", false);
    window.expect("ended ByPerformer");
    assert_eq!(window.end(), Some(0));
}

fn full_white(shot: &Shot) -> bool {
    shot.pixel(330, 190) == [255, 255, 255]
}

#[test]
fn the_meters_rise_with_what_is_heard() {
    let Some(display) = Display::start(640, 480, true) else {
        return;
    };
    // A bar and a light is far brighter than its track, and words are few.
    let bright = |shot: &Shot| {
        let place = (0..shot.width).flat_map(|x| (0..shot.height).map(move |y| (x, y)));
        place
            .filter(|(x, y)| shot.pixel(*x, *y).into_iter().max() > Some(190))
            .count()
    };
    for (settings, few) in [("fullscreen loud", false), ("fullscreen", true)] {
        let mut window = Window::open(&display, settings);
        window.wait_keys();
        window.wait_shot("no-meters", |shot| shot.lit().is_none());
        window.key("m", false);
        let corner = |[left, top, ..]: [u32; 4]| left > 200 && top > 150;
        let shot = window.wait_shot("meters", |shot| shot.lit().is_some_and(corner));
        let bright = bright(&shot);
        println!("{settings}: {bright} bright pixels");
        assert_eq!(bright < 3000, few, "{settings}: {bright}");
        window.key("m", false);
        window.wait_shot("meters-off", |shot| shot.lit().is_none());
        window.key("Escape", false);
        window.expect("ended ByPerformer");
        // Lest the next one's keys go to this one.
        assert_eq!(window.end(), Some(0));
    }
}

#[test]
fn without_a_window_manager_fullscreen_still_fills_the_screen() {
    let Some(display) = Display::start(640, 360, false) else {
        return;
    };
    let mut window = Window::open(&display, "corners=64 window=128x128 fullscreen");
    window.wait_shot("bare", |shot| shot.lit() == Some([140, 0, 360, 360]));
    window.key("Escape", false);
    window.expect("ended ByPerformer");
}

#[test]
fn the_picture_comes_back_after_the_device_is_lost() {
    let Some(display) = Display::start(400, 300, false) else {
        return;
    };
    let mut window = Window::open(
        &display,
        "corners=64 window=200x200 lose=1500 duration=6000",
    );
    window.wait_shot("before", |shot| shot.lit() == Some([0, 0, 200, 200]));
    std::thread::sleep(Duration::from_secs(2));
    // A key makes it draw: what a dead device had left on the screen does not count.
    window.key("b", true);
    window.wait_shot("lost-black", |shot| shot.lit().is_none());
    window.key("b", true);
    window.wait_shot("after", |shot| shot.lit() == Some([0, 0, 200, 200]));
    window.expect("ended Duration lost 1 ");
    assert_eq!(window.end(), Some(0));
}

#[test]
fn the_window_draws_new_pictures_only_and_no_faster_than_the_monitor() {
    let Some(display) = Display::start(400, 300, false) else {
        return;
    };
    let drawn = |settings: &str| -> u64 {
        let mut window = Window::open(&display, settings);
        let line = window.expect("ended Duration lost 0 drawn ");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    // The X server does not wait for any monitor, and pictures come 100 times a second.
    let moving = drawn("corners=64 window=200x200 moving duration=3000");
    assert!(moving <= 3 * 61 + 3, "{moving} drawn in 3 s at 60 Hz");
    assert!(moving >= 20, "{moving} drawn in 3 s");
    // Opening, mapping and resizing draw a few times; nothing else happens.
    let still = drawn("corners=64 window=200x200 duration=3000");
    assert!((1..=10).contains(&still), "{still} drawn of one picture");
}

#[test]
fn a_monitor_that_is_not_there_is_named() {
    let Some(display) = Display::start(400, 300, false) else {
        return;
    };
    let mut window = Window::open(&display, "monitor=7");
    window.expect("error no monitor 7; there is 0: ");
    assert_eq!(window.end(), Some(2));
}

#[test]
fn without_a_display_there_is_an_error_and_no_panic() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "show::probe", "--ignored", "--nocapture"])
        .env("SHOW_PROBE", "corners=64")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("WAYLAND_SOCKET")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("error no display"), "{said}");
}
