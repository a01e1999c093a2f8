//! What bends remember from frame to frame: where it stands, not the values.
//!
//! Each bender holds the values themselves, in one long row of floats where they are needed (host or
//! GPU). A bend's part of it is found by [`Bend::id`].

use super::spec::{Bend, Reads};
use super::uniform::BendUniform;
use crate::tensor::MapShape;
use std::sync::Arc;

/// When a frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FrameTime {
    /// Counts frames. A bend that did not work in the frame before starts anew.
    pub index: u64,
    /// Time since the frame before.
    pub dt_secs: f32,
}

/// Where everything stands.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By [`Bend::id`].
    parts: Vec<Part>,
    /// Floats in use.
    len: usize,
    /// Weights that the bender has yet to write, and where.
    paintings: Vec<(usize, Arc<[f32]>)>,
}

#[derive(Clone, Debug, Default)]
struct Part {
    /// Two sets of planes, which take turns.
    past: Option<Past>,
    painting: Option<(usize, Arc<[f32]>)>,
    phase: f64,
}

#[derive(Clone, Copy, Debug)]
struct Past {
    at: usize,
    /// Floats of one set.
    len: usize,
    shape: MapShape,
    /// The set that was written last, and in which frame.
    side: usize,
    frame: Option<u64>,
}

impl Memory {
    /// Makes room for a bend on maps of this shape.
    pub(super) fn reserve(&mut self, bend: &Bend, shape: MapShape) {
        let id = bend.id as usize;
        if self.parts.len() <= id {
            self.parts.resize(id + 1, Part::default());
        }
        let part = &mut self.parts[id];
        if bend.transform.reads == Reads::Past {
            let len = bend.channels.len() * shape.plane_len();
            if part.past.is_none_or(|p| p.len != len || p.shape != shape) {
                part.past = Some(Past {
                    at: self.len,
                    len,
                    shape,
                    side: 0,
                    frame: None,
                });
                self.len += 2 * len;
            }
        }
        if let Some(painting) = bend.mask.as_ref().and_then(|m| m.painting.as_ref()) {
            let at = match &part.painting {
                Some((_, old)) if Arc::ptr_eq(old, painting) => return,
                // One that was painted anew stands where the old one stood.
                Some((at, old)) if old.len() == painting.len() => *at,
                _ => {
                    self.len += painting.len();
                    self.len - painting.len()
                }
            };
            part.painting = Some((at, Arc::clone(painting)));
            self.paintings.push((at, Arc::clone(painting)));
        }
    }

    /// Forgets what one bend gave, by its [`Bend::id`].
    pub(super) fn restart(&mut self, id: u32) {
        if let Some(past) = self
            .parts
            .get_mut(id as usize)
            .and_then(|p| p.past.as_mut())
        {
            past.frame = None;
        }
    }

    /// Forgets everything: for another scene or model.
    pub(super) fn forget(&mut self) {
        self.parts.clear();
        self.paintings.clear();
        self.len = 0;
    }

    /// Forgets what bends gave; for when the values are lost. Paintings are to be written again.
    pub(super) fn lose(&mut self) {
        self.paintings.clear();
        for part in &mut self.parts {
            if let Some(past) = &mut part.past {
                past.frame = None;
            }
            self.paintings.extend(part.painting.clone());
        }
    }

    /// Floats that the bender must hold.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Weights to be written, each once.
    pub(super) fn take_paintings(&mut self) -> impl Iterator<Item = (usize, Arc<[f32]>)> {
        self.paintings.drain(..)
    }

    /// What the bend has counted up.
    pub(super) fn phase(&mut self, bend: &Bend) -> &mut f64 {
        &mut self.parts[bend.id as usize].phase
    }

    /// Where the weights of the bend's painting are.
    pub(super) fn painting(&self, bend: &Bend) -> Option<usize> {
        Some(self.parts.get(bend.id as usize)?.painting.as_ref()?.0)
    }

    /// Says where the bend's past is and where its present goes, and turns the sides.
    pub(super) fn turn(&mut self, bend: &Bend, time: FrameTime, out: &mut BendUniform) {
        let Some(past) = &mut self.parts[bend.id as usize].past else {
            return;
        };
        let follows = past.frame.is_some_and(|f| f.wrapping_add(1) == time.index);
        out.fresh = u32::from(!follows);
        out.before = (past.at + past.side * past.len) as u32;
        past.side = 1 - past.side;
        out.after = (past.at + past.side * past.len) as u32;
        past.frame = Some(time.index);
    }
}
