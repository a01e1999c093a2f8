//! Which network lies in a checkpoint, and in which layout.

use std::collections::{HashMap, HashSet};

use super::ImportError;
use super::checkpoint::{Checkpoint, Contents};
use super::nvidia::{self, Values};
use super::pickle::{Id, Node, Pickle, Tensor};
use super::rosinality;
use super::state::{Read, Tensors, Value};

/// Deepest modules in modules.
const MAX_DEPTH: usize = 16;
/// Most modules of a network; config F has 90.
const MAX_MODULES: usize = 4096;

const STYLEGAN3: &str = "a StyleGAN3 generator, which is built differently; only StyleGAN2 networks \
                         are supported, also those that the stylegan3 repository trained \
                         (`--cfg=stylegan2`)";
const DISCRIMINATOR: &str = "a StyleGAN2 discriminator; the generator lies in another file, or under \
                             `g_ema` or `G_ema` of the training run's file";

/// Reads the generator of a checkpoint.
///
/// # Errors
/// When it holds none, or one whose tensors do not fit each other.
pub(super) fn read(checkpoint: &mut Checkpoint) -> Result<Read, ImportError> {
    let found = match &checkpoint.contents {
        Contents::Pickle(pickle) => in_pickle(pickle),
        Contents::Tensors(tensors) => in_tensors(tensors.clone()),
    };
    match found {
        Ok(Found::Rosinality(tensors, latent_avg)) => {
            rosinality::read(checkpoint, tensors, latent_avg)
        }
        Ok(Found::Nvidia(tensors, values)) => nvidia::read(checkpoint, tensors, values),
        Err(seems) => Err(ImportError::not_a_generator(&checkpoint.path, seems)),
    }
}

enum Found {
    Rosinality(Tensors, Option<Tensor>),
    Nvidia(Tensors, Option<Values>),
}

/// A flat list of tensors. `Err` says what it seems to be instead.
fn in_tensors(all: Tensors) -> Result<Found, String> {
    let latent_avg = all.get("latent_avg").cloned();
    // Some tools keep the name of the dict that the tensors lay in.
    let inside = ["g_ema.", "G_ema."]
        .into_iter()
        .find(|prefix| all.keys().any(|name| name.starts_with(prefix)));
    let tensors: Tensors = match inside {
        Some(prefix) => all
            .into_iter()
            .filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_owned(), t)))
            .collect(),
        None => all,
    };
    told_apart(tensors, latent_avg).map_err(|tensors| {
        guess_tensors(&tensors).unwrap_or_else(|| {
            let mut names: Vec<&str> = tensors.keys().map(String::as_str).collect();
            names.sort_unstable();
            format!(
                "the tensors of another network (it holds {})",
                some_of(&names)
            )
        })
    })
}

fn told_apart(tensors: Tensors, latent_avg: Option<Tensor>) -> Result<Found, Tensors> {
    if rosinality::is_it(&tensors) {
        Ok(Found::Rosinality(tensors, latent_avg))
    } else if nvidia::is_it(&tensors) {
        Ok(Found::Nvidia(tensors, None))
    } else {
        Err(tensors)
    }
}

fn in_pickle(pickle: &Pickle) -> Result<Found, String> {
    let root = pickle.root();
    if matches!(root, Node::Module { .. }) {
        return in_module(pickle, root);
    }
    let top: HashMap<&str, &Node> = pickle.entries(root).collect();
    let latent_avg = match top.get("latent_avg") {
        Some(Node::Tensor(t)) => Some((**t).clone()),
        _ => None,
    };
    // The averaged generator; NVIDIA's converter leaves it out where the original had none.
    let module = ["G_ema", "G"]
        .iter()
        .find_map(|key| top.get(key).filter(|n| matches!(n, Node::Module { .. })));
    if let Some(module) = module {
        return in_module(pickle, module);
    }
    let dict = match top.get("g_ema").or_else(|| top.get("G_ema")) {
        Some(node @ Node::Dict(_)) => node,
        Some(Node::None) if matches!(top.get("D"), Some(Node::Module { .. })) => {
            return Err(DISCRIMINATOR.to_owned());
        }
        Some(_) => return Err("a checkpoint whose `g_ema` is no state dict".to_owned()),
        None if matches!(top.get("D"), Some(Node::Module { .. })) => {
            return Err(DISCRIMINATOR.to_owned());
        }
        None => root,
    };
    let tensors: Tensors = pickle
        .entries(dict)
        .filter_map(|(name, node)| match node {
            Node::Tensor(t) => {
                let name = name.strip_prefix("module.").unwrap_or(name);
                Some((name.to_owned(), (**t).clone()))
            }
            _ => None,
        })
        .collect();
    told_apart(tensors, latent_avg).map_err(|tensors| guess(pickle, root, &tensors))
}

/// A module of NVIDIA's.
fn in_module(pickle: &Pickle, module: &Node) -> Result<Found, String> {
    let class = class_of(pickle, module);
    let (tensors, values) = flatten(pickle, module)?;
    if nvidia::is_it(&tensors) {
        return Ok(Found::Nvidia(tensors, Some(values)));
    }
    Err(guess_tensors(&tensors)
        .unwrap_or_else(|| format!("another network of NVIDIA's (class `{class}`)")))
}

fn class_of<'a>(pickle: &'a Pickle, module: &Node) -> &'a str {
    match module {
        Node::Module { class, .. } => match pickle.node(*class) {
            Node::Str(name) => name,
            _ => "?",
        },
        _ => "?",
    }
}

/// Tensors and plain values of a module and the modules in it, with their names joined by dots.
fn flatten(pickle: &Pickle, module: &Node) -> Result<(Tensors, Values), String> {
    let mut tensors = Tensors::new();
    let mut values = Values::new();
    let mut seen: HashSet<Id> = HashSet::new();
    let mut waiting: Vec<(String, usize, &Node)> = vec![(String::new(), 0, module)];
    while let Some((prefix, depth, module)) = waiting.pop() {
        let &Node::Module { state, .. } = module else {
            continue;
        };
        if !seen.insert(state) || depth > MAX_DEPTH || seen.len() > MAX_MODULES {
            return Err("a damaged network: its modules are nested without end".to_owned());
        }
        for (key, node) in pickle.entries(pickle.node(state)) {
            let value =
                match node {
                    Node::None => Value::None,
                    Node::Str(text) => Value::Text(text.to_string()),
                    node => match Pickle::number(node) {
                        Some(number) => Value::Number(number),
                        None => {
                            let inside = pickle.entries(node);
                            match key {
                                "_parameters" | "_buffers" => {
                                    tensors.extend(inside.filter_map(|(name, node)| match node {
                                        Node::Tensor(t) => {
                                            Some((format!("{prefix}{name}"), (**t).clone()))
                                        }
                                        _ => None,
                                    }));
                                }
                                "_modules" => waiting.extend(inside.map(|(name, node)| {
                                    (format!("{prefix}{name}."), depth + 1, node)
                                })),
                                _ => {}
                            }
                            continue;
                        }
                    },
                };
            values.insert(format!("{prefix}{key}"), value);
        }
    }
    Ok((tensors, values))
}

/// What the tensors of no known generator seem to be of.
fn guess_tensors(tensors: &Tensors) -> Option<String> {
    let has = |part: &str| tensors.keys().any(|k| k.contains(part));
    if has("final_conv.0.weight") || has("final_linear.") {
        return Some(DISCRIMINATOR.to_owned());
    }
    if has("style.1.weight") || has("convs.0.conv.weight") {
        return Some(
            "a damaged StyleGAN2 generator: `input.input` or `conv1.conv.weight` is missing"
                .to_owned(),
        );
    }
    if has("synthesis.input.") || has("synthesis.L0_") {
        return Some(STYLEGAN3.to_owned());
    }
    if has("synthesis.b4") || has("mapping.fc0.weight") {
        return Some(
            "a damaged StyleGAN2 generator: `synthesis.b4.const` or `mapping.fc0.weight` is \
                missing"
                .to_owned(),
        );
    }
    if has("b4.out.weight") {
        return Some(DISCRIMINATOR.to_owned());
    }
    if has("model.diffusion_model") {
        return Some("a diffusion model".to_owned());
    }
    None
}

/// What a file without a generator seems to be.
fn guess(pickle: &Pickle, root: &Node, tensors: &Tensors) -> String {
    if let Some(seems) = guess_tensors(tensors) {
        return seems;
    }
    let keys: Vec<&str> = pickle.entries(root).map(|(k, _)| k).collect();
    if keys.contains(&"eigvec") {
        return "the directions of a closed-form factorisation, not the generator".to_owned();
    }
    let has_latent = |node: &Node| pickle.entries(node).any(|(k, _)| k == "latent");
    if pickle.entries(root).any(|(_, v)| has_latent(v)) || has_latent(root) {
        return "a projected latent, not the generator".to_owned();
    }
    match root {
        Node::Tensor(_) => "a single tensor".to_owned(),
        Node::Dict(_) if keys.is_empty() => "an empty dict".to_owned(),
        Node::Dict(_) => {
            format!(
                "a checkpoint of another network (it holds {})",
                some_of(&keys)
            )
        }
        _ => "a saved object that is no dict".to_owned(),
    }
}

/// The first few names of a list.
fn some_of(names: &[&str]) -> String {
    let more = names.len().saturating_sub(6);
    let mut shown: Vec<String> = names
        .iter()
        .take(6)
        .map(|k| format!("`{}`", k.chars().take(60).collect::<String>()))
        .collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join(", ")
}
