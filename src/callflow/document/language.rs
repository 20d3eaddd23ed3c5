//! Language tags: their usual spelling, and what was meant by those that are none.

use crate::reading::nearest;

/// What people write for a language, and its tag: English names, and countries taken for languages.
const MEANT: [(&str, &str); 48] = [
    ("english", "en"),
    ("mandarin", "zh"),
    ("chinese", "zh"),
    ("cantonese", "yue"),
    ("hindi", "hi"),
    ("spanish", "es"),
    ("french", "fr"),
    ("arabic", "ar"),
    ("bengali", "bn"),
    ("portuguese", "pt"),
    ("russian", "ru"),
    ("urdu", "ur"),
    ("indonesian", "id"),
    ("german", "de"),
    ("japanese", "ja"),
    ("korean", "ko"),
    ("vietnamese", "vi"),
    ("thai", "th"),
    ("malay", "ms"),
    ("tamil", "ta"),
    ("telugu", "te"),
    ("turkish", "tr"),
    ("italian", "it"),
    ("dutch", "nl"),
    ("polish", "pl"),
    ("ukrainian", "uk"),
    ("swedish", "sv"),
    ("danish", "da"),
    ("norwegian", "no"),
    ("finnish", "fi"),
    ("greek", "el"),
    ("czech", "cs"),
    ("hungarian", "hu"),
    ("romanian", "ro"),
    ("hebrew", "he"),
    ("persian", "fa"),
    ("burmese", "my"),
    ("nepali", "ne"),
    ("tagalog", "fil"),
    ("filipino", "fil"),
    ("cn", "zh"),
    ("jp", "ja"),
    ("kr", "ko"),
    ("vn", "vi"),
    ("gr", "el"),
    ("cz", "cs"),
    ("dk", "da"),
    ("gb", "en-GB"),
];

/// What was meant by something that no voice speaks, if a voice speaks that.
pub(super) fn meant(written: &str, speaks: &dyn Fn(&str) -> bool) -> Option<String> {
    let hyphened = written.trim().replace('_', "-");
    let as_tag = normal_language(&hyphened)
        .filter(|tag| tag != written && tag.find('-').unwrap_or(tag.len()) <= 3 && speaks(tag));
    let language = hyphened.split('-').next().unwrap_or_default().to_lowercase();
    let by_name = || {
        let exact = MEANT.iter().find(|(name, _)| *name == language);
        let near = || nearest(&language, MEANT.iter().map(|(name, _)| *name).filter(|name| name.len() > 2));
        let found = exact.or_else(|| near().and_then(|near| MEANT.iter().find(|(name, _)| *name == near)));
        found.map(|(_, tag)| (*tag).to_owned()).filter(|tag| speaks(tag))
    };
    as_tag.or_else(by_name)
}

/// The tag in the usual case (`zh-Hant-TW`), if it is shaped like one.
pub(super) fn normal_language(written: &str) -> Option<String> {
    let mut parts = written.split('-');
    let primary =
        parts.next().filter(|part| matches!(part.len(), 2..=8) && part.bytes().all(|b| b.is_ascii_alphabetic()))?;
    let mut tag = primary.to_ascii_lowercase();
    // After a single letter come extensions and private use, written small.
    let mut extended = false;
    for part in parts {
        if !matches!(part.len(), 1..=8) || !part.bytes().all(|byte| byte.is_ascii_alphanumeric()) || written.len() > 35
        {
            return None;
        }
        let alphabetic = part.bytes().all(|byte| byte.is_ascii_alphabetic());
        extended |= part.len() == 1;
        tag.push('-');
        match part.len() {
            2 if !extended => tag.push_str(&part.to_ascii_uppercase()),
            4 if !extended && alphabetic => {
                tag.push_str(&part[..1].to_ascii_uppercase());
                tag.push_str(&part[1..].to_ascii_lowercase());
            }
            _ => tag.push_str(&part.to_ascii_lowercase()),
        }
    }
    Some(tag)
}

#[cfg(test)]
mod tests {
    use super::{meant, normal_language};

    #[test]
    fn language_tags_are_written_in_the_usual_case() {
        let normal = [
            ("EN", "en"),
            ("en-us", "en-US"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("cmn", "cmn"),
            ("de-x-ab-cd", "de-x-ab-cd"),
        ];
        for (written, tag) in normal {
            assert_eq!(normal_language(written).as_deref(), Some(tag));
        }
        for bad in [
            "",
            "e",
            "en_US",
            "en-",
            "-en",
            "english language",
            "1a",
            "en--US",
            "en-ÄÖ",
            "en-US;rm",
            "en-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd",
        ] {
            assert_eq!(normal_language(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_people_write_for_a_language_is_understood_as_a_hint() {
        let all = |_: &str| true;
        for (written, tag) in [
            ("english", "en"),
            ("Englisch", "en"),
            ("en_US", "en-US"),
            ("jp", "ja"),
            ("GERMAN", "de"),
            ("Vietnamse", "vi"),
        ] {
            assert_eq!(meant(written, &all).as_deref(), Some(tag), "{written}");
        }
        assert_eq!(meant("klingon", &|tag| tag == "en"), None);
        assert_eq!(meant("english", &|_| false), None, "only what is spoken is proposed");
    }
}
