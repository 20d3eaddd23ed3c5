//! Being told to stop: once to let things end well, twice to end at once, a third time without a word.
//!
//! Signals are heard on a thread of their own, since a runtime in virtual time has no room for the real world.

use std::io;
use std::process;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What an interrupted process answers, by convention 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// How a process is told to stop from outside.
#[derive(Clone, Debug, Default)]
pub struct Interrupts {
    /// Come to an end: begin nothing new.
    pub soft: CancellationToken,
    /// End now.
    pub hard: CancellationToken,
}

impl Interrupts {
    /// Hears Ctrl-C and SIGTERM from now on.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn listen() -> io::Result<Self> {
        let interrupts = Self::default();
        let told = interrupts.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async move {
                for step in [&told.soft, &told.hard] {
                    tokio::select! {
                        biased;
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    step.cancel();
                }
                tokio::select! {
                    biased;
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                process::exit(INTERRUPTED);
            });
        })?;
        Ok(interrupts)
    }
}
