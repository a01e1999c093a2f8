//! WGSL sources of the bends: those in the program, or a folder's.

use super::gpu_bender::SHADERS;
use crate::gpu::shader::{self, Assembled, SHARED};
use std::borrow::Cow;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Longest shader that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Every source that the bends need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShaderSources {
    /// `shaders/`, for error texts; `None` for the program's own.
    folder: Option<PathBuf>,
    /// Text by path below `shaders/`.
    files: Vec<(String, Cow<'static, str>)>,
}

impl ShaderSources {
    /// Those in the program.
    pub fn embedded() -> Self {
        let bend = SHADERS
            .iter()
            .map(|(stem, text)| (bend_path(stem), Cow::Borrowed(*text)));
        let shared = SHARED
            .iter()
            .map(|(path, text)| ((*path).to_owned(), Cow::Borrowed(*text)));
        Self {
            folder: None,
            files: bend.chain(shared).collect(),
        }
    }

    /// Those in `folder`, laid out as `shaders/` is: `bend/*.wgsl`, `shared/*.wgsl`. What the folder
    /// lacks is the program's own.
    ///
    /// # Errors
    /// When the folder has none of them, or one cannot be read.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut sources = Self::embedded();
        let mut found = false;
        for (path, text) in &mut sources.files {
            let path = folder.join(path);
            match read_short(&path) {
                Ok(read) => {
                    *text = Cow::Owned(read);
                    found = true;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let text = format!("{}: {error}", path.display());
                    return Err(io::Error::new(error.kind(), text));
                }
            }
        }
        if !found {
            let text = format!(
                "{}: holds none of {}",
                folder.display(),
                SHADERS
                    .iter()
                    .map(|(stem, _)| bend_path(stem))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        sources.folder = Some(folder.to_owned());
        Ok(sources)
    }

    /// Paths of all sources below `shaders/`.
    pub fn paths() -> impl Iterator<Item = String> {
        Self::embedded().files.into_iter().map(|(path, _)| path)
    }

    fn text(&self, path: &str) -> Option<&str> {
        let file = self.files.iter().find(|(name, _)| name == path);
        file.map(|(_, text)| text.as_ref())
    }

    /// A bend shader with its includes, or what is wrong.
    pub(super) fn assemble(&self, stem: &str) -> Result<Assembled, String> {
        let path = bend_path(stem);
        let source = self.text(&path).ok_or("is not there")?;
        shader::assemble_from(source, |shared| self.text(shared))
            .map_err(|error| format!("{}: {error}", self.name(&path)))
    }

    /// A compiler's message with file and line.
    pub(super) fn place(
        &self,
        stem: &str,
        source: &Assembled,
        message: &wgpu::CompilationMessage,
    ) -> String {
        let line = message.location.map_or(1, |l| l.line_number as usize);
        let (include, line) = source.origin(line);
        let path = include.map_or_else(|| bend_path(stem), str::to_owned);
        // The compiler draws the source below its first line.
        let text = message.message.lines().next().unwrap_or_default();
        format!("{}: line {line}: {}", self.name(&path), text.trim())
    }

    fn name(&self, path: &str) -> String {
        let folder = self.folder.as_deref().unwrap_or(Path::new("shaders"));
        folder.join(path).display().to_string()
    }
}

fn bend_path(stem: &str) -> String {
    format!("bend/{stem}.wgsl")
}

fn read_short(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other("is too large for a shader"));
    }
    Ok(text)
}
