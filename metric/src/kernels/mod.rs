//! The arithmetic of the network, on one group of maps.
//!
//! A *group* is some maps of a batch whose features fit into a processor's cache together:
//! `[features][maps][height][width]`, so that a feature's values of all maps lie in one row. A 1×1
//! convolution is then one matrix product, and the halves of a channel split are slices. A batch is one group after
//! another; groups are the unit of parallel work.
//!
//! Everything is plain safe Rust over slices, written so that the compiler makes vector
//! instructions of it, inside [`wide`]. Products and sums are not fused, so all processors give the
//! same numbers.

pub mod depthwise;
pub mod normal;
pub mod pool;
pub mod product;
pub mod stem;
pub mod unit;

/// Features of each layer of the network.
pub const WIDTH: usize = 50;
/// Features that a residual unit works on; the others pass by.
pub const HALF: usize = WIDTH / 2;

/// Shape of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Maps.
    pub maps: usize,
    /// Pixels along a side.
    pub side: usize,
}

impl Group {
    /// Values of one feature.
    pub const fn row(self) -> usize {
        self.maps * self.side * self.side
    }

    /// After the side was halved.
    pub const fn halved(self) -> Self {
        Self {
            maps: self.maps,
            side: self.side / 2,
        }
    }
}

/// Runs `work` compiled for the widest vectors that this processor has. In builds without training, for
/// those that every processor of its kind has.
#[inline]
pub fn wide<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(feature = "train")]
    return pulp::Arch::new().dispatch(work);
    #[cfg(not(feature = "train"))]
    work()
}
