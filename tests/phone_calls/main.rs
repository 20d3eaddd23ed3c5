//! Whole calls on real servers: a request on RabbitMQ, slots in Redis, a worker, Asterisk, SIP, sound, and back to events
//! and status.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/asterisk/mod.rs"]
mod asterisk;
#[path = "../support/grumbler.rs"]
mod grumbler;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
#[path = "../support/redis.rs"]
#[expect(dead_code, reason = "other test binaries use more of it")]
mod redis;
#[path = "../support/sound.rs"]
mod sound;
#[path = "../support/mod.rs"]
mod support;
#[path = "../deployment_cli/world.rs"]
mod world;

mod faults;
mod logged;
mod others_take_over;
mod scene;
mod supervision;
mod whole_way;
