//! Judges a whole request: accepted with all that its calls need, or refused with all that is wrong.

use std::io::{self, BufRead};
use std::sync::Arc;

use super::FlowCompiler;
use super::desk::Desk;
use super::hashing::{self, DestinationsHash};
use super::header::{self, ReadHeader};
use super::input::Stop;
use super::scanner::{CALL_FLOW, DESTINATIONS, Scanner};
use crate::callflow::Program;
use crate::model::status::RejectReason;
use crate::model::{OrganisationId, RequestHeader, RequestId};
use crate::reading::Problems;

/// How much one request may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the document; none: any number, as it is a file of our own.
    pub max_bytes: Option<u64>,
    /// Destinations, duplicates not counted.
    pub max_destinations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: Some(16 << 20), max_destinations: 1_000_000 }
    }
}

/// A request, or one part of one, that may be loaded.
#[derive(Debug)]
pub struct AcceptedRequest {
    /// Everything but the destinations.
    pub header: RequestHeader,
    /// What all parts of one request share; see [`header_hash`](super::header_hash).
    pub header_hash: [u8; 32],
    /// The compiled flow.
    pub program: Arc<Program>,
    /// Destinations, duplicates not counted, invalid ones counted.
    pub total: u32,
    /// Destinations left out because their number stood there before.
    pub duplicates: u32,
    /// Destinations that will fail undialled because they are wrong.
    pub invalid: u32,
}

/// A request that must not be loaded.
#[derive(Debug)]
pub struct RefusedRequest {
    /// Its name, if that could be read.
    pub request_id: Option<RequestId>,
    /// Everything that is wrong with it.
    pub problems: Problems,
    /// Why it was refused, in a word.
    pub reason: RejectReason,
}

/// Why a request was not accepted.
#[derive(Debug)]
pub enum CheckError {
    /// It is at fault and stays so.
    Refused(RefusedRequest),
    /// Its source failed; what it holds is not known, and it may be read again.
    Unreadable(io::Error),
}

/// The judgement on a request.
pub type Checked = Result<AcceptedRequest, CheckError>;

/// Checks a whole request at once.
///
/// # Errors
/// When it is refused, with everything that is wrong with it, or cannot be read.
pub fn check(
    source: impl BufRead,
    organisation: &OrganisationId,
    compiler: &dyn FlowCompiler,
    limits: Limits,
) -> Checked {
    let mut checker = Checker::new(source, organisation, compiler, limits);
    loop {
        match checker.step(usize::MAX) {
            Step::More(rest) => checker = rest,
            Step::Done(checked) => return *checked,
        }
    }
}

/// A check that can pause between destinations, so that a large request does not hold up others.
pub struct Checker<'c, R> {
    scanner: Scanner<R>,
    /// Boxed, as the checker moves with every step.
    desk: Box<Desk>,
    organisation: OrganisationId,
    compiler: &'c dyn FlowCompiler,
    limits: Limits,
}

/// How far a check has come.
pub enum Step<'c, R> {
    /// There is more to read.
    More(Checker<'c, R>),
    /// The judgement.
    Done(Box<Checked>),
}

impl<'c, R: BufRead> Checker<'c, R> {
    /// A check of the request in `source`, submitted by `organisation`.
    pub fn new(source: R, organisation: &OrganisationId, compiler: &'c dyn FlowCompiler, limits: Limits) -> Self {
        Self {
            scanner: Scanner::new(source, limits.max_bytes),
            desk: Box::new(Desk::new(limits.max_destinations)),
            organisation: organisation.clone(),
            compiler,
            limits,
        }
    }

    /// Reads up to `budget` destinations (at least one) further.
    #[must_use]
    pub fn step(mut self, budget: usize) -> Step<'c, R> {
        let mut left = budget.max(1);
        let stop = loop {
            if left == 0 {
                return Step::More(self);
            }
            match self.scanner.next() {
                Ok(Some(piece)) => left -= usize::from(self.desk.take(&piece)),
                Ok(None) => break None,
                Err(stop) => break Some(stop),
            }
        };
        Step::Done(Box::new(self.judge(stop)))
    }

    fn judge(self, stop: Option<Stop>) -> Checked {
        let Self { desk, organisation, compiler, limits, .. } = self;
        let mut desk = *desk;
        let mut problems = Problems::default();
        let mut reason = RejectReason::Invalid;
        match stop {
            None => {}
            Some(Stop::Unreadable(error)) => return Err(CheckError::Unreadable(error)),
            Some(stop) => {
                if matches!(stop, Stop::TooLarge { .. }) {
                    reason = RejectReason::TooLarge;
                }
                problems.add("", stop.to_string());
                desk.found.cut_short = true;
            }
        }
        problems.append(desk.problems);
        let ReadHeader { id, skip_invalid, allow_duplicates, complete } =
            header::read(desk.fields, &desk.found, &organisation, compiler, &mut problems);
        let tally = &desk.tally;
        let (kept_twice, duplicates) = if allow_duplicates { (tally.duplicates, 0) } else { (0, tally.duplicates) };
        let total = tally.unique() + tally.invalid + kept_twice;
        if total > u64::from(limits.max_destinations) {
            problems.add(DESTINATIONS, format!("must hold at most {} destinations", limits.max_destinations));
        }
        if !skip_invalid {
            problems.append(desk.skippable);
        }
        let counts = (u32::try_from(total), u32::try_from(duplicates), u32::try_from(tally.invalid));
        match (complete, counts) {
            (Some((header, program)), (Ok(total), Ok(duplicates), Ok(invalid))) if problems.is_empty() => {
                Ok(accepted(header, desk.hash, program, (total, duplicates, invalid)))
            }
            (complete, _) => {
                // What follows keeps a refusal from ever being without a reason: a compiler that gave none, and more
                // duplicates than anybody will send.
                if problems.is_empty() && complete.is_none() {
                    problems.add(CALL_FLOW, "cannot be compiled");
                } else if problems.is_empty() {
                    problems.add(DESTINATIONS, "holds more duplicates than can be counted");
                }
                Err(CheckError::Refused(RefusedRequest { request_id: id, problems, reason }))
            }
        }
    }
}

fn accepted(
    mut header: RequestHeader,
    destinations: DestinationsHash,
    program: Arc<Program>,
    (total, duplicates, invalid): (u32, u32, u32),
) -> AcceptedRequest {
    header.content_hash = hashing::content_hash(&header, destinations);
    AcceptedRequest { header_hash: hashing::header_hash(&header), header, program, total, duplicates, invalid }
}
