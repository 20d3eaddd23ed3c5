//! How wide text is, and how it is broken into lines.

/// The width of a character in units of half an em: an estimate on the safe side, for any font.
fn units(c: char) -> f32 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '(' | ')' => 0.8,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 1.95,
        'A'..='Z' | '&' | '#' | '+' | '=' | '…' | '·' | '♪' => 1.55,
        // Combining marks stand on what comes before; counting them as half is on the safe side.
        '\u{0300}'..='\u{036f}' => 0.5,
        _ if c.is_ascii() => 1.27,
        '\u{0080}'..='\u{02ff}' | '\u{0370}'..='\u{058f}' => 1.6,
        // Everything from Hangul and CJK on, and what is not known better.
        _ => 2.1,
    }
}

/// The width of a text at a font size.
pub(super) fn width(text: &str, size: f32) -> f32 {
    text.chars().map(units).sum::<f32>() * size / 2.0
}

/// Breaks a text at blanks into lines no wider than `limit` at a font size; too long a word is broken anywhere. What
/// does not fit into `most` lines ends in an ellipsis.
pub(super) fn wrap(text: &str, limit: f32, size: f32, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0.0;
    'words: for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (long, blank) = (width(word, size), width(" ", size));
        if used > 0.0 && used + blank + long > limit {
            lines.push(String::new());
            used = 0.0;
        }
        if lines.len() > most {
            break;
        }
        if let Some(line) = lines.last_mut().filter(|line| !line.is_empty()) {
            line.push(' ');
            used += blank;
        }
        for c in word.chars() {
            let wide = width(c.encode_utf8(&mut [0; 4]), size);
            if used > 0.0 && used + wide > limit {
                lines.push(String::new());
                used = 0.0;
                if lines.len() > most {
                    break 'words;
                }
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
            used += wide;
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            while !last.is_empty() && width(last, size) + width("…", size) > limit {
                last.pop();
            }
            *last = format!("{}…", last.trim_end_matches([' ', ',', '.']));
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}
