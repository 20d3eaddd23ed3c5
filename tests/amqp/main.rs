//! The adapter of the broker, at a RabbitMQ that is left in peace. `tests/amqp_faults/` breaks one.

#![expect(clippy::unwrap_used, reason = "what a test needs and cannot have is a failed test")]

mod commands;
mod dead_letters;
mod events;
mod half_open;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
mod requests;
mod scene;
mod silence;
mod traffic;

use std::sync::OnceLock;

/// The broker of all these tests; each has names of its own there.
fn broker() -> &'static rabbitmq::RabbitMq {
    static BROKER: OnceLock<rabbitmq::RabbitMq> = OnceLock::new();
    BROKER.get_or_init(rabbitmq::RabbitMq::start)
}

fn scene() -> scene::Scene {
    scene::Scene::at(broker().url())
}

#[test]
fn nothing_of_a_broker_outlives_its_test() {
    let own = rabbitmq::RabbitMq::start();
    own.control(&["list_queues"]);
    let (server, mapper) = (own.address(), own.mapper());
    let listens = |at: &std::net::SocketAddr| std::net::TcpStream::connect(at).is_ok();
    assert!(listens(&server) && listens(&mapper));
    drop(own);
    let gone = (0..300).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        !listens(&server) && !listens(&mapper)
    });
    assert!(gone, "the server listens: {}, its mapper of names: {}", listens(&server), listens(&mapper));
}
