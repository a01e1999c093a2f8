//! A cluster's name and colour, from what it changes.

use super::effect::{Change, Effect};
use std::collections::BTreeMap;

/// Changes below this are not seen.
const INVISIBLE: f32 = 0.002;

/// Where and what, as in `centre light`.
pub(super) fn name(effect: &Effect) -> String {
    match effect.telling() {
        Some((_, change)) if change.amount >= INVISIBLE => {
            format!("{} {}", place(change), kind(change))
        }
        _ => "hardly visible".to_owned(),
    }
}

/// Adds numbers where names repeat.
pub(super) fn number_repeats<'a>(names: impl Iterator<Item = &'a mut String>) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            *name = format!("{name} {count}");
        }
    }
}

/// How much denser than elsewhere a change must be to be called after its place.
const DENSE: f32 = 1.35;

fn place(change: &Change) -> &'static str {
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
    let places: [(&str, f32); 7] = [
        ("centre", density(&|x, y| x.hypot(y) < 0.4)),
        ("ring", density(&|x, y| (0.4..0.75).contains(&x.hypot(y)))),
        ("background", density(&|x, y| x.hypot(y) > 0.85)),
        // Halves hold more pixels than the others, so that less says as much.
        ("top", 1.1 * density(&|_, y| y < -0.2)),
        ("bottom", 1.1 * density(&|_, y| y > 0.2)),
        ("left", 1.1 * density(&|x, _| x < -0.2)),
        ("right", 1.1 * density(&|x, _| x > 0.2)),
    ];
    places
        .into_iter()
        .filter(|(_, density)| *density >= DENSE)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map_or("whole", |(name, _)| name)
}

fn kind(change: &Change) -> &'static str {
    if change.colour > 0.5 {
        "colour"
    } else if change.edges > 1.5 && change.detail > 0.4 {
        "edges"
    } else if change.detail > 0.55 {
        "texture"
    } else if change.light > 0.55 {
        // Removing or bending it makes the picture lighter: it makes it dark.
        "shadow"
    } else if change.light < -0.55 {
        "light"
    } else {
        "shape"
    }
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
    use super::{colour, name, number_repeats};
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
            detail: 0.7,
            edges: 2.0,
            ..Change::default()
        };
        let disc = |x: f32, y: f32| if x.hypot(y) < 0.4 { 0.5 } else { 0.05 };
        assert_eq!(name(&effect(&tint, disc)), "centre colour");
        assert_eq!(name(&effect(&dark, |_, _| 0.2)), "whole light");
        assert_eq!(
            name(&effect(&fine, |x, y| if x.hypot(y) > 0.85 {
                0.2
            } else {
                0.01
            })),
            "background edges"
        );
        assert_eq!(
            name(&effect(&Change::default(), |_, y| 0.2 - 0.19 * y)),
            "top shape"
        );
        assert_eq!(name(&effect(&tint, |_, _| 0.0005)), "hardly visible");
        assert_eq!(name(&Effect::default()), "hardly visible");
    }

    #[test]
    fn repeats_are_numbered() {
        let mut names = ["a", "b", "a", "a"].map(str::to_owned);
        number_repeats(names.iter_mut());
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
