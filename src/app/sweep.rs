//! `--sweep`: one parameter goes from one value to another over a video, as in the papers' tool's
//! `animate`.

use crate::app::span::Span;
use crate::app::{bends, say};
use crate::bend::{Identity, MASKS, TRANSFORMS, TransformSpec, spec};
use crate::engine::Engine;
use crate::param::Drive;
use crate::scene::{NumberId, Scene, SceneBend};
use anyhow::{Context, bail};
use std::path::Path;
use std::str::FromStr;

/// How a sweep goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SweepShape {
    /// From FROM in the first frame to TO in the last.
    Once,
    /// There and back, so that the video can be looped.
    Triangle,
}

impl SweepShape {
    /// Where frame `index` of `count` is between FROM (0) and TO (1).
    fn at(self, index: u64, count: u64) -> f32 {
        match self {
            Self::Once => (index as f64 / (count.max(2) - 1) as f64) as f32,
            // The frame after the last is the first.
            Self::Triangle => (1.0 - (2.0 * index as f64 / count.max(1) as f64 - 1.0).abs()) as f32,
        }
    }
}

/// `LAYER:TRANSFORM:PARAM:FROM..TO`.
#[derive(Clone, Debug)]
pub(crate) struct Sweep {
    text: String,
    layer: usize,
    transform: &'static TransformSpec,
    param: Param,
    span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Param {
    /// Of the transform, by its place.
    Own(usize),
    /// Of the mask that the scene has on it, by its name.
    Mask(&'static str),
}

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').map(str::trim).collect();
        let [layer, name, param, span] = parts[..] else {
            return Err("is LAYER:TRANSFORM:PARAM:FROM..TO, as 3:rotate:angle:0..360".to_owned());
        };
        let layer = layer
            .parse()
            .map_err(|error| format!("{layer:?} is no layer, which count from 0: {error}"))?;
        let transform = spec::find(name).ok_or_else(|| {
            let known: Vec<&str> = TRANSFORMS.iter().map(|t| t.name).collect();
            format!(
                "no transform is named {name:?}; there are {}",
                known.join(", ")
            )
        })?;
        let span: Span = span.parse()?;
        let sweep = |param| Self {
            text: text.to_owned(),
            layer,
            transform,
            param,
            span,
        };
        if param.starts_with("mask-") {
            let masks = || MASKS.iter().flat_map(|mask| mask.params);
            let spec = masks().find(|spec| spec.name == param).ok_or_else(|| {
                let mut known: Vec<&str> = masks().map(|p| p.name).collect();
                known.sort_unstable();
                known.dedup();
                format!("no mask has {param:?}; there are {}", known.join(", "))
            })?;
            span.check(spec.limits)
                .map_err(|why| format!("`{param}`: {why}"))?;
            return Ok(sweep(Param::Mask(spec.name)));
        }
        let index = transform
            .param_index(param)
            .or_else(|| param.parse().ok())
            .filter(|&index: &usize| index < transform.params.len())
            .ok_or_else(|| {
                let known: Vec<&str> = transform.params.iter().map(|p| p.name).collect();
                format!("`{name}` has no {param:?}; it has {}", known.join(", "))
            })?;
        let spec = &transform.params[index];
        span.check(spec.limits)
            .map_err(|why| format!("`{}`: {why}", spec.name))?;
        Ok(sweep(Param::Own(index)))
    }
}

impl Sweep {
    fn param_name(&self) -> &'static str {
        match self.param {
            Param::Own(index) => self.transform.params[index].name,
            Param::Mask(name) => name,
        }
    }

    /// Whether these values and the swept one change nothing, wherever the sweep is.
    fn rests(&self, values: &[f32]) -> bool {
        let Param::Own(swept) = self.param else {
            return self
                .transform
                .is_identity(&self.transform.resolve_clamped(values));
        };
        [0.0, 0.4, 1.0].into_iter().all(|t| {
            let mut values = self.transform.resolve_clamped(values);
            values[swept] = self.span.at(t);
            self.transform.is_identity(&values)
        })
    }

    /// The transform as a scene's entry on all features. The other parameters change nothing where
    /// they can; where the sweep would not be seen then, they show what the transform does.
    fn entry(&self) -> anyhow::Result<String> {
        let Param::Own(swept) = self.param else {
            bail!(
                "--sweep {}: the scene has no `{}` with a `mask:` on layer {}: write one there",
                self.text,
                self.transform.name,
                self.layer
            );
        };
        let least = self.transform.required();
        let nothing = self.transform.resolve_clamped(&[]);
        let values = self.transform.resolve(&nothing[..least]).unwrap_or(nothing);
        let own = self.transform.amount_index();
        let count = if swept == own {
            own
        } else {
            least.max(swept + 1)
        };
        let mut values = values[..count].to_vec();
        if self.rests(&values) {
            let shown = bends::setting(self.transform);
            for (index, value) in shown.into_iter().enumerate().take(count) {
                let param = &self.transform.params[index];
                // Those that only shape what is seen may stay.
                let at_rest = param.identity == Identity::At(values[index]);
                if index != swept && at_rest && values[index] != value {
                    let name = param.name;
                    say(&format!(
                        "note: --sweep {}: with `{name}` {value}, without which nothing would be seen",
                        self.text
                    ));
                    values[index] = value;
                }
            }
        }
        let params: Vec<String> = values.iter().map(f32::to_string).collect();
        Ok(format!(
            "transforms:\n- {{layer: {}, transform: {}, params: [{}], features: all{}}}\n",
            self.layer,
            self.transform.name,
            params.join(", "),
            bends::partners(self.transform)
        ))
    }

    /// Says so when a scene's transform changes nothing whatever the swept parameter is.
    fn warn_at_rest(&self, bend: &SceneBend, sweeps: &[Self]) {
        let together = |other: &Self| {
            other.layer == self.layer && std::ptr::eq(other.transform, self.transform)
        };
        // Two of them may only be seen together.
        if sweeps.iter().filter(|s| together(s)).count() > 1 {
            return;
        }
        let drives = bend.params.iter().copied();
        let constant = |drive| match drive {
            Drive::Constant(value) => Some(value),
            _ => None,
        };
        // What is driven may show it.
        let Some(values) = drives.map(constant).collect::<Option<Vec<f32>>>() else {
            return;
        };
        if self.rests(&values) {
            let others: Vec<&str> = (bend.transform.params.iter())
                .map(|p| p.name)
                .filter(|name| *name != self.param_name() && *name != "amount")
                .collect();
            say(&format!(
                "note: --sweep {}: `{}` changes nothing with its other parameters as they are: give \
                 it another `{}`",
                self.text,
                bend.name,
                others.join("` or `")
            ));
        }
    }
}

/// Sweeps of a video, each with the number that it moves.
#[derive(Debug)]
pub(crate) struct Sweeps {
    numbers: Vec<(NumberId, Span)>,
    shape: SweepShape,
}

/// Gives the scene the transforms that are swept and that it lacks.
///
/// # Errors
/// When two sweeps move the same number.
pub(crate) fn prepare(scene: &mut Scene, sweeps: &[Sweep]) -> anyhow::Result<()> {
    for (index, sweep) in sweeps.iter().enumerate() {
        let same = |other: &Sweep| {
            other.layer == sweep.layer
                && other.transform.name == sweep.transform.name
                && other.param == sweep.param
        };
        if sweeps[..index].iter().any(same) {
            bail!("--sweep {}: is swept twice", sweep.text);
        }
        if let Some(bend) = find(scene, sweep) {
            sweep.warn_at_rest(bend, sweeps);
        } else {
            let path = format!("--sweep {}", sweep.text);
            let own = Scene::parse(&sweep.entry()?, Path::new(&path))?;
            if scene.bends.is_empty() {
                scene.path = own.path;
            }
            scene.bends.extend(own.bends);
        }
    }
    Ok(())
}

/// The scene's transform that a sweep means: the first of its kind on its layer that has the
/// parameter.
fn find<'a>(scene: &'a Scene, sweep: &Sweep) -> Option<&'a SceneBend> {
    let has = |bend: &SceneBend| match sweep.param {
        Param::Own(_) => true,
        Param::Mask(name) => {
            let mask = bend.mask.as_ref();
            mask.is_some_and(|mask| mask.spec.param_index(name).is_some())
        }
    };
    scene
        .bends
        .iter()
        .find(|b| b.layer == sweep.layer && b.transform.name == sweep.transform.name && has(b))
}

impl Sweeps {
    /// Looks the numbers up in the patch of a prepared scene.
    ///
    /// # Errors
    /// When one is not there: the scene was not prepared.
    pub(crate) fn new(
        scene: &Scene,
        engine: &Engine,
        sweeps: &[Sweep],
        shape: SweepShape,
    ) -> anyhow::Result<Self> {
        let numbers = sweeps.iter().map(|sweep| {
            let name = find(scene, sweep).map_or("", |bend| &bend.name);
            let address = format!("{name}.{}", sweep.param_name());
            let number = engine
                .patch()
                .find(&address)
                .with_context(|| format!("--sweep {}: no number {address}", sweep.text))?;
            Ok((number, sweep.span))
        });
        Ok(Self {
            numbers: numbers.collect::<anyhow::Result<_>>()?,
            shape,
        })
    }

    /// Sets the numbers for frame `index` of `count`.
    pub(crate) fn set(&self, engine: &mut Engine, index: u64, count: u64) {
        let t = self.shape.at(index, count);
        for (number, span) in &self.numbers {
            engine.hold(*number, Some(span.at(t)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sweep, SweepShape, find, prepare};
    use crate::bend::TRANSFORMS;
    use crate::scene::Scene;
    use std::path::Path;

    fn sweep(text: &str) -> Result<Sweep, String> {
        text.parse()
    }

    #[test]
    fn once_meets_both_ends_and_a_triangle_loops() {
        let once: Vec<f32> = (0..5).map(|i| SweepShape::Once.at(i, 5)).collect();
        assert_eq!(once, [0.0, 0.25, 0.5, 0.75, 1.0]);
        let there_and_back: Vec<f32> = (0..5).map(|i| SweepShape::Triangle.at(i, 4)).collect();
        assert_eq!(there_and_back, [0.0, 0.5, 1.0, 0.5, 0.0]);
        assert_eq!(SweepShape::Once.at(0, 1), 0.0);
    }

    #[test]
    fn every_parameter_of_every_transform_can_be_swept() {
        for transform in TRANSFORMS {
            for (index, param) in transform.params.iter().enumerate() {
                let range = format!("{}..{}", param.range[0], param.range[1]);
                for name in [param.name.to_owned(), index.to_string()] {
                    let text = format!("2:{}:{name}:{range}", transform.name);
                    let sweep = sweep(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
                    let mut scene = Scene::empty(1);
                    prepare(&mut scene, std::slice::from_ref(&sweep))
                        .unwrap_or_else(|e| panic!("{text}: {e}"));
                    assert!(find(&scene, &sweep).is_some());
                }
            }
        }
    }

    #[test]
    fn sweeps_of_one_transform_share_it() {
        let both = [
            sweep("4:translate:x:0..1").unwrap(),
            sweep("4:translate:y:0..-1").unwrap(),
        ];
        let mut scene = Scene::empty(1);
        prepare(&mut scene, &both).unwrap();
        assert_eq!(scene.bends.len(), 1);
        let twice = [both[0].clone(), both[0].clone()];
        assert!(prepare(&mut scene, &twice).is_err());
    }

    #[test]
    fn a_sweep_of_its_own_is_never_without_effect() {
        for transform in TRANSFORMS {
            for param in transform.params {
                let text = format!("2:{}:{}:0.3..0.9", transform.name, param.name);
                let Ok(sweep) = sweep(&text) else { continue };
                let mut scene = Scene::empty(1);
                prepare(&mut scene, std::slice::from_ref(&sweep)).unwrap();
                let values: Vec<f32> = (scene.bends[0].params.iter())
                    .map(|p| p.bounds()[0])
                    .collect();
                assert!(!sweep.rests(&values), "{text}: {values:?}");
            }
        }
    }

    #[test]
    fn masks_are_swept_where_the_scene_has_them() {
        let sweep = sweep("4:invert:mask-x:0..1").unwrap();
        let none = prepare(&mut Scene::empty(1), std::slice::from_ref(&sweep)).unwrap_err();
        assert!(none.to_string().contains("mask"), "{none}");
        let text = "transforms:\n- {layer: 4, transform: invert}\n\
                    - {name: spot, layer: 4, transform: invert, mask: {shape: circle}}\n";
        let mut scene = Scene::parse(text, Path::new("s.yaml")).unwrap();
        prepare(&mut scene, std::slice::from_ref(&sweep)).unwrap();
        assert_eq!(scene.bends.len(), 2);
        assert_eq!(find(&scene, &sweep).unwrap().name, "spot");
    }

    #[test]
    fn errors_say_what_would_be_right() {
        for (text, wanted) in [
            ("3:rotate:0..1", "LAYER:TRANSFORM:PARAM:FROM..TO"),
            ("x:rotate:angle:0..1", "is no layer"),
            ("3:spin:angle:0..1", "rotate"),
            ("3:rotate:size:0..1", "angle"),
            ("3:rotate:7:0..1", "angle"),
            ("3:rotate:angle:0-1", "FROM..TO"),
            ("3:erode:radius:-1..2", "outside"),
            ("3:erode:mask-size:-1..2", "outside"),
            ("3:erode:mask-weight:0..1", "mask-radius"),
        ] {
            let error = sweep(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
