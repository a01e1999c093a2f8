//! A cluster's name and colour, from what it changes.

use super::effect::{Change, Effect};
use std::collections::BTreeMap;

/// Changes below this are not seen.
const INVISIBLE: f32 = 0.002;
/// How much denser than elsewhere a change must be to be called after its place.
const DENSE: f32 = 1.2;
/// How much of a kind a change must be to be called after it.
const ENOUGH: f32 = 0.6;

/// Names for the clusters of a layer: where and what, as in `centre light`. What tells a cluster from
/// the layer's others counts most. Repeats are numbered.
pub(super) fn names(effects: &[&Effect]) -> Vec<String> {
    let changes: Vec<Option<&Change>> = effects
        .iter()
        .map(|effect| {
            let (_, change) = effect.telling()?;
            (change.amount >= INVISIBLE).then_some(change)
        })
        .collect();
    let seen = || changes.iter().flatten();
    let places: Vec<Traits> = seen().map(|change| places(change)).collect();
    let kinds: Vec<Traits> = seen().map(|change| kinds(change)).collect();
    let mut place = outstanding(&places, DENSE, "whole").into_iter();
    let mut kind = outstanding(&kinds, ENOUGH, "shape").into_iter();
    let mut names: Vec<String> = changes
        .iter()
        .map(|change| match change {
            Some(_) => {
                let (place, kind) = (place.next(), kind.next());
                format!("{} {}", place.unwrap_or("whole"), kind.unwrap_or("shape"))
            }
            None => "hardly visible".to_owned(),
        })
        .collect();
    number_repeats(&mut names);
    names
}

/// How much of each trait there is.
type Traits = Vec<(&'static str, f32)>;

/// For each cluster the trait, of those it has enough of, that is strong in it and weaker in the
/// others.
fn outstanding(all: &[Traits], enough: f32, none: &'static str) -> Vec<&'static str> {
    let mean = |index: usize| {
        let sum: f32 = all.iter().map(|traits| traits[index].1).sum();
        (sum / all.len() as f32).max(1e-6)
    };
    all.iter()
        .map(|traits| {
            let scores = traits.iter().enumerate();
            scores
                .filter(|(_, (_, value))| *value >= enough)
                .map(|(index, &(name, value))| (name, value * (value / mean(index)).powi(2)))
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .map_or(none, |(name, _)| name)
        })
        .collect()
}

/// Adds numbers where names repeat.
fn number_repeats(names: &mut [String]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            *name = format!("{name} {count}");
        }
    }
}

/// Mean change in parts of the picture, over the mean change.
fn places(change: &Change) -> Traits {
    let side = change.side;
    let mean = change.heat.iter().sum::<f32>() / change.heat.len().max(1) as f32;
    let density = |inside: &dyn Fn(f32, f32) -> bool| {
        let (mut sum, mut count) = (0.0, 0.0);
        for (i, &heat) in change.heat.iter().enumerate() {
            let at = |index: usize| (index as f32 + 0.5) / side as f32 * 2.0 - 1.0;
            if inside(at(i % side), at(i / side)) {
                sum += heat;
                count += 1.0;
            }
        }
        if count > 0.0 && mean > 0.0 {
            sum / count / mean
        } else {
            1.0
        }
    };
    vec![
        ("centre", density(&|x, y| x.hypot(y) < 0.4)),
        ("ring", density(&|x, y| (0.4..0.75).contains(&x.hypot(y)))),
        ("background", density(&|x, y| x.hypot(y) > 0.85)),
        ("top", density(&|_, y| y < -0.2)),
        ("bottom", density(&|_, y| y > 0.2)),
        ("left", density(&|x, _| x < -0.2)),
        ("right", density(&|x, _| x > 0.2)),
    ]
}

/// How much a change is of each kind: 1 is plainly so.
fn kinds(change: &Change) -> Traits {
    let fine = if change.detail > 0.4 { 1.0 } else { 0.0 };
    vec![
        ("colour", change.colour / 0.5),
        ("edges", fine * change.edges / 1.5),
        ("texture", change.detail / 0.6),
        // What gets lighter when a cluster is removed was made dark by it.
        ("shadow", change.light / 0.5),
        ("light", -change.light / 0.5),
    ]
}

/// A colour for the `index`-th cluster of a file, far from its neighbours' hues. sRGB.
pub(super) fn colour(index: usize) -> [u8; 3] {
    // The golden angle spreads hues evenly however many there are.
    let hue = (index as f32 * 0.618_034 + 0.02).fract() * 6.0;
    let (saturation, value) = (0.62, 0.95);
    let channel = |offset: f32| {
        let k = (hue + offset).rem_euclid(6.0);
        let part = value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0);
        (part * 255.0).round() as u8
    };
    [channel(5.0), channel(3.0), channel(1.0)]
}

#[cfg(test)]
mod tests {
    use super::{colour, names, number_repeats};
    use crate::cluster::effect::{Change, Effect};

    fn effect(kind: &Change, heat: impl Fn(f32, f32) -> f32) -> Effect {
        let heat: Vec<f32> = (0..256)
            .map(|i| {
                let at = |n: i32| (n as f32 + 0.5) / 8.0 - 1.0;
                heat(at(i % 16), at(i / 16))
            })
            .collect();
        let change = Change {
            amount: heat.iter().sum::<f32>() / 256.0,
            heat,
            side: 16,
            ..kind.clone()
        };
        Effect {
            changes: vec![change; 3],
        }
    }

    fn name(effect: &Effect) -> String {
        names(&[effect]).remove(0)
    }

    #[test]
    fn names_say_where_and_what() {
        let tint = Change {
            colour: 0.8,
            ..Change::default()
        };
        let dark = Change {
            light: -0.9,
            edges: 1.0,
            ..Change::default()
        };
        let fine = Change {
            detail: 0.5,
            edges: 2.0,
            ..Change::default()
        };
        let disc = |x: f32, y: f32| if x.hypot(y) < 0.4 { 0.5 } else { 0.05 };
        let corners = |x: f32, y: f32| if x.hypot(y) > 0.85 { 0.2 } else { 0.01 };
        assert_eq!(name(&effect(&tint, disc)), "centre colour");
        assert_eq!(name(&effect(&dark, |_, _| 0.2)), "whole light");
        assert_eq!(name(&effect(&fine, corners)), "background edges");
        let above = effect(&Change::default(), |_, y| 0.2 - 0.19 * y);
        assert_eq!(name(&above), "top shape");
        assert_eq!(name(&effect(&tint, |_, _| 0.0005)), "hardly visible");
        assert_eq!(name(&Effect::default()), "hardly visible");
    }

    #[test]
    fn what_all_have_tells_little() {
        let plain = Change::default();
        let bump = |x: f32, y: f32| (-2.0 * (x * x + y * y)).exp() * 0.2;
        let high = effect(&plain, |x, y| bump(x, y + 0.5));
        let low = effect(&plain, |x, y| bump(x, y - 0.5));
        let middle = effect(&plain, |x, y| bump(1.3 * x, 1.3 * y));
        assert_eq!(
            names(&[&high, &low, &middle, &middle]),
            [
                "top shape",
                "bottom shape",
                "centre shape",
                "centre shape 2"
            ]
        );
    }

    #[test]
    fn repeats_are_numbered() {
        let mut names = ["a", "b", "a", "a"].map(str::to_owned);
        number_repeats(&mut names);
        assert_eq!(names, ["a", "b", "a 2", "a 3"]);
    }

    #[test]
    fn neighbours_differ_in_colour() {
        for index in 0..80 {
            let (a, b) = (colour(index), colour(index + 1));
            let off: u32 = a
                .iter()
                .zip(&b)
                .map(|(&a, &b)| u32::from(a.abs_diff(b)))
                .sum();
            assert!(off > 120, "{index}: {a:?} {b:?}");
        }
    }
}
