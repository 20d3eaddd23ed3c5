//! Things under small numbers, which are used again after a thing is removed.

use std::ops::{Index, IndexMut};

/// Number of an organisation; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OrgIx(pub u32);

/// Number of a request, as long as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReqIx(pub u32);

/// A call: its request and its index there.
pub(super) type Place = (ReqIx, u32);

/// Things under small numbers.
///
/// **Invariant:** a number is kept elsewhere only as long as its thing is here; whoever removes the thing first takes
/// the number out of every other collection. Indexing relies on it.
pub(super) struct Slab<T> {
    things: Vec<Option<Box<T>>>,
    vacant: Vec<ReqIx>,
}

impl<T> Slab<T> {
    pub fn new() -> Self {
        Self { things: Vec::new(), vacant: Vec::new() }
    }

    pub fn insert(&mut self, thing: T) -> ReqIx {
        let thing = Some(Box::new(thing));
        if let Some(ix) = self.vacant.pop() {
            self.things[ix.0 as usize] = thing;
            return ix;
        }
        self.things.push(thing);
        ReqIx(u32::try_from(self.things.len() - 1).unwrap_or(u32::MAX))
    }

    pub fn remove(&mut self, ix: ReqIx) -> Option<Box<T>> {
        let thing = self.things.get_mut(ix.0 as usize)?.take()?;
        self.vacant.push(ix);
        Some(thing)
    }
}

impl<T> Index<ReqIx> for Slab<T> {
    type Output = T;
    fn index(&self, ix: ReqIx) -> &T {
        // The invariant above: numbers do not outlive their things.
        self.things[ix.0 as usize].as_deref().expect("a number is kept only as long as its thing")
    }
}

impl<T> IndexMut<ReqIx> for Slab<T> {
    fn index_mut(&mut self, ix: ReqIx) -> &mut T {
        // As above.
        self.things[ix.0 as usize].as_deref_mut().expect("a number is kept only as long as its thing")
    }
}
