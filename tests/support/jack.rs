//! A JACK server without sound card or kernel sequencer: how a real MIDI message is sent here.
//!
//! libjack finds its server through environment variables, and a test must not change those of
//! its own process (other tests run beside it). So everything that talks to the server runs in
//! a child: the program under test with [`JackServer::env`], or [`MidiKeyboard`].

use std::fs::File;
use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, fs, process, thread};

/// A `jackd` with the dummy driver under a name of its own; ends with this value.
pub(crate) struct JackServer {
    jackd: Child,
    name: String,
    /// No other of this process is there. The last field: it goes when the server has gone.
    _alone: MutexGuard<'static, ()>,
}

impl JackServer {
    /// Starts a server. Clients retry until it answers: see [`until`].
    ///
    /// There is one at a time: it takes 39 MB of /dev/shm, of which a container may have 64, and all
    /// share a registry there. One that ends at once or hangs is replaced by another.
    pub(crate) fn start() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let mut said = Vec::new();
        for _ in 0..5 {
            let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
            match Self::try_start(alone) {
                Ok(server) => return server,
                Err(why) => {
                    if why.contains("Too many servers") {
                        clear_registry();
                    }
                    said.push(why);
                }
            }
        }
        panic!("jackd does not start: {}", said.join("\n"));
    }

    fn try_start(alone: MutexGuard<'static, ()>) -> Result<Self, String> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("bendwave{}-{number}", process::id());
        let log = env::temp_dir().join(format!("{name}.jackd.log"));
        let output = File::create(&log).unwrap();
        let jackd = Command::new("jackd")
            // With the usual 2048 ports its shared memory is 103 MB.
            .args(["--no-realtime", "--name", &name, "--port-max", "64"])
            .args(["-d", "dummy", "--rate", "48000", "--period", "256"])
            .args(["--capture", "2", "--playback", "2"])
            .env("JACK_NO_AUDIO_RESERVATION", "1")
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .expect("jackd starts: `make setup` installs it");
        let mut server = Self {
            jackd,
            name,
            _alone: alone,
        };
        // Its socket says that it is nearly there.
        let socket = format!("jack_{}_", server.name);
        let answer = within_secs(30, || {
            if entries("/dev/shm")
                .any(|file| file.file_name().to_string_lossy().starts_with(&socket))
            {
                return Some(Ok(()));
            }
            let status = server.jackd.try_wait().unwrap()?;
            Some(Err(format!("it ended ({status})")))
        });
        let answer = answer.unwrap_or(Err("it neither answered nor ended within 30 s".to_owned()));
        let said = fs::read_to_string(&log).unwrap_or_default();
        drop(fs::remove_file(&log));
        match answer {
            Ok(()) => Ok(server),
            Err(why) => Err(format!("{why}; it said:\n{said}")),
        }
    }

    /// The environment in which libjack finds this server and starts no other.
    pub(crate) fn env(&self) -> [(&'static str, &str); 2] {
        [
            ("JACK_DEFAULT_SERVER", &self.name),
            ("JACK_NO_START_SERVER", "1"),
        ]
    }

    /// Runs the ignored test `path` of this binary as a child that sees this server.
    pub(crate) fn child(&self, path: &str) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", path, "--ignored", "--nocapture"])
            .envs(self.env());
        command
    }
}

/// Servers that hung and were killed stay in libjack's registry, which has room for eight. Where no server
/// is alive, it is thrown away with what they left.
fn clear_registry() {
    let is_server = |process: fs::DirEntry| {
        fs::read_to_string(process.path().join("comm")).is_ok_and(|name| name.starts_with("jackd"))
    };
    if entries("/proc").any(is_server) {
        return;
    }
    for file in entries("/dev/shm") {
        let name = file.file_name().to_string_lossy().into_owned();
        if name.starts_with("jack-") || name.starts_with("jack_") && name.contains("bendwave") {
            drop(fs::remove_file(file.path()));
        }
    }
}

fn entries(folder: &str) -> impl Iterator<Item = fs::DirEntry> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

impl Drop for JackServer {
    fn drop(&mut self) {
        // SIGTERM lets it remove what it left in /dev/shm; one that hangs does not heed it.
        if let Ok(None) = self.jackd.try_wait() {
            let id = self.jackd.id().to_string();
            drop(Command::new("kill").arg(id).status());
        }
        let ended = || (!matches!(self.jackd.try_wait(), Ok(None))).then_some(());
        if within_secs(5, ended).is_none() {
            drop(self.jackd.kill());
            drop(self.jackd.wait());
        }
    }
}

/// Asks `ready` for up to a minute: a loaded machine is no failure.
pub(crate) fn until<T>(what: &str, ready: impl FnMut() -> Option<T>) -> T {
    within_secs(60, ready).unwrap_or_else(|| panic!("{what}: not within a minute"))
}

/// Asks `ready` twenty times a second.
fn within_secs<T>(secs: u32, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..20 * secs {
        let value = ready();
        if value.is_some() {
            return value;
        }
        thread::sleep(Duration::from_millis(50));
    }
    None
}

/// A controller: a child that owns the MIDI output `bendwave-test:knobs` and sends what it is told.
pub(crate) struct MidiKeyboard {
    child: Child,
    lines: ChildStdin,
}

impl MidiKeyboard {
    /// Plugs it in.
    pub(crate) fn plug_in(server: &JackServer) -> Self {
        let mut child = server
            .child("support::jack::keyboard_process")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = child.stdin.take().unwrap();
        Self { child, lines }
    }

    /// Sends one message.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let words: Vec<String> = bytes.iter().map(u8::to_string).collect();
        writeln!(self.lines, "{}", words.join(" ")).unwrap();
        self.lines.flush().unwrap();
    }
}

impl MidiKeyboard {
    /// Sends a MIDI clock of this tempo for so long, by the child's own timer. Returns at once; what
    /// is sent meanwhile waits.
    pub(crate) fn clock(&mut self, bpm: f64, secs: f64) {
        writeln!(self.lines, "clock {bpm} {secs}").unwrap();
        self.lines.flush().unwrap();
    }
}

impl Drop for MidiKeyboard {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A virtual MIDI output in this process.
pub(crate) fn virtual_output(port: &str) -> midir::MidiOutputConnection {
    use midir::os::unix::VirtualOutput;
    let output = until("a JACK server", || {
        midir::MidiOutput::new("bendwave-test").ok()
    });
    output.create_virtual(port).unwrap()
}

#[test]
#[ignore = "the child of MidiKeyboard, not a test by itself"]
fn keyboard_process() {
    let mut output = virtual_output("knobs");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        if let Some(clock) = line.strip_prefix("clock ") {
            let (bpm, secs) = clock.split_once(' ').unwrap();
            let period = 60.0 / bpm.parse::<f64>().unwrap() / 24.0;
            let start = std::time::Instant::now();
            for pulse in 0..(secs.parse::<f64>().unwrap() / period) as u32 {
                let due = Duration::from_secs_f64(period * f64::from(pulse));
                thread::sleep(due.saturating_sub(start.elapsed()));
                output.send(&[0xf8]).unwrap();
            }
            continue;
        }
        let bytes: Vec<u8> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        output.send(&bytes).unwrap();
    }
}
