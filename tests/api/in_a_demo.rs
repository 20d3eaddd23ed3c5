//! The interface inside `robocall demo`, as a process: asked while the demo's campaign runs and after it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::process::{Child, Command};

use crate::world::{Client, answered, request};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn robocall(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_robocall"));
    command.args(args).env_remove("ROBOCALL_LOG").env("NO_COLOR", "1").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[expect(clippy::disallowed_methods, reason = "a process is watched in real time")]
async fn line(lines: &mut Lines<BufReader<impl AsyncRead + Unpin>>) -> String {
    tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("it has ended")
}

#[expect(clippy::disallowed_methods, reason = "a process is watched in real time")]
async fn ended(child: &mut Child) -> Option<i32> {
    tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code()
}

async fn signal(child: &Child, name: &str) {
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args([name, &id]).status().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_is_asked_while_it_runs_and_after_it_until_it_is_told_to_end() {
    let mut demo = robocall(&["demo", "--listen", "127.0.0.1:0", "--people", "6", "--json"]).spawn().unwrap();
    let mut out = BufReader::new(demo.stdout.take().unwrap()).lines();
    let told: Value = serde_json::from_str(&line(&mut out).await).unwrap();
    assert_eq!(told["status"], "listening");
    let base = format!("http://{}", told["address"].as_str().unwrap());
    let client = Client::at(&base, told["apiKey"].as_str().unwrap());
    // Whoever asks before the campaign is accepted waits.
    let running = client.get("/v1/status/demo").await.ok();
    assert_eq!(running["total"], 6);
    assert_ne!(running["status"], "completed", "it is asked while it runs");
    let stranger = Client::at(&base, "rc_nobody");
    assert_eq!(stranger.get("/v1/status/demo").await.refused(401).0, "unauthorised");
    // The campaign's own document comes where a run's does.
    let ran: Value = serde_json::from_str(&line(&mut out).await).unwrap();
    assert_eq!((&ran["requestId"], &ran["status"]), (&json!("demo"), &json!("completed")));
    // Then somebody else's request is called, and heard of live.
    let mut stream = client.ask(reqwest::Method::GET, "/v1/events?requestId=later&types=request").send().await.unwrap();
    assert_eq!(stream.status(), 200);
    stream.chunk().await.unwrap().expect("a greeting");
    client.post("/v1/call", &request("later", &["+9991000001", "+9992000001"])).await.ok();
    let mut heard = String::new();
    while !heard.contains("event: request.completed") {
        heard.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().expect("more of it")).unwrap());
    }
    let counts = client.get("/v1/status/later").await.ok()["counts"].clone();
    assert_eq!((&counts["completed"], &counts["failed"]), (&json!(1), &json!(1)));
    signal(&demo, "-TERM").await;
    assert_eq!(ended(&mut demo).await, Some(0));
    assert!(stream.chunk().await.is_ok_and(|more| more.is_none()), "the stream is brought to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_demo_says_can_be_typed_and_an_interrupt_ends_it_all() {
    let mut demo = robocall(&["demo", "--listen", "127.0.0.1:0", "--people", "500"]).spawn().unwrap();
    let mut said = BufReader::new(demo.stderr.take().unwrap()).lines();
    let mut commands = Vec::new();
    while commands.len() < 2 {
        let line = line(&mut said).await;
        commands.extend(line.trim().starts_with("curl ").then(|| line.trim().to_owned()));
    }
    let asked = Command::new("sh").args(["-c", &commands[0]]).output().await.unwrap();
    let status: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!((&status["requestId"], status["details"].as_array().unwrap().len()), (&json!("demo"), 3));
    let mut listening = Command::new("sh");
    listening.args(["-c", &commands[1]]).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut listening = listening.spawn().unwrap();
    let mut heard = BufReader::new(listening.stdout.take().unwrap()).lines();
    while line(&mut heard).await != "event: call.ended" {}
    let key = commands[0].split("api-key: ").nth(1).unwrap().split('\'').next().unwrap();
    signal(&demo, "-INT").await;
    assert_eq!(ended(&mut demo).await, Some(3), "its campaign was cancelled");
    // The key that it has shown can be given to the next one.
    let mut next = robocall(&["demo", "--listen", "127.0.0.1:0", "--api-key", key, "--json"]).spawn().unwrap();
    let mut out = BufReader::new(next.stdout.take().unwrap()).lines();
    let told: Value = serde_json::from_str(&line(&mut out).await).unwrap();
    let client = Client::at(&format!("http://{}", told["address"].as_str().unwrap()), key);
    assert_eq!(client.get("/v1/organisation").await.ok()["organisation"], "default");
    let page = answered(client.ask(reqwest::Method::GET, "/v1/openapi.json")).await.ok();
    assert_eq!(page["openapi"], "3.1.0");
    signal(&next, "-TERM").await;
    signal(&next, "-TERM").await;
    ended(&mut next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_that_cannot_be_there_is_refused_before_anybody_is_called() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (args, why) in [
        (&["--listen", &taken][..], "--listen"),
        (&["--listen", "127.0.0.1:0", "--instant"], "--instant"),
        (&["--listen", "127.0.0.1:0", "--api-key", "rc_00ff"], "--api-key: not an API key"),
        (&["--api-key", "rc_00ff"], "--listen"),
    ] {
        let said = robocall(&[&["demo"], args].concat()).output().await.unwrap();
        let words = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(2), "{args:?}: {words}");
        assert!(words.contains(why), "{args:?}: {words}");
        assert!(!words.contains("completed") && !words.contains("00ff"), "{args:?}: {words}");
    }
}
