//! `robocall flow check`: what is wrong with a flow, or hardly meant, each with its place in the text.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::Arc;

use clap::Args;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use serde::Serialize;

use super::{checked, compiler, nobody, word};
use crate::callflow::FlowReference;
use crate::callflow::lint::{self, Diagnostic, Severity};
use crate::cli::amounts::counted;
use crate::cli::documents::{FoundFlow, Input, find_flow};
use crate::cli::{Exit, Failure, Terminal};
use crate::daemon;
use crate::model::StepStatus;
use crate::model::status::RequestError;
use crate::reading::{Problems, is_hidden, locate_nearest, shown};
use crate::request::{AcceptedRequest, CheckError, DestinationStream, FlowCompiler as _};

/// Find what is wrong with a flow, or hardly meant.
///
/// Of a whole request, every message is also made ready for every destination: what misses a property, or is too long
/// once its values are in, is told. Exit code 2 if there are errors, or warnings with --deny-warnings.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A flow, or a whole request; `-` is stdin.
    file: String,
    /// Names of the properties that destinations will have: placeholders of other names are told.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    properties: Option<Vec<String>>,
    /// Take warnings for errors.
    #[arg(long)]
    deny_warnings: bool,
}

/// How many destinations are shown for each kind of trouble.
const SHOWN: usize = 10;

/// Longer lines are not shown: their column says where to look.
const LONGEST_LINE: usize = 500;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Findings {
    status: &'static str,
    /// `flow` or `request`: what the file is.
    document: &'static str,
    diagnostics: Vec<Placed>,
    destinations: Option<Destinations>,
}

#[derive(Debug, Serialize)]
struct Placed {
    #[serde(flatten)]
    diagnostic: Diagnostic,
    line: Option<usize>,
    column: Option<usize>,
}

/// What speaking to every destination would come to.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Destinations {
    checked: u64,
    failing: u64,
    first: Vec<FailingDestination>,
    by_status: BTreeMap<String, u64>,
    /// Why they could not be looked at.
    refused: Option<String>,
}

#[derive(Debug, Serialize)]
struct FailingDestination {
    /// Its place in the document.
    index: usize,
    phone: String,
    path: String,
    status: StepStatus,
    message: String,
}

/// Checks.
pub fn run(args: CheckArgs, json: bool, terminal: &Terminal) -> Result<Exit, Failure> {
    let input = Input::open(&args.file)?;
    let found = find_flow(&input)?;
    let mut diagnostics = diagnose(&found, args.properties.as_deref())?;
    let sound = diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error);
    let destinations = if found.is_request && sound { speak_to_all(&input, &mut diagnostics)? } else { None };
    let has = |severity| diagnostics.iter().any(|diagnostic| diagnostic.severity == severity);
    let mut bad = has(Severity::Error);
    let failing = destinations.as_ref().is_some_and(|destinations| destinations.failing > 0);
    bad |= args.deny_warnings && (failing || has(Severity::Warning));
    if json {
        let diagnostics = diagnostics.into_iter().map(|diagnostic| placed(&found, diagnostic)).collect();
        let status = if bad { "invalid" } else { "ok" };
        let document = if found.is_request { "request" } else { "flow" };
        let findings = Findings { status, document, diagnostics, destinations };
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &findings)?;
        out.write_all(b"\n")?;
    } else {
        explain(&input, &found, &diagnostics, destinations.as_ref(), terminal)?;
    }
    Ok(if bad { Exit::BadInput } else { Exit::Completed })
}

fn diagnose(found: &FoundFlow, properties: Option<&[String]>) -> Result<Vec<Diagnostic>, Failure> {
    let names: Option<Vec<&str>> = properties.map(|names| names.iter().map(String::as_str).collect());
    let mut problems = Problems::default();
    if let Some(FlowReference::Named(_)) = FlowReference::of(&found.flow, found.path, &mut problems) {
        // A flow by name was checked where it is kept; whether there is one is asked of the library.
        let mut problems = Problems::default();
        compiler()?.compile(&found.flow, found.path, &mut problems);
        let (errors, _) = problems.into_parts();
        return Ok(errors.iter().map(as_diagnostic).collect());
    }
    let speech = daemon::silent_speech();
    Ok(lint::check(&found.flow, found.path, &|language| speech.speaks(language), names.as_deref()))
}

/// What every destination would hear; none if the file is no document at all, which is told among the diagnostics.
fn speak_to_all(input: &Input, diagnostics: &mut Vec<Diagnostic>) -> Result<Option<Destinations>, Failure> {
    let mut told = Destinations::default();
    let AcceptedRequest { header, program, .. } = match checked(input, &nobody()?)? {
        Ok(accepted) => accepted,
        Err(CheckError::Unreadable(error)) => return Err(Failure::unreadable(&input.name, &error)),
        Err(CheckError::Refused(refused)) => {
            let broken = refused.problems.first().iter().filter(|error| error.path.is_empty()).map(as_diagnostic);
            let sound_before = diagnostics.len();
            diagnostics.extend(broken);
            if diagnostics.len() > sound_before {
                return Ok(None);
            }
            let errors = counted(refused.problems.count().into(), "error");
            told.refused = Some(format!("the request has {errors} elsewhere: see `robocall request check`"));
            return Ok(Some(told));
        }
    };
    let mut stream = DestinationStream::new(input.reader()?, &header, 0);
    while let Some((place, destination)) = stream.next_placed().map_err(|error| input.changed(&error))? {
        told.checked += 1;
        let Err(unspeakable) = program.prepare(&destination) else { continue };
        told.failing += 1;
        *told.by_status.entry(word(&unspeakable.status)).or_default() += 1;
        if told.first.len() < SHOWN {
            let path = program.messages.get(usize::from(unspeakable.message)).map_or("", |message| &message.path);
            told.first.push(FailingDestination {
                index: place,
                phone: destination.number.to_string(),
                path: path.to_owned(),
                status: unspeakable.status,
                message: unspeakable.detail.into(),
            });
        }
    }
    Ok(Some(told))
}

/// An error of the request as a diagnostic.
fn as_diagnostic(error: &RequestError) -> Diagnostic {
    let RequestError { path, message, .. } = error;
    Diagnostic { severity: Severity::Error, path: path.clone(), message: message.clone(), help: None }
}

/// Where a diagnostic points in the text, as bytes.
fn span(found: &FoundFlow, diagnostic: &Diagnostic) -> Option<std::ops::Range<usize>> {
    // What is wrong with a whole request has no place in the flow.
    let within = diagnostic.path.strip_prefix(found.path)?;
    let within = within.strip_prefix('.').unwrap_or(within);
    let span = locate_nearest(&found.text, within)?;
    // Of what goes over several lines, the first says where it is.
    let first = found.text.get(span.clone())?.lines().next().map_or(0, str::len);
    Some(span.start..span.start + first)
}

/// Whether the lines around a place can be shown.
fn is_showable(text: &str, span: &std::ops::Range<usize>) -> bool {
    let around = |at: usize| text.get(..at).map_or(0, |before| before.matches('\n').count());
    let (first, last) = (around(span.start), around(span.end));
    let mut shown = text.lines().skip(first.saturating_sub(1)).take(last - first + 3);
    shown.all(|line| line.len() <= LONGEST_LINE)
}

/// The text with as many bytes, but nothing in it that would act on a terminal, so that every place stays where it is.
fn showable(text: &str) -> String {
    let stays = |c: char| !is_hidden(c) || matches!(c, '\n' | '\t' | '\r');
    let stand_in = |c: char| match c.len_utf8() {
        1 => "?",
        2 => "¿",
        3 => "\u{fffd}",
        _ => "\u{fffd}?",
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if stays(c) { shown.push(c) } else { shown.push_str(stand_in(c)) }
    }
    // A carriage return alone would let what follows it write over what stands before.
    shown.replace("\r\n", "\u{0}\n").replace('\r', " ").replace('\u{0}', "\r")
}

fn placed(found: &FoundFlow, diagnostic: Diagnostic) -> Placed {
    let place = span(found, &diagnostic).map(|span| position(&found.text, span.start));
    Placed { diagnostic, line: place.map(|(line, _)| line), column: place.map(|(_, column)| column) }
}

/// Line and column, from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or_default();
    (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
}

fn explain(
    input: &Input,
    found: &FoundFlow,
    diagnostics: &[Diagnostic],
    destinations: Option<&Destinations>,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let paint = terminal.on_stdout;
    let theme = if paint.0 { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(110).with_links(false);
    let source: Arc<str> = showable(&found.text).into();
    let mut text = String::new();
    for diagnostic in diagnostics {
        let span = span(found, diagnostic);
        let showable = span.as_ref().is_some_and(|span| is_showable(&found.text, span));
        let path = if diagnostic.path.is_empty() { "(document)" } else { &diagnostic.path };
        let mut message = format!("{}: {}", shown(path), shown(&diagnostic.message));
        if let (Some(span), false) = (&span, showable) {
            let (line, column) = position(&found.text, span.start);
            message.push_str(&format!(" ({}, line {line}, column {column})", shown(&input.name)));
        }
        let mut told = MietteDiagnostic::new(message).with_severity(match diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        });
        told.help = diagnostic.help.as_deref().map(|help| shown(help).into_owned());
        let mut report = Report::new(told.clone());
        if let Some(span) = span.filter(|_| showable) {
            told.labels = Some(vec![LabeledSpan::at(span, "here")]);
            report = Report::new(told).with_source_code(NamedSource::new(shown(&input.name), Arc::clone(&source)));
        }
        // Writing into memory cannot fail; a span beside the text would, and is left out.
        let mut one = String::new();
        if handler.render_report(&mut one, report.as_ref()).is_err() {
            one = format!("{}: {}\n", shown(&diagnostic.path), shown(&diagnostic.message));
        }
        text.push_str(&one);
        text.push('\n');
    }
    if let Some(destinations) = destinations {
        text.push_str(&in_words(destinations));
    }
    let count = |severity| diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count();
    // Destinations that will fail are one warning, however many they are.
    let failing = u64::from(destinations.is_some_and(|destinations| destinations.failing > 0));
    let (errors, warnings) = (count(Severity::Error) as u64, count(Severity::Warning) as u64 + failing);
    let verdict = match (errors, warnings) {
        (0, 0) => paint.green("no errors, no warnings"),
        (0, warnings) => format!("no errors, {}", counted(warnings, "warning")),
        (errors, warnings) => paint.red(&format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"))),
    };
    text.push_str(&format!("{}: {verdict}\n", shown(&input.name)));
    if found.is_request {
        let file = if input.is_stdin() { "-" } else { &input.name };
        text.push_str(&format!(
            "this is a whole request: `robocall request check {}` looks at its other fields, too\n",
            shown(file)
        ));
    }
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

fn in_words(destinations: &Destinations) -> String {
    if let Some(refused) = &destinations.refused {
        return format!("destinations were not looked at: {refused}\n");
    }
    let mut text = String::new();
    for failing in &destinations.first {
        let FailingDestination { index, phone, path, status, message } = failing;
        text.push_str(&format!(
            "destinations[{index}] {}: {} ({path}): {}\n",
            shown(phone),
            word(status),
            shown(message)
        ));
    }
    let more = destinations.failing - destinations.first.len() as u64;
    if more > 0 {
        text.push_str(&format!("… and {more} more\n"));
    }
    match destinations.failing {
        0 => text.push_str(&format!("all {} destinations can be spoken to\n", destinations.checked)),
        failing => text.push_str(&format!(
            "warning: {failing} of {} destinations will fail before they are dialled\n",
            destinations.checked
        )),
    }
    text
}
