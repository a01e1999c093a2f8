//! Clusters: which features of a layer belong together, found from what they show.
//!
//! After section 3 of *Network Bending* (Broad, Leymarie, Grierson 2021): every feature's activation
//! maps become a short vector, k-means groups a layer's vectors, and the groups are played together.
//!
//! ```text
//! latents ─► generator ─► maps of one picture ─► Embedding ─► running mean by feature
//!                                                              │ all layers, one picture at a time
//!            cluster file ◄─ order, name ◄─ effects ◄─ k-means ┘
//! ```
//!
//! The vector is either a description that needs no training ([`Describe`]) or what a small network
//! learned ([`metric`]).
//!
//! Only one picture's maps are in memory at any time, whatever the number of samples. All that is
//! random follows from one seed. A run can be stopped between any two pictures, and goes on from
//! there ([`state`]).

pub mod agreement;
mod analysis;
mod describe;
pub mod effect;
pub mod kmeans;
mod knobs;
pub mod metric;
mod name;
mod pictures;
mod report;
pub mod state;
pub mod synthetic;

pub use analysis::{Analysis, Clustered, Latents, LayerClusters, Progress, Settings, Step, file};
pub use describe::{Describe, Embedding};
pub use knobs::{Controller, KnobFiles, lay_knobs};
pub use pictures::Drawn;
pub use report::write_report;

use crate::bend::BendError;
use crate::generator::GeneratorError;
use std::path::PathBuf;

/// Why clusters can not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusteringError {
    /// The network failed.
    #[error(transparent)]
    Generator(#[from] GeneratorError),
    /// A bend failed.
    #[error(transparent)]
    Bend(#[from] BendError),
    /// Layers that the model lacks.
    #[error("layers {first} to {last} are asked for, but the model's layers are 0 to {top}")]
    Layers {
        /// First one asked for.
        first: usize,
        /// Last one asked for.
        last: usize,
        /// The model's last one.
        top: usize,
    },
    /// k-means failed.
    #[error("layer {layer}: k-means failed: {why}")]
    KMeans {
        /// The layer.
        layer: usize,
        /// What it said.
        why: String,
    },
    /// A file can not be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A trained network can not be read or written.
    #[error(transparent)]
    Network(#[from] bendwave_metric::FileError),
    /// Training can not go on.
    #[cfg(feature = "metric-learning")]
    #[error(transparent)]
    Train(#[from] bendwave_metric::train::TrainError),
    /// The numbers of a training grew beyond all bounds.
    #[error("the network's numbers are not finite; --random-state N begins with others")]
    Diverged,
    /// The performer asked to stop. What is finished is kept.
    #[error("stopped; the same command goes on from here")]
    Stopped,
}

/// Number of clusters of a layer with so many features: Table 1 of the 2021 paper (512 features: 5,
/// 256 and 128: 4, 64 and 32: 3), carried on to other widths, and never more than there are
/// features.
pub const fn cluster_count(features: usize) -> usize {
    let count = match features {
        384.. => 5,
        96.. => 4,
        _ => 3,
    };
    if count < features { count } else { features }
}

#[cfg(test)]
mod tests {
    use super::cluster_count;

    #[test]
    fn table_1() {
        for (features, clusters) in [(512, 5), (256, 4), (128, 4), (64, 3), (32, 3)] {
            assert_eq!(cluster_count(features), clusters);
        }
        assert_eq!((cluster_count(2), cluster_count(0)), (2, 0));
    }
}
