//! The flows we ship, and a request for each: all of them are sound, and every sample can be spoken.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the files is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use robocall::callflow::lint::check;
use robocall::callflow::{FlowReference, Program, canonical, compile};
use robocall::model::{Destination, Number};
use robocall::reading::Problems;
use serde_json::Value;

fn documents(folder: &str, ending: &str) -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = names.filter_map(|path| {
        let name = path.file_name()?.to_str()?.strip_suffix(ending)?.to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        Some((name, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))))
    });
    named.collect()
}

fn flows() -> BTreeMap<String, Value> {
    documents("flows", ".json")
}

fn samples() -> BTreeMap<String, Value> {
    documents("flows/samples", ".request.json")
}

fn program(flow: &Value) -> Program {
    let mut problems = Problems::default();
    compile(flow, "callFlow", &mut problems).unwrap_or_else(|| panic!("{:?}", problems.first()))
}

#[test]
fn every_flow_compiles_and_nothing_is_to_be_said_about_it() {
    let flows = flows();
    assert!(flows.len() >= 6);
    for (name, flow) in flows {
        let found = check(&flow, "callFlow", &|_| true, None);
        assert!(found.is_empty(), "{name}: {found:#?}");
        assert_eq!(Program::from_canonical(&canonical(&flow)).unwrap(), program(&flow), "{name}");
    }
}

fn destination(index: usize, value: &Value) -> Destination {
    let properties = value["properties"].as_object().unwrap().iter();
    Destination {
        index: index.try_into().unwrap(),
        number: Number::Valid(value["phone"].as_str().unwrap().parse().unwrap()),
        caller: None,
        external_id: None,
        time_zone: None,
        properties: properties.map(|(name, value)| (name.as_str().into(), value.as_str().unwrap().into())).collect(),
    }
}

#[test]
fn every_flow_has_a_sample_whose_destinations_can_all_be_spoken_to() {
    let (flows, samples) = (flows(), samples());
    assert_eq!(flows.keys().collect::<Vec<_>>(), samples.keys().collect::<Vec<_>>());
    for (name, sample) in samples {
        let mut problems = Problems::default();
        let reference = FlowReference::of(&sample["callFlow"], "callFlow", &mut problems);
        assert_eq!(reference, Some(FlowReference::Named(&name)), "{name}");
        let destinations = sample["destinations"].as_array().unwrap();
        assert!((3..=5).contains(&destinations.len()), "{name}");
        let phones: BTreeSet<&str> = destinations.iter().filter_map(|one| one["phone"].as_str()).collect();
        assert_eq!(phones.len(), destinations.len(), "{name}: a number stands there twice");
        let program = program(&flows[&name]);
        for (index, value) in destinations.iter().enumerate() {
            let phone = value["phone"].as_str().unwrap();
            let magic = ["+99910", "+99920", "+99930", "+99970"];
            assert!(magic.iter().any(|prefix| phone.starts_with(prefix)), "{name}: {phone} might be somebody's");
            let spoken = program.prepare(&destination(index, value)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(spoken.iter().count(), program.messages.len());
            let known: Vec<&str> = value["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            let found = check(&flows[&name], "callFlow", &|_| true, Some(&known));
            assert!(found.is_empty(), "{name}: {found:#?}");
        }
    }
}
