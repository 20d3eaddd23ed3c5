//! Foreign text on its way to people: what would act on a terminal, or hide, is written as an escape.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character does something to a terminal or to the text around it instead of being seen: control
/// characters, marks and overrides of the writing direction, line separators, the tags that nobody sees.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with everything [hidden](is_hidden) in it as JSON would escape it: `\u001b`. What is escaped once stays so.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if is_hidden(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing into memory cannot fail.
                    let _ = write!(shown, "\\u{unit:04x}");
                }
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// What is wrong with a text that is to be spoken: a control character that is neither a tab nor a line break.
pub fn unspeakable(text: &str) -> Option<String> {
    if text.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
        return None;
    }
    let mut characters = text.chars().enumerate().peekable();
    while let Some((place, c)) = characters.next() {
        let breaks = matches!(c, '\t' | '\n') || c == '\r' && characters.peek().is_some_and(|(_, next)| *next == '\n');
        if c.is_control() && !breaks {
            return Some(format!(
                "cannot be spoken: character {} is U+{:04X}, a control character; only tabs and line breaks are allowed",
                place + 1,
                u32::from(c)
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown_as_an_escape() {
        assert_eq!(shown("a\u{1b}[31m\u{0}b\u{202e}c\u{9b}\u{7f}"), "a\\u001b[31m\\u0000b\\u202ec\\u009b\\u007f");
        assert_eq!(shown("one\r\ntwo\tthree"), "one\\r\\ntwo\\tthree");
        assert_eq!(shown("\u{e0041}"), "\\udb40\\udc41");
        assert_eq!(shown("Grüße, 你好 👍🏽 ‏".trim_end_matches('\u{200f}')), "Grüße, 你好 👍🏽 ");
    }

    #[test]
    fn tabs_and_line_breaks_can_be_spoken_and_other_control_characters_cannot() {
        assert_eq!(unspeakable("one\ttwo\nthree\r\nfour, 你好"), None);
        for (text, place) in [("\u{1b}[31m", 1), ("ab\u{0}", 3), ("é\u{85}", 2), ("a\rb", 2), ("\u{7f}", 1)] {
            let told = unspeakable(text).unwrap();
            assert!(told.contains(&format!("character {place} is U+")), "{told}");
        }
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left_and_showing_twice_changes_nothing(text in any::<String>()) {
            let once = shown(&text).into_owned();
            prop_assert!(!once.contains(is_hidden));
            prop_assert_eq!(shown(&once), once.as_str());
        }
    }
}
