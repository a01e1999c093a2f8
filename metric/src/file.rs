//! Trained networks on disk: safetensors with the names that PyTorch's layers would have, 16-bit.

use crate::kernels::normal::Moments;
use crate::kernels::unit::PARTS;
use crate::kernels::{HALF, WIDTH, stem};
use crate::network::{Network, Parts};
use crate::prepare::Range;
use crate::{EMBEDDING, FLAT, depth};
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// What stands beside the numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// How maps were brought to range.
    pub range: Range,
    /// Anything else, by name: what was trained on, accuracy, and so on.
    pub notes: BTreeMap<String, String>,
}

/// Why a file can not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file system.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it.
    #[error("{}: not a trained network: {why}; train it again", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Largest file that is read: a thousand times what is written.
const LARGEST: u64 = 64 << 20;
const FORMAT: &str = "bendwave-metric 1";

/// Names and shapes of a network's tensors, in the order in which its parts hold them.
fn stem_names() -> [(String, Vec<usize>); 3] {
    [
        ("stem.conv.weight".to_owned(), vec![WIDTH, 1, 3, 3]),
        ("stem.norm.weight".to_owned(), vec![WIDTH]),
        ("stem.norm.bias".to_owned(), vec![WIDTH]),
    ]
}

fn unit_names(index: usize) -> Vec<(String, Vec<usize>)> {
    let mut names = Vec::with_capacity(9);
    for (conv, norm, shape) in UNIT {
        names.push((format!("units.{index}.{conv}.weight"), shape.to_vec()));
        for what in ["weight", "bias"] {
            names.push((format!("units.{index}.{norm}.{what}"), vec![HALF]));
        }
    }
    names
}

const UNIT: [(&str, &str, [usize; 4]); 3] = [
    ("first", "first_norm", [HALF, HALF, 1, 1]),
    ("depthwise", "depthwise_norm", [HALF, 1, 3, 3]),
    ("second", "second_norm", [HALF, HALF, 1, 1]),
];

impl Network {
    /// Writes it whole or not at all.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn save(&self, path: &Path, info: &Info) -> Result<(), FileError> {
        let io = |source| FileError::Io {
            path: path.to_path_buf(),
            source,
        };
        let bytes = self.to_bytes(info).map_err(|why| FileError::Content {
            path: path.to_path_buf(),
            why,
        })?;
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        std::fs::write(&part, bytes)
            .and_then(|()| std::fs::rename(&part, path))
            .map_err(io)
    }

    fn to_bytes(&self, info: &Info) -> Result<Vec<u8>, String> {
        let parts = self.parts();
        let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
        let mut push = |names: Vec<(String, Vec<usize>)>, values: &[f32]| {
            let mut rest = values;
            for (name, shape) in names {
                let (head, tail) = rest.split_at(shape.iter().product());
                tensors.push((name, shape, head.to_vec()));
                rest = tail;
            }
        };
        let running = |norm: &str, features: usize| {
            ["running_mean", "running_var"]
                .map(|what| (format!("{norm}.{what}"), vec![features]))
                .to_vec()
        };
        let both = |moments: &Moments| [&moments.mean[..], &moments.variance[..]].concat();
        push(stem_names().to_vec(), &parts.stem);
        push(running("stem.norm", WIDTH), &both(&parts.stem_moments));
        for (index, (weights, moments)) in parts.units.iter().enumerate() {
            push(unit_names(index), weights);
            for ((_, norm, _), moments) in UNIT.iter().zip(moments) {
                let norm = format!("units.{index}.{norm}");
                push(running(&norm, HALF), &both(moments));
            }
        }
        push(
            vec![("neck.weight".to_owned(), vec![EMBEDDING, FLAT])],
            &parts.neck,
        );
        push(
            vec![("neck.bias".to_owned(), vec![EMBEDDING])],
            &parts.neck_bias,
        );
        // Variances may be beyond what 16 bits hold.
        let halves: Vec<(Dtype, Vec<u8>)> = tensors
            .iter()
            .map(|(name, _, values)| {
                if name.contains("running") {
                    let bytes = values.iter().flat_map(|v| v.to_le_bytes());
                    return (Dtype::F32, bytes.collect());
                }
                let bytes = values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes());
                (Dtype::F16, bytes.collect())
            })
            .collect();
        let mut views = Vec::with_capacity(tensors.len());
        for ((name, shape, _), (dtype, bytes)) in tensors.iter().zip(&halves) {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(|e| e.to_string())?;
            views.push((name.as_str(), view));
        }
        let mut notes: HashMap<String, String> = info
            .notes
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        notes.insert("format".to_owned(), FORMAT.to_owned());
        notes.insert("side".to_owned(), self.side().to_string());
        notes.insert("range".to_owned(), info.range.name().to_owned());
        let metadata = Some(notes);
        safetensors::serialize(views, metadata).map_err(|e| e.to_string())
    }

    /// Reads a file of [`Self::save`].
    ///
    /// # Errors
    /// When there is none, or it holds no such network.
    pub fn load(path: &Path) -> Result<(Self, Info), FileError> {
        let io = |source| FileError::Io {
            path: path.to_path_buf(),
            source,
        };
        let bad = |why: String| FileError::Content {
            path: path.to_path_buf(),
            why,
        };
        let len = std::fs::metadata(path).map_err(io)?.len();
        if len > LARGEST {
            return Err(bad(format!("it has {len} bytes")));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        read(&bytes).map_err(bad)
    }
}

fn read(bytes: &[u8]) -> Result<(Network, Info), String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let mut notes: BTreeMap<String, String> = header
        .metadata()
        .iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if notes.remove("format").as_deref() != Some(FORMAT) {
        return Err(format!("its format is not {FORMAT:?}"));
    }
    let side: usize = notes
        .remove("side")
        .and_then(|side| side.parse().ok())
        .filter(|&side: &usize| side.is_power_of_two() && (4..=1 << 14).contains(&side))
        .ok_or("its side is not a power of two")?;
    let range = notes
        .remove("range")
        .and_then(|name| Range::from_name(&name))
        .ok_or("its range is unknown")?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let get = |names: &[(String, Vec<usize>)]| -> Result<Vec<f32>, String> {
        let mut values = Vec::new();
        for (name, shape) in names {
            let tensor = tensors.tensor(name).map_err(|e| format!("{name}: {e}"))?;
            if tensor.shape() != shape.as_slice() {
                return Err(format!("{name} has shape {:?}", tensor.shape()));
            }
            let data = tensor.data();
            match tensor.dtype() {
                Dtype::F16 => values.extend(
                    data.chunks_exact(2)
                        .map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()),
                ),
                Dtype::F32 => values.extend(
                    data.chunks_exact(4)
                        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
                ),
                other => return Err(format!("{name} is of type {other:?}")),
            }
        }
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => Err("some of its numbers are not finite".to_owned()),
        }
    };
    let moments = |norm: &str, features: usize| -> Result<Moments, String> {
        let one = |what: &str| get(&[(format!("{norm}.{what}"), vec![features])]);
        Ok(Moments {
            mean: one("running_mean")?,
            variance: one("running_var")?,
        })
    };
    let mut units = Vec::with_capacity(depth(side));
    for index in 0..depth(side) {
        let weights = get(&unit_names(index))?;
        let mut found = Vec::with_capacity(3);
        for (_, norm, _) in UNIT {
            found.push(moments(&format!("units.{index}.{norm}"), HALF)?);
        }
        if let Ok(found) = found.try_into() {
            units.push((weights, found));
        }
    }
    let parts = Parts {
        side,
        stem: get(&stem_names())?,
        stem_moments: moments("stem.norm", WIDTH)?,
        units,
        neck: get(&[("neck.weight".to_owned(), vec![EMBEDDING, FLAT])])?,
        neck_bias: get(&[("neck.bias".to_owned(), vec![EMBEDDING])])?,
    };
    let network = Network::new(parts).ok_or("its variances are below zero")?;
    Ok((network, Info { range, notes }))
}

const _: () = assert!(stem::LEN == 11 * WIDTH && PARTS[0] == HALF * HALF);
