//! What is given again under an id is done once.

use super::StoreWorld;
use super::scene::*;
use crate::model::event::RequestCommand;
use crate::model::status::RejectReason;
use crate::model::{DispositionResult, EventType, RequestStatus};
use crate::ports::store::*;

fn given(id: &str) -> Given {
    Given { id: id.into(), actor: None, expect: None }
}

async fn give(store: &Store, request: &str, control: Control, id: &str) -> StoreResult<Controlled> {
    store.control(&key(request), control, Some(&given(id))).await
}

pub async fn a_command_that_comes_again_changes_nothing_more(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 3).await;
    let first = give(&store, "r", Control::Pause, "a").await.unwrap();
    assert_eq!((first.summary.status, first.events.len(), first.again), (RequestStatus::Paused, 1, false));
    let again = give(&store, "r", Control::Pause, "a").await.unwrap();
    assert_eq!((&again.summary, &again.events, again.again), (&first.summary, &first.events, true), "no answer came");
    let resumed = give(&store, "r", Control::Resume, "b").await.unwrap();
    assert_eq!((resumed.events[0].kind, resumed.again), (EventType::RequestResumed, false));
    // Whoever took it first may have died before it was acknowledged.
    for _ in 0..2 {
        let late = give(&store, "r", Control::Pause, "a").await.unwrap();
        assert_eq!((&late.summary, late.again), (&first.summary, true), "answered as it was then");
    }
    assert_eq!(summary(&store, &key("r")).await.status, RequestStatus::Submitted, "it goes on");
    assert_eq!(claim_all(&store, 9).await.len(), 3);
    let paused = give(&store, "r", Control::Pause, "c").await.unwrap();
    assert_eq!((paused.summary.status, paused.again), (RequestStatus::Paused, false), "another command is another");
}

pub async fn an_event_is_told_again_with_its_command_until_it_is_confirmed(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let seq = give(&store, "r", Control::Pause, "a").await.unwrap().events[0].seq;
    give(&store, "r", Control::Resume, "b").await.unwrap();
    let again = give(&store, "r", Control::Pause, "a").await.unwrap().events;
    assert_eq!(
        again.iter().map(|event| (event.kind, event.seq)).collect::<Vec<_>>(),
        [(EventType::RequestPaused, seq)]
    );
    store.confirm(&[Confirmation::of_request(key("r"), seq)]).await.unwrap();
    assert!(give(&store, "r", Control::Pause, "a").await.unwrap().events.is_empty());
    let nothing = give(&store, "r", Control::Resume, "c").await.unwrap();
    assert!(nothing.events.is_empty(), "it was not paused");
    assert!(give(&store, "r", Control::Resume, "c").await.unwrap().again);
}

pub async fn a_hang_up_that_comes_again_names_who_is_live_then(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let (claim, after) = claim_and_dial(&store).await;
    let hang_up = Control::Cancel { hang_up: true };
    for again in [false, true] {
        let controlled = give(&store, "r", hang_up, "a").await.unwrap();
        assert_eq!((controlled.live, controlled.again), (vec![(claim.held.clone(), worker("w"))], again));
    }
    finish(&store, &claim.held, after, ends(DispositionResult::Cancelled)).await;
    assert!(give(&store, "r", hang_up, "a").await.unwrap().live.is_empty());
}

pub async fn an_id_is_one_commands_of_one_organisation_for_a_day(world: &dyn StoreWorld) {
    let store = world.store();
    for request in ["r", "s"] {
        submit(&store, header(request), 1).await;
    }
    submit(&store, header_of("shop", "r"), 1).await;
    give(&store, "r", Control::Pause, "a").await.unwrap();
    let hang_up = Control::Cancel { hang_up: true };
    for (request, control) in [("r", Control::Resume), ("s", Control::Pause), ("r", hang_up)] {
        assert_eq!(give(&store, request, control, "a").await.unwrap_err(), StoreError::IdTaken);
    }
    let missing = give(&store, "missing", Control::Pause, "b").await.unwrap_err();
    assert_eq!(missing, StoreError::NotFound);
    assert!(!give(&store, "s", Control::Pause, "b").await.unwrap().again, "what was refused was not given");
    let theirs = store.control(&key_of("shop", "r"), Control::Pause, Some(&given("a"))).await.unwrap();
    assert!(!theirs.again && theirs.events.len() == 1, "another organisation's id is another");
    assert_eq!(summary(&store, &key("r")).await.status, RequestStatus::Paused);

    store.control(&key("r"), Control::Resume, None).await.unwrap();
    world.advance(COMMANDS_KEPT - secs(1)).await;
    assert!(give(&store, "r", Control::Pause, "a").await.unwrap().again);
    world.advance(secs(1)).await;
    let anew = give(&store, "r", Control::Pause, "a").await.unwrap();
    assert_eq!((anew.again, anew.summary.status), (false, RequestStatus::Paused), "a day later it is forgotten");
}

pub async fn what_a_command_expects_is_looked_at_where_it_is_carried_out(world: &dyn StoreWorld) {
    use RequestStatus::{Cancelled, OnProgress, Paused, Submitted};
    let store = world.store();
    submit(&store, header("r"), 2).await;
    let give = async |id: &str, control: Control, expected| {
        let given = Given { expect: Some(expected), ..given(id) };
        store.control(&key("r"), control, Some(&given)).await
    };
    let unmet = |found| StoreError::Unmet { found };
    assert_eq!(give("a", Control::Resume, Paused).await.unwrap_err(), unmet(Submitted));
    let paused = give("b", Control::Pause, Submitted).await.unwrap();
    assert_eq!((paused.summary.status, paused.events.len()), (Paused, 1));
    for other in [Submitted, OnProgress, Cancelled] {
        assert_eq!(give("c", Control::Cancel { hang_up: true }, other).await.unwrap_err(), unmet(Paused));
    }
    assert_eq!(summary(&store, &key("r")).await.status, Paused, "nothing was done");
    let again = give("b", Control::Pause, Submitted).await.unwrap();
    assert_eq!((again.summary.status, again.again), (Paused, true), "answered as at first, however it stands now");
    assert_eq!(give("b", Control::Resume, Submitted).await.unwrap_err(), StoreError::IdTaken);
    let resumed = give("c", Control::Resume, Paused).await.unwrap();
    assert_eq!((resumed.summary.status, resumed.again), (Submitted, false), "what was refused was not given");
    let (claim, after) = claim_and_dial(&store).await;
    assert_eq!(give("d", Control::Pause, Submitted).await.unwrap_err(), unmet(OnProgress));
    give("d", Control::Cancel { hang_up: false }, OnProgress).await.unwrap();
    assert_eq!(give("e", Control::Cancel { hang_up: true }, OnProgress).await.unwrap_err(), unmet(Cancelled));
    finish(&store, &claim.held, after, ends(DispositionResult::Answered)).await;
}

pub async fn what_is_asked_once_is_known_again_with_its_answer(world: &dyn StoreWorld) {
    let store = world.store();
    let (bank, shop, life) = (organisation("bank"), organisation("shop"), secs(60));
    let ask = async |hash: u8| store.remember(&bank, "key {1}", &[hash; 32], life).await.unwrap();
    assert_eq!(ask(7).await, Remembered::First);
    assert_eq!(ask(7).await, Remembered::Again(None), "nobody has answered");
    assert_eq!(ask(8).await, Remembered::Different);
    let answer = [0, 255, b'{', 13, 10];
    store.answered(&bank, "key {1}", &answer).await.unwrap();
    store.answered(&bank, "key {1}", b"later").await.unwrap();
    assert_eq!(ask(7).await, Remembered::Again(Some(answer.into())), "the first answer counts");
    assert_eq!(ask(8).await, Remembered::Different);
    assert_eq!(store.remember(&shop, "key {1}", &[8; 32], life).await.unwrap(), Remembered::First);
    store.answered(&shop, "never asked", b"x").await.unwrap();
    assert_eq!(store.remember(&shop, "never asked", &[1; 32], life).await.unwrap(), Remembered::First);
    store.answered(&shop, "never asked", b"").await.unwrap();
    let empty = store.remember(&shop, "never asked", &[1; 32], life).await.unwrap();
    assert_eq!(empty, Remembered::Again(Some([].into())), "an empty answer is one");
    world.advance(secs(59)).await;
    assert_eq!(ask(7).await, Remembered::Again(Some(answer.into())));
    world.advance(secs(1)).await;
    assert_eq!(ask(8).await, Remembered::First, "its life is over, whoever asked meanwhile");
    assert_eq!(ask(8).await, Remembered::Again(None), "and its answer with it");
}

pub async fn what_was_answered_is_recalled_by_whoever_does_not_know_what_was_asked(world: &dyn StoreWorld) {
    let store = world.store();
    let (bank, shop) = (organisation("bank"), organisation("shop"));
    let recalled = async |id: &str| store.recalled(&bank, id).await.unwrap();
    assert_eq!(recalled("r").await, None, "nobody asked");
    store.remember(&bank, "r", &[7; 32], secs(60)).await.unwrap();
    assert_eq!(recalled("r").await, None, "nobody answered");
    store.answered(&bank, "r", b"so").await.unwrap();
    assert_eq!(recalled("r").await.as_deref(), Some(b"so".as_slice()));
    assert_eq!(store.recalled(&shop, "r").await.unwrap(), None, "another's");
    world.advance(secs(60)).await;
    assert_eq!(recalled("r").await, None, "its life is over");
    assert!(matches!(store.recalled(&bank, "").await, Err(StoreError::Refused(_))));
}

pub async fn that_a_request_is_queued_is_forgotten_when_it_is_opened_or_rejected(world: &dyn StoreWorld) {
    let store = world.store();
    let queue = async |name: &str| {
        let id = id_of_queued(&key(name).request);
        store.remember(&organisation("bank"), &id, &[0; 32], secs(60)).await.unwrap();
        store.answered(&organisation("bank"), &id, b"queued").await.unwrap();
    };
    let is_queued = async |name: &str| {
        store.recalled(&organisation("bank"), &id_of_queued(&key(name).request)).await.unwrap().is_some()
    };
    for name in ["opened", "rejected", "other"] {
        queue(name).await;
    }
    let totals = Totals { total: 1, duplicates: 0 };
    store.open_request(&std::sync::Arc::new(header("opened")), totals).await.unwrap();
    let (key_of_it, reason) = (key("rejected"), RejectReason::Invalid);
    let rejection = Rejection { key: key_of_it, reason, errors: Vec::new(), error_count: 1, trace: None };
    store.reject(&rejection).await.unwrap();
    assert_eq!(
        [is_queued("opened").await, is_queued("rejected").await, is_queued("other").await],
        [false, false, true]
    );
    // Noted anew, as by somebody who hands it in a second time, it is known for its whole life.
    queue("opened").await;
    world.advance(secs(59)).await;
    assert_eq!([is_queued("opened").await, is_queued("other").await], [true, true]);
    world.advance(secs(1)).await;
    assert_eq!([is_queued("opened").await, is_queued("other").await], [false, false]);
}

pub async fn of_several_who_ask_at_once_one_is_the_first(world: &dyn StoreWorld) {
    let (store, bank) = (world.store(), organisation("bank"));
    let hashes: Vec<[u8; 32]> = (0..16).map(|hash| [hash; 32]).collect();
    let asked = hashes.iter().map(|hash| store.remember(&bank, "request/r", hash, secs(60)));
    let answers = futures_util::future::try_join_all(asked).await.unwrap();
    let first: Vec<usize> = (0..answers.len()).filter(|place| answers[*place] == Remembered::First).collect();
    assert_eq!(first.len(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == Remembered::Different).count(), 15);
    let again = store.remember(&bank, "request/r", &hashes[first[0]], secs(60)).await.unwrap();
    assert_eq!(again, Remembered::Again(None));
}

pub async fn ids_and_answers_are_bounded(world: &dyn StoreWorld) {
    let store = world.store();
    submit(&store, header("r"), 1).await;
    let bank = organisation("bank");
    for bad in [String::new(), "é".repeat(128)] {
        let refused = [
            store.remember(&bank, &bad, &[0; 32], secs(1)).await.map(drop),
            store.answered(&bank, &bad, b"x").await,
            store.control(&key("r"), Control::Pause, Some(&given(&bad))).await.map(drop),
        ];
        assert!(refused.iter().all(|refused| matches!(refused, Err(StoreError::Refused(_)))), "{refused:?}");
    }
    assert_eq!(summary(&store, &key("r")).await.status, RequestStatus::Submitted, "what is refused is not done");
    let longest = "x".repeat(LONGEST_COMMAND_ID);
    assert_eq!(store.remember(&bank, &longest, &[0; 32], secs(1)).await.unwrap(), Remembered::First);
    let answer = vec![1; LONGEST_ANSWER + 1];
    assert!(matches!(store.answered(&bank, &longest, &answer).await, Err(StoreError::Refused(_))));
    store.answered(&bank, &longest, &answer[1..]).await.unwrap();
    let kept = store.remember(&bank, &longest, &[0; 32], secs(1)).await.unwrap();
    assert_eq!(kept, Remembered::Again(Some(answer[1..].into())));
}

pub async fn what_a_command_does_is_told_with_its_name_its_id_and_who_gave_it(world: &dyn StoreWorld) {
    let store = world.store();
    for request in ["r", "s", "t"] {
        submit(&store, header(request), 1).await;
    }
    let by = |id: &str, actor: Option<&str>| {
        let actor = actor.map(|actor| actor.parse().unwrap());
        Given { actor, ..given(id) }
    };
    let told = |name: &str, id: &str, actor: Option<&str>| {
        let actor = actor.map(|actor| actor.parse().unwrap());
        Some(RequestCommand { name: name.into(), id: id.into(), actor, call: None })
    };
    let give = async |request: &str, control: Control, given: Option<&Given>| {
        let mut events = store.control(&key(request), control, given).await.unwrap().events;
        assert!(events.len() <= 1);
        events.pop()
    };
    let (crm, hang_up) = (Some("Vertrieb München"), Control::Cancel { hang_up: true });
    let paused = give("r", Control::Pause, Some(&by("1", crm))).await.unwrap();
    assert_eq!((paused.kind, paused.command.clone()), (EventType::RequestPaused, told("pause", "1", crm)));
    assert_eq!(give("r", Control::Pause, Some(&by("2", crm))).await, None, "it was paused");
    let resumed = give("r", Control::Resume, Some(&by("3", None))).await.unwrap();
    assert_eq!(resumed.command, told("resume", "3", None));
    assert_eq!(give("r", Control::Pause, None).await.unwrap().command, None, "nobody gave it");
    assert_eq!(
        give("s", hang_up, Some(&by("4", Some("amqp")))).await.unwrap().command,
        told("cancel", "4", Some("amqp"))
    );

    // One that takes its time: whoever cancelled it is told when it is at rest.
    let (claim, after) = claim_and_dial(&store).await;
    assert_eq!(claim.held.request.as_str(), "t");
    assert_eq!(give("t", Control::Cancel { hang_up: false }, Some(&by("5", crm))).await, None);
    assert_eq!(give("t", hang_up, Some(&by("6", None))).await, None);
    let cancelled = finish(&store, &claim.held, after, ends(DispositionResult::Answered)).await.events;
    assert_eq!(cancelled[0].command, told("cancel", "5", crm));

    let unconfirmed = store.unconfirmed(world.now() + secs(1), 99).await.unwrap();
    let requests = unconfirmed.into_iter().filter_map(|unconfirmed| match unconfirmed {
        Unconfirmed::Request(event) => Some(event),
        Unconfirmed::Call { .. } | Unconfirmed::Organisation(_) => None,
    });
    let stored: Vec<_> = requests.collect();
    assert!(stored.contains(&paused) && stored.contains(&cancelled[0]), "they are stored as they were told");
    assert!(stored.iter().filter(|event| !event.kind.follows_a_command()).all(|event| event.command.is_none()));
}
