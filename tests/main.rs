//! All integration tests in one binary: one link, one start.

mod architecture;
mod record;
#[cfg(unix)]
mod show;
mod support;
