//! The interface's own document, OpenAPI 3.1, made from the table of operations.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::response::Response;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::answer::{Refusal, bytes_of_json};
use super::door::KEY_HEADER;
use super::operation::{Kind, Link, Operation, Parameter, Place};
use super::operations;
use super::schemas::{DEFINITIONS, definitions, generator};

/// What is answered besides what was asked for: the code, its name, and what it means.
const REFUSALS: [(u16, &str, &str); 12] = [
    (400, "Invalid", "What was sent breaks the contracts; `errors` says where."),
    (401, "Unauthorised", "No key, or none that is known."),
    (403, "Forbidden", "The key is not good for it: another scope is needed."),
    (404, "NotFound", "There is no such thing in the key's organisation."),
    (405, "NoSuchMethod", "The path has no such method."),
    (409, "Conflict", "It cannot be done as things stand."),
    (413, "TooLarge", "The body has too many bytes."),
    (415, "NotJson", "The body is not said to be application/json."),
    (416, "OutOfRange", "There are no such bytes."),
    (429, "RateLimited", "Too many questions; `Retry-After` says when to ask again."),
    (503, "Unavailable", "A part of the deployment does not answer, or the call is changing hands: ask again."),
    (504, "Unanswered", "No worker has answered in time; it may yet be carried out, and an event tells if it is."),
];

/// Those that every operation may answer.
const ALWAYS: [u16; 5] = [400, 401, 403, 429, 503];

/// The document, as it is served.
pub(super) async fn serve() -> Response {
    static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| document().to_string().into_bytes());
    bytes_of_json(StatusCode::OK, TEXT.clone())
}

/// The document.
pub fn document() -> Value {
    // What comes in is described as it is read, what goes out as it is written: the same type may differ.
    let mut read = generator(SchemaSettings::draft2020_12().for_deserialize());
    let mut written = generator(SchemaSettings::draft2020_12().for_serialize());
    let error = written.subschema_for::<Refusal>();
    let mut paths = Map::new();
    for operation in operations::all() {
        let item = paths.entry(operation.path).or_insert_with(|| json!({}));
        item[operation.method.as_str().to_lowercase()] = described(operation, &mut read, &mut written);
    }
    let mut paths = Value::Object(paths);
    let definitions = merged(&mut paths, definitions(&mut read), definitions(&mut written));
    let responses: Map<String, Value> = (REFUSALS.iter().map(|(code, name, about)| (*code, *name, *about)))
        .map(|(code, name, about)| ((*name).to_owned(), refusal(code, about, error.as_value())))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "robocall",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Campaigns of automated phone calls: hand them in, follow them, take part in live calls.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}, {"bearer": []}],
        "tags": [],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "responses": responses,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    })
}

/// All definitions together. What is read differently from how it is written has a name of its own, and so has whatever
/// leads there.
fn merged(paths: &mut Value, mut read: Map<String, Value>, mut written: Map<String, Value>) -> Map<String, Value> {
    let (place, renamed) = (|name: &str| format!("#{DEFINITIONS}/{name}"), |name: &str| format!("{name}Input"));
    let mut others: BTreeSet<String> = BTreeSet::new();
    loop {
        let leads_there = |schema: &Value| others.iter().any(|other| refers(schema, &place(other)));
        let differs = |(name, schema): &(&String, &Value)| {
            !others.contains(*name) && written.get(*name).is_some_and(|known| known != *schema || leads_there(schema))
        };
        let more: Vec<String> = read.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        if more.is_empty() {
            break;
        }
        others.extend(more);
    }
    for name in &others {
        let (old, new) = (place(name), place(&renamed(name)));
        refer(paths, &old, &new, true);
        read.values_mut().for_each(|schema| refer(schema, &old, &new, false));
    }
    for (name, schema) in read {
        let name = if others.contains(&name) { renamed(&name) } else { name };
        written.insert(name, schema);
    }
    written
}

/// Whether something refers to `target`.
fn refers(value: &Value, target: &str) -> bool {
    match value {
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name == "$ref" && value == target || refers(value, target))
        }
        Value::Array(list) => list.iter().any(|value| refers(value, target)),
        _ => false,
    }
}

fn described(operation: &Operation, read: &mut SchemaGenerator, written: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for answer in operation.answers {
        let schema = (answer.schema)(written);
        let mut response = json!({"description": answer.about, "content": {answer.media: {"schema": schema}}});
        for Link(operation, parameter, place) in answer.links {
            response["links"][operation] = json!({"operationId": operation, "parameters": {*parameter: place}});
        }
        responses.insert(answer.code.to_string(), response);
    }
    for (code, name, _) in REFUSALS {
        if ALWAYS.contains(&code) || operation.refusals.contains(&code) {
            responses.insert(code.to_string(), json!({"$ref": format!("#/components/responses/{name}")}));
        }
    }
    let scope = format!("Needs a key with the scope `{}`.", operation.scope);
    let description = match operation.description {
        "" => scope,
        text => format!("{text}\n\n{scope}"),
    };
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "description": description,
        "responses": responses,
    });
    if !operation.parameters.is_empty() {
        described["parameters"] = operation.parameters.iter().map(parameter).collect();
    }
    if let Some(body) = &operation.body {
        let schema = (body.schema)(read);
        described["requestBody"] =
            json!({"required": body.required, "content": {"application/json": {"schema": schema}}});
    }
    described
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        Kind::Text(pattern) => json!({"type": "string", "pattern": pattern}),
        Kind::Like(example) => json!({"type": "string", "examples": [example]}),
        Kind::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Words(words) => json!({"type": "string", "enum": words}),
    };
    let (place, required) = match parameter.place {
        Place::Path => ("path", true),
        Place::Query => ("query", false),
        Place::Header => ("header", false),
    };
    json!({"name": parameter.name, "in": place, "required": required, "description": parameter.about, "schema": schema})
}

fn refusal(code: u16, about: &str, error: &Value) -> Value {
    let mut described = json!({"description": about, "content": {"application/json": {"schema": error}}});
    if [429, 503].contains(&code) {
        described["headers"] = json!({
            "Retry-After": {"description": "Seconds to wait before asking again.", "schema": {"type": "integer", "minimum": 1}},
        });
    }
    described
}

/// Points references elsewhere; within paths only those in bodies that are read.
fn refer(value: &mut Value, old: &str, new: &str, only_bodies: bool) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(target) if name == "$ref" && target == old && !only_bodies => new.clone_into(target),
                    value => refer(value, old, new, only_bodies && name != "requestBody"),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| refer(value, old, new, only_bodies)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::schemas::{leading_nowhere, references};

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_what_it_answers() {
        let names: BTreeSet<&str> = operations::all().map(|operation| operation.id).collect();
        assert_eq!(names.len(), operations::all().count());
        for operation in operations::all() {
            assert!(operation.answers.iter().all(|answer| (200..300).contains(&answer.code)), "{}", operation.id);
            assert!(!operation.answers.is_empty(), "{}", operation.id);
            for code in operation.refusals {
                assert!(REFUSALS.iter().any(|(known, _, _)| known == code), "{}: {code}", operation.id);
            }
            let in_path = operation.path.matches('{').count();
            let of_path = operation.parameters.iter().filter(|parameter| parameter.place == Place::Path);
            for parameter in of_path.clone() {
                assert!(operation.path.contains(&format!("{{{}}}", parameter.name)), "{}", operation.id);
            }
            assert_eq!(of_path.count(), in_path, "{}", operation.id);
        }
    }

    #[test]
    fn whatever_is_a_part_of_a_trace_may_say_so_and_a_trace_that_means_nothing_is_no_mistake() {
        use super::super::asked::{ONCE_HEADER, TRACE_HEADER};
        let has = |operation: &Operation, name| operation.parameters.iter().any(|parameter| parameter.name == name);
        let traced: Vec<_> = operations::all().filter(|operation| has(operation, TRACE_HEADER)).collect();
        assert!(traced.iter().any(|operation| operation.id == "submitRequest"));
        for operation in operations::all().filter(|operation| has(operation, ONCE_HEADER)) {
            assert!(
                has(operation, TRACE_HEADER),
                "{}: what is carried out once is carried out elsewhere",
                operation.id
            );
        }
        let document = document();
        for operation in traced {
            let shown = &document["paths"][operation.path][operation.method.as_str().to_lowercase()]["parameters"];
            let shown = shown.as_array().unwrap().iter().find(|parameter| parameter["name"] == TRACE_HEADER).unwrap();
            let schema = shown["schema"].as_object().unwrap();
            assert_eq!((&shown["in"], &shown["required"]), (&json!("header"), &json!(false)), "{}", operation.id);
            assert!(schema.keys().all(|key| ["type", "examples"].contains(&&**key)), "{}: {schema:?}", operation.id);
            assert!(schema["examples"][0].as_str().unwrap().parse::<crate::model::TraceParent>().is_ok());
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        assert!(references(&document).len() > 100);
        assert_eq!(leading_nowhere(&document), Vec::<&str>::new());
    }

    #[test]
    fn what_may_be_left_out_when_it_is_read_may_be_left_out_wherever_it_stands() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        let settings = &document["paths"]["/v1/organisation"]["patch"]["requestBody"]["content"]["application/json"];
        assert_eq!(settings["schema"]["$ref"], "#/components/schemas/OrganisationInput");
        let hook = &schemas["OrganisationInput"]["properties"]["hooks"]["items"]["$ref"];
        assert_eq!(*hook, "#/components/schemas/OrganisationHookInput");
        assert_eq!(schemas["OrganisationHookInput"]["required"], json!(["url"]));
        // What is written is all there.
        assert_eq!(schemas["OrganisationHook"]["required"].as_array().unwrap().len(), 3);
        assert_eq!(
            schemas["Organisation"]["properties"]["hooks"]["items"]["$ref"],
            "#/components/schemas/OrganisationHook"
        );
    }
}
