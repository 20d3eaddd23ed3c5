//! What goes over the broker, as an AsyncAPI 3 document: requests in, events out, commands in and their answers.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::schema::CloudEvent;
use crate::api::schemas::{definitions, generator};
use crate::command::{
    AddParticipantBody, CALL_COMMANDS, CallBody, CancelBody, EndSessionBody, REQUEST_COMMANDS, RecordBody, ReplyBody,
    RequestBody, SuperviseBody, TransferBody,
};
use crate::model::status::RequestSummary;
use crate::model::{CallId, OrganisationId, RequestId};
use crate::request::CallRequestDocument;

/// The headers. What else is told beside a body are properties, which brokers keep apart from headers; AsyncAPI knows no such
/// difference.
const ACTOR: &str = "actor";
const TRACE: &str = "traceparent";

const CORRELATION: (&str, &str) = ("correlation_id", "An answer has that of what it answers.");

const COMMAND_ID: &str = "The command's id: what has been carried out under it is not carried out again, but answered as it was; \
                          another command under it is refused. Without it, each message is a command of its own.";

/// The document.
pub(super) fn document() -> Value {
    // What comes in is described as it is read, what goes out as it is written.
    let mut read = generator(SchemaSettings::draft2020_12().for_deserialize());
    let mut written = generator(SchemaSettings::draft2020_12().for_serialize());
    let mut messages = Map::new();
    let request = read.subschema_for::<CallRequestDocument>();
    let told = headers(&[
        ("message_id", "Kept with it if it becomes a dead letter. It is known by its `requestId`."),
        (TRACE, "The trace that it is a part of (W3C Trace Context): kept with it, and told with all of its events."),
    ]);
    messages.insert("callRequest".to_owned(), asking("A call request, or a part of one.", request.into(), told));
    let event = written.subschema_for::<CloudEvent>();
    let told = headers(&[
        ("message_id", "The event's `id`: what comes again under it is the same."),
        (TRACE, "The trace that its request was submitted in, if it came with one."),
    ]);
    messages.insert("event".to_owned(), message("Something happened: a CloudEvent, structured.", event.into(), told));
    for (name, about, payload) in [
        ("reply", "What became of a command.", written.subschema_for::<ReplyBody>()),
        (
            "judgement",
            "What became of a request, or of a part of one: sealed, or refused and filed with the dead letters.",
            written.subschema_for::<RequestSummary>(),
        ),
    ] {
        messages.insert(name.to_owned(), correlated(message(about, payload.into(), headers(&[CORRELATION]))));
    }
    let mut operations = Map::from_iter([
        ("takeRequest".to_owned(), answered(operation("receive", "requests", "callRequest"), "judgement")),
        ("publishEvent".to_owned(), operation("send", "events", "event")),
    ]);
    for name in REQUEST_COMMANDS.iter().chain(&CALL_COMMANDS) {
        let told = headers(&[
            (ACTOR, "Who gives it; without it, `amqp`."),
            (
                TRACE,
                "The trace that it is a part of (W3C Trace Context): that of the lines of the log, and of the spans, of carrying it out.",
            ),
            ("message_id", COMMAND_ID),
        ]);
        messages.insert((*name).to_owned(), asking(about(name), payload(name, &mut read), told));
        operations.insert((*name).to_owned(), answered(operation("receive", "commands", name), "reply"));
    }
    let commands: Vec<&str> = REQUEST_COMMANDS.iter().chain(&CALL_COMMANDS).copied().collect();
    // Whatever both have is the same in both: what is read only, and what is written only, have names of their own.
    let mut schemas = definitions(&mut read);
    schemas.extend(definitions(&mut written));
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "robocall",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What goes over RabbitMQ. Exchanges are topics and durable; with `amqp.prefix` their names begin so.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "requests": channel("requests.{organisation}", "robocall.requests", &["callRequest"], &["organisation"]),
            "events": channel("{organisation}.{type}", "robocall.events", &["event"], &["organisation", "type"]),
            "commands": channel("{organisation}.{command}", "robocall.commands", &commands, &["organisation", "command"]),
            "replies": {
                "address": null,
                "description": "The queue that a request or a command names in `reply_to`.",
                "messages": {
                    "reply": {"$ref": "#/components/messages/reply"},
                    "judgement": {"$ref": "#/components/messages/judgement"},
                },
            },
        },
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    })
}

fn message(about: &str, payload: Value, headers: Value) -> Value {
    json!({"summary": about, "payload": payload, "headers": headers})
}

/// A message that is answered if it says where.
fn asking(about: &str, payload: Value, mut headers: Value) -> Value {
    let asks = self::headers(&[CORRELATION, ("reply_to", "The queue that hears what became of it; without it, none.")]);
    for (name, property) in asks["properties"].as_object().into_iter().flatten() {
        headers["properties"][name] = property.clone();
    }
    correlated(message(about, payload, headers))
}

/// What is told beside a body.
fn headers(told: &[(&str, &str)]) -> Value {
    let told = told.iter().map(|(name, about)| {
        let about = match *name {
            ACTOR | TRACE => (*about).to_owned(),
            name => format!("The property `{name}`. {about}"),
        };
        (name.to_string(), json!({"type": "string", "description": about}))
    });
    json!({"type": "object", "properties": told.collect::<Map<String, Value>>()})
}

fn correlated(mut message: Value) -> Value {
    message["correlationId"] = json!({"location": "$message.header#/correlation_id"});
    message
}

fn answered(mut operation: Value, reply: &str) -> Value {
    operation["reply"] = json!({
        "address": {"location": "$message.header#/reply_to", "description": "The property `reply_to`, if it is set."},
        "channel": {"$ref": "#/channels/replies"},
        "messages": [{"$ref": format!("#/channels/replies/messages/{reply}")}],
    });
    operation
}

fn operation(action: &str, channel: &str, message: &str) -> Value {
    json!({
        "action": action,
        "channel": {"$ref": format!("#/channels/{channel}")},
        "messages": [{"$ref": format!("#/channels/{channel}/messages/{message}")}],
    })
}

fn channel(address: &str, exchange: &str, messages: &[&str], parameters: &[&str]) -> Value {
    let messages: Map<String, Value> = (messages.iter())
        .map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/messages/{name}")})))
        .collect();
    let parameters: Map<String, Value> = (parameters.iter())
        .map(|name| {
            let about = match *name {
                "organisation" => format!("The organisation: `{}`.", OrganisationId::PATTERN),
                "type" => "The event's type without `robocall.`.".to_owned(),
                _ => "The command's name.".to_owned(),
            };
            ((*name).to_owned(), json!({"description": about}))
        })
        .collect();
    json!({
        "address": address,
        "messages": messages,
        "parameters": parameters,
        "bindings": {"amqp": {
            "is": "routingKey",
            "exchange": {"name": exchange, "type": "topic", "durable": true, "autoDelete": false},
            "bindingVersion": "0.3.0",
        }},
    })
}

fn about(command: &str) -> &'static str {
    match command {
        "pause" => "Dial nothing more of a request until it is resumed.",
        "resume" => "Go on with a paused request.",
        "cancel" => "Dial nothing more of a request, ever.",
        "hangup" => "Hang a live call up.",
        "supervise" => "Call a supervisor into a live call, or give one who is there another session.",
        "addParticipant" => "Call somebody else into a live call.",
        "transfer" => "Transfer the callee of a live call to somebody.",
        "endSession" => "End somebody's session in a live call, and nothing else.",
        _ => "Record a live call, or record it no more.",
    }
}

/// The body of a command: its own fields, and the request or call that it is for.
fn payload(command: &str, generator: &mut SchemaGenerator) -> Value {
    let own = match command {
        "cancel" => CancelBody::json_schema(generator),
        "supervise" => SuperviseBody::json_schema(generator),
        "addParticipant" => AddParticipantBody::json_schema(generator),
        "transfer" => TransferBody::json_schema(generator),
        "endSession" => EndSessionBody::json_schema(generator),
        "record" => RecordBody::json_schema(generator),
        "hangup" => CallBody::json_schema(generator),
        _ => RequestBody::json_schema(generator),
    };
    let (name, pattern, about) = match REQUEST_COMMANDS.contains(&command) {
        true => ("requestId", RequestId::PATTERN, "The request."),
        false => ("callId", CallId::PATTERN, "The call."),
    };
    let mut schema = Value::from(own);
    schema["properties"][name] = json!({"type": "string", "pattern": pattern, "description": about});
    match schema["required"].as_array_mut() {
        Some(required) => required.push(name.into()),
        None => schema["required"] = json!([name]),
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schemas::{leading_nowhere, references};

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        assert!(references(&document).len() > 50);
        assert_eq!(leading_nowhere(&document), Vec::<&str>::new());
    }

    #[test]
    fn what_is_read_and_what_is_written_under_one_name_is_the_same() {
        let mut read = SchemaSettings::draft2020_12().for_deserialize().into_generator();
        let mut written = SchemaSettings::draft2020_12().for_serialize().into_generator();
        read.subschema_for::<CallRequestDocument>();
        for command in REQUEST_COMMANDS.iter().chain(&CALL_COMMANDS) {
            payload(command, &mut read);
        }
        written.subschema_for::<CloudEvent>();
        written.subschema_for::<ReplyBody>();
        written.subschema_for::<RequestSummary>();
        let written = written.take_definitions(true);
        for (name, schema) in read.take_definitions(true) {
            assert!(written.get(&name).is_none_or(|other| *other == schema), "{name}");
        }
    }

    #[test]
    fn a_command_is_read_as_it_is_described() {
        let document = document();
        let of = |name: &str| document["components"]["messages"][name]["payload"].clone();
        assert_eq!(of("pause")["required"], json!(["requestId"]));
        assert_eq!(of("hangup")["required"], json!(["callId"]));
        assert_eq!(of("record")["required"], json!(["record", "callId"]));
        assert_eq!(of("cancel")["properties"]["mode"]["anyOf"][0]["$ref"], "#/components/schemas/CancelMode");
        for name in REQUEST_COMMANDS.iter().chain(&CALL_COMMANDS) {
            assert_eq!(of(name)["additionalProperties"], json!(false), "{name}");
        }
    }

    #[test]
    fn whatever_is_answered_says_where_to_and_with_what() {
        let document = document();
        let commands = REQUEST_COMMANDS.iter().chain(&CALL_COMMANDS).map(|name| (*name, *name, "reply"));
        for (operation, message, reply) in commands.chain([("takeRequest", "callRequest", "judgement")]) {
            let found = &document["operations"][operation]["reply"];
            assert_eq!(
                found["messages"],
                json!([{"$ref": format!("#/channels/replies/messages/{reply}")}]),
                "{operation}"
            );
            assert!(document["channels"]["replies"]["messages"][reply].is_object());
            // Each place that is named is one that the message has.
            for (place, within) in [
                (&found["address"]["location"], message),
                (&document["components"]["messages"][message]["correlationId"]["location"], message),
                (&document["components"]["messages"][reply]["correlationId"]["location"], reply),
            ] {
                let name = place.as_str().unwrap().strip_prefix("$message.header#/").unwrap();
                let headers = &document["components"]["messages"][within]["headers"]["properties"];
                assert!(headers[name].is_object(), "{operation}: {name}");
            }
            let headers = &document["components"]["messages"][message]["headers"]["properties"];
            assert!(headers["message_id"]["description"].is_string(), "{operation}");
        }
    }
}
