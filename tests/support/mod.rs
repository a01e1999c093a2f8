//! What several tests need.

pub(crate) mod pulse;
pub(crate) mod tools;
