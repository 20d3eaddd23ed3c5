//! Spans, as a collector takes them over OTLP: of whose trace they are a part, what they say, and that nobody waits for it.

#![expect(clippy::disallowed_methods, reason = "processes are watched in real time")]

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;

use crate::collector::{Collector, attribute};
use crate::support::Scratch;
use crate::world::{BUSY, PRESSES, STAYS, World, request};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

fn hexadecimal(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn events(span: &Span) -> Vec<&str> {
    span.events.iter().map(|event| event.name.as_str()).collect()
}

/// Asks over HTTP, in a trace.
fn ask(url: &str, key: &str, traceparent: &str, body: &str) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-H", &format!("x-credential-api-key: {key}"), "-H", "content-type: application/json"]);
    curl.args(["-H", &format!("traceparent: {traceparent}"), "--data", body, url]);
    String::from_utf8(curl.output().unwrap().stdout).unwrap()
}

/// Submits over HTTP, in a trace.
fn submit(world: &World, base: &str, key: &str, id: &str, traceparent: &str) {
    let document = request(id, &[PRESSES, BUSY]).to_string();
    let said = ask(&format!("{base}/v1/call"), key, traceparent, &document);
    assert!(said.contains(r#""status":"submitted""#), "{said}");
    world.wait_for(id, "request.completed", 1);
}

fn key(world: &World) -> String {
    let made = world.answer(&["org", "key", "add", "--label", "crm", "--scopes", "submit,read,supervise"]);
    made["apiKey"].as_str().unwrap().to_owned()
}

#[test]
fn a_request_can_be_followed_from_its_submission_to_the_end_of_its_calls() {
    let collector = Collector::start();
    let mut world = World::without_worker("20")
        .with([(ENDPOINT, collector.url()), ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test".to_owned())]);
    let worker = world.own_worker("w1");
    let base = world.serve();
    let key = key(&world);
    // Whoever asks for its trace to be left out is heard.
    submit(&world, &base, &key, "unseen", UNSEEN);
    submit(&world, &base, &key, "seen", &format!("00-{TRACE}-{PARENT}-01"));
    // What has not been sent is sent at the end.
    worker.drain();
    let spans = collector.until(|spans| !named(spans, "question").is_empty());

    // What was claimed and given back undialled has no result, and what was not taken in at once is taken in again.
    let calls = named(&spans, "call");
    assert!(!named(&spans, "intake").is_empty() && named(&spans, "question").len() == 1, "{spans:#?}");
    for span in &spans {
        assert_eq!((hexadecimal(&span.trace_id), hexadecimal(&span.parent_span_id)), (TRACE.into(), PARENT.into()));
        assert_eq!(attribute(&span.attributes, "organisation").as_deref(), Some("default"), "{span:#?}");
        assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    }
    let question = named(&spans, "question")[0];
    assert_eq!(attribute(&question.attributes, "operation").as_deref(), Some("submitRequest"));
    assert_eq!(attribute(&question.attributes, "http.response.status_code").as_deref(), Some("200"));
    let mut results: Vec<_> = calls.iter().filter_map(|call| attribute(&call.attributes, "result")).collect();
    results.sort();
    assert_eq!(results, ["answered", "busy"]);
    let of = |result: &str| {
        let of = |call: &&&Span| attribute(&call.attributes, "result").as_deref() == Some(result);
        *calls.iter().find(of).unwrap()
    };
    let (answered, busy) = (of("answered"), of("busy"));
    for (name, value) in [("request", "seen"), ("attempt", "1")] {
        assert_eq!(attribute(&answered.attributes, name).as_deref(), Some(value));
    }
    let status = world.answer(&["status", "seen"]);
    assert_eq!(attribute(&answered.attributes, "call").unwrap(), status["details"][0]["callId"]);
    let mut happened = events(answered).into_iter();
    for kind in ["call.dialing", "call.answered", "step.started", "step.finished", "call.ended"] {
        assert!(happened.any(|event| event == kind), "{kind} is not where it should be: {:?}", events(answered));
    }
    assert!(!events(busy).contains(&"call.answered"), "{:?}", events(busy));

    for taken in collector.taken() {
        assert!(taken.head.starts_with("POST /v1/traces "), "{}", taken.head);
        for of in taken.read().resource_spans {
            let attributes = of.resource.unwrap().attributes;
            assert_eq!(attribute(&attributes, "service.name").as_deref(), Some("robocall"));
            assert_eq!(attribute(&attributes, "deployment.environment").as_deref(), Some("test"));
        }
        let text = String::from_utf8_lossy(&taken.body);
        for canary in [&PRESSES[1..], &BUSY[1..], "Press 1", "Thanks", &key] {
            assert!(!text.contains(canary), "{canary}: {text}");
        }
    }
}

/// What somebody pauses who asks for their trace to be left out, and who writes one that means nothing.
const UNSEEN: &str = "00-00000000000000000000000000000bad-0000000000000bad-00";
const MEANS_NOTHING: &str = "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01";

/// Gives a command that is done.
fn command(url: &str, key: &str, traceparent: &str, body: &str) {
    let said = ask(url, key, traceparent, body);
    assert!(said.contains(r#""status":"done""#), "{url}: {said}");
}

/// The lines of a log that say that a command was carried out.
fn carried_out(log: &Scratch, name: &str) -> Vec<Value> {
    let text = log.text();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"] == format!("{name} was carried out")).collect()
}

fn says(span: &Span, name: &str) -> Option<String> {
    attribute(&span.attributes, name)
}

#[test]
fn a_command_can_be_followed_from_whoever_gave_it_to_the_worker_that_carries_it_out() {
    let (collector, log) = (Collector::start(), Scratch::with("log-of-commands", ""));
    let mut world = World::without_worker("1")
        .with([(ENDPOINT, collector.url()), ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned())])
        .with([("ROBOCALL_LOG", "robocall=info".to_owned()), ("ROBOCALL_LOG_FORMAT", "json".to_owned())])
        .logging_to(Path::new(log.name()));
    let workers = [world.own_worker("w1"), world.own_worker("w2")];
    let base = world.serve();
    let key = key(&world);
    world.submit(&request("r", &STAYS[..1]));
    let call = world.wait_for("r", "call.answered", 1)["data"]["callId"].as_str().unwrap().to_owned();
    let seen = format!("00-{TRACE}-{PARENT}-01");
    command(&format!("{base}/v1/requests/r/pause"), &key, UNSEEN, "{}");
    command(&format!("{base}/v1/requests/r/resume"), &key, MEANS_NOTHING, "{}");
    command(&format!("{base}/v1/requests/r/pause"), &key, &seen, "{}");
    // Both workers take commands: at last one does that does not have the call.
    let is_passed_on = |span: &Span| says(span, "outcome").as_deref() == Some("passedOn");
    let mut given = 0;
    while !collector.spans().iter().any(is_passed_on) {
        let body = format!(r#"{{"record": {}}}"#, given % 2 == 0);
        command(&format!("{base}/v1/calls/{call}/recording"), &key, &seen, &body);
        given += 1;
        assert!(given < 400, "all were taken by the worker that has the call");
    }
    command(&format!("{base}/v1/calls/{call}/hangup"), &key, &seen, "{}");
    world.wait_for("r", "call.ended", 1);
    workers.into_iter().for_each(crate::world::Process::drain);
    let asked = |spans: &[Span], operation: &str| {
        let of = |span: &&Span| says(span, "operation").as_deref() == Some(operation);
        named(spans, "question").into_iter().filter(of).cloned().collect::<Vec<_>>()
    };
    let spans = collector.until(|spans| !asked(spans, "hangUpCall").is_empty());

    let commands: Vec<&Span> = spans.iter().filter(|span| span.name.starts_with("robocall.command ")).collect();
    for span in &commands {
        let outcome = says(span, "outcome").unwrap();
        assert_eq!(span.kind, i32::from(SpanKind::Consumer), "{span:#?}");
        assert_eq!(
            (says(span, "organisation").unwrap(), says(span, "request").unwrap()),
            ("default".into(), "r".into())
        );
        assert!(["done", "passedOn"].contains(&&*outcome), "{span:#?}");
        let told = events(span).iter().any(|event| event.ends_with(" was carried out"));
        assert_eq!(told, outcome == "done", "{span:#?}");
    }
    let one = |name: &str| {
        let [one] = named(&spans, name)[..] else { panic!("not one {name}: {commands:#?}") };
        one
    };
    let child_of =
        |parent: &Span, span: &Span| (&span.trace_id, &span.parent_span_id) == (&parent.trace_id, &parent.span_id);
    // The other pause was not to be seen.
    let (pause, asked_to_pause) = (one("robocall.command pause"), asked(&spans, "pauseRequest"));
    assert!(asked_to_pause.len() == 1 && child_of(&asked_to_pause[0], pause), "{asked_to_pause:#?} {pause:#?}");
    assert_eq!(hexadecimal(&asked_to_pause[0].parent_span_id), PARENT);
    assert_eq!(hexadecimal(&pause.trace_id), TRACE);
    // Of a trace that means nothing nothing is left: it begins with the question.
    let (resume, asked_to_resume) = (one("robocall.command resume"), asked(&spans, "resumeRequest"));
    assert!(asked_to_resume[0].parent_span_id.is_empty() && child_of(&asked_to_resume[0], resume), "{resume:#?}");
    assert_ne!(hexadecimal(&resume.trace_id), TRACE);
    // From the interface to whoever took it, and from there to whoever has the call.
    let passed_on = *commands.iter().find(|span| is_passed_on(span)).unwrap();
    assert_eq!(passed_on.name, "robocall.command record");
    assert!(asked(&spans, "recordCall").iter().any(|question| child_of(question, passed_on)), "{passed_on:#?}");
    let owned = *commands.iter().find(|span| child_of(passed_on, span)).unwrap();
    for span in [passed_on, owned] {
        assert_eq!((says(span, "call"), hexadecimal(&span.trace_id)), (Some(call.clone()), TRACE.to_owned()));
    }

    let traces = |name: &str| -> Vec<String> {
        let lines = carried_out(&log, name);
        lines.iter().map(|line| line["span"]["trace"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(traces("pause"), [&UNSEEN[3..35], TRACE]);
    assert_eq!(traces("hangup"), [TRACE]);
    assert_eq!(carried_out(&log, "hangup")[0]["span"]["request"], "r");
    assert!(carried_out(&log, "record").iter().all(|line| line["span"]["trace"] == TRACE));
    for taken in collector.taken() {
        let text = String::from_utf8_lossy(&taken.body);
        for canary in [&STAYS[0][1..], "Press 1", &key] {
            assert!(!text.contains(canary), "{canary}: {text}");
        }
    }
}

#[test]
fn without_a_collector_a_command_is_a_part_of_what_it_was_given_in() {
    let log = Scratch::with("log-without-collector", "");
    let mut world = World::without_worker("20")
        .with([("ROBOCALL_LOG", "robocall=info".to_owned()), ("ROBOCALL_LOG_FORMAT", "json".to_owned())])
        .logging_to(Path::new(log.name()));
    world.add_worker("w1");
    let base = world.serve();
    let key = key(&world);
    world.answer(&["org", "set", "--limit", "0"]);
    world.submit(&request("r", &[BUSY]));
    for (name, traceparent) in [("pause", format!("00-{TRACE}-{PARENT}-00")), ("resume", MEANS_NOTHING.to_owned())] {
        command(&format!("{base}/v1/requests/r/{name}"), &key, &traceparent, "{}");
    }
    for (name, trace) in [("pause", Value::from(TRACE)), ("resume", Value::Null)] {
        let lines = carried_out(&log, name);
        assert_eq!((lines.len(), &lines[0]["span"]["trace"]), (1, &trace), "{lines:?}");
        assert_eq!(lines[0]["span"]["name"], "command");
    }
}

#[test]
fn nobody_waits_for_a_collector_that_is_away_or_says_nothing() {
    // Connections are made, and nothing is ever read or said.
    let mute = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mute = format!("http://{}", mute.local_addr().unwrap());
    let nowhere = format!("http://127.0.0.1:{}", crate::redis::free_port());
    for endpoint in [mute, nowhere] {
        let world = World::without_worker("20").with([(ENDPOINT, endpoint)]);
        let worker = world.own_worker("w1");
        world.submit(&request("calls", &[PRESSES, BUSY]));
        let ended = world.wait_for("calls", "request.completed", 1);
        assert_eq!(ended["data"]["status"], "completed");
        let told_at = Instant::now();
        worker.drain();
        // One that never answers: who waited for it would not end at all. Three seconds are the bound, the rest is for a slow machine.
        assert!(told_at.elapsed() < Duration::from_secs(30), "{:?}", told_at.elapsed());
    }
}

#[test]
fn a_collector_that_cannot_be_spoken_to_is_told_of_and_calls_are_made() {
    for (name, value) in
        [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), (ENDPOINT, "not an address"), ("OTEL_TRACES_SAMPLER", "some")]
    {
        let log = Scratch::with("log", "");
        let mut world = World::without_worker("20")
            .with([(ENDPOINT, "http://127.0.0.1:4317".to_owned()), (name, value.to_owned())])
            .logging_to(Path::new(log.name()));
        world.add_worker("w1");
        world.submit(&request("calls", &[BUSY]));
        world.wait_for("calls", "request.completed", 1);
        let text = log.text();
        assert!(text.contains("no spans are exported") && text.contains(name), "{text}");
        assert!(!text.contains("an address"), "there may be a password in it: {text}");
    }
    let said = World::without_worker("20").with([(ENDPOINT, "not an address".to_owned())]).run(&["schema", "request"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "what does not go on has no spans");
}
