//! What is said: sentences of several languages, out of Debian's packages of fortunes.

use std::path::Path;

/// A language: folders or files of texts, and voices of espeak-ng.
struct Language {
    texts: &'static [&'static str],
    voices: &'static [&'static str],
}

/// How often a language is chosen follows from how often it is listed.
const LANGUAGES: [Language; 12] = [
    ENGLISH,
    ENGLISH,
    ENGLISH,
    ENGLISH,
    Language { texts: &["de"], voices: &["de"] },
    Language { texts: &["de"], voices: &["de"] },
    Language { texts: &["es"], voices: &["es", "es-419"] },
    Language { texts: &["it"], voices: &["it"] },
    Language { texts: &["ru"], voices: &["ru"] },
    Language { texts: &["pl"], voices: &["pl"] },
    Language { texts: &["cs"], voices: &["cs"] },
    Language { texts: &["brasil"], voices: &["pt-br", "pt"] },
];
const ENGLISH: Language = Language {
    texts: &["art", "education", "food", "literature", "people", "science", "wisdom", "work"],
    voices: &["en-us", "gmw/en", "en-gb-scotland"],
};
/// Ways in which espeak-ng changes a voice; the formants of its other synthesizer among them.
const VARIANTS: [&str; 17] = [
    "", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5", "+klatt",
    "+klatt2", "+klatt3", "+klatt4",
];
/// Shortest and longest text, bytes.
const LENGTHS: std::ops::Range<usize> = 40..220;

/// Texts with the voices that may say them.
pub struct Texts(Vec<(Vec<String>, &'static [&'static str])>);

impl Texts {
    /// Those of the folder of fortunes; languages of which there is none are left out.
    pub fn read(folder: &Path) -> Self {
        let all = LANGUAGES.iter().map(|language| {
            let mut texts = Vec::new();
            language.texts.iter().for_each(|name| gather(&folder.join(name), &mut texts));
            (texts, language.voices)
        });
        Texts(all.filter(|(texts, _)| !texts.is_empty()).collect())
    }

    /// Texts in all.
    pub fn len(&self) -> usize {
        self.0.iter().map(|(texts, _)| texts.len()).sum()
    }

    /// A text and the name of a voice; `pick` gives a number below the one it is given.
    pub fn pick(&self, mut pick: impl FnMut(usize) -> usize) -> (&str, String) {
        let (texts, voices) = &self.0[pick(self.0.len())];
        let voice = format!("{}{}", voices[pick(voices.len())], VARIANTS[pick(VARIANTS.len())]);
        (&texts[pick(texts.len())], voice)
    }
}

/// The texts of a file of fortunes, or of all such files in a folder, in the order of their names.
fn gather(path: &Path, texts: &mut Vec<String>) {
    if let Ok(entries) = std::fs::read_dir(path) {
        let mut inside: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        inside.sort();
        inside.iter().for_each(|path| gather(path, texts));
        return;
    }
    let is_index = path.extension().is_some_and(|e| e == "dat" || e == "u8");
    let Some(file) = std::fs::read_to_string(path).ok().filter(|_| !is_index) else { return };
    let whole = file.split("\n%").map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    texts.extend(whole.filter(|text| LENGTHS.contains(&text.len())));
}
