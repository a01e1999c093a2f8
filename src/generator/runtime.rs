//! Finds and loads the ONNX Runtime library.

use ort::environment::{Environment, GlobalThreadPoolOptions};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

/// Oldest ONNX Runtime that works: the `api-24` feature of `ort`.
const OLDEST: &str = "1.24";
const FILE_STEM: &str = if cfg!(windows) {
    "onnxruntime.dll"
} else if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so"
};

/// Why ONNX Runtime is not there.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No library in any of the usual places.
    #[error(
        "no ONNX Runtime library found: run `make setup`, or name one (version {OLDEST} or newer) with --ort-lib or ORT_DYLIB_PATH; looked at {}",
        list(.0)
    )]
    Missing(Vec<PathBuf>),
    /// There is one, but it does not load.
    #[error(
        "{path}: this ONNX Runtime library does not load ({why}); version {OLDEST} or newer is needed: run `make setup` or name another with --ort-lib",
        path = path.display()
    )]
    Unusable {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        why: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    shown.join(", ")
}

/// The loaded library with its thread pool. One per process; lives as long as the process.
pub struct Runtime {
    environment: Environment,
    library: PathBuf,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("library", &self.library)
            .finish_non_exhaustive()
    }
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

impl Runtime {
    /// The process's runtime; the first call loads it. Looks at `library`, then at
    /// `ORT_DYLIB_PATH`, beside the program, and in the user's cache
    /// (`bendwave/onnxruntime/VERSION/`, newest first). A later call returns what the first one
    /// loaded, whatever it names.
    ///
    /// # Errors
    /// When there is none, or the first one named by the user does not load.
    pub fn load(library: Option<&Path>) -> Result<&'static Self, RuntimeError> {
        let _guard = LOADING
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(runtime) = RUNTIME.get() {
            return Ok(runtime);
        }
        let explicit = library.map(Path::to_path_buf).or_else(|| {
            std::env::var_os("ORT_DYLIB_PATH")
                .filter(|p| !p.is_empty())
                .map(PathBuf::from)
        });
        let runtime = match explicit {
            Some(path) => Self::open(path)?,
            None => Self::search()?,
        };
        Ok(RUNTIME.get_or_init(|| runtime))
    }

    fn search() -> Result<Self, RuntimeError> {
        let places = search_places();
        let mut last_error = None;
        for dir in &places {
            for path in libraries_in(dir) {
                match Self::open(path) {
                    Ok(runtime) => return Ok(runtime),
                    Err(error) => last_error = Some(error),
                }
            }
        }
        Err(last_error.unwrap_or(RuntimeError::Missing(places)))
    }

    fn open(path: PathBuf) -> Result<Self, RuntimeError> {
        let unusable = |why: String| RuntimeError::Unusable {
            path: path.clone(),
            why,
        };
        if !path.is_file() {
            return Err(unusable("no such file".to_owned()));
        }
        let path = std::path::absolute(&path).map_err(|e| unusable(e.to_string()))?;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // One pool for all sessions: a chain of sessions with a pool each is ten times slower.
        let pool = |e: ort::Error| unusable(e.to_string());
        let builder = ort::init_from(&path).map_err(|e| unusable(short_load_error(&e)))?;
        let environment = builder
            .with_name("bendwave")
            .with_telemetry(false)
            .with_global_thread_pool(
                GlobalThreadPoolOptions::default()
                    .with_intra_threads(threads)
                    .and_then(|o| o.with_inter_threads(1))
                    // A thread that waits for work in a loop gains the network nothing measurable and takes a
                    // core from the window, the encoder and the analysis (docs/performance.md).
                    .and_then(|o| o.with_spin_control(false))
                    .map_err(pool)?,
            )
            .build()
            .map_err(pool)?;
        environment.set_log_level(ort::logging::LogLevel::Error);
        Ok(Self {
            environment,
            library: path,
        })
    }

    /// The library's file.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// The library's own description of its build.
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }

    pub(super) const fn environment(&self) -> &Environment {
        &self.environment
    }
}

fn short_load_error(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::BadVersion { version_str, .. } => {
            format!("its version is {version_str}")
        }
        ort::LoadDynamicError::MissingApi { .. } => "it is not ONNX Runtime".to_owned(),
        ort::LoadDynamicError::Dlopen { error, .. } => error.to_string(),
        ort::LoadDynamicError::InvalidVersionString => "its version cannot be read".to_owned(),
    }
}

fn search_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Some(dir) = std::env::current_exe()
        .ok()
        .as_deref()
        .and_then(Path::parent)
    {
        places.push(dir.to_path_buf());
    }
    if let Some(cache) = dirs::cache_dir() {
        let cache = cache.join("bendwave").join("onnxruntime");
        let mut versions: Vec<PathBuf> = std::fs::read_dir(&cache)
            .map(|entries| {
                entries
                    .filter_map(Result::ok)
                    .map(|e| e.path())
                    .filter(|p| p.is_dir())
                    .collect()
            })
            .unwrap_or_default();
        versions.sort_by_key(|p| std::cmp::Reverse(version_key(p)));
        places.extend(versions);
        places.push(cache);
    }
    places
}

fn version_key(path: &Path) -> Vec<u32> {
    path.file_name()
        .map(|n| {
            n.to_string_lossy()
                .split('.')
                .map(|p| p.parse().unwrap_or(0))
                .collect()
        })
        .unwrap_or_default()
}

fn libraries_in(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .map(|entries| {
            entries
                .filter_map(Result::ok)
                .map(|e| e.path())
                .filter(|p| {
                    p.file_name().is_some_and(|n| {
                        let n = n.to_string_lossy();
                        n.starts_with(FILE_STEM)
                            || (cfg!(target_os = "macos")
                                && n.starts_with("libonnxruntime.")
                                && n.ends_with(".dylib"))
                    })
                })
                .collect()
        })
        .unwrap_or_default();
    found.sort();
    found
}
