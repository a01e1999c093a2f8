//! Cluster files as text.

use super::{ClusterFile, ClusterInfo};
use std::fmt::Write;

impl ClusterFile {
    /// The file's text: a list for each layer, a row for each feature, cluster by cluster. The first
    /// row of a cluster also says what is known of it. `comment` comes first, line by line.
    ///
    /// [`Self::parse`] reads it back, and so does the papers' tool.
    pub fn to_yaml(&self, comment: &str) -> String {
        let mut text = String::new();
        for comment in comment.lines() {
            line(&mut text, format!("# {}", one_line(comment)).trim_end());
        }
        if self.layers.is_empty() {
            text.push_str("{}\n");
        }
        for (layer, clusters) in &self.layers {
            let empty = clusters.values().all(Vec::is_empty);
            line(
                &mut text,
                &format!("{layer}:{}", if empty { " []" } else { "" }),
            );
            for (id, features) in clusters {
                let mut info = self.info(*layer, *id);
                for feature in features {
                    let known = info.take().map(known).unwrap_or_default();
                    let row = format!("- {{cluster_index: {id}, feature_index: {feature}{known}}}");
                    line(&mut text, &row);
                }
            }
        }
        text
    }
}

fn line(text: &mut String, row: &str) {
    text.push_str(row);
    text.push('\n');
}

/// Without what YAML takes for the end of a line.
fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    text.replace(breaks, " ")
}

fn known(info: &ClusterInfo) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    if let Some(name) = &info.name {
        // A JSON string is a YAML string, whatever it holds.
        let name = serde_json::Value::from(one_line(name));
        write!(text, ", name: {name}").ok();
    }
    if let Some([r, g, b]) = info.colour {
        write!(text, ", colour: '#{r:02x}{g:02x}{b:02x}'").ok();
    }
    if !info.sensitivity.is_empty() {
        let rows: Vec<String> = info
            .sensitivity
            .iter()
            .map(|(key, value)| format!("{}: {value:.4}", serde_json::Value::from(key.as_str())))
            .collect();
        write!(text, ", sensitivity: {{{}}}", rows.join(", ")).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::bend::{ClusterFile, ClusterInfo};
    use proptest::prelude::*;
    use std::path::Path;

    fn info(name: &str) -> ClusterInfo {
        ClusterInfo {
            name: Some(name.to_owned()),
            colour: Some([1, 0xab, 255]),
            sensitivity: [("ablate".to_owned(), 0.25), ("dilate".to_owned(), 0.0)].into(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut file = ClusterFile::default();
        file.insert(3, 0, [5, 1], info("eyes: \"left\" # \u{e9}"));
        file.insert(3, 1, [0, 2, 3, 4], ClusterInfo::default());
        file.insert(12, 0, [0], info("- {a: b}"));
        let text = file.to_yaml("Made by hand.\nOf a model.");
        assert!(
            text.starts_with(
                "# Made by hand.\n# Of a model.\n3:\n- {cluster_index: 0, feature_index: 1, name: "
            ),
            "{text}"
        );
        let back = ClusterFile::parse(&text, Path::new("c.yaml")).unwrap();
        assert_eq!(back, file);
        assert_eq!(back.info(3, 0).unwrap().colour, Some([1, 0xab, 255]));
        assert_eq!(back.info(3, 1), None);
        let empty = ClusterFile::default();
        let back = ClusterFile::parse(&empty.to_yaml(""), Path::new("c.yaml")).unwrap();
        assert_eq!(back, empty);
    }

    proptest! {
        #[test]
        fn any_name_survives(name in "[^\\p{Cc}\\u{2028}\\u{2029}\\u{feff}]{1,40}") {
            let mut file = ClusterFile::default();
            file.insert(1, 0, [7], info(name.trim()));
            let back = ClusterFile::parse(&file.to_yaml(&name), Path::new("c.yaml")).unwrap();
            if !name.trim().is_empty() {
                prop_assert_eq!(back, file);
            }
        }
    }
}
