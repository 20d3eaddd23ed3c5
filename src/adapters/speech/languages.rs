//! Which voice of an engine speaks a language.

use std::collections::BTreeMap;

/// Names of an engine's voices by language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Languages {
    /// By tag in small letters: the engine's own name, and its rank among those that speak it; the lowest is taken.
    voices: BTreeMap<Box<str>, (u32, Box<str>)>,
}

impl Languages {
    /// Languages that an engine knows by the tags that stand in a list.
    pub fn listed(tags: &[String]) -> Self {
        let mut languages = Self::default();
        for tag in tags {
            languages.add(tag, 0, tag);
        }
        languages
    }

    /// Languages of espeak-ng's own list (`--voices`): a line each with its priority, language, age and gender, name,
    /// file, and further languages with priorities in parentheses.
    pub fn of_espeak(list: &str) -> Self {
        let mut languages = Self::default();
        for line in list.lines().skip(1) {
            let mut words = line.split_whitespace();
            let priority = words.next().and_then(|word| word.parse().ok());
            let (Some(priority), Some(tag), Some(file)) = (priority, words.next(), words.nth(2)) else { continue };
            // A file's name is known to the engine as it stands, however many voices share a language.
            let Some(own) = file.rsplit('/').next().filter(|_| !file.starts_with("mb/")) else { continue };
            // What a file is named after is its own language: `en` for one that is listed as en-gb.
            languages.add(own, 0, file);
            languages.add(tag, priority, file);
            let others = line.split('(').skip(1).filter_map(|other| other.split(')').next());
            for (tag, rank) in others.filter_map(|other| other.trim().split_once(' ')) {
                // A name with parentheses of its own is no language.
                if let Ok(rank) = rank.trim().parse() {
                    languages.add(tag, rank, file);
                }
            }
        }
        languages
    }

    fn add(&mut self, tag: &str, rank: u32, voice: &str) {
        let tag = tag.to_ascii_lowercase().into_boxed_str();
        match self.voices.get(&tag) {
            Some((better, _)) if *better <= rank => {}
            _ => {
                self.voices.insert(tag, (rank, voice.into()));
            }
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.voices.len()
    }

    /// One of them, the usual one if it is there.
    pub fn one(&self) -> &str {
        let usual = self.voices.get_key_value("en");
        usual.or_else(|| self.voices.first_key_value()).map_or("", |(tag, _)| tag)
    }

    /// The voice for a language tag (BCP 47): that of its longest beginning which is known. Case does not count.
    pub fn voice(&self, tag: &str) -> Option<&str> {
        let folded = tag.to_ascii_lowercase();
        let mut beginning = folded.as_str();
        loop {
            if let Some((_, voice)) = self.voices.get(beginning) {
                return Some(voice);
            }
            beginning = beginning.rsplit_once('-')?.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOICES: &str = "\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  chr-US-Qaaa-x-west --/M      Cherokee_          iro/chr
 5  cmn             --/M      Chinese_(Mandarin,_latin_as_English) sit/cmn              (zh-cmn 5)(zh 5)
 5  en-029          --/M      English_(Caribbean) gmw/en-029           (en 10)
 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)
 2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
 5  eu              --/M      Basque             eu
 5  yue             --/M      Chinese_(Cantonese) sit/yue              (zh-yue 5)(zh 8)
 5  yue             --/M      Chinese_(Cantonese,_latin_as_Jyutping) sit/yue-Latn-jyutping (zh-yue 5)(zh 8)
 5  xx              --/M      Another            mb/mb-xx1
nonsense
";

    #[test]
    fn a_language_is_spoken_by_its_longest_known_beginning() {
        let languages = Languages::of_espeak(VOICES);
        for (tag, voice) in [
            ("en", "gmw/en"),
            ("en-AU", "gmw/en"),
            ("EN-gb-x-shout", "gmw/en"),
            ("en-us", "gmw/en-US"),
            ("en-029", "gmw/en-029"),
            ("zh-Hant-TW", "sit/cmn"),
            ("yue-HK", "sit/yue"),
            ("chr", "iro/chr"),
            ("eu", "eu"),
        ] {
            assert_eq!(languages.voice(tag), Some(voice), "{tag}");
        }
        for unknown in ["", "-", "e", "eng", "en_GB", "xx", "latin", "great_britain"] {
            assert_eq!(languages.voice(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn listed_languages_keep_their_spelling() {
        let languages = Languages::listed(&["de-DE".to_owned(), "fr".to_owned()]);
        assert_eq!(languages.voice("de-de-1996"), Some("de-DE"));
        assert_eq!((languages.voice("fr-CA"), languages.voice("de")), (Some("fr"), None));
        assert_eq!(
            (languages.one(), Languages::of_espeak(VOICES).one(), Languages::default().one()),
            ("de-de", "en", "")
        );
    }
}
