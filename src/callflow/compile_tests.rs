use std::time::Duration;

use super::*;
use crate::callflow::canonical;
use crate::callflow::generate::flows;
use crate::callflow::program::{Content, Utterance};
use crate::callflow::program::{Digit, OnFailure};
use crate::model::{Destination, Number, StepStatus};
use proptest::prelude::*;
use serde_json::json;

fn program(flow: &Value) -> Program {
    let mut problems = Problems::default();
    compile(flow, FLOW_PATH, &mut problems).unwrap_or_else(|| panic!("{:?}", problems.first()))
}

fn play(text: &str) -> Value {
    json!({"name": "play", "message": {"msg": text}})
}

fn gather(text: &str, branches: Value) -> Value {
    json!({"name": "gather", "message": {"msg": text}, "branches": branches})
}

fn nexts(program: &Program) -> Vec<Option<StepIndex>> {
    program.steps.iter().map(|step| step.next).collect()
}

#[test]
fn a_branch_that_runs_to_its_end_goes_on_after_the_gather() {
    let flow = json!({"steps": [
        play("0"),
        gather("1", json!([
            {"digit": "1", "callFlow": {"steps": [play("2"), gather("3", json!([{"digit": "#", "default": true, "callFlow": {"steps": [play("4")]}}]))]}},
            {"digit": "2", "callFlow": {"steps": [{"name": "transfer", "destination": "Ext:1", "onFailure": "continue"}]}},
            {"default": "true", "callFlow": {"steps": [{"name": "transfer", "destination": "Ext:2"}, play("7")]}},
        ])),
        play("8"),
        {"name": "optOut", "message": {"msg": "9"}},
        {"name": "hangup"},
    ]});
    let program = program(&flow);
    assert_eq!(
        nexts(&program),
        [Some(1), Some(8), Some(3), Some(8), Some(8), Some(8), None, Some(8), Some(9), None, None]
    );
    let Action::Gather(outer) = &program.steps[1].action else { panic!() };
    assert_eq!((outer.branch(Digit::new('1').unwrap()), outer.branch(Digit::new('2').unwrap())), (Some(2), Some(5)));
    assert_eq!((outer.default, outer.tries, outer.timeout), (Some(6), 3, Duration::from_secs(5)));
    let Action::Gather(inner) = &program.steps[3].action else { panic!() };
    assert_eq!((inner.branch(Digit::new('#').unwrap()), inner.default), (Some(4), Some(4)), "one branch serves both");
    let Action::Transfer(transfer) = &program.steps[5].action else { panic!() };
    assert_eq!((transfer.on_failure, transfer.ring_timeout), (OnFailure::Continue, Duration::from_secs(30)));
    let names: Vec<&str> = program.labels.iter().map(|label| label.name).collect();
    assert_eq!(
        names,
        ["play", "gather", "play", "gather", "play", "transfer", "transfer", "play", "play", "optOut", "hangup"]
    );
    assert_eq!(
        &*program.labels[4].path,
        "callFlow.steps[1].branches[0].callFlow.steps[1].branches[0].callFlow.steps[0]"
    );
    assert_eq!(&*program.messages[3].path, "callFlow.steps[1].branches[0].callFlow.steps[1].message");
    assert!(program.labels[1].shows_keys && !program.labels[0].shows_keys);
}

#[test]
fn below_a_sensitive_gather_no_path_tells_the_key() {
    let inner = gather("inner", json!([{"digit": "1", "callFlow": {"steps": [play("deep")]}}]));
    let mut outer = gather(
        "PIN",
        json!([
            {"digit": "1", "callFlow": {"steps": [play("a")]}},
            {"digit": "2", "callFlow": {"steps": [play("b"), inner]}},
        ]),
    );
    outer["sensitive"] = json!("true");
    let program = program(&json!({"steps": [outer]}));
    let paths: Vec<&str> = program.labels.iter().map(|label| &*label.path).collect();
    assert_eq!(
        paths,
        [
            "callFlow.steps[0]",
            "callFlow.steps[0].branches[*].callFlow.steps[0]",
            "callFlow.steps[0].branches[*].callFlow.steps[0]",
            "callFlow.steps[0].branches[*].callFlow.steps[1]",
            "callFlow.steps[0].branches[*].callFlow.steps[1].branches[0].callFlow.steps[0]",
        ]
    );
    assert_eq!(
        program.labels.iter().map(|label| label.shows_keys).collect::<Vec<_>>(),
        [false, false, false, true, false]
    );
    assert!(program.messages.iter().skip(1).all(|message| message.path.starts_with("callFlow.steps[0].branches[*]")));
    // Problems are told to whoever wrote the flow, with the branch's real place.
    let mut problems = Problems::default();
    let bad = json!({"steps": [{"name": "gather", "sensitive": true, "message": {"msg": "PIN"}, "branches": [{"digit": "1", "callFlow": {"steps": [{}]}}]}]});
    assert_eq!(compile(&bad, FLOW_PATH, &mut problems), None);
    assert_eq!(problems.first()[0].path, "callFlow.steps[0].branches[0].callFlow.steps[0].name");
}

#[test]
fn messages_of_one_voice_share_it() {
    let program =
        program(&json!({"steps": [play("a"), play("b"), {"name": "optOut", "message": {"msg": "c", "lang": "de"}}]}));
    assert!(Arc::ptr_eq(&program.messages[0].voice, &program.messages[1].voice));
    assert_eq!(&*program.messages[2].voice.language, "de");
}

fn destination(properties: &[(&str, &str)]) -> Destination {
    Destination {
        index: 0,
        number: Number::Valid("+9991000001".parse().unwrap()),
        caller: None,
        external_id: None,
        time_zone: None,
        properties: properties.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    }
}

#[test]
fn a_destination_hears_its_own_values_and_shares_the_rest() {
    let recording = json!({"name": "play", "message": {"media": "thanks"}});
    let program = program(&json!({"steps": [play("Dear {{name}} & all"), play("Goodbye"), recording]}));
    let [one, two] = ["Tom & Co <x>", "{{name}}"].map(|name| program.prepare(&destination(&[("name", name)])).unwrap());
    let text = |utterance: &Utterance| match utterance {
        Utterance::Text { text, .. } => Arc::clone(text),
        Utterance::Media(name) => Arc::clone(name),
    };
    assert_eq!(
        one.iter().map(text).map(|text| text.to_string()).collect::<Vec<_>>(),
        ["Dear Tom & Co <x> & all", "Goodbye", "thanks"]
    );
    assert_eq!(&*text(two.get(0).unwrap()), "Dear {{name}} & all");
    assert!(Arc::ptr_eq(&text(one.get(1).unwrap()), &text(two.get(1).unwrap())));
    assert_eq!(one.get(2), Some(&Utterance::Media("thanks".into())));
    assert_eq!(one.get(3), None);
    assert!(matches!(&program.messages[2].content, Content::Media(_)));
}

#[test]
fn what_cannot_be_spoken_is_told_before_dialling() {
    let program = program(&json!({"steps": [play("Hello"), play("{{name}}{{more}}")]}));
    let refused = |properties: &[(&str, &str)]| {
        let error = program.prepare(&destination(properties)).unwrap_err();
        (error.status, error.message, error.detail.to_string())
    };
    assert_eq!(refused(&[("name", "x")]), (StepStatus::ErrorMissingProperty, 1, "no value for {{more}}".into()));
    let long = "x".repeat(999);
    assert!(program.prepare(&destination(&[("name", &long), ("more", "é")])).is_ok());
    assert_eq!(refused(&[("name", &long), ("more", "éé")]).0, StepStatus::ErrorMsgTooLong);
    assert_eq!(refused(&[("name", " "), ("more", "\n")]).0, StepStatus::ErrorMsgCannotConvertText);
    assert_eq!(refused(&[("name", ""), ("more", "")]).0, StepStatus::ErrorMsgCannotConvertText);
}

#[test]
fn a_stored_text_that_is_no_flow_is_an_error() {
    assert!(Program::from_canonical("{").is_err());
    assert!(Program::from_canonical("{\"steps\":[]}").is_err());
    assert!(Program::from_canonical(&"[".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn a_program_is_made_again_from_the_frozen_text(flow in flows()) {
        let compiled = program(&flow);
        prop_assert_eq!(Program::from_canonical(&canonical(&flow)).unwrap(), compiled);
    }

    #[test]
    fn calls_only_ever_go_forward(flow in flows()) {
        let program = program(&flow);
        prop_assert_eq!(program.steps.len(), program.labels.len());
        for (place, step) in program.steps.iter().enumerate() {
            let mut ways: Vec<StepIndex> = step.next.into_iter().collect();
            if let Action::Gather(gather) = &step.action {
                ways.extend(gather.branches.iter().map(|(_, step)| *step));
                ways.extend(gather.default);
            }
            prop_assert!(ways.iter().all(|way| usize::from(*way) > place && usize::from(*way) < program.steps.len()));
        }
    }
}
