//! What the pure core costs a call: rendering its messages, walking its flow, folding its history.
//!
//! `cargo bench --bench core`. Figures are for one call unless a name says otherwise.

#![expect(clippy::unwrap_used, reason = "what is parsed here is written here")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use robocall::callflow::Program;
use robocall::callflow::call::{CallCommand, CallInput, CallMachine, CallTerms, LegEnd};
use robocall::callflow::program::Digit;
use robocall::callflow::template::Template;
use robocall::conformance::store::scene::header_of;
use robocall::model::event::{CallContext, CallStatusHint};
use robocall::model::status::CallEntry;
use robocall::model::{
    AttemptId, CallId, Destination, Fact, Happening, MachineDetection, Number, RequestHeader, Timestamp,
};
use robocall::reading::Problems;
use serde_json::json;

fn main() {
    divan::main();
}

const TEXT: &str = "Dear {{name}}, the amount of {{amount}} will be due on {{dueDate}}. Press 1 to hear this again.";

fn destination() -> Destination {
    let property = |name: &str, value: &str| (Box::from(name), value.into());
    Destination {
        index: 0,
        number: Number::Valid("+6588893322".parse().unwrap()),
        caller: None,
        external_id: None,
        time_zone: None,
        properties: vec![property("name", "Alex"), property("amount", "200.00"), property("dueDate", "August 20th")],
    }
}

fn survey() -> (String, Program) {
    let leaf = |text: &str| json!({"steps": [{"name": "play", "message": {"msg": text}}]});
    let inner = json!({"steps": [{"name": "gather", "message": {"msg": "And how likely are you to recommend us?"}, "branches": [
        {"digit": "1", "callFlow": leaf("Glad to hear it.")}, {"default": true, "callFlow": leaf("We will do better.")}]}]});
    let flow = json!({"steps": [
        {"name": "play", "message": {"msg": "Hello {{name}}, three short questions."}},
        {"name": "gather", "message": {"msg": TEXT}, "branches": [{"digit": "1", "callFlow": inner}, {"default": true, "callFlow": leaf("As you like.")}]},
        {"name": "play", "message": {"msg": "Thank you {{name}}."}},
    ]});
    let mut problems = Problems::default();
    let program = robocall::callflow::compile(&flow, "callFlow", &mut problems).expect("the survey compiles");
    (robocall::callflow::canonical(&flow), program)
}

fn terms() -> CallTerms {
    CallTerms {
        ring_timeout: Duration::from_secs(30),
        max_call_duration: Duration::from_secs(600),
        machine_detection: MachineDetection::Off,
        recording: false,
    }
}

fn attempt() -> AttemptId {
    AttemptId { call: CallId::new(&"bank".parse().unwrap(), &"survey".parse().unwrap(), 0), claim: 1 }
}

/// Walks one answered call to its end and answers with its history.
fn walk(program: &Arc<Program>, attempt: AttemptId) -> Vec<Fact> {
    let mut now = Timestamp::VIRTUAL_START;
    let mut machine = CallMachine::start(Arc::clone(program), terms(), attempt, now);
    let mut history = Vec::with_capacity(24);
    machine.handle(now, CallInput::Ringing);
    machine.handle(now, CallInput::Answered);
    loop {
        let mut answer = None;
        while let Some(command) = machine.next_command() {
            match command {
                CallCommand::Record(what) => history.push(Fact { at: now, what }),
                CallCommand::Play { expects_key: true, .. } => answer = Digit::new('1').map(CallInput::Digit),
                CallCommand::Play { playback, .. } => {
                    answer = Some(CallInput::PlaybackFinished { playback, played: true })
                }
                CallCommand::HangUp => answer = Some(CallInput::Ended(LegEnd { cause: Some(16), ..LegEnd::default() })),
                CallCommand::Finish(_) => return history,
                _ => {}
            }
        }
        now = now + Duration::from_secs(2);
        match answer {
            Some(input) => machine.handle(now, input),
            None => machine.handle_timeout(now),
        }
    }
}

#[divan::bench]
fn compile_a_template(bencher: divan::Bencher<'_, '_>) {
    bencher.bench(|| Template::compile(black_box(TEXT)).is_ok());
}

#[divan::bench]
fn compile_the_survey(bencher: divan::Bencher<'_, '_>) {
    let (canonical, _) = survey();
    bencher.bench(|| Program::from_canonical(black_box(&canonical)).is_ok());
}

#[divan::bench]
fn render_all_messages(bencher: divan::Bencher<'_, '_>) {
    let (_, program) = survey();
    let destination = destination();
    bencher.bench(|| program.prepare(black_box(&destination)).map(|utterances| utterances.iter().count()));
}

#[divan::bench]
fn walk_the_flow(bencher: divan::Bencher<'_, '_>) {
    let program = Arc::new(survey().1);
    let attempt = attempt();
    bencher.bench(|| walk(black_box(&program), attempt).len());
}

#[divan::bench]
fn fold_the_history(bencher: divan::Bencher<'_, '_>) {
    let (context, history) = context();
    bencher.bench(|| CallEntry::fold(black_box(&context), CallStatusHint::FromFacts, &history).call_flow_steps.len());
}

#[divan::bench]
fn write_the_status_entry(bencher: divan::Bencher<'_, '_>) {
    let (context, history) = context();
    let entry = CallEntry::fold(&context, CallStatusHint::FromFacts, &history);
    bencher.bench(|| serde_json::to_vec(black_box(&entry)).map(|text| text.len()));
}

fn context() -> (CallContext, Vec<Fact>) {
    let (canonical, program) = survey();
    let program = Arc::new(program);
    let attempt = attempt();
    let dialing =
        Happening::Dialing { claim: 1, attempt: 1, caller: None, trunk: None, worker: "worker".parse().unwrap() };
    let mut history = vec![Fact { at: Timestamp::VIRTUAL_START, what: dialing }];
    history.extend(walk(&program, attempt));
    let header = RequestHeader { flow: canonical.into(), ..header_of("bank", "survey") };
    let context = CallContext {
        header: Arc::new(header),
        steps: Arc::clone(&program.labels),
        call: attempt.call,
        destination: destination(),
        queued_at: Timestamp::VIRTUAL_START,
    };
    (context, history)
}
