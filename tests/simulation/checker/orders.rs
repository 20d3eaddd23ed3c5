//! What was asked from outside and acknowledged: pauses, cancellations, the do-not-call list, hang-ups.

use std::collections::BTreeSet;

use robocall::command::{Command, CommandKind, CommandReply};
use robocall::model::event::Event;
use robocall::model::{
    AttemptId, CallId, Disposition, DispositionResult, Happening, LegId, LegRole, OrganisationId, Party, Phone,
};
use robocall::ports::Order;
use robocall::ports::store::{Control, Given, Held, RequestKey};

use super::{Checker, key_of};

#[derive(Default)]
pub(super) struct Orders {
    paused: BTreeSet<RequestKey>,
    cancelled: BTreeSet<RequestKey>,
    blocked: BTreeSet<(OrganisationId, Phone)>,
    /// Requests whose live calls were to be hung up.
    hung_up: BTreeSet<RequestKey>,
    /// Commands to requests that were carried out.
    obeyed: BTreeSet<(OrganisationId, Box<str>)>,
    /// Attempts that were live when somebody wanted their call hung up.
    wanted: BTreeSet<AttemptId>,
    /// Every answer, by the id of its command.
    answers: Vec<(Box<str>, CommandReply)>,
    /// How many calls were suspect when somebody last asked.
    crowd: usize,
}

impl Checker {
    /// A request was paused, resumed or cancelled, and the store said so.
    pub fn controlled(&self, key: &RequestKey, control: Control) {
        let mut seen = self.seen.lock().unwrap();
        let orders = &mut seen.orders;
        match control {
            Control::Pause => drop(orders.paused.insert(key.clone())),
            Control::Resume => drop(orders.paused.remove(key)),
            Control::Cancel { .. } => drop(orders.cancelled.insert(key.clone())),
        }
        *seen.tally.entry("requests paused, resumed or cancelled").or_default() += 1;
    }

    /// A command to a request was answered by the store: it is carried out once, however often it comes.
    pub fn commanded(&self, key: &RequestKey, given: Option<&Given>, again: bool) {
        let Some(Given { id, .. }) = given else { return };
        let first = self.seen.lock().unwrap().orders.obeyed.insert((key.organisation.clone(), id.clone()));
        self.expect(first != again, || format!("I7: command {id} to {} was given again: {again}", key.request));
        if again {
            self.count("commands to requests known again");
        }
    }

    /// A number is on an organisation's do-not-call list.
    pub fn blocked(&self, organisation: &OrganisationId, phone: Phone) {
        self.seen.lock().unwrap().orders.blocked.insert((organisation.clone(), phone));
        self.count("numbers put on the do-not-call list");
    }

    /// A dial was committed to: nobody had forbidden it.
    pub(super) fn check_orders(&self, held: &Held, phone: Option<Phone>) {
        let key = key_of(held);
        let seen = self.seen.lock().unwrap();
        let (paused, cancelled) = (seen.orders.paused.contains(&key), seen.orders.cancelled.contains(&key));
        let blocked = phone.is_some_and(|phone| seen.orders.blocked.contains(&(held.organisation.clone(), phone)));
        drop(seen);
        let attempt = held.attempt;
        self.expect(!paused, || format!("I7: {attempt} was dialled after its request was paused"));
        self.expect(!cancelled, || format!("I7: {attempt} was dialled after its request was cancelled"));
        self.expect(!blocked, || format!("I7: {attempt} leads to a number on the do-not-call list"));
    }

    /// A worker was handed a command.
    pub fn delivered(&self, command: &Command) {
        match &command.kind {
            CommandKind::HangUp(call) => self.want(*call),
            CommandKind::Cancel { request, hang_up: true } => {
                let key = RequestKey { organisation: command.organisation.clone(), request: request.clone() };
                self.seen.lock().unwrap().orders.hung_up.insert(key);
            }
            _ => {}
        }
    }

    /// A command was passed on to the owner of its call.
    pub fn forwarded(&self, order: &Order) {
        self.count("commands passed on");
        self.seen.lock().unwrap().orders.wanted.insert(order.held.attempt);
    }

    /// A command was answered.
    pub fn answered(&self, command: &Command, reply: CommandReply) {
        self.seen.lock().unwrap().orders.answers.push((command.id.clone(), reply));
        if let (CommandKind::HangUp(_), CommandReply::Done) = (&command.kind, reply) {
            self.count("hang-up commands carried out");
        }
    }

    /// How a command was answered, however often.
    pub fn answers_to(&self, command: &Command) -> Vec<CommandReply> {
        let seen = self.seen.lock().unwrap();
        let to_it = seen.orders.answers.iter().filter(|(id, _)| *id == command.id);
        to_it.map(|(_, reply)| *reply).collect()
    }

    /// Somebody wants whatever attempt of a call is live now to end.
    fn want(&self, call: CallId) {
        let mut seen = self.seen.lock().unwrap();
        let of_it = |leg: &&LegId| leg.attempt.call == call && leg.role == LegRole::Callee;
        let leases = seen.books.leases();
        let live: Vec<AttemptId> = leases.iter().filter(of_it).map(|leg| leg.attempt).collect();
        seen.orders.wanted.extend(live);
    }

    /// An event was confirmed: whoever was hung up unanswered by us, somebody wanted it.
    pub(super) fn check_hang_up(&self, event: &Event) {
        let Event::Call { facts, context, .. } = event else { return };
        let (Some(last), Some(attempt)) = (facts.last(), event.attempt()) else { return };
        let (Happening::Ended { disposition, .. } | Happening::RetryScheduled { disposition, .. }) = &last.what else {
            return;
        };
        let Disposition { result: DispositionResult::Cancelled, by: Some(Party::Us), .. } = disposition else { return };
        let key = RequestKey { organisation: context.header.organisation.clone(), request: context.header.id.clone() };
        let wanted = self.is_wanted(attempt, &key);
        self.expect(wanted, || format!("I7: {attempt} was hung up and nobody had asked for it"));
    }

    /// Whether somebody wanted an attempt of a request to end.
    pub(super) fn is_wanted(&self, attempt: AttemptId, key: &RequestKey) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.orders.wanted.contains(&attempt) || seen.orders.hung_up.contains(key)
    }

    /// So many calls were suspect at once.
    pub fn crowded(&self, suspects: usize) {
        let mut seen = self.seen.lock().unwrap();
        let before = std::mem::replace(&mut seen.orders.crowd, suspects);
        if suspects > 256 && before <= 256 {
            *seen.tally.entry("crowds of suspects").or_default() += 1;
        }
    }
}
