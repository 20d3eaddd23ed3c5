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
