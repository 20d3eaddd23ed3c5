//! What people note about calls.

use super::StoreWorld;
use super::finding::outlive_retention;
use super::scene::*;
use crate::model::event::RequestCommand;
use crate::model::note::{AgentDisposition, CallNote, CallNotes, CustomerFlags};
use crate::model::{DispositionResult, EventType};
use crate::ports::store::*;

fn went(world: &dyn StoreWorld, disposition: &str, callback: Option<&str>) -> AgentDisposition {
    AgentDisposition {
        disposition: disposition.parse().unwrap(),
        notes: Some("wants to pay\non Monday, \"maybe\"; {bank}".parse().unwrap()),
        callback: callback.map(|request| request.parse().unwrap()),
        by: "Team München".parse().unwrap(),
        at: world.now(),
    }
}

fn verified(yes: bool) -> CallNote {
    CallNote::Customer(CustomerFlags { verified_customer: Some(yes), ..CustomerFlags::default() })
}

pub async fn the_last_disposition_of_a_call_is_the_one_that_counts(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    assert_eq!(store.notes(&key("r"), 0).await.unwrap(), CallNotes::default());
    let (first, last) = (went(world, "Promise to pay", None), went(world, "Call back", Some("r-callback.1")));
    for disposition in [&first, &last, &last] {
        let noted = store.annotate(&key("r"), 0, &CallNote::Disposition(disposition.clone()), None).await.unwrap();
        assert_eq!(noted.disposition.as_ref(), Some(disposition), "what is noted then");
        assert_eq!(store.notes(&key("r"), 0).await.unwrap(), noted);
    }
    let bare = AgentDisposition { notes: None, callback: None, ..first };
    store.annotate(&key("r"), 0, &CallNote::Disposition(bare.clone()), None).await.unwrap();
    assert_eq!(store.notes(&key("r"), 0).await.unwrap().disposition, Some(bare), "nothing is left of the one before");
    assert_eq!(store.notes(&key("r"), 1).await.unwrap(), CallNotes::default(), "another call's are its own");
}

pub async fn what_is_said_of_a_customer_is_added_to_what_was(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 12).await;
    let repeats = CustomerFlags { bad_actor: Some(false), repeat_customer: Some(true), ..CustomerFlags::default() };
    store.annotate(&key("r"), 1, &verified(true), None).await.unwrap();
    store.annotate(&key("r"), 1, &CallNote::Disposition(went(world, "Sold", None)), None).await.unwrap();
    store.annotate(&key("r"), 1, &CallNote::Customer(repeats), None).await.unwrap();
    store.annotate(&key("r"), 1, &CallNote::Customer(CustomerFlags::default()), None).await.unwrap();
    let both = CustomerFlags { verified_customer: Some(true), ..repeats };
    let noted = store.notes(&key("r"), 1).await.unwrap();
    assert_eq!(noted, CallNotes { disposition: Some(went(world, "Sold", None)), customer: both });
    let taken_back = store.annotate(&key("r"), 1, &verified(false), None).await.unwrap();
    assert_eq!(taken_back.customer, CustomerFlags { verified_customer: Some(false), ..repeats });
    assert_eq!(store.notes(&key("r"), 11).await.unwrap(), CallNotes::default(), "another call's are its own");
}

pub async fn notes_are_kept_from_before_the_dial_for_as_long_as_the_request(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let mut expected = CustomerFlags::default();
    let claim = claim_one(&store).await;
    expected.merge(store.annotate(&key("r"), 0, &verified(false), None).await.unwrap().customer);
    let after = u32::try_from(dial(&store, &claim.held).await.len()).unwrap();
    store.annotate(&key("r"), 0, &CallNote::Disposition(went(world, "Live", None)), None).await.unwrap();
    finish(&store, &claim.held, after, ends(DispositionResult::Answered)).await;
    store.annotate(&key("r"), 0, &verified(true), None).await.unwrap();
    expected.verified_customer = Some(true);
    let noted = CallNotes { disposition: Some(went(world, "Live", None)), customer: expected };
    assert_eq!(store.notes(&key("r"), 0).await.unwrap(), noted);
    outlive_retention(world).await;
    assert_eq!(store.notes(&key("r"), 0).await.unwrap_err(), StoreError::NotFound);
    submit(&store, header("r"), 1).await;
    assert_eq!(store.notes(&key("r"), 0).await.unwrap(), CallNotes::default(), "another request of the same name");
}

pub async fn nothing_is_noted_about_what_is_no_call(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    store.open_request(&header("half").into(), totals(1)).await.unwrap();
    store.load_chunk(&key("half"), 0, 0, &chunk(0..1)).await.unwrap();
    for (key, index) in [(key("r"), 1), (key("r"), u32::MAX), (key("half"), 0), (key("s"), 0), (key_of("shop", "r"), 0)]
    {
        assert_eq!(
            store.annotate(&key, index, &verified(true), None).await.unwrap_err(),
            StoreError::NotFound,
            "{key:?}"
        );
        assert_eq!(store.notes(&key, index).await.unwrap_err(), StoreError::NotFound);
    }
    store.seal(&key("half"), 0).await.unwrap();
    assert_eq!(store.notes(&key("half"), 0).await.unwrap(), CallNotes::default());
}

pub async fn what_is_noted_under_an_id_is_noted_once_and_told_with_who_noted_it(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let given = |id: &str| Given { id: id.into(), actor: "Team München".parse().ok(), expect: None };
    let note = async |index, note: &CallNote, id: &str| store.annotate(&key("r"), index, note, Some(&given(id))).await;
    let sold = CallNote::Disposition(went(world, "Sold", None));
    note(1, &sold, "a").await.unwrap();
    note(1, &verified(true), "b").await.unwrap();
    note(1, &verified(false), "c").await.unwrap();
    let later = AgentDisposition { at: world.now() + secs(9), ..went(world, "Sold", None) };
    for (again, id) in [(CallNote::Disposition(later), "a"), (verified(true), "b")] {
        let noted = note(1, &again, id).await.unwrap();
        assert_eq!(noted.disposition, Some(went(world, "Sold", None)), "as it was noted at first");
        assert_eq!(noted.customer.verified_customer, Some(false), "what was noted since stands");
    }
    for (index, other, id) in [(1, verified(false), "b"), (0, verified(true), "b"), (1, sold, "b")] {
        assert_eq!(note(index, &other, id).await.unwrap_err(), StoreError::IdTaken);
    }
    assert_eq!(note(9, &verified(true), "d").await.unwrap_err(), StoreError::NotFound);
    let told =
        store.unconfirmed(world.now() + secs(1), 99).await.unwrap().into_iter().filter_map(|event| match event {
            Unconfirmed::Request(event) if event.kind == EventType::CommandExecuted => event.command,
            _ => None,
        });
    let told: Vec<_> = told.collect();
    let expected = [("disposition", "a"), ("customerFlag", "b"), ("customerFlag", "c")].map(|(name, id)| {
        RequestCommand { name: name.into(), id: id.into(), actor: given(id).actor, call: Some(call("r", 1)) }
    });
    assert_eq!(told, expected);
    // What was begun is noted once, and nothing else instead of it.
    let begin = async |note: &CallNote, id: &str| {
        let hash = note.fingerprint(call("r", 1));
        store.remember(&key("r").organisation, &given(id).id_of_note(), &hash, COMMANDS_KEPT).await.unwrap()
    };
    let [paid, open] = ["Paid", "Open"].map(|name| CallNote::Disposition(went(world, name, None)));
    assert_eq!(begin(&paid, "e").await, Remembered::First);
    assert_eq!(begin(&paid, "e").await, Remembered::Again(None), "nothing is noted yet");
    assert_eq!(begin(&open, "e").await, Remembered::Different);
    assert_eq!(note(1, &open, "e").await.unwrap_err(), StoreError::IdTaken);
    assert_eq!(note(1, &paid, "e").await.unwrap().disposition, Some(went(world, "Paid", None)));
    assert!(matches!(begin(&paid, "e").await, Remembered::Again(Some(_))));
    note(1, &open, "f").await.unwrap();
    assert_eq!(note(1, &paid, "e").await.unwrap().disposition, Some(went(world, "Open", None)), "once");
    assert_eq!(begin(&open, "b").await, Remembered::Different, "whatever was noted under it");
    let paused = store.control(&key("r"), Control::Pause, Some(&given("a"))).await.unwrap();
    assert_eq!(paused.events[0].command.as_ref().map(|command| &*command.name), Some("pause"), "another list of ids");
}
