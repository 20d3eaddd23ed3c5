//! Variables that look like ours and mean nothing: `ROBOCALL_WORKER_CAPACITY`, say, with one underscore.

use super::{PREFIX, SEPARATOR, Settings};

/// Variables that are read beside settings.
const OTHERS: [&str; 2] = ["ROBOCALL_LOG", "ROBOCALL_LOG_FORMAT"];

/// Variables of this process that begin as ours do and are none, in words.
pub fn stray_variables() -> Vec<String> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    strays(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
}

fn strays(variables: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let known = known();
    let bare = |name: &str| name.replace('_', "");
    let ours = format!("{PREFIX}_");
    let mut found: Vec<String> = variables
        .filter(|(name, value)| name.starts_with(&ours) && !is_read(name) && !is_of_a_cluster(name, value))
        .map(|(name, _)| {
            let meant = known.iter().find(|known| bare(known) == bare(&name));
            let meant = meant.map(|meant| format!("did you mean {meant}? ")).unwrap_or_default();
            format!("{name} means nothing: {meant}{} and {PREFIX}__SECTION__KEY are read", OTHERS.join(", "))
        })
        .collect();
    found.sort();
    found
}

/// Whether somebody reads it, or refuses it.
fn is_read(name: &str) -> bool {
    OTHERS.contains(&name) || name.starts_with(&format!("{PREFIX}{SEPARATOR}"))
}

/// Whether clusters make up such a variable for a service whose name begins as ours: `ROBOCALL_API_SERVICE_HOST`,
/// `ROBOCALL_API_PORT` (`tcp://…`), `ROBOCALL_API_PORT_8080_TCP_ADDR`.
fn is_of_a_cluster(name: &str, value: &str) -> bool {
    let is_port = |rest: &str| {
        let mut words = rest.split('_');
        words.next().is_some_and(|number| number.parse::<u16>().is_ok())
            && words.next().is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
    };
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && value.contains("://"))
        || name.match_indices("_PORT_").any(|(at, found)| is_port(&name[at + found.len()..]))
}

/// The names of all variables that are read.
fn known() -> Vec<String> {
    // They are what is shown of them.
    let settings = serde_json::to_value(Settings::default()).unwrap_or_default();
    let sections = settings.as_object().into_iter().flatten();
    let keys = sections.flat_map(|(section, keys)| {
        let keys = keys.as_object().into_iter().flatten();
        keys.map(move |(key, _)| [PREFIX, section, key].join(SEPARATOR).to_ascii_uppercase())
    });
    keys.chain(OTHERS.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_told_with_what_was_meant_and_without_its_value() {
        let found = |name: &str, value: &str| strays([(name.to_owned(), value.to_owned())].into_iter());
        for (name, meant) in [
            ("ROBOCALL_WORKER_CAPACITY", "did you mean ROBOCALL__WORKER__CAPACITY?"),
            ("ROBOCALL_REDIS_URL", "did you mean ROBOCALL__REDIS__URL?"),
            ("ROBOCALL_AMQP__EVENT_LOG_HOURS", "did you mean ROBOCALL__AMQP__EVENT_LOG_HOURS?"),
            ("ROBOCALL_LOGFORMAT", "did you mean ROBOCALL_LOG_FORMAT?"),
            ("ROBOCALL_COLOUR", "ROBOCALL_COLOUR means nothing: ROBOCALL_LOG, "),
        ] {
            let told = found(name, "sesame");
            assert!(told.len() == 1 && told[0].contains(meant) && !told[0].contains("sesame"), "{told:?}");
        }
        for (name, value) in [
            ("ROBOCALL_LOG", "info"),
            ("ROBOCALL_LOG_FORMAT", "json"),
            ("ROBOCALL__WORKER__CAPACITY", "7"),
            ("ROBOCALLER_ID", "7"),
            ("ROBOCALL_PORT", "tcp://10.0.0.1:80"),
            ("ROBOCALL_API_SERVICE_HOST", "10.0.0.1"),
            ("ROBOCALL_API_SERVICE_PORT_HTTP", "8080"),
            ("ROBOCALL_API_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("ROBOCALL_API_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ] {
            assert!(found(name, value).is_empty(), "{name}");
        }
    }
}
