//! Which files changed on disk.
//!
//! Editors save in many ways: they write in place, truncate first, or move a new file over the old
//! one. So it is folders that are watched, and what counts is that a file's bytes are others than
//! before. Where the system tells nothing (network folders), a look every second does it.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// After an event, more of the same save may follow.
const SETTLE: Duration = Duration::from_millis(8);
/// Longest that a folder which never rests can hold a reload up.
const LONGEST_SETTLE: Duration = Duration::from_millis(80);
/// How often files are looked at without an event.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// More than any file that is read.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// Watches single files.
pub(crate) struct Watch {
    watcher: Option<RecommendedWatcher>,
    wake: Receiver<()>,
    folders: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, Seen>,
}

/// What a file was when last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    stamp: Option<(SystemTime, u64)>,
    /// Hash of its bytes; `None` when it cannot be read.
    bytes: Option<u64>,
}

impl Watch {
    /// Watches nothing yet. What is sent through the second value ends a [`Self::wait`].
    pub(crate) fn new() -> (Self, Sender<()>) {
        // One message is enough: it says "look".
        let (sender, wake) = crossbeam_channel::bounded(1);
        let events = sender.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let reading = event.is_ok_and(|e| e.kind.is_access());
            if !reading && events.try_send(()).is_err() {
                // One is on its way.
            }
        });
        let watcher = watcher
            .inspect_err(|error| log::warn!("files are looked at once a second: {error}"))
            .ok();
        let watch = Self {
            watcher,
            wake,
            folders: BTreeSet::new(),
            files: BTreeMap::new(),
        };
        (watch, sender)
    }

    /// Watches exactly these files from now on, whether they exist or not.
    pub(crate) fn set(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let files: BTreeSet<PathBuf> = files.into_iter().collect();
        self.files.retain(|path, _| files.contains(path));
        for path in files {
            // A link's target may be saved under its own name.
            let real = fs::canonicalize(&path).ok();
            for place in [Some(path.clone()), real].into_iter().flatten() {
                let folder = match place.parent() {
                    Some(folder) if folder != Path::new("") => folder.to_owned(),
                    _ => PathBuf::from("."),
                };
                if self.folders.contains(&folder) {
                    continue;
                }
                if let Some(watcher) = &mut self.watcher
                    && let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive)
                {
                    log::warn!("{}: not watched: {error}", folder.display());
                }
                self.folders.insert(folder);
            }
            self.files.entry(path).or_insert_with_key(|path| look(path));
        }
    }

    /// Waits until something may have changed, at most `patience`.
    pub(crate) fn wait(&self, patience: Option<Duration>) -> Woken {
        let patience = patience.map_or(LOOK_EVERY, |p| p.min(LOOK_EVERY));
        match self.wake.recv_timeout(patience) {
            Ok(()) => {
                let last = Instant::now() + LONGEST_SETTLE;
                while Instant::now() < last && self.wake.recv_timeout(SETTLE).is_ok() {}
                Woken::ByEvent
            }
            Err(RecvTimeoutError::Timeout) => Woken::ByTime,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(patience);
                Woken::ByTime
            }
        }
    }

    /// The files whose bytes changed since the last call or since they were added.
    pub(crate) fn changed(&mut self, woken: Woken) -> BTreeSet<PathBuf> {
        let mut changed = BTreeSet::new();
        for (path, seen) in &mut self.files {
            if woken == Woken::ByTime && stamp(path) == seen.stamp {
                continue;
            }
            let now = look(path);
            if now.bytes != seen.bytes {
                changed.insert(path.clone());
            }
            *seen = now;
        }
        changed
    }
}

/// Why [`Watch::wait`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The system told of a change.
    ByEvent,
    /// It is time to look.
    ByTime,
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let data = fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

fn look(path: &Path) -> Seen {
    // The stamp first: a write between the two is found by the next look.
    Seen {
        stamp: stamp(path),
        bytes: hash(path).ok(),
    }
}

fn hash(path: &Path) -> io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    let mut file = fs::File::open(path)?.take(MAX_FILE_BYTES);
    let mut block = [0; 4096];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        block[..read].hash(&mut hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::{Watch, Woken};
    use std::collections::BTreeSet;
    use std::fs;
    use std::time::{Duration, Instant};

    /// Waits for the next change, or for two seconds.
    fn next(watch: &mut Watch) -> BTreeSet<std::path::PathBuf> {
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline {
            let woken = watch.wait(Some(Duration::from_millis(200)));
            let changed = watch.changed(woken);
            if !changed.is_empty() {
                return changed;
            }
        }
        BTreeSet::new()
    }

    #[test]
    fn every_way_of_saving_is_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scene.yaml");
        let other = dir.path().join("other");
        fs::write(&path, "a").unwrap();
        let (mut watch, _wake) = Watch::new();
        watch.set([path.clone()]);
        let only = BTreeSet::from([path.clone()]);
        fs::write(&path, "b").unwrap();
        assert_eq!(next(&mut watch), only, "in place");
        fs::write(&other, "c").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(next(&mut watch), only, "moved over");
        fs::rename(&path, &other).unwrap();
        fs::write(&path, "d").unwrap();
        assert_eq!(next(&mut watch), only, "backed up, then written anew");
        fs::remove_file(&path).unwrap();
        assert_eq!(next(&mut watch), only, "gone");
        fs::write(&path, "e").unwrap();
        assert_eq!(next(&mut watch), only, "there again");
    }

    #[test]
    fn the_same_bytes_and_other_files_are_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scene.yaml");
        fs::write(&path, "a").unwrap();
        let (mut watch, _wake) = Watch::new();
        watch.set([path.clone()]);
        fs::write(&path, "a").unwrap();
        fs::write(dir.path().join("neighbour.yaml"), "b").unwrap();
        assert_eq!(watch.wait(Some(Duration::from_secs(1))), Woken::ByEvent);
        assert!(watch.changed(Woken::ByEvent).is_empty());
    }
}
