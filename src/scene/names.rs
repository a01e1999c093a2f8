//! The names of a scene's modulators, which are read before the rest of the file.

use crate::param::MAX_MODULATORS;
use crate::signal::SignalId;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The keys of `modulators:`, in order. They are read before the rest, so that the section may
/// stand anywhere in the file.
#[derive(Default)]
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("modulators by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

/// The names; of a wrong one it and why.
pub(super) fn modulator_names(text: &str) -> Result<Vec<String>, (String, String)> {
    #[derive(Deserialize)]
    struct Section {
        modulators: Option<Names>,
    }
    // What is wrong with the text is told when all of it is read.
    let section: Option<Section> = serde_yaml::from_str(text).unwrap_or_default();
    let names = section.and_then(|s| s.modulators).unwrap_or_default().0;
    for (index, name) in names.iter().enumerate() {
        let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let why = if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            "a name has letters, digits, `-` and `_`".to_owned()
        } else if SignalId::find(name).is_some() {
            "is a signal's name: choose another".to_owned()
        } else if names[..index].contains(name) {
            "is there twice".to_owned()
        } else if index >= MAX_MODULATORS {
            format!("more than {MAX_MODULATORS} modulators")
        } else {
            continue;
        };
        return Err((name.clone(), why));
    }
    Ok(names)
}
