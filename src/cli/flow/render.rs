//! `robocall flow render`: a picture of a flow.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::compiled;
use crate::callflow::render::{Form, render};
use crate::cli::documents::Input;
use crate::cli::exit::write_file;
use crate::cli::{Exit, Failure};
use crate::reading::shown;

/// Draw a flow.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// A flow, or a whole request; `-` is stdin.
    file: String,
    /// As what.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where to; by default stdout.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// As what a flow is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A tree, for terminals.
    Text,
    /// A Mermaid flowchart, for Markdown.
    Mermaid,
    /// Graphviz.
    Dot,
    /// A picture.
    Svg,
}

/// Draws.
pub fn run(args: RenderArgs, json: bool) -> Result<Exit, Failure> {
    let input = Input::open(&args.file)?;
    let (_, program) = compiled(&input)?;
    let form = match args.format {
        Format::Text => Form::Text,
        Format::Mermaid => Form::Mermaid,
        Format::Dot => Form::Dot,
        Format::Svg => Form::Svg,
    };
    let title = input.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let title = if input.is_stdin() { "flow" } else { &title };
    let mut picture = render(&program, &shown(title), form);
    if json {
        picture = serde_json::json!({"title": title, "picture": picture}).to_string();
    }
    if !picture.ends_with('\n') {
        picture.push('\n');
    }
    match args.output {
        Some(path) => {
            input.keep_from(&path, "the flow's file")?;
            write_file(&path, picture.as_bytes())?;
        }
        None => io::stdout().lock().write_all(picture.as_bytes())?,
    }
    Ok(Exit::Completed)
}
