//! A `PulseAudio` server of the test's own, with a null sink `vj` whose monitor can be captured.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Name of the sink's monitor, as an input.
pub(crate) const MONITOR: &str = "vj.monitor";

const SINK: [&str; 6] = [
    "module-null-sink",
    "sink_name=vj",
    "rate=48000",
    "channels=2",
    "format=float32le",
    // Else the first callback comes up to two seconds late.
    "norewinds=1",
];

/// A running server; killed at the end.
#[derive(Debug)]
pub(crate) struct Pulse {
    server: Child,
    dir: tempfile::TempDir,
}

impl Pulse {
    /// Starts a server. `None`, with a word about it, only when `PulseAudio` is not installed.
    pub(crate) fn start() -> Option<Self> {
        for program in ["pulseaudio", "pactl", "paplay"] {
            let installed = Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if installed.is_err() {
                eprintln!("skipped: {program} is not installed");
                return None;
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(dir.path().join("pulseaudio.log")).unwrap();
        let socket = Self::socket_in(dir.path());
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let server = Command::new("pulseaudio")
            .args(["-n", "--daemonize=no", "--exit-idle-time=-1"])
            .args(["--use-pid-file=no", "--realtime=no", "--high-priority=no"])
            .arg("-L")
            .arg(format!(
                "module-native-protocol-unix auth-anonymous=1 socket={}",
                socket.display()
            ))
            .args(["-L", &SINK.join(" ")])
            .env("XDG_RUNTIME_DIR", dir.path())
            .env("HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let pulse = Self { server, dir };
        let start = Instant::now();
        while !pulse
            .command("pactl")
            .arg("info")
            .output()
            .unwrap()
            .status
            .success()
        {
            let log = pulse.dir.path().join("pulseaudio.log");
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "pulseaudio does not answer: {}",
                std::fs::read_to_string(log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(pulse)
    }

    fn socket_in(dir: &Path) -> PathBuf {
        dir.join("pulse/native")
    }

    /// A command that talks to this server and to no other sound system.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let socket = Self::socket_in(self.dir.path());
        command
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("HOME", self.dir.path())
            .env("PULSE_SERVER", format!("unix:{}", socket.display()))
            .stdin(Stdio::null());
        command
    }

    /// Process id of the server.
    pub(crate) fn server_id(&self) -> u32 {
        self.server.id()
    }

    /// Runs an ignored test of this binary as a process of its own that sees this server: the
    /// environment of a process with many threads cannot be changed. Prints what it says.
    pub(crate) fn run_test(&self, name: &str) {
        run_test(self.command(std::env::current_exe().unwrap()), name);
    }
}

/// Tries of a test in real time. On two cores that other tests keep busy, the sound server itself
/// may stall for longer than a beat; a fault of ours fails every time.
const TRIES: u32 = 4;

/// Pause before the second try; each further one is twice as long. Others get their work done.
const PAUSE: Duration = Duration::from_secs(5);

/// Runs an ignored test of this binary by `command`, which starts this binary. What fails is
/// printed and tried again, [`TRIES`] times in all.
pub(crate) fn run_test(mut command: Command, name: &str) {
    command.args([
        "--exact",
        name,
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]);
    for attempt in 1..=TRIES {
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        println!("{told}");
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        if output.status.success() {
            assert!(told.contains("1 passed"), "{name} did not run");
            return;
        }
        println!("{name} failed in attempt {attempt} of {TRIES}");
        if attempt < TRIES {
            std::thread::sleep(PAUSE * (1 << (attempt - 1)));
        }
    }
    panic!("{name} failed {TRIES} times");
}

/// Takes the sink away, as if it were unplugged. For tests that run inside the server's
/// environment.
pub(crate) fn unplug() {
    pactl(&["unload-module", "module-null-sink"]);
}

/// Brings the sink back.
pub(crate) fn plug() {
    let mut args = vec!["load-module"];
    args.extend(SINK);
    pactl(&args);
}

fn pactl(args: &[&str]) {
    let status = Command::new("pactl")
        .args(args)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "pactl {args:?}");
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}
