//! Cluster files: which features of a layer belong together.
//!
//! The papers' tool writes `{layer: [{cluster_index: c, feature_index: f}, …], …}`, in YAML's flow
//! or block style. Keys of an entry that are not known are ignored there and here. So a cluster's
//! name, colour and sensitivity stand in one of its entries ([`ClusterInfo`]), and the tool reads
//! such a file as if they were not there.

mod write;

use crate::lines;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes. The papers' own, for 16 layers, has about 250 kB.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// Layers, clusters of a layer and features of a layer stay below this.
pub const MAX_INDEX: u32 = 1 << 16;

/// Why a cluster file can not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// It can not be read.
    #[error("cluster file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no YAML.
    #[error("cluster file {}: {source}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// Why, and where.
        source: serde_yaml::Error,
    },
    /// It does not say what a cluster file says.
    #[error("cluster file {}: {key}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where, as in `line 40: layer 3, entry 17, feature_index`.
        key: String,
        /// What is wrong and what belongs there.
        problem: String,
    },
}

/// Longest name of a cluster, in characters. A longer one is cut.
pub const MAX_NAME: usize = 64;

/// Most sensitivities of a cluster that are read.
const MAX_SENSITIVITIES: usize = 32;

/// What is known of a cluster beside its features. Nothing of it is needed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterInfo {
    /// What it changes, in a word or two.
    pub name: Option<String>,
    /// sRGB.
    pub colour: Option<[u8; 3]>,
    /// How much of the picture's range changes, 0 to 1, by the name of a transform.
    pub sensitivity: BTreeMap<String, f32>,
}

/// Clusters by layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterFile {
    /// Features by cluster, ascending and each once, by layer.
    layers: BTreeMap<usize, BTreeMap<u32, Vec<u32>>>,
    /// By layer and cluster; only clusters of which something is known.
    infos: BTreeMap<(usize, u32), ClusterInfo>,
}

impl ClusterFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it can not be read, is larger than [`MAX_FILE_BYTES`], is no YAML, or holds something
    /// else than clusters; the text names file, layer, entry and key.
    pub fn load(path: &Path) -> Result<Self, ClusterError> {
        let read = |source| ClusterError::Read {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        File::open(path)
            .map_err(read)?
            .take(MAX_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(read)?;
        if text.len() as u64 > MAX_FILE_BYTES {
            let mib = MAX_FILE_BYTES >> 20;
            return Err(content(
                path,
                "the file",
                format!("has more than {mib} MiB"),
            ));
        }
        Self::parse(&text, path)
    }

    /// Reads a file's text; `path` is for error texts.
    ///
    /// # Errors
    /// See [`Self::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ClusterError> {
        let value: Value = serde_yaml::from_str(text).map_err(|source| ClusterError::Yaml {
            path: path.to_owned(),
            source,
        })?;
        let Value::Mapping(map) = value else {
            let problem = "is not a map from layers to lists of clusters";
            return Err(content(path, "the file", problem.to_owned()));
        };
        let mut layers = BTreeMap::new();
        let mut infos = BTreeMap::new();
        for (key, entries) in &map {
            let shown = show(key);
            let wrong = |place: &str, step: &str, problem| {
                let line = lines::find(text, &format!("{shown}{step}"));
                let line = line.map_or(String::new(), |line| format!("line {line}: "));
                content(path, &format!("{line}{place}"), problem)
            };
            let Some(layer) = index(key) else {
                let problem = format!("layers are numbers below {MAX_INDEX}");
                return Err(wrong(&format!("key `{shown}`"), "", problem));
            };
            let (clusters, known) = layer_clusters(entries)
                .map_err(|m| wrong(&format!("layer {layer}{}", m.place), &m.step, m.problem))?;
            for (id, info) in known {
                infos.insert((layer as usize, id), info);
            }
            if layers.insert(layer as usize, clusters).is_some() {
                let problem = "stands there twice".to_owned();
                return Err(wrong(&format!("layer {layer}"), "", problem));
            }
        }
        Ok(Self { layers, infos })
    }

    /// Puts a cluster in, or in place of the one of this layer and number.
    pub fn insert(
        &mut self,
        layer: usize,
        id: u32,
        features: impl IntoIterator<Item = u32>,
        info: ClusterInfo,
    ) {
        let mut features: Vec<u32> = features.into_iter().collect();
        features.sort_unstable();
        features.dedup();
        self.layers.entry(layer).or_default().insert(id, features);
        if info == ClusterInfo::default() {
            self.infos.remove(&(layer, id));
        } else {
            self.infos.insert((layer, id), info);
        }
    }

    /// Layers that have clusters, ascending.
    pub fn layers(&self) -> impl Iterator<Item = usize> {
        self.layers.keys().copied()
    }

    /// Features of a cluster, ascending; `None` when the layer has no such cluster.
    pub fn cluster(&self, layer: usize, id: u32) -> Option<&[u32]> {
        Some(self.layers.get(&layer)?.get(&id)?)
    }

    /// The same clusters under the numbers, names and colours of those of `other` that they share most
    /// features with, so that what plays cluster 2 goes on playing what is most like it. A cluster
    /// of `other` without a counterpart is kept as it was, and so are its other layers.
    #[must_use]
    pub fn numbered_like(&self, other: &Self) -> Self {
        let mut result = other.clone();
        for (layer, clusters) in &self.layers {
            let Some(theirs) = other.layers.get(layer) else {
                continue;
            };
            let mut pairs: Vec<(usize, u32, u32)> = Vec::new();
            for (&ours, features) in clusters {
                for (&id, known) in theirs {
                    let shared = features.iter().filter(|f| known.binary_search(f).is_ok());
                    pairs.push((shared.count(), id, ours));
                }
            }
            pairs.sort_by_key(|&(shared, id, ours)| (std::cmp::Reverse(shared), id, ours));
            let (mut given, mut taken) = (Vec::new(), Vec::new());
            for (_, id, ours) in pairs {
                if given.contains(&id) || taken.contains(&ours) {
                    continue;
                }
                given.push(id);
                taken.push(ours);
                if let Some(place) = result.layers.get_mut(layer).and_then(|l| l.get_mut(&id)) {
                    place.clone_from(&clusters[&ours]);
                }
            }
        }
        result
    }

    /// What is known of a cluster beside its features.
    pub fn info(&self, layer: usize, id: u32) -> Option<&ClusterInfo> {
        self.infos.get(&(layer, id))
    }

    /// Numbers of a layer's clusters, ascending.
    pub fn ids(&self, layer: usize) -> impl Iterator<Item = u32> {
        self.layers
            .get(&layer)
            .into_iter()
            .flat_map(|clusters| clusters.keys().copied())
    }

    /// How many clusters a layer has.
    pub fn count(&self, layer: usize) -> usize {
        self.layers.get(&layer).map_or(0, BTreeMap::len)
    }
}

type LayerClusters = (BTreeMap<u32, Vec<u32>>, BTreeMap<u32, ClusterInfo>);

/// What is wrong in a layer.
#[derive(Default)]
struct Misfit {
    /// Where, in words that start with a comma.
    place: String,
    /// Where, as [`lines::find`] reads it.
    step: String,
    problem: String,
}

/// Clusters of one layer.
fn layer_clusters(entries: &Value) -> Result<LayerClusters, Misfit> {
    let Value::Sequence(entries) = entries else {
        return Err(Misfit {
            problem: "is not a list".to_owned(),
            ..Misfit::default()
        });
    };
    let mut clusters: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut infos: BTreeMap<u32, ClusterInfo> = BTreeMap::new();
    for (position, entry) in entries.iter().enumerate() {
        let misfit = |problem| Misfit {
            place: format!(", entry {}", position + 1),
            step: format!("[{position}]"),
            problem,
        };
        let Value::Mapping(entry) = entry else {
            let problem = "is not a map with `cluster_index` and `feature_index`";
            return Err(misfit(problem.to_owned()));
        };
        let field = |name: &str| {
            let Some(value) = entry.get(name) else {
                return Err(misfit(format!("lacks `{name}`")));
            };
            index(value).ok_or_else(|| {
                let problem = format!("is {}, not a number below {MAX_INDEX}", show(value));
                let mut misfit = misfit(problem);
                misfit.place += &format!(", `{name}`");
                misfit.step += &format!(".{name}");
                misfit
            })
        };
        let cluster = field("cluster_index")?;
        clusters
            .entry(cluster)
            .or_default()
            .push(field("feature_index")?);
        if entry.len() > 2 {
            add_info(entry, infos.entry(cluster).or_default());
        }
    }
    infos.retain(|_, info| *info != ClusterInfo::default());
    for features in clusters.values_mut() {
        features.sort_unstable();
        features.dedup();
    }
    Ok((clusters, infos))
}

/// Takes what an entry says beside its two numbers. What is not ours, or is not as we write it, is
/// somebody else's and ignored.
fn add_info(entry: &serde_yaml::Mapping, info: &mut ClusterInfo) {
    if let Some(Value::String(name)) = entry.get("name") {
        let name: String = name.trim().chars().take(MAX_NAME).collect();
        if !name.is_empty() && !name.contains(char::is_control) {
            info.name = Some(name);
        }
    }
    if let Some(Value::String(colour)) = entry.get("colour")
        && let Some(hex) = colour.strip_prefix('#').filter(|h| h.len() == 6)
        && let Ok(rgb) = u32::from_str_radix(hex, 16)
    {
        info.colour = Some([(rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8]);
    }
    if let Some(Value::Mapping(map)) = entry.get("sensitivity") {
        for (key, value) in map.iter().take(MAX_SENSITIVITIES) {
            if let (Value::String(key), Some(value)) = (key, value.as_f64())
                && (0.0..=1.0).contains(&value)
                && key.len() <= MAX_NAME
            {
                info.sensitivity.insert(key.clone(), value as f32);
            }
        }
    }
}

/// An index, also when it is written as text (`"3"`) or as a whole float (`3.0`).
fn index(value: &Value) -> Option<u32> {
    let number = match value {
        Value::Number(n) => n.as_u64().or_else(|| {
            let x = n.as_f64()?;
            (x >= 0.0 && x.fract() == 0.0 && x < f64::from(MAX_INDEX)).then_some(x as u64)
        })?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    u32::try_from(number).ok().filter(|&n| n < MAX_INDEX)
}

/// A value in a few words.
fn show(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(text) => {
            let mut short: String = text.chars().take(40).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            short
        }
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a map".to_owned(),
        Value::Tagged(_) => "a tagged value".to_owned(),
    }
}

fn content(path: &Path, key: &str, problem: String) -> ClusterError {
    ClusterError::Content {
        path: path.to_owned(),
        key: key.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::{ClusterFile, ClusterInfo, MAX_FILE_BYTES};
    use std::path::Path;

    fn parse(text: &str) -> Result<ClusterFile, String> {
        ClusterFile::parse(text, Path::new("c.yaml")).map_err(|e| e.to_string())
    }

    #[test]
    fn flow_and_block_style_say_the_same() {
        let flow =
            "{1: [{cluster_index: 1, feature_index: 4}, {cluster_index: 0, feature_index: 2},
                     {cluster_index: 1, feature_index: 0}], 16: []}";
        let block = "1:\n- cluster_index: 1\n  feature_index: 4\n  colour: red\n\
                     - feature_index: 2\n  cluster_index: 0\n  name: {a: [b]}\n\
                     - {cluster_index: 1, feature_index: 0}\n16: []\n";
        let file = parse(flow).unwrap();
        assert_eq!(Ok(&file), parse(block).as_ref());
        assert_eq!(file.cluster(1, 1), Some(&[0, 4][..]));
        assert_eq!(file.cluster(1, 2), None);
        assert_eq!(file.cluster(2, 0), None);
        assert_eq!((file.count(1), file.count(16), file.count(3)), (2, 0, 0));
        assert_eq!(file.ids(1).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(file.layers().collect::<Vec<_>>(), [1, 16]);
    }

    #[test]
    fn problems_name_file_and_key() {
        for (text, expected) in [
            (
                "- 1",
                "c.yaml: the file: is not a map from layers to lists of clusters",
            ),
            (
                "a: []",
                "c.yaml: line 1: key `a`: layers are numbers below 65536",
            ),
            ("3: 4", "c.yaml: line 1: layer 3: is not a list"),
            (
                "3: [4]",
                "line 1: layer 3, entry 1: is not a map with `cluster_index` and `feature_index`",
            ),
            (
                "3: [{cluster_index: 1}]",
                "line 1: layer 3, entry 1: lacks `feature_index`",
            ),
            (
                "3: [{cluster_index: 1, feature_index: -2}]",
                "line 1: layer 3, entry 1, `feature_index`: is -2, not a number below 65536",
            ),
            (
                "3: [{cluster_index: .nan, feature_index: 2}]",
                "entry 1, `cluster_index`: is .nan, not",
            ),
            ("3: []\n\"3\": []", "layer 3: stands there twice"),
            (
                "1:\n- {cluster_index: 1, feature_index: 4}\n3:\n- cluster_index: 1\n  feature_index: 2\n\
                 - cluster_index: 1\n  feature_index: two\n",
                "c.yaml: line 7: layer 3, entry 2, `feature_index`: is two",
            ),
            (
                "1: []\n3:\n- cluster_index: 1\n  feature_index: 2\n- cluster_index: 1\n",
                "c.yaml: line 5: layer 3, entry 2: lacks",
            ),
            ("{3: [", "c.yaml: "),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn new_clusters_take_the_numbers_of_those_they_are_like() {
        let entries = |groups: &[(u32, &[u32])]| {
            let mut file = ClusterFile::default();
            for (id, features) in groups {
                file.insert(4, *id, features.iter().copied(), ClusterInfo::default());
            }
            file
        };
        let mut known = entries(&[(0, &[0, 1, 2, 3]), (1, &[4, 5, 6]), (2, &[7, 8])]);
        known.insert(9, 0, [1], ClusterInfo::default());
        let found = entries(&[(0, &[7, 8, 6]), (1, &[1, 2, 3]), (2, &[0, 4, 5])]);
        let like = found.numbered_like(&known);
        assert_eq!(like.cluster(4, 0), Some(&[1, 2, 3][..]));
        assert_eq!(like.cluster(4, 1), Some(&[0, 4, 5][..]));
        assert_eq!(like.cluster(4, 2), Some(&[6, 7, 8][..]));
        assert_eq!(like.cluster(9, 0), Some(&[1][..]));
        let fewer = entries(&[(0, &[0, 1, 2, 3, 4, 5, 6, 7, 8])]).numbered_like(&known);
        assert_eq!(fewer.ids(4).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn files_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big.yaml");
        let missing = ClusterFile::load(&path).unwrap_err().to_string();
        assert!(missing.contains("big.yaml"), "{missing}");
        std::fs::write(&path, vec![b' '; MAX_FILE_BYTES as usize + 1]).unwrap();
        let large = ClusterFile::load(&path).unwrap_err().to_string();
        assert!(large.contains("more than 16 MiB"), "{large}");
        // Nested aliases that would unfold to 10⁹ entries.
        let mut bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
        for i in 1..9 {
            let refs = vec![format!("*a{}", i - 1); 10].join(",");
            bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert!(parse(&bomb).is_err());
    }
}
