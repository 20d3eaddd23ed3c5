//! What a request's destinations lack: placeholders of its flow for which they have no value.

use serde::Serialize;

use super::Failure;
use super::documents::Input;
use crate::callflow::Program;
use crate::callflow::program::Content;
use crate::model::Number;
use crate::reading::{element, member, shown_name};
use crate::request::{AcceptedRequest, DestinationStream};

/// How many destinations are named for each placeholder.
const SHOWN: usize = 3;

/// A placeholder without a value.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// Its name.
    pub placeholder: String,
    /// How many destinations have no value for it: they fail before they are dialled.
    pub destinations: u64,
    /// Where the first of them would have it.
    pub first: Vec<String>,
}

/// What is missing, in the order in which the flow asks for it.
///
/// # Errors
/// When the request cannot be read any more, or is not what was checked.
pub fn look(input: &Input, accepted: &AcceptedRequest) -> Result<Vec<Missing>, Failure> {
    let mut all = placeholders(&accepted.program);
    if all.is_empty() {
        return Ok(all);
    }
    let mut stream = DestinationStream::new(input.reader()?, &accepted.header, 0);
    while let Some((place, destination)) = stream.next_placed().map_err(|error| input.changed(&error))? {
        // What is no number fails for that, whatever else it lacks.
        if matches!(destination.number, Number::Invalid(_)) {
            continue;
        }
        for missing in &mut all {
            if destination.property(&missing.placeholder).is_some() {
                continue;
            }
            missing.destinations += 1;
            if missing.first.len() < SHOWN {
                let properties = member(&element("destinations", place), "properties");
                missing.first.push(member(&properties, shown_name(&missing.placeholder)));
            }
        }
    }
    all.retain(|missing| missing.destinations > 0);
    Ok(all)
}

fn placeholders(program: &Program) -> Vec<Missing> {
    let mut all: Vec<Missing> = Vec::new();
    let texts = program.messages.iter().filter_map(|message| match &message.content {
        Content::Text(template) => Some(template),
        Content::Media(_) => None,
    });
    for name in texts.flat_map(|template| template.placeholders()) {
        if !all.iter().any(|known| known.placeholder == name) {
            all.push(Missing { placeholder: name.to_owned(), destinations: 0, first: Vec::new() });
        }
    }
    all
}
