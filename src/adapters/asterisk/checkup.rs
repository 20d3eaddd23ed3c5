//! Whether the nodes are as they must be, for whoever looks after them.

use serde::Deserialize;

use super::Asterisk;
use super::ari::http::{self, Answer, Ask};
use super::node::Node;
use crate::ports::TelephonyError;

/// What is asked of Asterisk besides what ARI itself is: a module, and what it is for.
const MODULES: [(&str, &str); 14] = [
    ("app_amd.so", "telling machines from people"),
    ("app_stasis.so", "everything"),
    ("app_waitforsilence.so", "waiting for a machine's beep"),
    ("bridge_simple.so", "transfers"),
    ("bridge_softmix.so", "supervision"),
    ("chan_bridge_media.so", "messages to several people"),
    ("format_wav.so", "messages and recordings"),
    ("func_timeout.so", "ending calls whose worker is dead"),
    ("res_ari_applications.so", "everything"),
    ("res_ari_bridges.so", "transfers"),
    ("res_ari_channels.so", "everything"),
    ("res_stasis_playback.so", "messages"),
    ("res_stasis_recording.so", "recordings"),
    ("res_stasis_snoop.so", "recordings and supervision"),
];

/// The first release on which everything here was seen to work.
const SINCE: u32 = 20;

/// What was found at a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// Which.
    pub name: String,
    /// Its version, or why it did not answer.
    pub version: Result<String, String>,
    /// What is wrong with it, in words.
    pub wrong: Vec<String>,
}

#[derive(Deserialize)]
struct Info {
    system: System,
}

#[derive(Deserialize)]
struct System {
    version: String,
    entity_id: String,
}

#[derive(Deserialize)]
struct Module {
    name: String,
    status: String,
}

impl Asterisk {
    /// Looks at every node.
    pub async fn check_up(&self) -> Vec<NodeReport> {
        let mut reports = Vec::new();
        let mut ids: Vec<(String, String)> = Vec::new();
        for node in &self.inner.nodes {
            let info = match info(node).await {
                Ok(info) => info,
                Err(error) => {
                    reports.push(NodeReport { name: node.name.clone(), version: Err(why(error)), wrong: Vec::new() });
                    continue;
                }
            };
            let mut wrong = Vec::new();
            if let Some((other, _)) = ids.iter().find(|(_, id)| *id == info.system.entity_id) {
                wrong.push(format!("its entity id is that of {other}: their channels may get the same names"));
            }
            ids.push((node.name.clone(), info.system.entity_id));
            if is_older(&info.system.version) {
                wrong.push(format!("Asterisk {SINCE} or later is needed"));
            }
            match self.missing(node).await {
                Ok(missing) => wrong.extend(missing),
                Err(error) => wrong.push(why(error)),
            }
            reports.push(NodeReport { name: node.name.clone(), version: Ok(info.system.version), wrong });
        }
        reports
    }

    /// Modules and trunks that a node lacks.
    async fn missing(&self, node: &Node) -> Result<Vec<String>, TelephonyError> {
        let modules: Vec<Module> = ask(node, "asterisk/modules").await?;
        let runs = |name: &str| modules.iter().any(|module| module.name == name && module.status == "Running");
        let missing = MODULES.into_iter().filter(|(name, _)| !runs(name));
        let mut wrong: Vec<String> =
            missing.map(|(name, purpose)| format!("{name} is not loaded, which is for {purpose}")).collect();
        for (technology, endpoint) in self.inner.settings.endpoints.fixed() {
            if let Answer::Missing = node.http.ask(Ask::get(format!("endpoints/{technology}/{endpoint}"))).await? {
                wrong.push(format!("it knows no {technology} endpoint {endpoint}"));
            }
        }
        Ok(wrong)
    }
}

async fn info(node: &Node) -> Result<Info, TelephonyError> {
    ask(node, "asterisk/info").await
}

async fn ask<T: serde::de::DeserializeOwned>(node: &Node, path: &str) -> Result<T, TelephonyError> {
    match node.http.ask(Ask::get(path)).await? {
        Answer::Done(body) => http::read(&body),
        Answer::Missing => Err(TelephonyError::Unavailable("ARI is not at this address".to_owned())),
        Answer::Refused(status, reason) => Err(TelephonyError::Unavailable(format!("{status}: {reason}"))),
    }
}

fn why(error: TelephonyError) -> String {
    match error {
        TelephonyError::Unavailable(reason) => reason,
        other => other.to_string(),
    }
}

/// `22.10.1+dfsg…`, or `certified/22.8-cert1`; what is not understood counts as new.
fn is_older(version: &str) -> bool {
    let numbered = version.strip_prefix("certified/").unwrap_or(version);
    let digits: String = numbered.chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<u32>().is_ok_and(|major| major < SINCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        for old in ["18.26.4", "16.2.1~dfsg-1", "certified/18.9-cert13"] {
            assert!(is_older(old), "{old}");
        }
        for new in ["22.10.1+dfsg~cs6", "20.0.0", "certified/22.8-cert1", "GIT-master-0f1e2d"] {
            assert!(!is_older(new), "{new}");
        }
    }
}
