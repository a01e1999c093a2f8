//! Lays clusters under a performer's hands: a controller mapping, and the scene that it plays.

use super::analysis::{Clustered, LayerClusters};
use super::effect::PROBES;
use std::fmt::Write;
use std::str::FromStr;

/// A controller whose knobs are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// Korg nanoKONTROL2, CC mode.
    NanoKontrol2,
    /// Akai `MIDImix`.
    MidiMix,
    /// Anything that sends CC 16 to 23 and 70 to 77.
    Generic,
}

impl FromStr for Controller {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "nanokontrol2" => Ok(Self::NanoKontrol2),
            "midimix" => Ok(Self::MidiMix),
            "generic" => Ok(Self::Generic),
            _ => Err("one of nanokontrol2, midimix, generic".to_owned()),
        }
    }
}

/// Where a control rests, and so where its transform must change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// A knob: in the middle, at 64 of 127.
    Middle,
    /// A fader: at the bottom.
    Zero,
}

/// Controls side by side.
struct Bank {
    name: &'static str,
    ccs: &'static [u8],
    rest: Rest,
    /// Every layer, instead of the bank's own share of them.
    all_layers: bool,
}

impl Controller {
    const fn device(self) -> Option<&'static str> {
        match self {
            Self::NanoKontrol2 => Some("nanoKONTROL2"),
            Self::MidiMix => Some("MIDI Mix"),
            Self::Generic => None,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::NanoKontrol2 => "Korg nanoKONTROL2 in CC mode",
            Self::MidiMix => "Akai MIDImix",
            Self::Generic => "any controller that sends CC 16 to 23 and 70 to 77",
        }
    }

    const fn banks(self) -> &'static [Bank] {
        const fn bank(name: &'static str, ccs: &'static [u8], rest: Rest) -> Bank {
            Bank {
                name,
                ccs,
                rest,
                all_layers: false,
            }
        }
        match self {
            Self::NanoKontrol2 => {
                const {
                    &[
                        bank("knob", &[16, 17, 18, 19, 20, 21, 22], Rest::Middle),
                        bank("fader", &[0, 1, 2, 3, 4, 5, 6], Rest::Zero),
                    ]
                }
            }
            Self::MidiMix => {
                const {
                    &[
                        bank("top knob", &[16, 20, 24, 28, 46, 50, 54, 58], Rest::Middle),
                        bank(
                            "middle knob",
                            &[17, 21, 25, 29, 47, 51, 55, 59],
                            Rest::Middle,
                        ),
                        bank(
                            "bottom knob",
                            &[18, 22, 26, 30, 48, 52, 56, 60],
                            Rest::Middle,
                        ),
                        Bank {
                            name: "fader",
                            ccs: &[19, 23, 27, 31, 49, 53, 57, 61],
                            rest: Rest::Zero,
                            all_layers: true,
                        },
                    ]
                }
            }
            Self::Generic => {
                const {
                    &[
                        bank(
                            "first bank",
                            &[16, 17, 18, 19, 20, 21, 22, 23],
                            Rest::Middle,
                        ),
                        bank(
                            "second bank",
                            &[70, 71, 72, 73, 74, 75, 76, 77],
                            Rest::Middle,
                        ),
                    ]
                }
            }
        }
    }

    /// What is left for the walk, the seed and the light, as in `mappings/`.
    const fn other_rows(self) -> &'static str {
        match self {
            Self::NanoKontrol2 => {
                "- {cc: 23, target: truncation, label: knob 8}\n\
                 - {cc: 7, target: walk.speed, curve: square, label: fader 8}\n\
                 - {cc: 41, target: action.next-seed, label: play}\n\
                 - {cc: 42, target: action.blackout, label: stop}\n"
            }
            Self::MidiMix => {
                "- {cc: 62, target: truncation, label: master fader}\n\
                 - {note: 25, target: action.blackout, label: bank left}\n\
                 - {note: 26, target: action.next-seed, label: bank right}\n"
            }
            Self::Generic => {
                "- {cc: 1, target: truncation, label: modulation wheel}\n\
                 - {cc: 7, target: walk.speed, curve: square, label: volume}\n\
                 - {note: 36, target: action.next-seed, label: pad 1}\n\
                 - {note: 37, target: action.blackout, label: pad 2}\n"
            }
        }
    }
}

/// What a knob may do.
struct Deed {
    /// Also the name of the probe that tells how strong it is.
    transform: &'static str,
    rest: Rest,
    /// Parameters that change nothing.
    idle: &'static str,
    /// Parameter that the knob turns, and its value that changes nothing.
    param: (&'static str, f32),
    /// How far the probe was from it.
    tried: f32,
    /// Least and greatest reach of a knob.
    reach: [f32; 2],
}

static DEEDS: [Deed; 7] = [
    Deed {
        transform: "scalar-multiply",
        rest: Rest::Middle,
        idle: "[1]",
        param: ("factor", 1.0),
        tried: 4.0,
        reach: [0.5, 4.0],
    },
    Deed {
        transform: "scale",
        rest: Rest::Middle,
        idle: "[1]",
        param: ("x", 1.0),
        tried: 0.5,
        reach: [0.25, 0.75],
    },
    Deed {
        transform: "rotate",
        rest: Rest::Middle,
        idle: "[0]",
        param: ("angle", 0.0),
        tried: 45.0,
        reach: [30.0, 180.0],
    },
    Deed {
        transform: "translate",
        rest: Rest::Middle,
        idle: "[0, 0]",
        param: ("x", 0.0),
        tried: 0.25,
        reach: [0.1, 0.5],
    },
    Deed {
        transform: "ablate",
        rest: Rest::Zero,
        idle: "[0]",
        param: ("amount", 0.0),
        tried: 1.0,
        reach: [1.0, 1.0],
    },
    Deed {
        transform: "scalar-multiply",
        rest: Rest::Zero,
        idle: "[1]",
        param: ("factor", 1.0),
        tried: 4.0,
        reach: [1.0, 6.0],
    },
    Deed {
        transform: "dilate",
        rest: Rest::Zero,
        idle: "[0]",
        param: ("radius", 0.0),
        tried: 2.0,
        reach: [1.0, 6.0],
    },
];

/// How much of the picture's range a knob at its end is meant to change: about the same for all.
const MEANT: f32 = 0.15;

/// A mapping and the scene it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnobFiles {
    /// Text of the mapping file.
    pub mapping: String,
    /// Text of the scene file.
    pub scene: String,
    /// Controls that play a cluster.
    pub knobs: usize,
}

/// One control and what it does.
struct Knob<'a> {
    cc: u8,
    label: String,
    layer: usize,
    id: usize,
    cluster: &'a Clustered,
    deed: &'static Deed,
    reach: f32,
}

/// Lays the most visible clusters over a controller: each of its banks plays a share of the layers,
/// from coarse to fine. What a knob does is the transform that, of those that suit it, changed the
/// picture most, with variety within the bank; how far it goes is measured, too, so that all are
/// about as strong.
///
/// `clusters` is the cluster file's path as the scene is to name it; `seeds` are stops of its walk.
pub fn lay_knobs(
    controller: Controller,
    layers: &[LayerClusters],
    clusters: &str,
    model: Option<&str>,
    seeds: &[u32],
) -> KnobFiles {
    let banks = controller.banks();
    let shares = banks.iter().filter(|bank| !bank.all_layers).count();
    let mut share = 0;
    let mut mapping = format!(
        "# Clusters under your hands, for {}. Made by `bendwave cluster`, for the scene\n\
         # that was made with it. A knob changes nothing in the middle, a fader at the bottom.\n",
        controller.title()
    );
    if let Some(device) = controller.device() {
        line(&mut mapping, &format!("device: {device}"));
    }
    line(&mut mapping, "controls:");
    let mut scene = String::from(
        "# Made by `bendwave cluster`: each transform plays one cluster and changes nothing until its\n\
         # knob is turned.\n",
    );
    if let Some(model) = model {
        line(&mut scene, &format!("model: {}", quoted(model)));
    }
    line(&mut scene, &format!("clusters: {}", quoted(clusters)));
    line(
        &mut scene,
        &format!("latent: {{seeds: {seeds:?}, speed: 0.08}}\ntransforms:"),
    );
    let mut knobs = 0;
    for bank in banks {
        let range = if bank.all_layers {
            0..layers.len()
        } else {
            share += 1;
            layers.len() * (share - 1) / shares..layers.len() * share / shares
        };
        let chosen = fill(bank, &layers[range]);
        if let (Some(first), Some(last)) = (chosen.first(), chosen.last()) {
            let row = format!("# {}s: layers {} to {}", bank.name, first.layer, last.layer);
            line(&mut mapping, &row);
        }
        for knob in &chosen {
            knobs += 1;
            write_knob(knob, bank.rest, &mut mapping, &mut scene);
        }
    }
    if knobs == 0 {
        scene = scene.replace("transforms:", "transforms: []");
    }
    mapping.push_str(controller.other_rows());
    KnobFiles {
        mapping,
        scene,
        knobs,
    }
}

/// The most visible clusters of these layers, lowest layer first, with what their knobs do.
fn fill<'a>(bank: &Bank, layers: &'a [LayerClusters]) -> Vec<Knob<'a>> {
    let mut all: Vec<(usize, usize, &Clustered)> = layers
        .iter()
        .flat_map(|layer| {
            let clusters = layer.clusters.iter().enumerate();
            clusters.map(|(id, cluster)| (layer.layer, id, cluster))
        })
        .collect();
    all.sort_by(|a, b| {
        b.2.effect
            .visibility()
            .total_cmp(&a.2.effect.visibility())
            .then((a.0, a.1).cmp(&(b.0, b.1)))
    });
    all.truncate(bank.ccs.len());
    all.sort_by_key(|&(layer, id, _)| (layer, id));
    let mut uses = [0.0_f32; DEEDS.len()];
    let mut knobs = Vec::with_capacity(all.len());
    for (place, (&cc, (layer, id, cluster))) in bank.ccs.iter().zip(all).enumerate() {
        let best = DEEDS
            .iter()
            .enumerate()
            .filter(|(_, deed)| deed.rest == bank.rest)
            .map(|(index, deed)| (index, deed, amount(cluster, deed)))
            .max_by(|a, b| (a.2 / (1.0 + uses[a.0])).total_cmp(&(b.2 / (1.0 + uses[b.0]))));
        let Some((index, deed, amount)) = best else {
            continue;
        };
        uses[index] += 1.0;
        let reach = deed.tried * MEANT / amount.max(1e-6);
        knobs.push(Knob {
            cc,
            label: format!("{} {}", bank.name, place + 1),
            layer,
            id,
            cluster,
            deed,
            reach: reach.clamp(deed.reach[0], deed.reach[1]),
        });
    }
    knobs
}

fn amount(cluster: &Clustered, deed: &Deed) -> f32 {
    PROBES
        .iter()
        .position(|probe| probe.transform == deed.transform)
        .and_then(|probe| cluster.effect.changes.get(probe))
        .map_or(0.0, |change| change.amount)
}

fn write_knob(knob: &Knob<'_>, rest: Rest, mapping: &mut String, scene: &mut String) {
    let deed = knob.deed;
    let rest_name = match rest {
        Rest::Middle => "",
        Rest::Zero => " fade",
    };
    let name = format!("{} {}{rest_name}", knob.layer, knob.cluster.name).replace(' ', "-");
    line(
        scene,
        &format!(
            "- {{name: {}, layer: {}, transform: {}, params: {}, features: cluster, feature-param: {}}}",
            quoted(&name),
            knob.layer,
            deed.transform,
            deed.idle,
            knob.id
        ),
    );
    let (param, idle) = deed.param;
    let [low, high] = match rest {
        // 64 of 127 is where a knob clicks into place: there the range must be idle.
        Rest::Middle => [idle - knob.reach, idle + knob.reach * 63.0 / 64.0],
        Rest::Zero => [idle, idle + knob.reach],
    };
    line(
        mapping,
        &format!(
            "- {{cc: {}, target: {}, range: [{low}, {high}], label: {}}}  # {}, layer {}",
            knob.cc,
            quoted(&format!("{name}.{param}")),
            quoted(&knob.label),
            knob.cluster.name,
            knob.layer
        ),
    );
}

/// As a YAML string, whatever it holds: a JSON string is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn line(text: &mut String, row: &str) {
    // Writing to a String does not fail.
    writeln!(text, "{row}").ok();
}

#[cfg(test)]
mod tests {
    use super::{Controller, KnobFiles, lay_knobs};
    use crate::cluster::effect::{Change, Effect, PROBES};
    use crate::cluster::{Clustered, LayerClusters};
    use crate::mapping::Mapping;
    use crate::tensor::MapShape;
    use std::path::Path;

    fn layers(count: usize) -> Vec<LayerClusters> {
        (0..count)
            .map(|layer| LayerClusters {
                layer,
                shape: MapShape {
                    channels: 4,
                    height: 8,
                    width: 8,
                },
                clusters: (0..4)
                    .map(|id| Clustered {
                        features: vec![id],
                        effect: Effect {
                            changes: (0..PROBES.len())
                                .map(|probe| Change {
                                    amount: 0.01
                                        * ((layer * 7 + id as usize * 3 + probe) % 11) as f32,
                                    ..Change::default()
                                })
                                .collect(),
                        },
                        name: format!("whole shape {id}"),
                        colour: [0; 3],
                    })
                    .collect(),
            })
            .collect()
    }

    fn lay(controller: Controller, count: usize) -> (KnobFiles, Mapping) {
        let files = lay_knobs(controller, &layers(count), "c.yaml", None, &[1, 2]);
        let mapping = Mapping::parse(&files.mapping, Path::new("m.yaml")).unwrap();
        (files, mapping)
    }

    #[test]
    fn every_controller_gets_its_banks() {
        for (controller, knobs) in [
            (Controller::NanoKontrol2, 14),
            (Controller::MidiMix, 32),
            (Controller::Generic, 16),
        ] {
            let (files, mapping) = lay(controller, 9);
            assert_eq!(files.knobs, knobs, "{controller:?}");
            let ranged = mapping.controls.iter().filter(|c| c.range.is_some());
            assert_eq!(ranged.count(), knobs);
            let mut sources: Vec<_> = mapping.controls.iter().map(|c| c.source).collect();
            sources.dedup();
            assert_eq!(sources.len(), mapping.controls.len());
        }
        let (files, _) = lay(Controller::MidiMix, 0);
        assert_eq!(files.knobs, 0);
    }

    #[test]
    fn at_rest_nothing_changes() {
        let (_, mapping) = lay(Controller::MidiMix, 7);
        for control in mapping.controls.iter().filter(|c| c.range.is_some()) {
            let [low, high] = control.range.unwrap();
            let fader = control.label.as_deref().unwrap().starts_with("fader");
            let rest = if fader { 0.0 } else { 64.0 / 127.0 };
            let value = low * (1.0 - rest) + high * rest;
            let param = control.target.rsplit('.').next().unwrap();
            let idle = match (param, control.target.contains("scale")) {
                ("factor" | "x", _) if (value - 1.0).abs() < 0.5 => 1.0,
                _ => 0.0,
            };
            assert!((value - idle).abs() < 1e-5, "{}: {value}", control.target);
            assert!(low < high);
        }
    }
}
