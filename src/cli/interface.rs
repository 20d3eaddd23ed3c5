//! The interface over HTTP inside a demo: its options, and what is said of it.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use clap::Args;
use serde_json::json;

use super::Failure;
use super::exit::say;
use crate::config;
use crate::daemon::{InterfaceSettings, new_api_key};
use crate::model::ApiKey;

/// Where it listens, and whom it knows.
#[derive(Debug, Args)]
pub struct InterfaceArgs {
    /// Serve the interface over HTTP here too, HOST:PORT, as `robocall api` does, until interrupted; port 0 is any that is
    /// free.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "instant")]
    listen: Option<String>,
    /// The key to ask it with, such as one that a demo has shown before [default: a new one].
    #[arg(long, value_name = "KEY", requires = "listen")]
    api_key: Option<String>,
}

/// An interface that is wished for.
pub struct Interface {
    listen: String,
    key: ApiKey,
    is_new: bool,
}

impl InterfaceArgs {
    /// The interface, if one is wished for.
    pub fn wished(&self) -> Result<Option<Interface>, Failure> {
        let Some(listen) = self.listen.clone() else { return Ok(None) };
        let key = match self.api_key.as_deref().map(str::parse) {
            // Not by the parser of arguments, which repeats what it cannot read: it may be nearly a key.
            Some(key) => key.map_err(|error| Failure::usage(format!("--api-key: {error}")))?,
            None => new_api_key().map_err(|error| Failure::Internal(format!("no key can be drawn: {error}")))?,
        };
        Ok(Some(Interface { listen, key, is_new: self.api_key.is_none() }))
    }
}

impl Interface {
    /// What is to be put together.
    pub fn settings(&self) -> InterfaceSettings {
        let api = config::Api { listen: self.listen.clone(), ..config::Api::default() };
        InterfaceSettings { api, key: self.key.clone() }
    }

    /// Says where it is, its key, and what to ask.
    pub fn announce(&self, at: SocketAddr, request: &str, json: bool) {
        let key = self.key.expose();
        if json {
            let mut out = io::stdout().lock();
            let told = json!({"status": "listening", "address": at, "apiKey": key});
            // Whoever started it may not care to read.
            let _unread = writeln!(out, "{told}").and_then(|()| out.flush());
            return;
        }
        let known = if self.is_new { "shown only here" } else { "as you gave it" };
        say(&format!(
            "The interface over HTTP is at http://{at}/v1, described at http://{at}/v1/openapi.html\n\
             Its key, {known}, counts as long as this runs: {key}\n\n  \
             curl -H 'x-credential-api-key: {key}' 'http://{at}/v1/status/{request}?limit=3'\n  \
             curl -N -H 'x-credential-api-key: {key}' 'http://{at}/v1/events?types=call.ended'\n\n"
        ));
    }
}
