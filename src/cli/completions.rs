//! `robocall completions`: lets a shell finish what is typed.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Exit, Failure};

/// Print a script that lets a shell complete commands and options.
///
/// For bash, for one session: source <(robocall completions bash)
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
pub fn run(args: CompletionsArgs) -> Result<Exit, Failure> {
    // Into memory first: the generator panics when its output is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "robocall", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Completed)
}
