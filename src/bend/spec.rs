//! What a transform and its parameters are. [`super::transforms`] is the one list of them.

use super::border::Border;
use super::kernel::Kernel;
use super::mask::Mask;
use super::prepare::Site;
use super::transforms::TRANSFORMS;
use super::uniform::BendUniform;
use crate::tensor::ChannelSet;

/// Most parameters a transform has, `amount` included.
pub const MAX_PARAMS: usize = 8;

/// Parameters of a transform in the order of [`TransformSpec::params`]; the rest is 0.
pub type ParamValues = [f32; MAX_PARAMS];

/// What a parameter is when a file leaves it out. Only trailing parameters can be left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Missing {
    /// It can not be left out.
    Required,
    /// This value.
    Value(f32),
    /// The same as the parameter at this index.
    Like(usize),
}

/// Which value of a parameter changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Identity {
    /// This one, with the other parameters at theirs.
    At(f32),
    /// None: only `amount` fades the transform.
    Never,
    /// Any, when the others are at their identity: it only shapes the effect.
    Free,
}

/// One parameter of a transform.
#[derive(Clone, Copy, Debug)]
pub struct ParamSpec {
    /// Name, as mappings and panels show it.
    pub name: &'static str,
    /// Unit, as panels show it: "", "°", "of width"…
    pub unit: &'static str,
    /// Lowest and highest sensible value: what a knob sweeps. A file may go beyond.
    pub range: [f32; 2],
    /// Lowest and highest value that is accepted. A driven value is clamped to it.
    pub limits: [f32; 2],
    /// The value that changes nothing.
    pub identity: Identity,
    /// What it is when a file leaves it out.
    pub missing: Missing,
}

impl ParamSpec {
    /// A value for when there is none: the identity, else what a file that leaves it out gets.
    pub const fn fallback(&self) -> f32 {
        match (self.identity, self.missing) {
            (Identity::At(value), _) | (_, Missing::Value(value)) => value,
            _ => 0.0,
        }
    }

    /// A driven value within the limits; NaN is the [`Self::fallback`].
    pub const fn clamp(&self, value: f32) -> f32 {
        let value = if value.is_nan() {
            self.fallback()
        } else {
            value
        };
        value.clamp(self.limits[0], self.limits[1])
    }
}

/// A transform.
#[derive(Clone, Copy, Debug)]
pub struct TransformSpec {
    /// Name in files, as the papers' reference tool spells it.
    pub name: &'static str,
    /// Other spellings that files use.
    pub aliases: &'static [&'static str],
    /// What it does, in one line.
    pub doc: &'static str,
    /// Parameters in file order. The last one is always `amount`.
    pub params: &'static [ParamSpec],
    /// The border that it has when a file names none; `None` when it reads no neighbours.
    pub border: Option<Border>,
    /// What else it reads.
    pub reads: Reads,
    /// Turns parameters within their limits into what the kernel reads, and says which kernel.
    pub(super) prepare: fn(&ParamValues, &mut Site<'_>, &mut BendUniform) -> &'static Kernel,
}

/// What a transform reads beside the map that it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing.
    Map,
    /// The clock and a seed.
    Time,
    /// What it gave in the frame before.
    Past,
    /// Other channels: [`Bend::partners`].
    Partners,
}

/// Why parameters do not fit a transform.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamError {
    /// Too few or too many.
    #[error("`{transform}` takes {expected}, but {given} given", given = were(*given))]
    Count {
        /// Name of the transform.
        transform: &'static str,
        /// What it takes, in words.
        expected: String,
        /// How many there were.
        given: usize,
    },
    /// NaN or infinite.
    #[error("`{transform}`: parameter {position} (`{param}`) is {value}, not a finite number")]
    NotFinite {
        /// Name of the transform.
        transform: &'static str,
        /// Name of the parameter.
        param: &'static str,
        /// Its place in the list, from 1.
        position: usize,
        /// What it was.
        value: f32,
    },
    /// Beyond what is accepted.
    #[error(
        "`{transform}`: parameter {position} (`{param}`) is {value}, outside {} to {}",
        limits[0],
        limits[1]
    )]
    OutOfLimits {
        /// Name of the transform.
        transform: &'static str,
        /// Name of the parameter.
        param: &'static str,
        /// Its place in the list, from 1.
        position: usize,
        /// What it was.
        value: f32,
        /// [`ParamSpec::limits`].
        limits: [f32; 2],
    },
}

fn were(count: usize) -> String {
    match count {
        0 => "none was".to_owned(),
        1 => "1 was".to_owned(),
        n => format!("{n} were"),
    }
}

/// The transform of this name or alias.
pub fn find(name: &str) -> Option<&'static TransformSpec> {
    TRANSFORMS
        .iter()
        .find(|t| t.name == name || t.aliases.contains(&name))
}

impl TransformSpec {
    /// How many parameters a file must give at least.
    pub fn required(&self) -> usize {
        self.params
            .iter()
            .take_while(|p| p.missing == Missing::Required)
            .count()
    }

    /// Index of a parameter by its name.
    pub fn param_index(&self, name: &str) -> Option<usize> {
        self.params.iter().position(|p| p.name == name)
    }

    /// Index of `amount`: always the last.
    pub const fn amount_index(&self) -> usize {
        self.params.len() - 1
    }

    /// Whether a file may give this many parameters.
    ///
    /// # Errors
    /// [`ParamError::Count`].
    pub fn check_count(&self, given: usize) -> Result<(), ParamError> {
        let (least, most) = (self.required(), self.params.len());
        if (least..=most).contains(&given) {
            return Ok(());
        }
        let names: Vec<String> = self
            .params
            .iter()
            .map(|p| match p.missing {
                Missing::Required => p.name.to_owned(),
                Missing::Value(v) => format!("{}={v}", p.name),
                Missing::Like(i) => format!("{}={}", p.name, self.params[i].name),
            })
            .collect();
        let count = if least == most {
            format!("{most}")
        } else {
            format!("{least} to {most}")
        };
        Err(ParamError::Count {
            transform: self.name,
            expected: format!("{count} parameters [{}]", names.join(", ")),
            given,
        })
    }

    /// Whether parameter `index` may have this value.
    ///
    /// # Errors
    /// When it is not finite or beyond [`ParamSpec::limits`].
    ///
    /// # Panics
    /// When `index` is not below the number of parameters.
    pub fn check_value(&self, index: usize, value: f32) -> Result<(), ParamError> {
        let param = &self.params[index];
        if !value.is_finite() {
            return Err(ParamError::NotFinite {
                transform: self.name,
                param: param.name,
                position: index + 1,
                value,
            });
        }
        if value < param.limits[0] || value > param.limits[1] {
            return Err(ParamError::OutOfLimits {
                transform: self.name,
                param: param.name,
                position: index + 1,
                value,
                limits: param.limits,
            });
        }
        Ok(())
    }

    /// The parameters of a file with those filled in that it leaves out.
    ///
    /// # Errors
    /// When there are too few or too many, or one is not finite or beyond its limits.
    pub fn resolve(&self, given: &[f32]) -> Result<ParamValues, ParamError> {
        self.check_count(given.len())?;
        for (index, &value) in given.iter().enumerate() {
            self.check_value(index, value)?;
        }
        Ok(self.fill(given))
    }

    /// Like [`Self::resolve`] for driven values in a running performance: clamps to the limits and
    /// takes the identity for NaN (`amount` 0 where the parameter has none), so it can not fail.
    /// Surplus values are ignored and missing required ones are the identity.
    pub fn resolve_clamped(&self, given: &[f32]) -> ParamValues {
        let mut values = self.fill(&given[..given.len().min(self.params.len())]);
        let mut off = false;
        for (index, param) in self.params.iter().enumerate() {
            let value = &mut values[index];
            if value.is_nan() || (index >= given.len() && param.missing == Missing::Required) {
                off |= param.identity == Identity::Never;
                *value = f32::NAN;
            }
            *value = param.clamp(*value);
        }
        if off {
            values[self.amount_index()] = 0.0;
        }
        values
    }

    fn fill(&self, given: &[f32]) -> ParamValues {
        let mut values = [0.0; MAX_PARAMS];
        values[..given.len()].copy_from_slice(given);
        for (index, param) in self.params.iter().enumerate().skip(given.len()) {
            values[index] = match param.missing {
                Missing::Required => 0.0,
                Missing::Value(value) => value,
                Missing::Like(other) => values[other],
            };
        }
        values
    }

    /// Whether these values change nothing: `amount` is 0, or everything else is at its identity.
    pub fn is_identity(&self, values: &ParamValues) -> bool {
        let (own, amount) = self.params.split_at(self.amount_index());
        let rests = |(param, value): (&ParamSpec, &f32)| match param.identity {
            Identity::At(rest) => rest == *value,
            Identity::Never => false,
            Identity::Free => true,
        };
        let can_rest = |p: &ParamSpec| matches!(p.identity, Identity::At(_));
        values[self.amount_index()] == amount[0].limits[0]
            || (own.iter().any(can_rest) && own.iter().zip(values).all(rests))
    }
}

/// A transform with its parameters and channels: what runs on one layer in one frame.
#[derive(Clone, Debug)]
pub struct Bend {
    /// Which transform.
    pub transform: &'static TransformSpec,
    /// On which channels of the layer.
    pub channels: ChannelSet,
    /// Parameters in the order of [`TransformSpec::params`], `amount` last; the rest is 0.
    /// [`TransformSpec::resolve`] fills in what a file leaves out. The benders clamp them to their
    /// limits and take the identity for NaN.
    pub params: ParamValues,
    /// How maps go on beyond their edges, for transforms that read neighbours.
    pub border: Border,
    /// Where on the map it works.
    pub mask: Option<Mask>,
    /// What [`Reads::Partners`] reads, channels of the same layer: the first channel reads the first
    /// partner and so on, and round again where partners are fewer. Without any it changes nothing.
    pub partners: ChannelSet,
    /// Tells it from every other bend of its bender, of all layers: by this the bender finds what it
    /// remembers for it. Small numbers, counted from 0.
    pub id: u32,
    /// Seed of [`Reads::Time`].
    pub seed: u32,
}

impl Bend {
    /// A bend everywhere on its maps, with the transform's own border, id and seed 0.
    pub fn new(
        transform: &'static TransformSpec,
        channels: ChannelSet,
        params: ParamValues,
    ) -> Self {
        Self {
            transform,
            channels,
            params,
            border: transform.border.unwrap_or_default(),
            mask: None,
            partners: ChannelSet::all(0),
            id: 0,
            seed: 0,
        }
    }

    /// Whether it changes nothing: no channels, no partners where it reads them, or
    /// [`TransformSpec::is_identity`].
    pub fn is_identity(&self) -> bool {
        self.channels.is_empty()
            || (self.transform.reads == Reads::Partners && self.partners.is_empty())
            || self.transform.is_identity(&self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, MAX_PARAMS, Missing, TRANSFORMS, find};
    use std::collections::HashSet;

    #[test]
    fn declarations_are_sound() {
        let mut names = HashSet::new();
        for t in TRANSFORMS {
            assert!(names.insert(t.name), "{} twice", t.name);
            for alias in t.aliases {
                assert!(names.insert(alias), "{alias} twice");
                assert_eq!(find(alias).unwrap().name, t.name);
            }
            assert!(t.params.len() <= MAX_PARAMS);
            assert_eq!(t.params[t.amount_index()].name, "amount");
            assert_eq!(t.param_index("amount"), Some(t.amount_index()));
            let mut optional = false;
            for (index, p) in t.params.iter().enumerate() {
                assert!(p.limits[0] <= p.range[0] && p.range[1] <= p.limits[1]);
                match p.missing {
                    Missing::Required => assert!(!optional, "{}: required after optional", t.name),
                    Missing::Value(v) => {
                        optional = true;
                        t.check_value(index, v).unwrap();
                    }
                    Missing::Like(other) => {
                        optional = true;
                        assert!(other < index);
                    }
                }
                match p.identity {
                    Identity::At(v) => t.check_value(index, v).unwrap(),
                    Identity::Never => {}
                    Identity::Free => assert_ne!(p.missing, Missing::Required),
                }
            }
        }
    }

    #[test]
    fn the_papers_parameter_lists_are_accepted() {
        let lists: &[(&str, &[f32], &[f32])] = &[
            ("translate", &[0.5, -0.2], &[0.5, -0.2, 1.0]),
            ("scale", &[1.2], &[1.2, 1.2, 1.0]),
            ("rotate", &[45.0], &[45.0, 1.0]),
            ("erode", &[2.0], &[2.0, 1.0]),
            ("dilate", &[2.0], &[2.0, 1.0]),
            ("flip-h", &[], &[1.0]),
            ("flip-v", &[], &[1.0]),
            ("invert", &[], &[1.0]),
            ("ablate", &[], &[1.0]),
            ("binary-thresh", &[0.5], &[0.5, 1.0]),
            ("binary-tresh", &[], &[0.5, 1.0]),
            ("scalar-multiply", &[-0.5], &[-0.5, 1.0]),
        ];
        for (name, given, full) in lists {
            let values = find(name).unwrap().resolve(given).unwrap();
            assert_eq!(&values[..full.len()], *full, "{name}");
        }
    }

    #[test]
    fn wrong_parameters_are_explained() {
        let message = |name: &str, given: &[f32]| {
            let error = find(name).unwrap().resolve(given).unwrap_err();
            error.to_string()
        };
        assert_eq!(
            message("translate", &[0.1]),
            "`translate` takes 2 to 3 parameters [x, y, amount=1], but 1 was given"
        );
        assert_eq!(
            message("scale", &[1.0; 4]),
            "`scale` takes 1 to 3 parameters [x, y=x, amount=1], but 4 were given"
        );
        assert_eq!(
            message("rotate", &[f32::NAN]),
            "`rotate`: parameter 1 (`angle`) is NaN, not a finite number"
        );
        assert_eq!(
            message("erode", &[-1.0]),
            "`erode`: parameter 1 (`radius`) is -1, outside 0 to 32"
        );
    }

    #[test]
    fn driven_values_never_fail() {
        let erode = find("erode").unwrap();
        assert_eq!(erode.resolve_clamped(&[99.0, 0.5])[..2], [32.0, 0.5]);
        assert_eq!(
            erode.resolve_clamped(&[f32::NAN, f32::INFINITY])[..2],
            [0.0, 1.0]
        );
        // No threshold changes nothing, so the whole transform is off.
        let thresh = find("binary-thresh").unwrap();
        assert_eq!(thresh.resolve_clamped(&[f32::NAN, 1.0])[1], 0.0);
        assert_eq!(
            find("translate").unwrap().resolve_clamped(&[])[..3],
            [0.0, 0.0, 1.0]
        );
    }

    #[test]
    fn identities_are_known() {
        for (name, given, identity) in [
            ("ablate", &[][..], false),
            ("ablate", &[0.0], true),
            ("scalar-multiply", &[1.0], true),
            ("scalar-multiply", &[0.0], false),
            ("binary-thresh", &[0.5], false),
            ("binary-thresh", &[0.5, 0.0], true),
            ("translate", &[0.0, 0.0], true),
            ("translate", &[0.0, 0.1], false),
            ("scale", &[1.0], true),
            ("scale", &[1.0, 2.0], false),
            ("erode", &[0.0], true),
        ] {
            let t = find(name).unwrap();
            let values = t.resolve(given).unwrap();
            assert_eq!(t.is_identity(&values), identity, "{name} {given:?}");
        }
    }
}
