//! Schemas of the types that go over the wire, as a document of all operations has them: defined in one place, and referred to.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Where schemas are defined.
pub const DEFINITIONS: &str = "/components/schemas";

/// What makes schemas that refer to others there.
pub fn generator(settings: SchemaSettings) -> SchemaGenerator {
    settings.with(|settings| settings.definitions_path = DEFINITIONS.into()).into_generator()
}

/// What stands there: all that was referred to, without what only documents of their own have.
pub fn definitions(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut definitions = generator.take_definitions(true);
    for fields in definitions.values_mut().filter_map(Value::as_object_mut) {
        fields.remove("$schema");
    }
    definitions
}

/// Where the references of a document lead.
#[cfg(test)]
pub fn references(document: &Value) -> Vec<&str> {
    match document {
        Value::Object(fields) => match fields.get("$ref") {
            Some(Value::String(target)) => vec![target],
            _ => fields.values().flat_map(references).collect(),
        },
        Value::Array(list) => list.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// Those of them that lead nowhere.
#[cfg(test)]
pub fn leading_nowhere(document: &Value) -> Vec<&str> {
    let leads = |target: &&str| target.strip_prefix('#').is_some_and(|place| document.pointer(place).is_some());
    references(document).into_iter().filter(|target| !leads(target)).collect()
}
