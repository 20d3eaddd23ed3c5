//! Changes to Asterisk's configuration files: a setting's new value, where it stands. What is not there, or not alone, is
//! a failure, so that a test runs on the files that an operator gets, and the changes are all that differs.

use std::path::Path;

/// A setting, and what it is to be.
pub struct Edit {
    file: &'static str,
    section: &'static str,
    key: &'static str,
    value: String,
}

/// In this file, in this section, this key is to have this value.
pub fn set(file: &'static str, section: &'static str, key: &'static str, value: impl ToString) -> Edit {
    Edit { file, section, key, value: value.to_string() }
}

/// Makes changes to the files of a folder.
pub fn apply(folder: &Path, edits: &[Edit]) {
    for Edit { file, section, key, value } in edits {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, edited(&text, section, key, value).unwrap_or_else(|wrong| panic!("{file}: {wrong}")))
            .unwrap();
    }
}

/// A text with a setting changed. A section's name may stand more than once, as pjsip.conf has it; the key may not.
pub fn edited(text: &str, section: &str, key: &str, value: &str) -> Result<String, String> {
    let (mut within, mut found, mut lines) = (false, 0, Vec::new());
    for line in text.lines() {
        if let Some((name, _)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            within = name == section;
        }
        let named = line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
        if within && named {
            found += 1;
            lines.push(format!("{key} = {value}"));
        } else {
            lines.push(line.to_owned());
        }
    }
    if found == 1 { Ok(lines.join("\n") + "\n") } else { Err(format!("{key} of [{section}] is there {found} times")) }
}
