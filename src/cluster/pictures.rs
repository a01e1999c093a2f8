//! A generator's random pictures.

use super::ClusteringError;
use super::metric::{Pictures, See};
use crate::generator::{Generator, NoiseMode, latent};
use crate::tensor::{FeatureMaps, MapShape, split_mix};

/// Random pictures of a generator at one truncation.
#[derive(Debug)]
pub struct Drawn<'a> {
    /// The network.
    pub generator: &'a mut Generator,
    /// Everything random follows from it.
    pub seed: u32,
    /// ψ of truncation.
    pub truncation: f32,
}

impl Pictures for Drawn<'_> {
    fn shape(&self, layer: usize) -> MapShape {
        shape(self.generator, layer)
    }

    fn picture(&mut self, index: usize, see: See<'_>) -> Result<(), ClusteringError> {
        let styles = random_styles(self.generator, self.seed, index, self.truncation)?;
        self.generator.set_noise(NoiseMode::Const, 0);
        self.generator.synthesize(&styles, &mut |layer, maps| {
            let FeatureMaps::Host { data, .. } = maps;
            see(layer, data);
        })?;
        Ok(())
    }
}

/// Shape of a layer's maps; nothing for a layer that the model lacks.
pub(super) fn shape(generator: &Generator, layer: usize) -> MapShape {
    generator.layer_shape(layer).unwrap_or(MapShape {
        channels: 0,
        height: 0,
        width: 0,
    })
}

/// Styles of the `index`-th picture of a run.
pub(super) fn random_styles(
    generator: &mut Generator,
    seed: u32,
    index: usize,
    truncation: f32,
) -> Result<Vec<f32>, ClusteringError> {
    let (z_dim, latents) = (generator.manifest().z_dim, generator.latents());
    let mut state = u64::from(seed) << 32 | index as u64;
    let z = latent::z_from_seed(split_mix(&mut state) as u32, z_dim);
    let mut styles = generator.map(&z)?.repeat(latents);
    latent::truncate(&mut styles, &generator.manifest().w_avg, truncation);
    Ok(styles)
}
