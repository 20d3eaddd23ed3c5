//! The command line of a deployment, from outside: the built program against a private broker, a private database, a
//! simulator and a worker that are processes of their own.

#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/rabbitmq.rs"]
mod rabbitmq;

#[path = "../support/redis.rs"]
mod redis;

mod absent;
mod alerts;
mod collector;
mod commands;
mod doctor;
mod hooks;
mod keys;
mod rolling;
mod said;
mod serving;
mod submitting;
mod traced;
mod watched;
mod watching;
mod world;
