//! Which features a transform works on.

use crate::bend::ClusterFile;
use crate::tensor::{ChannelSet, MapShape};
use serde_yaml::Value;

/// Which features a transform works on.
#[derive(Clone, Debug, PartialEq)]
pub enum Features {
    /// Every feature of the layer.
    All,
    /// `floor(channels · share)` features, drawn from the scene's seed and the transform's place.
    Random(f32),
    /// The features of these clusters of the cluster file.
    Cluster(Vec<u32>),
    /// These features: ranges from first to last, both included.
    Channels(Vec<[u32; 2]>),
}

/// Most clusters or ranges in one list.
const MAX_LIST: usize = 4096;
/// Layers have fewer features than this.
const MAX_CHANNEL: u32 = 1 << 16;

/// The key that is wrong and why.
type KeyError = (&'static str, String);

impl Features {
    /// From `features:` and `feature-param:`.
    pub(super) fn parse(kind: Option<&str>, param: Option<&Value>) -> Result<Self, KeyError> {
        let wrong = |why: &str| ("feature-param", why.to_owned());
        let param = param.unwrap_or(&Value::Null);
        match kind.unwrap_or("all") {
            "all" => Ok(Self::All),
            "random" => match number(param) {
                Some(share) if (0.0..=1.0).contains(&share) => Ok(Self::Random(share as f32)),
                _ => Err(wrong("`random` needs a share from 0 to 1")),
            },
            "cluster" => {
                let ids = items(param).map(|list| list.iter().map(id).collect::<Option<Vec<_>>>());
                match ids {
                    Some(Some(ids)) if !ids.is_empty() => Ok(Self::Cluster(ids)),
                    _ => Err(wrong(
                        "`cluster` needs a cluster's number, or a list of them as [0, 2]",
                    )),
                }
            }
            "channels" => {
                const EXAMPLE: &str =
                    "`channels` needs a list of features and ranges, as [0-15, 20, 31]";
                let list = items(param).ok_or_else(|| wrong(EXAMPLE))?;
                let ranges = list
                    .iter()
                    .map(|item| range(item).ok_or_else(|| format!("{}: {EXAMPLE}", show(item))))
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|why| ("feature-param", why))?;
                if ranges.is_empty() {
                    return Err(wrong(EXAMPLE));
                }
                if let Some([first, last]) = ranges.iter().find(|[first, last]| first > last) {
                    return Err(("feature-param", format!("{first}-{last} runs backwards")));
                }
                Ok(Self::Channels(ranges))
            }
            other => Err((
                "features",
                format!("{other:?}: one of all, random, cluster, channels"),
            )),
        }
    }

    /// The channels of a layer; or the key that is wrong and why. `seed` is for random ones.
    pub(super) fn channels(
        &self,
        layer: usize,
        shape: MapShape,
        clusters: Option<&ClusterFile>,
        seed: u64,
    ) -> Result<ChannelSet, KeyError> {
        match self {
            Self::All => Ok(ChannelSet::all(shape.channels)),
            Self::Random(share) => Ok(ChannelSet::random(shape.channels, *share, seed)),
            Self::Channels(ranges) => {
                let last = ranges.iter().map(|r| r[1]).max().unwrap_or(0);
                if last as usize >= shape.channels {
                    return Err((
                        "feature-param",
                        format!(
                            "there is no feature {last}: layer {layer} has {}, 0 to {}",
                            shape.channels,
                            shape.channels - 1
                        ),
                    ));
                }
                let all = ranges.iter().flat_map(|[first, last]| *first..=*last);
                ChannelSet::from_indices(all, shape.channels)
                    .map_err(|c| ("feature-param", format!("there is no feature {c}")))
            }
            Self::Cluster(ids) => {
                let file = clusters.ok_or_else(|| {
                    (
                        "features",
                        "`cluster` needs a cluster file: give `clusters:` in the scene or --clusters"
                            .to_owned(),
                    )
                })?;
                let mut list = Vec::new();
                for &id in ids {
                    let cluster = file.cluster(layer, id).ok_or_else(|| {
                        (
                            "feature-param",
                            format!("the cluster file has no cluster {id} in layer {layer}"),
                        )
                    })?;
                    if let Some(beyond) = cluster.iter().find(|&&c| c as usize >= shape.channels) {
                        return Err((
                            "feature-param",
                            format!(
                                "cluster {id} names feature {beyond}, but layer {layer} has {}: the cluster file is of another model",
                                shape.channels
                            ),
                        ));
                    }
                    list.extend_from_slice(cluster);
                }
                ChannelSet::from_indices(list, shape.channels)
                    .map_err(|c| ("feature-param", format!("there is no feature {c}")))
            }
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(s) => s.trim().parse().ok(),
        _ => None,
    }
}

/// A list, a text with commas, or one item.
fn items(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Sequence(list) => (list.len() <= MAX_LIST).then(|| list.clone()),
        Value::String(text) => {
            let parts = text
                .trim()
                .trim_start_matches('[')
                .trim_end_matches(']')
                .split(',');
            let list: Vec<Value> = parts
                .take(MAX_LIST + 1)
                .map(|part| Value::String(part.trim().to_owned()))
                .collect();
            (list.len() <= MAX_LIST).then_some(list)
        }
        Value::Number(_) => Some(vec![value.clone()]),
        _ => None,
    }
}

fn id(value: &Value) -> Option<u32> {
    let n = number(value)?;
    (n >= 0.0 && n.fract() == 0.0 && n <= f64::from(u32::MAX)).then_some(n as u32)
}

/// `7`, or `0-15`.
fn range(value: &Value) -> Option<[u32; 2]> {
    if let Some(one) = id(value) {
        return (one < MAX_CHANNEL).then_some([one, one]);
    }
    let Value::String(text) = value else {
        return None;
    };
    let (first, last) = text.split_once('-')?;
    let ends = [first.trim().parse().ok()?, last.trim().parse().ok()?];
    (ends[1] < MAX_CHANNEL).then_some(ends)
}

fn show(value: &Value) -> String {
    let text = serde_yaml::to_string(value).unwrap_or_default();
    text.trim().chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::Features;

    fn parse(kind: &str, param: &str) -> Result<Features, String> {
        Features::parse(Some(kind), serde_yaml::from_str(param).ok().as_ref()).map_err(|e| e.1)
    }

    #[test]
    fn channels_are_lists_and_ranges() {
        let wanted = Ok(Features::Channels(vec![[0, 15], [20, 20], [31, 31]]));
        for text in [
            "[0-15, 20, 31]",
            "['0 - 15', '20', 31.0]",
            "0-15, 20, 31",
            "'[0-15,20,31]'",
        ] {
            assert_eq!(parse("channels", text), wanted, "{text}");
        }
        assert_eq!(parse("channels", "7"), Ok(Features::Channels(vec![[7, 7]])));
        for (text, why) in [
            ("null", "[0-15, 20, 31]"),
            ("[]", "[0-15, 20, 31]"),
            ("[a]", "a: `channels`"),
            ("[-3]", "-3: `channels`"),
            ("[1.5]", "1.5: `channels`"),
            ("[9-3]", "9-3 runs backwards"),
            ("[0-99999999]", "`channels`"),
            ("[[1]]", "`channels`"),
        ] {
            let error = parse("channels", text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn clusters_are_one_or_several() {
        assert_eq!(parse("cluster", "2"), Ok(Features::Cluster(vec![2])));
        assert_eq!(
            parse("cluster", "[0, 2]"),
            Ok(Features::Cluster(vec![0, 2]))
        );
        for text in ["null", "[]", "-1", "x", "[0, 1.5]"] {
            assert!(parse("cluster", text).is_err(), "{text}");
        }
    }
}
