//! Metric learning of *Network Bending* (Broad, Leymarie, Grierson 2021, section 3): a small network
//! for each layer of a generator learns to say which feature an activation map came from. Maps of
//! features that are alike end close together in its bottleneck of ten numbers, which are what is
//! clustered.
//!
//! ```text
//! map ─► stem: 3×3 convolution, stride 2, to 50 features
//!     ─► residual unit ─► pool ─► residual unit ─► … until 4×4      as many units as Table 1 says
//!     ─► 4·4·50 numbers ─► 10 numbers                               the embedding
//!     ─► as many numbers as the layer has features ─► softmax       for training only
//! ```
//!
//! [`Network`] is a trained one, for use; it needs nothing but this crate's own arithmetic
//! ([`kernels`]). Training is in [`train`], with the feature of that name.

#[cfg(feature = "train")]
extern crate burn_core as burn;

mod file;
pub mod kernels;
mod network;
mod prepare;
#[cfg(feature = "train")]
pub mod train;

pub use file::{FileError, Info};
pub use network::{Network, Parts, Scratch};
pub use prepare::{Range, prepare};

/// Numbers of an embedding: the bottleneck's.
pub const EMBEDDING: usize = 10;
/// Pixels along a side where the units end.
pub const LAST_SIDE: usize = 4;
/// What the bottleneck sees.
pub const FLAT: usize = LAST_SIDE * LAST_SIDE * kernels::WIDTH;

/// Residual units for maps of `side`: Table 1's depth, 1 for 8×8 to 8 for 1024×1024. For 4×4,
/// which is not in the table, 1.
///
/// `side` is a power of two, 4 or more.
pub const fn depth(side: usize) -> usize {
    match side.ilog2() {
        0..=3 => 1,
        log => log as usize - 2,
    }
}

/// Side after the stem: half, but 4×4 stays.
pub const fn stem_side(side: usize) -> usize {
    if side > LAST_SIDE { side / 2 } else { side }
}

#[cfg(test)]
mod tests {
    use super::depth;

    #[test]
    fn depths_of_table_1() {
        for (side, blocks) in [(8, 1), (16, 2), (32, 3), (64, 4), (128, 5), (1024, 8)] {
            assert_eq!(depth(side), blocks);
        }
        assert_eq!(depth(4), 1);
    }
}
