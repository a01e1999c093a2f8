//! A private X server with real windows and no monitor.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::tools;

/// An Xvfb on a free display, ended when dropped.
pub(crate) struct Display {
    server: Child,
    manager: Option<Child>,
    number: u32,
    dir: tempfile::TempDir,
}

impl Display {
    /// Starts a server with one screen of this size, and openbox on it if `managed`. `None`, with a
    /// word about it, where a program is missing.
    pub(crate) fn start(width: u32, height: u32, managed: bool) -> Option<Self> {
        let mut needed = vec!["xdotool", "import"];
        if managed {
            needed.extend(["openbox", "xprop"]);
        }
        // Its own way of telling that it is there.
        needed.push("Xvfb");
        if !tools::have(&needed) {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        // The server picks a free number and writes it when it takes connections.
        let written = dir.path().join("display");
        let script = format!(
            "exec Xvfb -displayfd 3 -screen 0 {width}x{height}x24 -nolisten tcp -noreset \
             3>'{}' >'{}' 2>&1",
            written.display(),
            dir.path().join("xvfb.log").display()
        );
        let server = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let number = wait_for("Xvfb", || {
            let text = std::fs::read_to_string(&written).ok()?;
            text.strip_suffix('\n')?.trim().parse().ok()
        });
        let mut display = Self {
            server,
            manager: None,
            number,
            dir,
        };
        if managed {
            let manager = display
                .command("openbox")
                .arg("--sm-disable")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            display.manager = Some(manager);
            wait_for("openbox", || {
                let output = display.run("xprop", &["-root", "_NET_SUPPORTING_WM_CHECK"]);
                String::from_utf8_lossy(&output.stdout)
                    .contains("window id")
                    .then_some(())
            });
        }
        Some(display)
    }

    /// A command that sees this display and no other.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("DISPLAY", format!(":{}", self.number))
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("WAYLAND_SOCKET")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program).args(arguments).output().unwrap()
    }

    /// Presses a key.
    pub(crate) fn key(&self, name: &str) {
        let output = self.run("xdotool", &["key", name]);
        assert!(output.status.success(), "{output:?}");
    }

    /// The screen as it is now. With `SHOW_SHOTS` set to a folder, it is also kept there as `name`.
    pub(crate) fn shot(&self, name: &str) -> Shot {
        let path = self.dir.path().join(format!("{name}.png"));
        let output = self.run("import", &["-window", "root", path.to_str().unwrap()]);
        assert!(output.status.success(), "{output:?}");
        if let Some(keep) = std::env::var_os("SHOW_SHOTS") {
            std::fs::copy(&path, PathBuf::from(keep).join(format!("{name}.png"))).unwrap();
        }
        Shot::read(&path)
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        for child in self.manager.iter_mut().chain([&mut self.server]) {
            if child.kill().is_ok() {
                child.wait().ok();
            }
        }
    }
}

/// A screenshot.
pub(crate) struct Shot {
    pub(crate) width: u32,
    pub(crate) height: u32,
    rgb: Vec<u8>,
}

impl Shot {
    pub(crate) fn read(path: &std::path::Path) -> Self {
        let mut decoder =
            png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let channels = info.color_type.samples();
        let rgb = bytes[..info.buffer_size()]
            .chunks_exact(channels)
            .flat_map(|p| {
                if channels < 3 {
                    [p[0]; 3]
                } else {
                    [p[0], p[1], p[2]]
                }
            })
            .collect();
        Self {
            width: info.width,
            height: info.height,
            rgb,
        }
    }

    pub(crate) fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let at = (y * self.width + x) as usize * 3;
        self.rgb[at..at + 3].try_into().unwrap()
    }

    /// Left, top, width and height of what is not black.
    pub(crate) fn lit(&self) -> Option<[u32; 4]> {
        let (mut left, mut top, mut right, mut bottom) = (u32::MAX, u32::MAX, 0, 0);
        for y in 0..self.height {
            for x in 0..self.width {
                if self.pixel(x, y) != [0; 3] {
                    (left, right) = (left.min(x), right.max(x));
                    (top, bottom) = (top.min(y), bottom.max(y));
                }
            }
        }
        (left <= right).then(|| [left, top, right - left + 1, bottom - top + 1])
    }
}

/// Asks again and again, for at most 20 seconds.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(40));
    }
}
