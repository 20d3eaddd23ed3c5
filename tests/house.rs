//! The house rules: which room may know which, read from the `use` lines of the source.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the source is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Files that may be longer than the rest, with the reason.
const LONG: &[(&str, &str)] = &[("ports/store.rs", "one trait and the words of its answers")];

/// Most lines a file of the source may have.
const MOST_LINES: usize = 400;

/// Rooms that know nothing of the outside.
const CORE: [&str; 6] = ["model", "callflow", "policy", "request", "command", "reading"];

/// Crates of the outside.
const OUTSIDE: [&str; 11] = [
    "metrics",
    "tokio",
    "tokio_util",
    "async_trait",
    "futures_util",
    "tracing",
    "tracing_subscriber",
    "lapin",
    "clap",
    "indicatif",
    "miette",
];

fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(found.len() > 50, "the source was not found");
    found
}

/// Whether a file holds nothing but tests.
fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/")
}

/// A file's lines that are compiled into the program: without comments, and without its tests at the end.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    lines.map(|line| line.split("//").next().unwrap_or_default())
}

/// Names of this crate's rooms that a file mentions: `adapters::memory` of `use crate::adapters::memory::Store`.
fn mentions(text: &str) -> Vec<String> {
    let code: String = code(text).collect::<Vec<_>>().join("\n");
    let paths = code.match_indices("crate::").map(|(at, found)| &code[at + found.len()..]);
    let named = paths.flat_map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        match rest[end..].strip_prefix('{') {
            // `use crate::{model, ports}`
            Some(group) if end == 0 => {
                let group = group.split('}').next().unwrap_or_default();
                group.split(',').map(|name| name.trim().to_owned()).collect()
            }
            _ => vec![rest[..end].to_owned()],
        }
    });
    named.collect()
}

fn room(name: &str) -> &str {
    name.split(['/', '.']).next().unwrap_or_default()
}

/// What files of some rooms mention and should not.
fn broken(applies: impl Fn(&str) -> bool, forbidden: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, text) in sources() {
        if applies(&name) && !is_test(&name) {
            broken.extend(
                mentions(&text).into_iter().filter(|path| forbidden(&name, path)).map(|path| format!("{name}: {path}")),
            );
        }
    }
    broken
}

#[test]
fn the_core_knows_neither_ports_nor_the_outside() {
    let is_core = |name: &str| CORE.contains(&room(name));
    let wrong = broken(is_core, |_, path| !CORE.contains(&room(&path.replace(':', "/"))));
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (name, text) in sources().into_iter().filter(|(name, _)| is_core(name) && !is_test(name)) {
        for line in code(&text) {
            let outside = OUTSIDE.iter().find(|outside| line.contains(&format!("{outside}::")));
            assert_eq!(outside, None, "{name}: {line}");
        }
    }
}

#[test]
fn roles_and_ports_name_no_adapter_and_roles_do_not_know_each_other() {
    const ROLES: [&str; 4] = ["dispatch", "api", "hooks", "retention"];
    let applies = |name: &str| ROLES.contains(&room(name)) || room(name) == "ports";
    let wrong = broken(applies, |name, path| {
        let named = path.split("::").next().unwrap_or_default();
        ["adapters", "daemon", "cli"].contains(&named) || (ROLES.contains(&named) && named != room(name))
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn webhooks_know_ports_and_the_core_and_not_how_calls_are_made() {
    let may = ["model", "policy", "ports", "telemetry", "hooks"];
    let wrong = broken(
        |name| room(name) == "hooks",
        |_, path| !may.contains(&path.split("::").next().unwrap_or_default()) && path != "callflow::template::Template",
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn whoever_observes_knows_what_is_observed_and_nobody_who_acts() {
    let may = ["model", "command", "ports", "telemetry"];
    let wrong =
        broken(|name| room(name) == "telemetry", |_, path| !may.contains(&path.split("::").next().unwrap_or_default()));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_adapter_knows_another() {
    let wrong = broken(
        |name| room(name) == "adapters",
        |name, path| {
            let own = name.split('/').nth(1).unwrap_or_default();
            let mut parts = path.split("::");
            let foreign = parts.next() == Some("adapters") && parts.next().is_some_and(|other| other != own);
            let above = ["daemon", "cli", "dispatch", "hooks", "retention"]
                .contains(&path.split("::").next().unwrap_or_default());
            foreign || above
        },
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_the_composition_root_names_adapters() {
    let applies = |name: &str| !["adapters", "conformance", "daemon", "lib"].contains(&room(name));
    let wrong = broken(applies, |_, path| path.split("::").next() == Some("adapters"));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Libraries that speak with one neighbour, and the only folders that may name each; the log knows whose lines it leaves out.
const NEIGHBOURS: [(&str, &[&str]); 5] = [
    ("lapin::", &["adapters/amqp/", "telemetry/log.rs"]),
    ("axum::", &["adapters/http/", "api/"]),
    ("metrics::with_recorder", &["telemetry/"]),
    ("metrics_exporter_prometheus::", &["telemetry/"]),
    ("procfs::", &["telemetry/"]),
];

#[test]
fn a_neighbours_library_is_named_in_its_adapter_only() {
    for (name, text) in sources() {
        for (library, folders) in NEIGHBOURS {
            let named = code(&text).any(|line| line.contains(library));
            assert!(!named || folders.iter().any(|folder| name.starts_with(folder)), "{name} names {library}");
        }
    }
}

#[test]
fn only_main_reads_the_environment() {
    for (name, text) in sources() {
        let reads = code(&text).any(|line| line.contains("env::var") || line.contains("env::vars"));
        let may = matches!(room(&name), "main" | "config" | "telemetry");
        assert!(!reads || may || is_test(&name), "{name} reads the environment");
    }
}

#[test]
fn files_are_short() {
    for (name, text) in sources() {
        let lines = text.lines().count();
        let excused = LONG.iter().any(|(long, _)| *long == name) || is_test(&name);
        assert!(lines <= MOST_LINES || excused, "{name} has {lines} lines");
    }
}

#[test]
fn every_file_says_what_it_owns() {
    for (name, text) in sources() {
        assert!(text.starts_with("//!") || is_test(&name), "{name} has no header");
    }
}
