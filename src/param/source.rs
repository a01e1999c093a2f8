//! Where a driven value comes from: signals, and the modulators that a scene defines.

use crate::param::{Inline, Modulator};
use crate::signal::{SIGNALS, SignalId, Snapshot};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::cell::RefCell;
use std::fmt;

/// Most sources that one value combines.
pub const MAX_SOURCES: usize = 4;

/// One source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A signal.
    Signal(SignalId),
    /// A modulator, by its place in the scene.
    Modulator(u16),
}

/// How several sources become one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// The highest.
    #[default]
    Max,
    /// The lowest.
    Min,
    /// All together, at most 1.
    Sum,
    /// One times the other: each can close the gate.
    Product,
    /// The average.
    Mean,
}

/// One to [`MAX_SOURCES`] sources that become one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    list: [Source; MAX_SOURCES],
    count: usize,
    /// How they become one.
    pub combine: Combine,
}

/// All values that a number can follow, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The signals.
    pub snapshot: &'a Snapshot,
    /// The modulators, in the scene's order.
    pub modulators: &'a [f32],
}

impl<'a> Values<'a> {
    /// Signals alone, for a scene without modulators.
    pub const fn of(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            modulators: &[],
        }
    }

    /// Value of one source, in \[0, 1\].
    pub fn get(&self, source: Source) -> f32 {
        match source {
            Source::Signal(id) => self.snapshot.get(id),
            // A scene binds its names when it is read: the place is always there.
            Source::Modulator(at) => self.modulators.get(usize::from(at)).copied().unwrap_or(0.0),
        }
    }
}

impl From<Source> for Sources {
    fn from(source: Source) -> Self {
        Self {
            list: [source; MAX_SOURCES],
            count: 1,
            combine: Combine::default(),
        }
    }
}

impl Sources {
    /// The sources.
    pub fn as_slice(&self) -> &[Source] {
        &self.list[..self.count]
    }

    /// Their common value, in \[0, 1\].
    pub fn value(&self, values: &Values<'_>) -> f32 {
        let each = self.as_slice().iter().map(|source| values.get(*source));
        match self.combine {
            Combine::Max => each.fold(0.0, f32::max),
            Combine::Min => each.fold(1.0, f32::min),
            Combine::Sum => each.sum::<f32>().min(1.0),
            Combine::Product => each.product(),
            Combine::Mean => each.sum::<f32>() / self.count as f32,
        }
    }
}

/// The names of a scene that is being read.
#[derive(Debug, Default)]
struct Scope {
    names: Vec<String>,
    /// How many of `names` may be used now: a modulator may use those above it only, so that one
    /// pass in file order evaluates them all.
    known: usize,
    modulators: Vec<Option<Modulator>>,
    inline: bool,
}

thread_local! {
    // serde hands a visitor no context, and an error has to name its line.
    static SCOPE: RefCell<Scope> = RefCell::default();
}

/// Most modulators of a scene, inline ones included.
pub const MAX_MODULATORS: usize = 256;

/// Runs `read` while the modulators called `names` may stand where signals may; gives all that
/// were defined meanwhile, the named ones first, in the order of `names`. `None` stands for one
/// that was announced and did not come.
pub fn with_modulators<T>(
    names: Vec<String>,
    read: impl FnOnce() -> T,
) -> (T, Vec<Option<Modulator>>) {
    let scope = Scope {
        known: names.len(),
        modulators: vec![None; names.len()],
        inline: true,
        names,
    };
    let before = SCOPE.replace(scope);
    let result = read();
    let scope = SCOPE.replace(before);
    (result, scope.modulators)
}

/// Runs `read` for the definition of the named modulator at `place`: it may use those before it.
pub(super) fn defining(
    place: usize,
    read: impl FnOnce() -> Result<Modulator, String>,
) -> Result<(), String> {
    let before = SCOPE.with_borrow_mut(|scope| {
        let before = (scope.known, scope.inline);
        (scope.known, scope.inline) = (place, false);
        before
    });
    let result = read();
    SCOPE.with_borrow_mut(|scope| {
        (scope.known, scope.inline) = before;
        if let Some(slot) = scope.modulators.get_mut(place) {
            *slot = Some(result?);
        }
        Ok(())
    })
}

/// Place of a named modulator of the scene that is being read.
pub(super) fn place_of(name: &str) -> Option<usize> {
    SCOPE.with_borrow(|scope| scope.names.iter().position(|known| known == name))
}

pub(super) fn find(name: &str) -> Result<Source, String> {
    if let Some(id) = SignalId::find(name) {
        return Ok(Source::Signal(id));
    }
    SCOPE.with_borrow(|scope| {
        match scope.names.iter().position(|known| known == name) {
            Some(place) if place < scope.known => Ok(Source::Modulator(place as u16)),
            Some(_) => Err(format!(
                "modulator {name:?} stands further down: a modulator uses signals and those above it"
            )),
            None => {
                let signals = SIGNALS.iter().map(|s| s.id);
                let own = scope.names[..scope.known].iter().map(String::as_str);
                let known: Vec<&str> = own.chain(signals).collect();
                Err(format!(
                    "no signal or modulator is named {name:?}; there are {}",
                    known.join(", ")
                ))
            }
        }
    })
}

/// Takes a modulator that stands in the place of a signal.
fn add_inline(modulator: Modulator) -> Result<Source, String> {
    SCOPE.with_borrow_mut(|scope| {
        if !scope.inline {
            return Err(
                "a modulator stands here by its name: define it under `modulators:`".to_owned(),
            );
        }
        if scope.modulators.len() >= MAX_MODULATORS {
            return Err(format!("more than {MAX_MODULATORS} modulators"));
        }
        scope.modulators.push(Some(modulator));
        Ok(Source::Modulator((scope.modulators.len() - 1) as u16))
    })
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = Source;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a signal or modulator, or a modulator as {lfo: sine, beats: 4}")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Source, E> {
        find(name).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
        let Inline(modulator) = Inline::deserialize(MapAccessDeserializer::new(map))?;
        add_inline(modulator).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourceVisitor)
    }
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SourcesVisitor)
    }
}

struct SourcesVisitor;

impl<'de> Visitor<'de> for SourcesVisitor {
    type Value = Sources;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a signal or modulator, or a list of up to 4")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Sources, E> {
        SourceVisitor.visit_str(name).map(Sources::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sources, A::Error> {
        SourceVisitor.visit_map(map).map(Sources::from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Sources, A::Error> {
        let mut sources: Option<Sources> = None;
        while let Some(source) = list.next_element::<Source>()? {
            let all = sources.get_or_insert(Sources {
                count: 0,
                ..Sources::from(source)
            });
            if all.count == MAX_SOURCES {
                return Err(de::Error::custom(format!(
                    "more than {MAX_SOURCES} sources"
                )));
            }
            all.list[all.count] = source;
            all.count += 1;
        }
        sources.ok_or_else(|| de::Error::custom("needs at least one source"))
    }
}
