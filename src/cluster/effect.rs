//! What a cluster does to the picture: it is bent, and the picture before and after are compared.
//!
//! All amounts are shares of the picture's range (−1 to 1, clamped as on the screen): 0 is no change,
//! 1 is black to white everywhere.

use super::ClusteringError;
use super::describe::average;
use crate::bend::{Bend, Bender, FrameTime, spec};
use crate::generator::Generator;
use crate::tensor::{ChannelSet, FeatureMaps, MapShape};
use serde::{Deserialize, Serialize};

/// A transform that clusters are tried with.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Its name.
    pub transform: &'static str,
    /// What a reader sees: what became of the cluster.
    pub title: &'static str,
    params: fn(MapShape) -> &'static [f32],
}

/// What every cluster is tried with. The first three are those that section 6 of the paper shows; the
/// others are there to find what a knob should do.
pub static PROBES: [Probe; 6] = [
    Probe {
        transform: "ablate",
        title: "removed",
        params: |_| &[],
    },
    Probe {
        transform: "scalar-multiply",
        title: "× 5",
        params: |_| &[5.0],
    },
    Probe {
        transform: "dilate",
        title: "dilated",
        // About a sixteenth of the map.
        params: |shape| match shape.height {
            0..=16 => &[1.0],
            17..=32 => &[2.0],
            33..=64 => &[4.0],
            _ => &[6.0],
        },
    },
    Probe {
        transform: "scale",
        title: "magnified",
        params: |_| &[1.5],
    },
    Probe {
        transform: "rotate",
        title: "turned",
        params: |_| &[45.0],
    },
    Probe {
        transform: "translate",
        title: "moved",
        params: |_| &[0.25, 0.0],
    },
];

/// How many of [`PROBES`] say how visible a cluster is.
pub const PAPER_PROBES: usize = 3;

/// Index of the probe that removes a cluster.
pub const ABLATE: usize = 0;

impl Probe {
    /// The bend that tries these channels of a layer.
    pub fn bend(&self, channels: ChannelSet, shape: MapShape) -> Option<Bend> {
        let transform = spec::find(self.transform)?;
        let params = transform.resolve((self.params)(shape)).ok()?;
        Some(Bend::new(transform, channels, params))
    }
}

/// The picture with one layer bent: of these styles or, with `None`, of those of the run before,
/// which must have left the layers below unbent.
pub(super) fn bent<'g>(
    generator: &'g mut Generator,
    bender: &mut Bender,
    layer: usize,
    bend: &Bend,
    styles: Option<&[f32]>,
) -> Result<&'g [f32], ClusteringError> {
    let mut problem = None;
    let mut at_layer = |index: usize, mut maps: FeatureMaps<'_>| {
        if index == layer
            && let Err(error) =
                bender.apply(&mut maps, std::slice::from_ref(bend), FrameTime::default())
        {
            problem = Some(error);
        }
    };
    match styles {
        Some(styles) => generator.synthesize(styles, &mut at_layer)?,
        None => generator.resynthesize(layer, &mut at_layer)?,
    };
    match problem {
        Some(error) => Err(error.into()),
        None => Ok(generator.image()),
    }
}

/// What one probe does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Mean absolute change of the picture.
    pub amount: f32,
    /// Share of it that is colour without lightness.
    pub colour: f32,
    /// Share of its energy that is finer than an eighth of the picture.
    pub detail: f32,
    /// Mean change where the picture has edges, over the mean change: 1 when edges do not matter.
    pub edges: f32,
    /// Whether it gets lighter (1), darker (−1) or both.
    pub light: f32,
    /// Mean absolute change by place, [`Self::side`]² values, row by row.
    pub heat: Vec<f32>,
    /// Edge of `heat`.
    pub side: usize,
}

/// What a cluster does: a [`Change`] for each of [`PROBES`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// By probe.
    pub changes: Vec<Change>,
}

impl Effect {
    /// How visible the cluster is: the mean amount of the paper's three probes.
    pub fn visibility(&self) -> f32 {
        let sum: f32 = self
            .changes
            .iter()
            .take(PAPER_PROBES)
            .map(|c| c.amount)
            .sum();
        sum / PAPER_PROBES as f32
    }

    /// The change that shows best what the cluster is: its removal, where that shows at all, else
    /// the strongest of the paper's probes.
    pub fn telling(&self) -> Option<(usize, &Change)> {
        let probes = || self.changes.iter().enumerate().take(PAPER_PROBES);
        let strongest = probes().max_by(|a, b| a.1.amount.total_cmp(&b.1.amount))?;
        let removed = probes().next()?;
        Some(if removed.1.amount >= 0.25 * strongest.1.amount {
            removed
        } else {
            strongest
        })
    }
}

/// Largest edge of a heat map, in pixels.
const HEAT_SIDE: usize = 64;
/// What is coarser than picture / this is not detail.
const COARSE: usize = 8;

/// A picture as it was, and what has to be known of it.
#[derive(Debug)]
pub(super) struct Before {
    shape: MapShape,
    rgb: Vec<f32>,
    /// Gradient of the lightness by pixel, over its mean.
    edges: Vec<f32>,
}

impl Before {
    pub(super) fn new(image: &[f32], shape: MapShape) -> Self {
        let rgb: Vec<f32> = image.iter().map(|&x| screen(x)).collect();
        let (w, h, plane) = (shape.width, shape.height, shape.plane_len());
        let light: Vec<f32> = (0..plane)
            .map(|i| luma([rgb[i], rgb[plane + i], rgb[2 * plane + i]]))
            .collect();
        let mut edges = vec![0.0; plane];
        for y in 0..h {
            for x in 0..w {
                let at = |x: usize, y: usize| light[y.min(h - 1) * w + x.min(w - 1)];
                let here = (at(x + 1, y) - at(x.saturating_sub(1), y))
                    .hypot(at(x, y + 1) - at(x, y.saturating_sub(1)));
                edges[y * w + x] = here;
            }
        }
        let mean = edges.iter().sum::<f32>() / plane.max(1) as f32;
        if mean > 0.0 {
            edges.iter_mut().for_each(|e| *e /= mean);
        } else {
            edges.fill(1.0);
        }
        Self { shape, rgb, edges }
    }
}

/// Adds up changes over pictures.
#[derive(Debug)]
pub(super) struct Meter {
    pictures: f64,
    heat_side: usize,
    amount: f64,
    colour: f64,
    lightness: f64,
    signed: f64,
    energy: f64,
    coarse_energy: f64,
    at_edges: f64,
    heat: Vec<f64>,
    change: Vec<f32>,
    light: Vec<f32>,
    cells: Vec<f32>,
}

impl Meter {
    pub(super) fn new(shape: MapShape) -> Self {
        let heat_side = shape.height.min(shape.width).min(HEAT_SIDE);
        Self {
            pictures: 0.0,
            heat_side,
            amount: 0.0,
            colour: 0.0,
            lightness: 0.0,
            signed: 0.0,
            energy: 0.0,
            coarse_energy: 0.0,
            at_edges: 0.0,
            heat: vec![0.0; heat_side * heat_side],
            change: vec![0.0; shape.plane_len()],
            light: vec![0.0; shape.plane_len()],
            cells: vec![0.0; (heat_side * heat_side).max(COARSE * COARSE)],
        }
    }

    pub(super) fn add(&mut self, before: &Before, image: &[f32]) {
        let shape = before.shape;
        let plane = shape.plane_len();
        let (mut amount, mut colour, mut lightness, mut signed) = (0.0_f64, 0.0_f64, 0.0, 0.0);
        let (mut energy, mut at_edges) = (0.0, 0.0);
        for i in 0..plane {
            let difference = [0, plane, 2 * plane]
                .map(|offset| f32::midpoint(screen(image[offset + i]), -before.rgb[offset + i]));
            let light = luma(difference);
            let change = difference.iter().map(|d| d.abs()).sum::<f32>() / 3.0;
            let tint = difference.iter().map(|d| (d - light).abs()).sum::<f32>() / 3.0;
            self.change[i] = change;
            self.light[i] = light;
            amount += f64::from(change);
            colour += f64::from(tint);
            lightness += f64::from(light.abs());
            signed += f64::from(light);
            energy += f64::from(light * light);
            at_edges += f64::from(change * before.edges[i]);
        }
        let count = plane.max(1) as f64;
        self.pictures += 1.0;
        self.amount += amount / count;
        self.colour += colour / count;
        self.lightness += lightness / count;
        self.signed += signed / count;
        self.energy += energy / count;
        self.at_edges += at_edges / count;
        let from = [shape.height, shape.width];
        let coarse = COARSE.min(shape.height).min(shape.width);
        let cells = &mut self.cells[..coarse * coarse];
        average(&self.light, from, [coarse, coarse], cells);
        let squares: f64 = cells.iter().map(|&c| f64::from(c * c)).sum();
        self.coarse_energy += squares / cells.len().max(1) as f64;
        let side = self.heat_side;
        let cells = &mut self.cells[..side * side];
        average(&self.change, from, [side, side], cells);
        for (heat, &cell) in self.heat.iter_mut().zip(cells.iter()) {
            *heat += f64::from(cell);
        }
    }

    pub(super) fn finish(self) -> Change {
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        Change {
            amount: share(self.amount, self.pictures) as f32,
            colour: share(self.colour, self.colour + self.lightness) as f32,
            detail: (1.0 - share(self.coarse_energy, self.energy)).clamp(0.0, 1.0) as f32
                * f32::from(self.energy > 0.0),
            edges: share(self.at_edges, self.amount) as f32,
            light: share(self.signed, self.lightness) as f32,
            heat: self
                .heat
                .iter()
                .map(|&h| share(h, self.pictures) as f32)
                .collect(),
            side: self.heat_side,
        }
    }
}

/// A value as the screen shows it.
const fn screen(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { x.clamp(-1.0, 1.0) }
}

/// Rec. 709 weights, on the values as they are.
fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.2126f32.mul_add(r, 0.7152f32.mul_add(g, 0.0722 * b))
}

#[cfg(test)]
mod tests {
    use super::{Before, Change, Meter, PROBES};
    use crate::tensor::{ChannelSet, MapShape};

    const SHAPE: MapShape = MapShape {
        channels: 3,
        height: 32,
        width: 32,
    };

    /// The change from a grey disc's picture to it plus `add(channel, x, y)`.
    fn change(add: impl Fn(usize, usize, usize) -> f32) -> Change {
        let disc = |x: usize, y: usize| {
            let (x, y) = (x as f32 - 15.5, y as f32 - 15.5);
            if x.hypot(y) < 10.0 { 0.2 } else { -0.4 }
        };
        let picture = |add: &dyn Fn(usize, usize, usize) -> f32| -> Vec<f32> {
            (0..SHAPE.len())
                .map(|i| {
                    let (x, y) = (i % 32, i / 32 % 32);
                    disc(x, y) + add(i / 1024, x, y)
                })
                .collect()
        };
        let before = Before::new(&picture(&|_, _, _| 0.0), SHAPE);
        let mut meter = Meter::new(SHAPE);
        meter.add(&before, &picture(&add));
        meter.finish()
    }

    #[test]
    fn kinds_of_change_are_told_apart() {
        let none = change(|_, _, _| 0.0);
        assert_eq!((none.amount, none.colour, none.detail), (0.0, 0.0, 0.0));
        let lighter = change(|_, _, _| 0.4);
        assert!((lighter.amount - 0.2).abs() < 1e-6);
        assert!((lighter.light - 1.0).abs() < 1e-6);
        assert!(lighter.colour < 1e-4 && lighter.detail < 1e-4);
        assert!((lighter.edges - 1.0).abs() < 1e-4);
        let tinted = change(|c, _, _| [0.4, -0.12, 0.0][c]);
        assert!(tinted.colour > 0.7, "{}", tinted.colour);
        let chequered = change(|_, x, y| if (x + y) % 2 == 0 { 0.3 } else { -0.3 });
        assert!(chequered.detail > 0.99 && chequered.light.abs() < 1e-3);
        let outlined = change(|_, x, y| {
            let r = (x as f32 - 15.5).hypot(y as f32 - 15.5);
            if (9.0..11.0).contains(&r) { 0.3 } else { 0.0 }
        });
        assert!(outlined.edges > 3.0, "{}", outlined.edges);
        assert_eq!(outlined.heat[16 * 32 + 16], 0.0);
        assert!(outlined.heat[16 * 32 + 25] > 0.1);
        let broken = change(|_, _, _| f32::NAN);
        assert!(broken.amount.is_finite());
    }

    #[test]
    fn every_probe_is_a_transform() {
        for side in [4, 16, 32, 64, 1024] {
            let shape = MapShape {
                channels: 4,
                height: side,
                width: side,
            };
            for probe in &PROBES {
                let bend = probe.bend(ChannelSet::all(4), shape);
                assert!(bend.is_some(), "{}", probe.transform);
            }
        }
    }
}
