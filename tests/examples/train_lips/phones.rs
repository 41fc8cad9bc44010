//! Phone classes and what the lips do in each.

/// Curves of the lips: opening, width, rounding, lower lip to teeth, each 0 to 1.
pub const CURVES: usize = 4;

/// What the lips do in the phones of a class.
pub struct Class {
    /// Its phones in the phonetic alphabet.
    phones: &'static str,
    /// Where each curve goes.
    pub targets: [f64; CURVES],
    /// How strongly it draws each curve.
    pub weights: [f64; CURVES],
    /// Seconds in which its hold on each curve falls to a third beyond its ends.
    pub reach: [f64; CURVES],
}

/// A vowel: its shape counts.
const fn vowel(phones: &'static str, open: f64, width: f64, round: f64) -> Class {
    let reach = if round > 0.5 { ROUNDED } else { USUAL };
    Class {
        phones,
        targets: [open, width, round, 0.0],
        weights: [1.0; CURVES],
        reach: [USUAL, reach, reach, USUAL],
    }
}

/// A consonant of the tongue, which leaves the shape of the lips to the vowels around it.
const fn tongue(phones: &'static str, open: f64, width: f64) -> Class {
    Class { phones, targets: [open, width, 0.0, 0.0], weights: [1.0, 0.2, 0.2, 1.0], reach: [USUAL; CURVES] }
}

const USUAL: f64 = 0.06;
const ROUNDED: f64 = 0.09;
const CLOSING: f64 = 0.025;
const TO_TEETH: f64 = 0.03;

/// The classes; the first is silence.
pub const CLASSES: [Class; 36] = [
    Class { phones: "", targets: [0.0, 0.5, 0.0, 0.0], weights: [1.0; CURVES], reach: [USUAL; CURVES] },
    closing("pb"),
    closing("mɱ"),
    Class {
        phones: "fvɸβʋ",
        targets: [0.12, 0.5, 0.0, 1.0],
        weights: [2.0, 0.2, 0.2, 2.0],
        reach: [TO_TEETH; CURVES],
    },
    vowel("wʍɥ", 0.15, 0.05, 1.0),
    tongue("tdʈɖɾ", 0.25, 0.5),
    tongue("nɳ", 0.3, 0.5),
    tongue("sz", 0.2, 0.65),
    vowel("ʃʒʂʐɕʑ", 0.25, 0.25, 0.55),
    tongue("θð", 0.3, 0.5),
    tongue("lɫɭɬ", 0.4, 0.5),
    vowel("ɹɻɚɝ", 0.3, 0.35, 0.35),
    tongue("r", 0.35, 0.5),
    tongue("kgɡqɢcɟʔ", 0.35, 0.5),
    tongue("ŋ", 0.35, 0.5),
    tongue("xɣχʁʀ", 0.4, 0.5),
    tongue("hɦħ", 0.45, 0.5),
    tongue("jʝç", 0.3, 0.8),
    tongue("ɲʎ", 0.3, 0.65),
    vowel("i", 0.3, 1.0, 0.0),
    vowel("ɪ", 0.4, 0.8, 0.0),
    vowel("e", 0.5, 0.85, 0.0),
    vowel("ɛ", 0.65, 0.7, 0.0),
    vowel("æ", 0.9, 0.75, 0.0),
    vowel("a", 1.0, 0.6, 0.0),
    vowel("ɑɒ", 0.95, 0.45, 0.0),
    vowel("ɔ", 0.7, 0.2, 0.55),
    vowel("o", 0.5, 0.1, 0.85),
    vowel("ʊ", 0.3, 0.15, 0.75),
    vowel("u", 0.25, 0.0, 1.0),
    vowel("ʌɐ", 0.7, 0.5, 0.0),
    vowel("əɞ", 0.45, 0.5, 0.0),
    vowel("ɜ", 0.45, 0.4, 0.15),
    vowel("yʏ", 0.25, 0.05, 1.0),
    vowel("øœɵɘ", 0.5, 0.15, 0.85),
    vowel("ɨɯɤ", 0.35, 0.65, 0.0),
];

const fn closing(phones: &'static str) -> Class {
    Class {
        phones,
        targets: [0.0, 0.5, 0.0, 0.0],
        weights: [3.0, 0.2, 0.2, 1.0],
        reach: [CLOSING, USUAL, USUAL, USUAL],
    }
}

/// A stretch of sound of one class, seconds.
pub struct Segment {
    pub start: f64,
    pub end: f64,
    pub class: usize,
}

/// The segments of a sound of `seconds`, of phones and when each begins. Diphthongs and affricates are cut in two; what has no
/// class lengthens what came before.
pub fn segments(phones: &[(f64, String)], seconds: f64) -> Vec<Segment> {
    let mut all: Vec<Segment> = Vec::new();
    let first = phones.first().map_or(seconds, |(start, _)| *start);
    if first > 0.0 {
        all.push(Segment { start: 0.0, end: first, class: 0 });
    }
    for (k, (start, text)) in phones.iter().enumerate() {
        let end = phones.get(k + 1).map_or(seconds, |(next, _)| *next);
        let class = |c: char| CLASSES.iter().position(|class| class.phones.contains(c));
        let mut classes: Vec<usize> = text.chars().filter_map(class).take(2).collect();
        if classes.is_empty() {
            let is_silence = !text.chars().any(char::is_alphabetic);
            classes.push(if is_silence { 0 } else { all.last().map_or(0, |last| last.class) });
        }
        let length = (end - start).max(0.0) / classes.len() as f64;
        for (part, class) in classes.into_iter().enumerate() {
            let start = start + part as f64 * length;
            all.push(Segment { start, end: start + length, class });
        }
    }
    all.retain(|segment| segment.end > segment.start);
    all
}

/// Class and curves of a moment: every segment draws the curves to its targets, fully within and less the further away it is
/// (Cohen and Massaro, Modeling coarticulation in synthetic visual speech, 1993).
pub fn lips(segments: &[Segment], time: f64) -> (usize, [f32; CURVES]) {
    let class = segments.iter().find(|s| (s.start..s.end).contains(&time)).map_or(0, |s| s.class);
    let curve = |k: usize| {
        let (mut sum, mut total) = (0.0, 0.0);
        for segment in segments {
            let class = &CLASSES[segment.class];
            let away = (segment.start - time).max(time - segment.end).max(0.0);
            let hold = class.weights[k] * (-away / class.reach[k]).exp();
            sum += hold * class.targets[k];
            total += hold;
        }
        if total > 0.0 { (sum / total) as f32 } else { 0.0 }
    };
    (class, std::array::from_fn(curve))
}
