//! The flows that come with the program: requests may name them, and the demo plays one.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::cli::Failure;
use crate::cli::documents::read_small;
use crate::dispatch::FlowCatalogue;

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../flows/", $name, ".json")))),*]
    };
}

const BUILT_IN: &[(&str, &str)] = built_in![
    "appointment-confirmation",
    "emergency-notice",
    "opt-out",
    "payment-reminder",
    "queue-transfer",
    "survey",
];

/// The flow of the demo.
pub const PAYMENT_REMINDER: &str = include_str!("../../../flows/payment-reminder.json");

/// Where flows are found that a request only names.
#[derive(Clone, Debug, Default, Args)]
pub struct FlowLibrary {
    /// A folder of flows that requests may name (`"callFlow": {"flow": "survey"}`), besides those built in.
    #[arg(long = "flows", value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl FlowLibrary {
    /// The same, with another folder if none was named.
    #[must_use]
    pub fn or(self, folder: Option<PathBuf>) -> Self {
        Self { folder: self.folder.or(folder) }
    }

    /// All of them by name; those of the folder come before those built in.
    pub fn catalogue(&self) -> Result<FlowCatalogue, Failure> {
        let mut flows: BTreeMap<String, Value> = BTreeMap::new();
        for (name, text) in BUILT_IN {
            let flow =
                serde_json::from_str(text).map_err(|error| Failure::Internal(format!("flow {name}: {error}")))?;
            flows.insert((*name).to_owned(), flow);
        }
        let Some(folder) = &self.folder else { return Ok(FlowCatalogue(flows)) };
        let unreadable = |error: std::io::Error| Failure::unreadable(&folder.display().to_string(), &error);
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let is_json = path.extension().is_some_and(|extension| extension == "json");
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_json) else { continue };
            let shown = path.display().to_string();
            let text = read_small(&path)?;
            let flow = serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
            flows.insert(name.to_owned(), flow);
        }
        Ok(FlowCatalogue(flows))
    }
}
