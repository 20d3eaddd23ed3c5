//! A call on its way to a task that carries it.

use super::roster::Seat;
use crate::model::Timestamp;
use crate::ports::store::{Adopted, Claim};

/// A call to be carried.
#[derive(Debug)]
pub enum Assignment {
    /// Claimed, to be dialled.
    Fresh(Box<Fresh>),
    /// Taken over from a worker that is gone.
    Adopted(Box<Adoption>),
}

/// A claim, and since when its lease may count at the earliest: when it was asked for.
#[derive(Debug)]
pub struct Fresh {
    /// The claim.
    pub claim: Claim,
    /// When it was asked for.
    pub asked_at: Timestamp,
}

/// A call that was taken over, and its place on the roster.
#[derive(Debug)]
pub struct Adoption {
    /// The call.
    pub adopted: Adopted,
    /// Its place, taken at once, so that it is renewed and hears its reports.
    pub seat: Seat,
}
