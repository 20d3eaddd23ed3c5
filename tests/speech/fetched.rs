//! Prompts as a telephony server fetches them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use robocall::adapters::http::Sounds;
use robocall::adapters::speech::{Engine, EngineSpeech, Place};
use robocall::ports::Speech as _;

use crate::scene::{Folder, english, file, place, runner, wall};

/// What is answered: the status line and headers in small letters, and the body.
fn ask(at: SocketAddr, request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(at).unwrap();
    write!(stream, "{request}\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), answer[end + 4..].to_vec())
}

#[test]
fn a_prompt_is_fetched_and_nothing_else() {
    // The server's own thread, while the test asks.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = Folder::new();
    folder.file("prompts/secret.wav", b"secret");
    let sounds = runtime.block_on(Sounds::listen("127.0.0.1:0", &folder.path().join("prompts"))).unwrap();
    let at = sounds.address().unwrap();
    runtime.spawn(sounds.serve());
    let (audio, path) = runtime.block_on(async {
        let clock = wall();
        let engine = Engine::espeak(runner(&clock)).await.unwrap();
        let hello = english("hello");
        // By path it is the same file.
        let by_path = EngineSpeech::new(wall(), Engine::espeak(runner(&clock)).await.unwrap(), place(&folder)).unwrap();
        let by_path = by_path.prepare(&hello).await.unwrap();
        let place = Place { url: Some(format!("http://{at}/sounds/")), ..place(&folder) };
        (EngineSpeech::new(clock, engine, place).unwrap().prepare(&hello).await.unwrap(), file(&by_path))
    });
    let target = audio.reference.strip_prefix(&format!("sound:http://{at}")).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert_eq!(target, format!("/sounds/{name}"));
    let (head, body) = ask(at, &format!("GET {target} HTTP/1.1"));
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, std::fs::read(&path).unwrap());
    let tag = format!("\"{}\"", name.strip_suffix(".wav").unwrap());
    for header in
        ["content-type: audio/wav", "immutable", &format!("etag: {tag}"), &format!("content-length: {}", body.len())]
    {
        assert!(head.contains(header), "{header}: {head}");
    }
    let (head, body) = ask(at, &format!("HEAD {target} HTTP/1.1"));
    assert!(head.starts_with("http/1.1 200 ") && body.is_empty() && head.contains("content-length: "), "{head}");
    let (head, body) = ask(at, &format!("GET {target} HTTP/1.1\r\nIf-None-Match: {tag}"));
    assert!(head.starts_with("http/1.1 304 ") && body.is_empty(), "{head}");
    for request in ["PUT", "POST", "DELETE"].map(|method| format!("{method} {target} HTTP/1.1")) {
        assert!(ask(at, &request).0.starts_with("http/1.1 405 "), "{request}");
    }
    let unknown = format!("/{}.wav", "0".repeat(64));
    for target in ["/", "/secret.wav", "/../secret.wav", "/%2e%2e/secret.wav", "/..%2fsecret.wav", &unknown] {
        let (head, body) = ask(at, &format!("GET {target} HTTP/1.1"));
        assert!(head.starts_with("http/1.1 404 ") && body.is_empty(), "{target}: {head}");
    }
    // Whatever stands in the way of a prompt is not handed out, and the server goes on.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(ask(at, &format!("GET {target} HTTP/1.1")).0.starts_with("http/1.1 500 "));
}
