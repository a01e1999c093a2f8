//! The program under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use bendwave::generator::Runtime;

/// The binary, with the ONNX Runtime library named: a test may give it another HOME.
pub(crate) fn bendwave() -> Command {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let runtime = Runtime::load(None).expect("ONNX Runtime: `make setup` puts it in place");
        runtime.library().to_path_buf()
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_bendwave"));
    command.env("ORT_DYLIB_PATH", library).stdin(Stdio::null());
    command
}

/// The binary, on a display, at a sound server: with the environment of commands that run there.
pub(crate) fn bendwave_beside(places: &[Command]) -> Command {
    let mut program = bendwave();
    for (key, value) in places.iter().flat_map(Command::get_envs) {
        match value {
            Some(value) => program.env(key, value),
            None => program.env_remove(key),
        };
    }
    program
}

/// Runs it; a failure shows what it said.
#[track_caller]
pub(crate) fn succeed(arguments: &[&str]) -> Output {
    let output = bendwave().args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A file of `tests/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Imports the tiny network of the fixtures: 32 px, layers 0 to 6.
pub(crate) fn tiny_model(dir: &Path) -> PathBuf {
    let model = dir.join("tiny");
    succeed(&[
        "import",
        text(&fixture("generator/tiny.pt")),
        "--out",
        text(&model),
    ]);
    model
}
