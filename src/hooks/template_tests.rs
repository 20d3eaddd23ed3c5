use super::*;
use serde_json::json;

fn read(text: &str) -> TemplateDocument {
    let source = config::File::from_str(text, config::FileFormat::Toml);
    config::Config::builder().add_source(source).build().unwrap().try_deserialize().unwrap()
}

fn create_call() -> Template {
    read(include_str!("../../config/hooks/create_call.toml")).compile().unwrap()
}

fn event(result: Option<&str>) -> Value {
    let disposition = result.map(|result| json!({"result": result, "by": "network", "cause": 17, "sip": 486}));
    json!({"id": "c-0.1.3", "data": {"callId": "c-0", "destination": "+6588893322", "disposition": disposition}})
}

/// The fields of a multipart body, as a parser of such would take them.
fn parts(rendered: &Rendered) -> Vec<(String, String)> {
    let boundary = rendered.content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = String::from_utf8(rendered.body.clone()).unwrap();
    let inner = body.strip_suffix(&format!("--{boundary}--\r\n")).unwrap();
    let line = format!("--{boundary}\r\n");
    let parts = inner.split(&line).skip(1).map(|part| {
        let (head, text) = part.split_once("\r\n\r\n").unwrap();
        let name = head.strip_prefix("Content-Disposition: form-data; name=\"").unwrap().strip_suffix('"').unwrap();
        (name.to_owned(), text.strip_suffix("\r\n").unwrap().to_owned())
    });
    parts.collect()
}

#[test]
fn create_call_says_of_each_call_what_the_reference_has_words_for() {
    let template = create_call();
    for (kind, result, status) in [
        ("call.ringing", None, "ringing"),
        ("call.answered", None, "in-progress"),
        ("call.ended", Some("answered"), "answered"),
        ("call.ended", Some("busy"), "busy"),
        ("call.ended", Some("unanswered"), "missed"),
        ("call.ended", Some("unreachable"), "missed"),
        ("call.ended", Some("rejected"), "missed"),
        ("call.ended", Some("cancelled"), "canceled"),
        ("call.ended", Some("expired"), "canceled"),
        ("call.ended", Some("invalidNumber"), "failed"),
        ("call.ended", Some("unknown"), "failed"),
        ("call.ended", None, "failed"),
        ("call.retryScheduled", Some("busy"), "busy"),
    ] {
        assert!(template.wants(kind));
        let fields = parts(&template.render(kind, &event(result), None).unwrap());
        let expected = [
            ("action", "create_call"),
            ("call_status", status),
            ("direction", "outgoing"),
            ("pbx_call_id", "c-0"),
            ("phone", "+6588893322"),
        ];
        assert_eq!(fields, expected.map(|(name, text)| (name.to_owned(), text.to_owned())), "{kind} {result:?}");
    }
    for kind in ["call.dialing", "step.started", "request.completed", "leg.added"] {
        assert!(!template.wants(kind), "{kind}");
    }
}

#[test]
fn every_way_a_call_can_end_has_one_of_the_references_words() {
    let words = ["ringing", "in-progress", "canceled", "missed", "failed", "answered", "busy"];
    let schema = schemars::schema_for!(crate::model::DispositionResult).to_value().to_string();
    for result in [
        "answered",
        "busy",
        "unanswered",
        "rejected",
        "unreachable",
        "invalidNumber",
        "congestion",
        "cancelled",
        "blocked",
        "expired",
        "unknown",
    ] {
        assert!(schema.contains(&format!("\"{result}\"")), "{result} is no result any more");
        let rendered = create_call().render("call.ended", &event(Some(result)), None).unwrap();
        let status = parts(&rendered).into_iter().find(|(name, _)| name == "call_status").unwrap().1;
        assert!(words.contains(&status.as_str()), "{result}: {status}");
    }
}

#[test]
fn what_is_kept_of_an_answer_is_what_the_template_names() {
    let answer = json!({"data": {"call_id": 123, "pbx_call_id": null, "ticket_id": 4567, "user_id": 0}}).to_string();
    let kept: Value = serde_json::from_str(&create_call().kept(answer.as_bytes()).unwrap()).unwrap();
    assert_eq!(kept, json!({"data.call_id": "123", "data.ticket_id": "4567"}));
    for nothing in ["", "{}", "[1]", "{\"data\":null}", "<html>"] {
        assert_eq!(create_call().kept(nothing.as_bytes()), None, "{nothing}");
    }
    let long = json!({"data": {"call_id": "x".repeat(1000)}}).to_string();
    assert_eq!(create_call().kept(long.as_bytes()), None);
}

#[test]
fn a_form_and_an_object_are_written_with_lists_and_without_what_is_missing() {
    let text = r#"
        content = "form"
        values = { who = "data.externalId", kind = "type" }
        fields = { "ids[]" = ["1", "{{who}}"], missing = "a {{who}}", text = "a&b=ü {{kind}}" }
    "#;
    let template = read(text).compile().unwrap();
    let rendered = template.render("call.ended", &json!({"data": {"externalId": null}}), None).unwrap();
    assert_eq!(String::from_utf8(rendered.body).unwrap(), "ids%5B%5D=1&text=a%26b%3D%C3%BC+call.ended");
    let template = read(&text.replace("\"form\"", "\"json\"")).compile().unwrap();
    let rendered = template.render("call.ended", &json!({"data": {"externalId": 7}}), None).unwrap();
    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
    assert_eq!(body, json!({"ids[]": ["1", "7"], "missing": "a 7", "text": "a&b=ü call.ended"}));
}

#[test]
fn nobody_who_writes_a_value_writes_another_field() {
    let text = r#"
        content = "multipart"
        values = { who = "data.externalId" }
        fields = { a = "{{who}}", "b\"\r\nX: y" = "1" }
    "#;
    let template = read(text).compile().unwrap();
    let guess = template.render("call.ended", &json!({"id": "1", "data": {"externalId": ""}}), None).unwrap();
    let boundary = guess.content_type.rsplit('=').next().unwrap();
    let attack = format!("\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\ndelete\r\n");
    let rendered = template.render("call.ended", &json!({"id": "1", "data": {"externalId": attack}}), None).unwrap();
    let fields = parts(&rendered);
    assert_eq!(fields.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b%22%0D%0AX: y"]);
    assert_eq!(fields[0].1, attack);
}

#[test]
fn what_is_final_can_be_all_that_is_sent() {
    let text = include_str!("../../config/hooks/create_call.toml").replace("final_only = false", "final_only = true");
    let template = read(&text).compile().unwrap();
    let wanted: Vec<&str> =
        crate::model::EventType::ALL.iter().map(|kind| kind.as_str()).filter(|kind| template.wants(kind)).collect();
    assert_eq!(wanted, ["call.ended"]);
}

#[test]
fn a_template_that_says_more_than_names_is_refused() {
    for (field, why) in [
        ("{{other}}", "not among the values"),
        ("{{#each a}}x{{/each}}", "a block"),
        ("{{data.callId}}", "a path"),
        ("{{who", "never closed"),
    ] {
        let text = format!("content = \"json\"\n[values]\nwho = \"data.callId\"\n[fields]\na = \"{field}\"");
        let error = read(&text).compile().unwrap_err();
        assert!(error.contains(why) && error.starts_with("a: "), "{error}");
    }
}
