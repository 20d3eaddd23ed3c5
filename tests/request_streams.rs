//! A request is never held as a whole: checking and loading it takes no more memory the longer it is.
//!
//! One test, in a process of its own, since it looks at the process's memory.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufReader, Read};
use std::sync::Arc;

use robocall::callflow;
use robocall::reading::Problems;
use robocall::request::{CompiledFlow, DestinationStream, FlowCompiler, Limits, check};
use serde_json::Value;

const DESTINATIONS: u32 = 100_000;

/// Bytes of one destination's largest property.
const NOTE: usize = 200;

/// A request of a hundred thousand destinations that is written while it is read.
struct Endless {
    next: u32,
    piece: Vec<u8>,
    read: usize,
}

impl Endless {
    fn new() -> Self {
        let flow = r#"{"steps":[{"name":"play","message":{"msg":"Hello {{name}}"}}]}"#;
        let piece = format!(r#"{{"requestId":"r","callFlow":{flow},"destinations":["#).into_bytes();
        Self { next: 0, piece, read: 0 }
    }
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.read == self.piece.len() && self.next < DESTINATIONS {
            let (comma, end) = (if self.next == 0 { "" } else { "," }, ["", "]}"]);
            let end = end[usize::from(self.next + 1 == DESTINATIONS)];
            let (phone, note) = (80_000_000 + self.next, "x".repeat(NOTE));
            let properties = format!(r#"{{"name":"Ann","note":"{note}"}}"#);
            self.piece = format!(r#"{comma}{{"phone":"+65{phone}","properties":{properties}}}{end}"#).into_bytes();
            (self.next, self.read) = (self.next + 1, 0);
        }
        let count = buffer.len().min(self.piece.len() - self.read);
        buffer[..count].copy_from_slice(&self.piece[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }
}

struct Compiler;

impl FlowCompiler for Compiler {
    fn compile(&self, flow: &Value, path: &str, problems: &mut Problems) -> Option<CompiledFlow> {
        let program = callflow::compile(flow, path, problems)?;
        Some(CompiledFlow { canonical: callflow::canonical(flow), program: Arc::new(program) })
    }
}

/// The most memory this process ever had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn a_hundred_thousand_destinations_are_checked_and_read_in_a_fraction_of_their_size() {
    let before = peak();
    let organisation = "bank".parse().unwrap();
    let limits = Limits { max_bytes: None, ..Limits::default() };
    let checked = check(BufReader::new(Endless::new()), &organisation, &Compiler, limits);
    let Ok(accepted) = checked else { panic!("the request is accepted") };
    assert_eq!(accepted.total, DESTINATIONS);
    let mut stream = DestinationStream::new(BufReader::new(Endless::new()), &accepted.header, 0);
    let mut read = 0;
    loop {
        let chunk = stream.next_chunk(512).unwrap();
        if chunk.is_empty() {
            break;
        }
        read += chunk.len();
    }
    assert_eq!(read, DESTINATIONS as usize);
    // What is remembered are the numbers, to find those that stand there twice.
    let (took, size) = (peak() - before, NOTE * DESTINATIONS as usize);
    assert!(took < size / 2, "{took} bytes for a request of more than {size}");
}
