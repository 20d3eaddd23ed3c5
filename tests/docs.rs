//! Every example in the documents works.
//!
//! Blocks fenced as `console` are sessions: lines that begin with `$ ` are run in the project's folder with the built
//! program on the path, and what follows must be what they print; a line `...` stands for any lines, and `...` at the
//! end of a line for its rest. A block below a line that ends in "Save this as `NAME`:" is there under that name.
//! Blocks fenced as `json` that hold a request are checked, flows are compiled; what `docs/request.md` shows of a request
//! is put into a whole one and run. Other
//! fences are not looked at: `sh` is for what a test cannot run, `text` for what is no input.

#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{robocall_given, root};

struct Block {
    file: String,
    line: usize,
    language: String,
    /// The name it is to be saved under.
    name: Option<String>,
    text: String,
}

fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let file = path.strip_prefix(root()).unwrap().display().to_string();
        let mut open: Option<Block> = None;
        let mut name = None;
        for (number, line) in text.lines().enumerate() {
            match (line.trim_end().strip_prefix("```"), open.take()) {
                (Some(language), None) => {
                    let language = language.to_owned();
                    open = Some(Block {
                        file: file.clone(),
                        line: number + 2,
                        language,
                        name: name.take(),
                        text: String::new(),
                    });
                }
                (Some(_), Some(block)) => blocks.push(block),
                (None, Some(mut block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) if line.is_empty() => {}
                (None, None) => {
                    let saved = line.split_once("Save this as `").and_then(|(_, rest)| rest.strip_suffix("`:"));
                    name = saved.map(str::to_owned);
                }
            }
        }
        assert!(open.is_none(), "{file} has a fence that does not close");
    }
    blocks
}

/// What a shell command prints, on stdout and stderr.
fn printed(command: &str, scratch: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_robocall")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("{{ {command}\n}} 2>&1")]).current_dir(scratch).stdin(Stdio::null());
    for name in ["ROBOCALL_LOG", "ROBOCALL_LOG_FORMAT", "ROBOCALL_BLESS"] {
        shell.env_remove(name);
    }
    let output = shell.env("PATH", path).env("NO_COLOR", "1").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Whether what was printed is what is shown.
fn agrees(shown: &[&str], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((&"...", rest)), _) => (0..=printed.len()).any(|skipped| agrees(rest, &printed[skipped..])),
        (Some((line, rest)), Some((found, others))) => {
            let same = match line.strip_suffix("...") {
                Some(start) => found.starts_with(start),
                None => line.trim_end() == found.trim_end(),
            };
            same && agrees(rest, others)
        }
        _ => false,
    }
}

/// A folder that looks like the project's to whoever reads, and can be written into.
fn scratch() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("robocall-docs-{}", std::process::id()));
    let _left_over = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for name in ["flows", "tests", "docs", "src"] {
        std::os::unix::fs::symlink(root().join(name), folder.join(name)).unwrap();
    }
    folder
}

#[test]
fn every_session_in_the_documents_goes_as_shown() {
    let scratch = scratch();
    for block in blocks() {
        if let Some(name) = block.name {
            fs::write(scratch.join(name), block.text).unwrap();
        }
    }
    let sessions: Vec<Block> = blocks().into_iter().filter(|block| block.language == "console").collect();
    assert!(sessions.len() >= 5, "the sessions were not found");
    for Block { file, line, text, .. } in sessions {
        let mut rest: Vec<&str> = text.lines().collect();
        while !rest.is_empty() {
            let command = rest.remove(0);
            let command =
                command.strip_prefix("$ ").unwrap_or_else(|| panic!("{file}:{line}: not a command: {command}"));
            let end = rest.iter().position(|line| line.starts_with("$ ")).unwrap_or(rest.len());
            let shown: Vec<&str> = rest.drain(..end).collect();
            let printed = printed(command, &scratch);
            let lines: Vec<&str> = printed.lines().collect();
            assert!(
                agrees(&shown, &lines),
                "{file}:{line}: {command}\n--- shown\n{}\n--- printed\n{printed}",
                shown.join("\n")
            );
        }
    }
    fs::remove_dir_all(scratch).unwrap();
}

/// A request around a part of one: a step, a destination, or some of its fields.
fn whole(part: &Value) -> Value {
    let mut request = json!({
        "requestId": "example",
        "destinations": [{"phone": "+9991000001", "properties": {"name": "Alex"}}],
        "callFlow": {"steps": [{"name": "hangup"}]},
    });
    if part.get("name").is_some() {
        request["callFlow"]["steps"][0] = part.clone();
    } else if part.get("phone").is_some() {
        request["destinations"][0] = part.clone();
    } else {
        request.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
    }
    request
}

#[test]
fn every_request_and_flow_in_the_documents_is_valid() {
    let mut looked_at = 0;
    for Block { file, line, language, mut text, .. } in blocks() {
        if language != "json" {
            continue;
        }
        let command: &[&str] = match &text {
            text if text.contains("\"destinations\"")
                && text.contains("\"requestId\"")
                && text.contains("\"callFlow\"") =>
            {
                &["request", "check", "-"]
            }
            text if text.trim_start().starts_with("{\"steps\"") || text.trim_start().starts_with("{\n  \"steps\"") => {
                &["flow", "check", "-"]
            }
            _ => {
                let part: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}:{line}: {error}"));
                if file != "docs/request.md" {
                    continue;
                }
                text = whole(&part).to_string();
                &["request", "check", "-"]
            }
        };
        if command[0] == "request" && file == "docs/request.md" {
            let ran = robocall_given(&text, &["run", "-", "--instant", "--answer", "1"]);
            assert_eq!(ran.code, 0, "{file}:{line}: {}{}", ran.out, ran.err);
        }
        let said = robocall_given(&text, command);
        assert_eq!(said.code, 0, "{file}:{line}: {}{}", said.out, said.err);
        looked_at += 1;
    }
    assert!(looked_at >= 11, "the examples were not found");
}

#[test]
fn every_option_is_in_the_documents() {
    let document = fs::read_to_string(root().join("docs/cli.md")).unwrap();
    for command in [
        &["run"][..],
        &["demo"],
        &["request", "check"],
        &["submit"],
        &["status"],
        &["tail"],
        &["calls"],
        &["call", "hangup"],
        &["org", "show"],
        &["org", "set"],
        &["org", "block"],
        &["org", "key", "add"],
        &["org", "key", "list"],
        &["org", "key", "revoke"],
        &["doctor"],
        &["flow", "check"],
        &["flow", "render"],
        &["flow", "play"],
        &["schema"],
        &["completions"],
    ] {
        assert!(document.contains(&format!("## `robocall {}", command.join(" "))), "{command:?}");
        let help = support::robocall(&[command, &["--help"]].concat()).out;
        for line in help.lines().map(str::trim_start).filter(|line| line.starts_with('-') && !line.starts_with("- ")) {
            let Some(option) = line.split_whitespace().find(|word| word.starts_with("--")) else { continue };
            let option = option.trim_end_matches('.');
            assert!(
                document.contains(&format!("{option}`")) || document.contains(&format!("{option} ")),
                "{command:?} {option}"
            );
        }
    }
}

#[test]
fn every_local_link_in_the_documents_leads_somewhere() {
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                let linked = path.parent().unwrap().join(target);
                assert!(linked.exists(), "{}: {target}", path.display());
            }
        }
    }
}

#[test]
fn every_operation_of_the_interface_is_in_the_documents() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
    let document = robocall::api::document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let row = format!("| `{id}` | `{} {path}` |", method.to_uppercase());
            assert!(text.contains(&row), "docs/api.md lacks {row}");
        }
    }
}
