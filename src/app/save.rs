//! Saves latents during a performance, on a thread of its own: the render thread waits for no file.

use crate::import::{self, SavedLatent};
use crate::rt::thread;
use crossbeam_channel::{Receiver, Sender, TrySendError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Latents that may wait; every one counts, one too many is refused with a message.
const WAITING: usize = 16;

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct LatentSaver {
    jobs: Sender<SavedLatent>,
    done: Receiver<Result<PathBuf, String>>,
}

impl LatentSaver {
    /// Starts the thread, which ends with this. Files are `latent-SECONDS.npz` in `folder`, by the
    /// seconds since 1970.
    ///
    /// # Errors
    /// When the thread does not start.
    pub(crate) fn start(folder: PathBuf, w_dim: usize) -> io::Result<Self> {
        let (jobs, waiting) = crossbeam_channel::bounded::<SavedLatent>(WAITING);
        let (sender, done) = crossbeam_channel::bounded(WAITING);
        thread::spawn("save", move || {
            for latent in waiting {
                let path = free_name(&folder);
                let saved = import::write_latent(&path, &latent, w_dim);
                let outcome = saved.map(|()| path).map_err(|e| e.to_string());
                if let Err(TrySendError::Disconnected(_)) = sender.try_send(outcome) {
                    break;
                }
            }
        })?;
        Ok(Self { jobs, done })
    }

    /// Hands a latent over; false when too many wait.
    pub(crate) fn save(&self, latent: SavedLatent) -> bool {
        self.jobs.try_send(latent).is_ok()
    }

    /// What became of an earlier one.
    pub(crate) fn outcome(&self) -> Option<Result<PathBuf, String>> {
        self.done.try_recv().ok()
    }
}

/// A name that is not taken.
fn free_name(folder: &Path) -> PathBuf {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let secs = now.map_or(0, |d| d.as_secs());
    let named = |more: String| folder.join(format!("latent-{secs}{more}.npz"));
    let mut path = named(String::new());
    let mut copy = 2;
    while path.exists() {
        path = named(format!("-{copy}"));
        copy += 1;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::LatentSaver;
    use crate::import::SavedLatent;
    use std::time::Duration;

    #[test]
    fn each_latent_has_its_own_file() {
        let folder = tempfile::tempdir().unwrap();
        let saver = LatentSaver::start(folder.path().to_owned(), 2).unwrap();
        let latent = SavedLatent {
            styles: vec![1.0; 8],
            noise: None,
        };
        let wait = Duration::from_secs(20);
        let mut paths = Vec::new();
        for _ in 0..3 {
            assert!(saver.save(latent.clone()));
            paths.push(saver.done.recv_timeout(wait).unwrap().unwrap());
        }
        paths.dedup();
        assert_eq!(paths.len(), 3);
        assert!(paths.iter().all(|p| p.is_file()));
        let nowhere = LatentSaver::start(folder.path().join("gone"), 2).unwrap();
        assert!(nowhere.save(latent));
        assert!(nowhere.done.recv_timeout(wait).unwrap().is_err());
    }
}
