//! File names: parts while recording, the target at the end.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Kept, RecordError};

/// The target and its parts, which stand beside it.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The finished video.
    pub(super) path: PathBuf,
    /// The picture while recording. MPEG-TS: readable to the last packet wherever it is cut, and
    /// its 90 kHz clock divides by the usual rates, where Matroska would round to milliseconds.
    pub(super) video: PathBuf,
    stem: PathBuf,
    extension: String,
}

impl Target {
    /// Checks the name and reserves the part for the picture. An existing target stays until the
    /// new video is complete.
    pub(super) fn reserve(path: &Path) -> Result<Self, RecordError> {
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .map(str::to_ascii_lowercase)
            .filter(|e| matches!(e.as_str(), "mp4" | "mov" | "mkv"))
            .ok_or_else(|| RecordError::Extension {
                path: path.to_owned(),
            })?;
        if path.is_dir() {
            return Err(RecordError::Create {
                path: path.to_owned(),
                source: io::ErrorKind::IsADirectory.into(),
            });
        }
        // A part that an earlier crash left is somebody's only copy.
        for number in 1..1000 {
            let mut name = path.file_stem().unwrap_or_default().to_owned();
            name.push(if number == 1 {
                ".part".to_owned()
            } else {
                format!(".part{number}")
            });
            let stem = path.with_file_name(name);
            let video = with_suffix(&stem, "ts");
            if with_suffix(&stem, "wav").exists() || with_suffix(&stem, &extension).exists() {
                continue;
            }
            match create(&video) {
                Ok(_) => {
                    return Ok(Self {
                        path: path.to_owned(),
                        video,
                        stem,
                        extension,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => {
                    return Err(RecordError::Create {
                        path: video,
                        source,
                    });
                }
            }
        }
        Err(RecordError::Create {
            path: path.to_owned(),
            source: io::ErrorKind::AlreadyExists.into(),
        })
    }

    /// Creates the part for live sound.
    pub(super) fn create_sound(&self) -> Result<(PathBuf, File), RecordError> {
        let path = with_suffix(&self.stem, "wav");
        match create(&path) {
            Ok(file) => Ok((path, file)),
            Err(source) => Err(RecordError::Create { path, source }),
        }
    }

    /// The part that becomes the target.
    pub(super) fn joined(&self) -> PathBuf {
        with_suffix(&self.stem, &self.extension)
    }

    /// Whether the target takes MP4's options.
    pub(super) fn is_mp4(&self) -> bool {
        self.extension != "mkv"
    }

    /// The parts worth keeping after a failure; empty ones are deleted.
    pub(super) fn kept(&self) -> Kept {
        let parts = [self.video.clone(), with_suffix(&self.stem, "wav")];
        discard(&self.joined());
        let mut kept = Vec::new();
        let video = fs::metadata(&self.video).is_ok_and(|m| m.len() > 0);
        for part in parts {
            if !part.exists() {
                continue;
            }
            if video {
                kept.push(part);
            } else {
                discard(&part);
            }
        }
        Kept(kept)
    }

    /// Gives the joined part the target's name and deletes the others.
    pub(super) fn complete(&self) -> Result<(), RecordError> {
        let joined = self.joined();
        // A video that was called finished survives a power cut.
        if let Err(error) = File::open(&joined).and_then(|file| file.sync_all()) {
            log::debug!("{}: cannot be synced: {error}", joined.display());
        }
        if let Err(source) = fs::rename(&joined, &self.path) {
            return Err(RecordError::Rename {
                path: self.path.clone(),
                source,
                kept: Kept(vec![joined]),
            });
        }
        self.discard();
        Ok(())
    }

    /// Deletes the parts for picture and sound.
    pub(super) fn discard(&self) {
        discard(&self.video);
        discard(&with_suffix(&self.stem, "wav"));
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn discard(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => log::warn!("{}: cannot be deleted: {error}", path.display()),
    }
}

fn with_suffix(stem: &Path, extension: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::Target;
    use crate::record::RecordError;

    #[test]
    fn a_part_left_by_a_crash_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("show.part.ts");
        std::fs::write(&old, "precious").unwrap();
        let target = Target::reserve(&dir.path().join("show.mp4")).unwrap();
        assert_eq!(target.video, dir.path().join("show.part2.ts"));
        assert_eq!(std::fs::read_to_string(old).unwrap(), "precious");
    }

    #[test]
    fn a_failure_keeps_what_is_worth_keeping() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::reserve(&dir.path().join("show.mp4")).unwrap();
        let (sound, _file) = target.create_sound().unwrap();
        std::fs::write(&target.video, "pictures").unwrap();
        assert_eq!(target.kept().0, [target.video.clone(), sound.clone()]);
        std::fs::write(&target.video, "").unwrap();
        assert!(target.kept().0.is_empty());
        assert!(!sound.exists() && !target.video.exists());
    }

    #[test]
    fn bad_targets_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["show.avi", "show", "mp4"] {
            assert!(matches!(
                Target::reserve(&dir.path().join(name)),
                Err(RecordError::Extension { .. })
            ));
        }
        let nowhere = dir.path().join("missing/show.mp4");
        let error = Target::reserve(&nowhere).unwrap_err().to_string();
        assert!(error.contains("missing"), "{error}");
    }
}
