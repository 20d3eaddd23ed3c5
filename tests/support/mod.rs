//! Runs the built program, for tests that look at it from outside.

#![allow(dead_code, reason = "each test file uses what it needs")]
#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// What it wrote for programs, or as its result.
    pub out: String,
    /// What it wrote for people.
    pub err: String,
}

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program, to be run in the project's folder.
pub fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_robocall"));
    // Whoever runs the tests may have told their own programs something.
    for (name, _) in std::env::vars_os() {
        if ["OTEL_", "ROBOCALL_"].iter().any(|theirs| name.to_string_lossy().starts_with(theirs)) {
            command.env_remove(name);
        }
    }
    command.args(args).current_dir(root()).env("NO_COLOR", "1");
    command
}

/// Runs the program.
pub fn robocall(args: &[&str]) -> Said {
    said(program(args).stdin(Stdio::null()).output().unwrap())
}

/// Runs the program with something on stdin.
pub fn robocall_given(input: &str, args: &[&str]) -> Said {
    let mut command = program(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that refuses early does not read to the end.
    let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
    said(child.wait_with_output().unwrap())
}

/// What an ended program said.
pub fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A file of this test's own, gone afterwards.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A file with a text.
    pub fn with(name: &str, text: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("robocall-test-{}-{name}", std::process::id())));
        std::fs::write(&file.0, text).unwrap();
        file
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// What is in it.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.0).unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.0);
    }
}
