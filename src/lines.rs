//! Where in a YAML file a key stands: the parser behind serde knows lines only while it reads.

use saphyr_parser::{Event, Parser};

/// Line, from 1, of a key such as `transforms[2].params`; where the file leaves that key out, of the
/// part that is there. `None` when nothing of it is.
pub fn find(text: &str, key: &str) -> Option<usize> {
    let wanted = steps(key);
    let mut best = (0, None);
    let mut levels: Vec<Level> = Vec::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else {
            break;
        };
        let line = span.start.line();
        let depth = levels.len();
        if let Event::MappingEnd | Event::SequenceEnd = event {
            levels.pop();
            continue;
        }
        let starts = matches!(event, Event::MappingStart(..) | Event::SequenceStart(..));
        if !starts && !matches!(event, Event::Scalar(..) | Event::Alias(..)) {
            continue;
        }
        if let Some(level) = levels.last_mut() {
            let is_key = level.is_map && !level.at_value;
            if is_key {
                level.at_value = true;
                let step = wanted.get(depth - 1);
                level.matched = matches!(
                    (&event, step),
                    (Event::Scalar(text, ..), Some(Step::Key(key))) if text == key
                );
            } else if level.is_map {
                level.at_value = false;
            } else {
                level.matched = wanted.get(depth - 1) == Some(&Step::Index(level.count));
                level.count += 1;
            }
            let on_the_way = levels.iter().all(|level| level.matched);
            let level_done = levels.last().is_some_and(|l| !l.is_map) || is_key;
            if on_the_way && level_done && depth > best.0 {
                best = (depth, Some(line));
            }
        }
        if starts {
            levels.push(Level {
                is_map: matches!(event, Event::MappingStart(..)),
                at_value: false,
                matched: false,
                count: 0,
            });
        }
        if best.0 == wanted.len() {
            break;
        }
    }
    best.1
}

#[derive(Debug)]
struct Level {
    is_map: bool,
    /// In a map: the key is read, its value is not.
    at_value: bool,
    /// What is being read is the wanted step.
    matched: bool,
    /// In a list: entries read.
    count: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

fn steps(key: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in key.split('.') {
        let (name, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if !name.is_empty() {
            steps.push(Step::Key(name.to_owned()));
        }
        while let Some((index, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            if let Ok(index) = index.parse() {
                steps.push(Step::Index(index));
            }
            rest = after;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::find;

    const BLOCK: &str = "# A scene.
seed: 1
latent:
  seeds: [1, 2]
transforms:
- layer: 4
  params:
  - 1
  - {signal: bass,
     range: [0, 1]}
  features: all
- {layer: 2,
   transform: spin, features: all}
";

    #[test]
    fn keys_are_found_in_block_and_flow_style() {
        for (key, line) in [
            ("seed", Some(2)),
            ("latent.seeds", Some(4)),
            ("transforms", Some(5)),
            ("transforms[0]", Some(6)),
            ("transforms[0].layer", Some(6)),
            ("transforms[0].params", Some(7)),
            ("transforms[0].params[1]", Some(9)),
            ("transforms[0].params[1].range", Some(10)),
            ("transforms[0].features", Some(11)),
            ("transforms[1].layer", Some(12)),
            ("transforms[1].transform", Some(13)),
            ("nothing", None),
        ] {
            assert_eq!(find(BLOCK, key), line, "{key}");
        }
    }

    #[test]
    fn what_is_left_out_is_looked_for_where_it_belongs() {
        assert_eq!(find(BLOCK, "transforms[1].params"), Some(12));
        assert_eq!(find(BLOCK, "transforms[7].params"), Some(5));
        assert_eq!(find(BLOCK, "latent.accent.seed"), Some(3));
        assert_eq!(find("1: [{a: 2},\n {a: 3}]", "1[1].a"), Some(2));
        assert_eq!(find("[unclosed", "a"), None);
        assert_eq!(find("", "a"), None);
    }
}
