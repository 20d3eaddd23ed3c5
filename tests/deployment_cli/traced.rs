//! Spans, as a collector takes them over OTLP: of whose trace they are a part, what they say, and that nobody waits for it.

#![expect(clippy::disallowed_methods, reason = "processes are watched in real time")]

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::collector::{Collector, attribute};
use crate::support::Scratch;
use crate::world::{BUSY, PRESSES, World, request};

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

/// Submits over HTTP, in a trace.
fn submit(world: &World, base: &str, key: &str, id: &str, traceparent: &str) {
    let document = request(id, &[PRESSES, BUSY]).to_string();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-H", &format!("x-credential-api-key: {key}"), "-H", "content-type: application/json"]);
    curl.args(["-H", &format!("traceparent: {traceparent}"), "--data", &document, &format!("{base}/v1/call")]);
    let said = String::from_utf8(curl.output().unwrap().stdout).unwrap();
    assert!(said.contains(r#""status":"submitted""#), "{said}");
    world.wait_for(id, "request.completed", 1);
}

fn key(world: &World) -> String {
    let made = world.answer(&["org", "key", "add", "--label", "crm", "--scopes", "submit,read"]);
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
    submit(&world, &base, &key, "unseen", "00-00000000000000000000000000000bad-0000000000000bad-00");
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
