//! What several tests need.

pub(crate) mod tools;
#[cfg(unix)]
pub(crate) mod xvfb;
