//! A scene fitted to a model: what the engine runs.

use crate::bend::spec::{Missing, ParamSpec};
use crate::bend::{Border, ClusterFile, MAX_PARAMS, MaskSpec, TransformSpec};
use crate::generator::NoiseMode;
use crate::param::{Drive, Modulator};
use crate::scene::{Route, Scene, SceneBend, SceneError};
use crate::tensor::{ChannelSet, MapShape, split_mix};
use std::sync::Arc;

/// Index of a number of a [`Patch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberId(usize);

impl NumberId {
    /// ψ of truncation.
    pub const TRUNCATION: Self = Self(0);
    /// Stops per second of the walk.
    pub const WALK_SPEED: Self = Self(1);
    /// Share of the accent latent.
    pub const ACCENT: Self = Self(2);

    /// Its index into the patch's numbers.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// A number that can be driven, with the address that controller mappings use.
#[derive(Clone, Debug)]
pub struct PatchNumber {
    /// Address, as `truncation`, `walk.speed`, `accent`, or `NAME.PARAM`.
    pub address: String,
    /// What the scene says.
    pub drive: Drive,
    /// What a knob sweeps.
    pub range: [f32; 2],
    /// Lowest and highest value that is accepted.
    pub limits: [f32; 2],
}

/// One transform with its channels.
#[derive(Clone, Debug)]
pub struct PatchBend {
    /// Name in the scene.
    pub name: String,
    /// Layer.
    pub layer: usize,
    /// Which transform.
    pub transform: &'static TransformSpec,
    /// On which channels.
    pub channels: ChannelSet,
    /// Where each parameter's value stands among the numbers, `amount` last.
    pub params: Vec<NumberId>,
    /// How maps go on beyond their edges.
    pub border: Border,
    /// Where on the map.
    pub mask: Option<PatchMask>,
    /// The channels that it mixes in.
    pub partners: ChannelSet,
    /// Seed of its noise.
    pub seed: u32,
}

/// Where on the map a transform works.
#[derive(Clone, Debug)]
pub struct PatchMask {
    /// Which kind.
    pub spec: &'static MaskSpec,
    /// Where each parameter's value stands among the numbers.
    pub params: Vec<NumberId>,
    /// Weights of a picture, for the layer's maps.
    pub painting: Option<Arc<[f32]>>,
}

/// A scene fitted to a model. The default has no numbers and bends.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// Every number that can be driven; the first three are the [`NumberId`] constants.
    pub numbers: Vec<PatchNumber>,
    /// The scene's modulators, which the numbers may follow.
    pub modulators: Vec<Modulator>,
    /// Transforms in file order.
    pub bends: Vec<PatchBend>,
    /// Noise of the layers.
    pub noise: NoiseMode,
    /// Where the walk goes.
    pub route: Route,
    /// Seed of the accent latent.
    pub accent_seed: Option<u32>,
    /// The scene's seed.
    pub seed: u32,
}

impl PatchBend {
    /// A parameter of transform or mask by its name or, counted from 0, one of the transform by its
    /// place.
    fn number(&self, param: &str) -> Option<NumberId> {
        if let Some(mask) = self.mask.as_ref().filter(|_| param.starts_with("mask-")) {
            return mask.params.get(mask.spec.param_index(param)?).copied();
        }
        let by_name = self.transform.params.iter().position(|p| p.name == param);
        let place = by_name.or_else(|| param.parse().ok())?;
        self.params.get(place).copied()
    }
}

impl PatchBend {
    /// Whether a bender's room for the other is right for this one.
    fn continues(&self, other: &Self) -> bool {
        self.layer == other.layer
            && self.transform.name == other.transform.name
            && self.channels.len() == other.channels.len()
    }
}

impl Patch {
    /// Whether every transform is the same as in another patch, apart from its parameters and from
    /// which channels it works on: then feedback goes on, but for [`Self::moved`].
    pub fn continues(&self, other: &Self) -> bool {
        self.bends.len() == other.bends.len()
            && self
                .bends
                .iter()
                .zip(&other.bends)
                .all(|(a, b)| a.continues(b))
    }

    /// Places of the transforms that work on other channels than in a patch that this one continues.
    pub fn moved<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let pairs = self.bends.iter().zip(&other.bends).enumerate();
        pairs.filter_map(|(place, (a, b))| (a.channels != b.channels).then_some(place))
    }

    /// Finds a number by its address. `transforms[2].x` works for every transform, named or not,
    /// and `transforms[2].0` for its first parameter, whatever that is called: this is how a
    /// mapping fits any scene.
    pub fn find(&self, address: &str) -> Option<NumberId> {
        if let Some(rest) = address.strip_prefix("transforms[") {
            let (index, param) = rest.split_once("].")?;
            let bend = self.bends.get(index.parse::<usize>().ok()?)?;
            return bend.number(param);
        }
        if let Some(index) = self.numbers.iter().position(|n| n.address == address) {
            return Some(NumberId(index));
        }
        // OSC has no brackets: /transforms/2/x.
        if let Some((index, param)) = address
            .strip_prefix("transforms.")
            .and_then(|rest| rest.split_once('.'))
            && let Ok(index) = index.parse::<usize>()
        {
            return self.bends.get(index)?.number(param);
        }
        let (name, param) = address.rsplit_once('.')?;
        let bend = self.bends.iter().find(|b| b.name == name)?;
        bend.number(param)
    }

    /// A transform's parameter by its place, counted from 0; `name` is the transform's, or
    /// `transforms.2`.
    pub fn find_place(&self, name: &str, place: usize) -> Option<NumberId> {
        let bend = match name.strip_prefix("transforms.").map(str::parse::<usize>) {
            Some(Ok(index)) => self.bends.get(index)?,
            _ => self.bends.iter().find(|b| b.name == name)?,
        };
        bend.params.get(place).copied()
    }

    /// Every address.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.numbers.iter().map(|n| n.address.as_str())
    }
}

impl Scene {
    /// Fits the scene to a model's layers and a cluster file.
    ///
    /// # Errors
    /// When it names a layer that the model lacks or a cluster that is not there.
    pub fn patch(
        &self,
        layer_shape: &dyn Fn(usize) -> Option<MapShape>,
        clusters: Option<&ClusterFile>,
    ) -> Result<Patch, SceneError> {
        self.fit(layer_shape, clusters)
            .map_err(|error| error.with_line(&self.text))
    }

    fn fit(
        &self,
        layer_shape: &dyn Fn(usize) -> Option<MapShape>,
        clusters: Option<&ClusterFile>,
    ) -> Result<Patch, SceneError> {
        let mut numbers = vec![
            fixed("truncation", self.truncation, [0.0, 1.5], [-4.0, 4.0]),
            fixed("walk.speed", self.walk.speed, [0.0, 2.0], [0.0, 60.0]),
            fixed(
                "accent",
                self.walk
                    .accent
                    .as_ref()
                    .map_or(Drive::Constant(0.0), |a| a.1),
                [0.0, 1.0],
                [-4.0, 4.0],
            ),
        ];
        let mut bends = Vec::with_capacity(self.bends.len());
        for (index, bend) in self.bends.iter().enumerate() {
            let fit = |key: &str, why: String| {
                let key = format!("transforms[{index}].{key}");
                SceneError::Fit {
                    path: self.path.clone(),
                    key,
                    why,
                }
            };
            let shape = layer_shape(bend.layer).ok_or_else(|| {
                let last = (0..)
                    .take_while(|&l| layer_shape(l).is_some())
                    .last()
                    .unwrap_or(0);
                fit(
                    "layer",
                    format!(
                        "the model has no layer {}; its layers are 0 to {last}",
                        bend.layer
                    ),
                )
            })?;
            // Counted by layer, so that two do not draw the same channels and an edit elsewhere in the
            // file does not draw anew.
            let before = |alike: &dyn Fn(&SceneBend) -> bool| {
                let alike = |b: &&SceneBend| b.layer == bend.layer && alike(b);
                let count = self.bends[..index].iter().filter(alike).count();
                u64::from(self.seed) << 32 | (bend.layer << 16 | count) as u64
            };
            let mut draw = before(&SceneBend::is_random)
                ^ u64::from(self.draw).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let channels = bend
                .features
                .channels(bend.layer, shape, clusters, split_mix(&mut draw))
                .map_err(|(key, why)| fit(key, why))?;
            let partners = match &bend.with {
                Some(features) => features
                    .channels(bend.layer, shape, clusters, split_mix(&mut draw))
                    .map_err(|(key, why)| fit(&format!("with.{key}"), why))?,
                None => ChannelSet::all(0),
            };
            let alike = before(&|b| b.transform.name == bend.transform.name);
            bends.push(PatchBend {
                name: bend.name.clone(),
                layer: bend.layer,
                transform: bend.transform,
                channels,
                params: params_of(bend, &mut numbers),
                border: bend.border,
                mask: bend.mask.as_ref().map(|mask| PatchMask {
                    spec: mask.spec,
                    params: mask_params(&bend.name, mask, &mut numbers),
                    painting: mask.weights(shape),
                }),
                partners,
                seed: split_mix(&mut { alike }) as u32,
            });
        }
        Ok(Patch {
            numbers,
            modulators: self.modulators.clone(),
            bends,
            noise: self.noise,
            route: self.walk.route.clone(),
            accent_seed: self.walk.accent.as_ref().map(|a| a.0),
            seed: self.seed,
        })
    }
}

fn fixed(address: &str, drive: Drive, range: [f32; 2], limits: [f32; 2]) -> PatchNumber {
    PatchNumber {
        address: address.to_owned(),
        drive,
        range,
        limits,
    }
}

/// Gives each parameter of a transform a number; one left out that is `Like` another shares its.
fn params_of(bend: &SceneBend, numbers: &mut Vec<PatchNumber>) -> Vec<NumberId> {
    let specs: &[ParamSpec] = bend.transform.params;
    debug_assert!(specs.len() <= MAX_PARAMS);
    let mut ids: Vec<NumberId> = Vec::with_capacity(specs.len());
    for (position, spec) in specs.iter().enumerate() {
        let named_amount = bend.amount.filter(|_| position + 1 == specs.len());
        let drive = match (
            bend.params.get(position).copied().or(named_amount),
            spec.missing,
        ) {
            (Some(drive), _) => drive,
            (None, Missing::Value(value)) => Drive::Constant(value),
            (None, Missing::Like(other)) => {
                ids.push(ids[other]);
                continue;
            }
            // The file's check lets nothing required be left out.
            (None, Missing::Required) => Drive::Constant(spec.fallback()),
        };
        ids.push(NumberId(numbers.len()));
        numbers.push(PatchNumber {
            address: format!("{}.{}", bend.name, spec.name),
            drive,
            range: spec.range,
            limits: spec.limits,
        });
    }
    ids
}

fn mask_params(
    name: &str,
    mask: &super::SceneMask,
    numbers: &mut Vec<PatchNumber>,
) -> Vec<NumberId> {
    let params = mask.spec.params.iter().zip(&mask.params);
    params
        .map(|(spec, drive)| {
            numbers.push(PatchNumber {
                address: format!("{name}.{}", spec.name),
                drive: drive.unwrap_or(Drive::Constant(spec.fallback())),
                range: spec.range,
                limits: spec.limits,
            });
            NumberId(numbers.len() - 1)
        })
        .collect()
}
