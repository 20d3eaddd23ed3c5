//! Compiled flows, each compiled once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::callflow::{self, Program};
use crate::model::RequestHeader;
use crate::ports::Speech;
use crate::reading::Problems;
use crate::request::{CompiledFlow, FlowCompiler};

/// Flows that requests may name instead of carrying one: by name, as documents.
#[derive(Clone, Debug, Default)]
pub struct FlowCatalogue(pub BTreeMap<String, serde_json::Value>);

/// Compiles flows as they come in, and finds the compiled ones again for their calls.
pub struct Programs {
    catalogue: FlowCatalogue,
    speech: Arc<dyn Speech>,
    compiled: Mutex<BTreeMap<[u8; 32], Arc<Program>>>,
}

/// Most compiled flows kept; past it, all are forgotten and compiled again when next needed.
const KEPT: usize = 1_000;

impl Programs {
    /// Programs for the flows of a catalogue and those that requests carry, spoken by an engine.
    pub fn new(catalogue: FlowCatalogue, speech: Arc<dyn Speech>) -> Self {
        Self { catalogue, speech, compiled: Mutex::default() }
    }

    /// The program of an accepted request.
    ///
    /// # Errors
    /// When the frozen flow does not compile, as can only happen if another version of this program froze it.
    pub fn of(&self, header: &RequestHeader) -> Result<Arc<Program>, String> {
        if let Some(program) = self.lock().get(&header.flow_hash) {
            return Ok(Arc::clone(program));
        }
        // The engine spoke the language when the request was accepted; if it no longer does, the call says so.
        let program = Arc::new(Program::from_canonical(&header.flow).map_err(|error| error.to_string())?);
        let mut compiled = self.lock();
        if compiled.len() >= KEPT {
            compiled.clear();
        }
        compiled.insert(header.flow_hash, Arc::clone(&program));
        Ok(program)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<[u8; 32], Arc<Program>>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FlowCompiler for Programs {
    fn compile(&self, flow: &serde_json::Value, path: &str, problems: &mut Problems) -> Option<CompiledFlow> {
        let named = flow.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("flow"));
        let flow = match named {
            None => flow,
            Some(serde_json::Value::String(name)) => match self.catalogue.0.get(name) {
                Some(flow) => flow,
                None => {
                    let known = crate::reading::nearest(name, self.catalogue.0.keys().map(String::as_str));
                    let hint = known.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
                    problems.add(format!("{path}.flow"), format!("no flow of this name is installed{hint}"));
                    return None;
                }
            },
            Some(other) => {
                problems
                    .add(format!("{path}.flow"), format!("must be a string, not {}", crate::reading::kind_of(other)));
                return None;
            }
        };
        let program = callflow::compile_for(flow, path, &|language| self.speech.speaks(language), problems)?;
        Some(CompiledFlow { canonical: callflow::canonical(flow), program: Arc::new(program) })
    }
}
