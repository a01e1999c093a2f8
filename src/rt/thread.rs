//! Named threads.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread. `name` is at most 15 bytes, so that Linux tools show all of it.
///
/// # Errors
/// When the system refuses another thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    debug_assert!(name.len() <= 15, "thread name {name:?} is over 15 bytes");
    Builder::new().name(name.to_owned()).spawn(work)
}
