//! A client in another language, written from the document alone.

use std::process::Command;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_written_from_the_document_finds_its_way() {
    let world = World::new().await;
    let bank = world.client("bank").await;
    let base = world.url("");
    let asked = tokio::task::spawn_blocking(move || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/client.py");
        Command::new("python3").arg("-B").args([script, &base, &bank.key]).output().unwrap()
    });
    let asked = asked.await.unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
}
