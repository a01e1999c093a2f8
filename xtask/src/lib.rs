//! Chores of the repository that tests use too.

pub mod demo_track;
pub mod listening_set;
pub mod random_checkpoint;
