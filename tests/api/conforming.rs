//! The interface does as its document says: asked thousands of things by a program that knows nothing but the document,
//! with the keys of two organisations.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::world::{World, long_request};

/// What cannot be said in a schema: a flow must be installed under its name, a template may only name properties, and so
/// on; a call out may only name voices that there are, and a call-back or a
/// call at a time is in the future, a menu has a flow; which calls are listed by what needs
/// a name; and an organisation's webhooks have an address each. Everything else that the document allows must be accepted.
const SETTINGS: &str = r#"
[[operations]]
include-name = "POST /v1/call"
checks.positive_data_acceptance.expected-statuses = [200, 400, 401, 403, 404, 409, 429]

[[operations]]
include-name = "POST /v1/call/call-out"
checks.positive_data_acceptance.expected-statuses = [200, 400, 401, 403, 404, 409, 429]

[[operations]]
include-name = "POST /v1/calls/{callId}/disposition"
checks.positive_data_acceptance.expected-statuses = [200, 201, 400, 401, 403, 404, 409, 429]

[[operations]]
include-name = "POST /v1/calls"
checks.positive_data_acceptance.expected-statuses = [201, 400, 401, 403, 404, 409, 429]

[[operations]]
include-name = "GET /v1/calls"
checks.positive_data_acceptance.expected-statuses = [200, 400, 401, 403, 404, 409, 429]

[[operations]]
include-name = "PATCH /v1/organisation"
checks.positive_data_acceptance.expected-statuses = [200, 400, 401, 403, 404, 409, 429]
"#;

fn schemathesis() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/schemathesis.sh");
    let found = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(found.status.success(), "schemathesis cannot be installed");
    PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_document_allows_breaks_it() {
    let world = World::with(|api| {
        // Wrong keys are part of what is asked.
        (api.requests_per_second, api.unknown_keys_per_second) = (1_000_000, 1_000_000);
    })
    .await;
    let (bank, clinic) = (world.client("bank").await, world.client("clinic").await);
    // There is something to look at, and a live call to do something with.
    bank.post("/v1/call", &long_request("r", "+9991000001")).await.ok();
    bank.until("/v1/calls", |calls| calls[0]["callState"] == "ACTIVE").await;
    let folder = std::env::temp_dir().join(format!("robocall-conforming-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let keys = serde_json::json!({"auth": [
        {"name": "bank", "fixedHeaders": [{"name": "x-credential-api-key", "value": bank.key}]},
        {"name": "clinic", "fixedHeaders": [{"name": "x-credential-api-key", "value": clinic.key}]},
    ]});
    std::fs::write(folder.join("keys.yaml"), keys.to_string()).unwrap();
    std::fs::write(folder.join("settings.toml"), SETTINGS).unwrap();
    let (document, place) = (world.url("/v1/openapi.json"), folder.clone());
    let asked = tokio::task::spawn_blocking(move || {
        Command::new(schemathesis().join("bin/python"))
            .args(["-m", "schemathesis.cli", "--config-file", "settings.toml", "run", &document])
            .args(["--auth-wfc", "keys.yaml", "--checks", "all", "--continue-on-failure"])
            // It goes on for as long as somebody listens.
            .args(["--exclude-operation-id", "streamEvents"])
            .args(["--max-examples", "20", "--seed", "7", "--no-color"])
            .current_dir(place)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap()
    });
    let asked = asked.await.unwrap();
    let told = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success(), "{told}\n{}", String::from_utf8_lossy(&asked.stderr));
    std::fs::remove_dir_all(folder).unwrap();
    let total = document_operations(&robocall::api::document());
    assert!(told.contains(&format!("Tested: {}", total - 1)), "{told}");
}

fn document_operations(document: &Value) -> usize {
    document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum()
}
