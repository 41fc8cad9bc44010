//! The sounds of English (ARPAbet) and what each asks of the voice and of the mouth.
//! Formants: Peterson & Barney 1952 (women) for vowels, Klatt 1980 for consonants, rounded.

use super::params::MouthPose;

/// How a piece of sound is excited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Segment {
    /// Length, milliseconds.
    pub ms: f32,
    /// First three formants, Hz.
    pub formants: [f32; 3],
    /// Strengths 0..1: voice, breath, friction.
    pub voice: f32,
    pub breath: f32,
    pub noise: f32,
    /// Middle and width of the friction's band, Hz.
    pub band: [f32; 2],
}

/// One phoneme.
#[derive(Debug, Clone)]
pub(super) struct Phoneme {
    /// What the voice does, one piece after the other.
    pub segments: Vec<Segment>,
    /// What the mouth does, spread evenly over the phoneme.
    pub mouths: Vec<MouthPose>,
    /// How strongly it insists on its mouth against its neighbours (Cohen & Massaro 1993).
    pub dominance: f32,
    /// True when the lips must touch.
    pub closes: bool,
    /// True when stress lengthens it and pitch may peak on it.
    pub vowel: bool,
}

/// Every phoneme's name; "SIL" is silence.
pub const PHONEMES: [&str; 40] = [
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY",
    "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "SIL", "T", "TH", "UH", "UW", "V", "W",
    "Y", "Z", "ZH",
];

fn pose(v: [f32; 8]) -> MouthPose {
    MouthPose::from_array(v)
}

/// (formants, mouth: jaw, open, width, round, press, tuck, raise, tongue) of a plain vowel.
fn vowel(name: &str) -> Option<([f32; 3], MouthPose)> {
    let (formants, mouth) = match name {
        "AA" => ([850.0, 1220.0, 2810.0], [0.95, 0.92, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        "AE" => ([860.0, 2050.0, 2850.0], [0.80, 0.76, 0.55, 0.0, 0.0, 0.0, 0.15, 0.1]),
        "AH" => ([760.0, 1400.0, 2780.0], [0.58, 0.55, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1]),
        "AO" => ([590.0, 920.0, 2710.0], [0.74, 0.62, -0.35, 0.65, 0.0, 0.0, 0.0, 0.0]),
        "EH" => ([610.0, 2330.0, 2990.0], [0.56, 0.54, 0.45, 0.0, 0.0, 0.0, 0.1, 0.2]),
        "ER" => ([500.0, 1640.0, 1960.0], [0.32, 0.32, -0.2, 0.45, 0.0, 0.0, 0.1, 0.3]),
        "IH" => ([430.0, 2480.0, 3070.0], [0.36, 0.38, 0.45, 0.0, 0.0, 0.0, 0.1, 0.3]),
        "IY" => ([310.0, 2790.0, 3310.0], [0.20, 0.30, 0.95, 0.0, 0.0, 0.0, 0.2, 0.4]),
        "UH" => ([470.0, 1160.0, 2680.0], [0.34, 0.32, -0.4, 0.7, 0.0, 0.0, 0.0, 0.1]),
        "UW" => ([370.0, 950.0, 2670.0], [0.24, 0.20, -0.7, 1.0, 0.0, 0.0, 0.0, 0.1]),
        _ => return None,
    };
    Some((formants, pose(mouth)))
}

/// A cascade makes close vowels too soft; speakers make up for it.
fn strength(first_formant: f32) -> f32 {
    (800.0 / first_formant).clamp(1.0, 2.2).sqrt() * (800.0 / first_formant).clamp(1.0, 1.3)
}

fn diphthong(name: &str) -> Option<[&'static str; 2]> {
    match name {
        "AW" => Some(["AA", "UH"]),
        "AY" => Some(["AA", "IH"]),
        "EY" => Some(["EH", "IY"]),
        "OW" => Some(["AO", "UW"]),
        "OY" => Some(["AO", "IH"]),
        _ => None,
    }
}

const QUIET: Segment = Segment {
    ms: 0.0,
    formants: [500.0, 1500.0, 2700.0],
    voice: 0.0,
    breath: 0.0,
    noise: 0.0,
    band: [4000.0, 2000.0],
};

fn voiced(ms: f32, formants: [f32; 3], voice: f32) -> Segment {
    Segment { ms, formants, voice, ..QUIET }
}

fn friction(ms: f32, formants: [f32; 3], voice: f32, noise: f32, band: [f32; 2]) -> Segment {
    Segment { ms, formants, voice, noise, band, ..QUIET }
}

/// What `name` asks for, or nothing when there is no such phoneme.
pub(super) fn phoneme(name: &str) -> Option<Phoneme> {
    if let Some((formants, mouth)) = vowel(name) {
        let segments = vec![voiced(115.0, formants, strength(formants[0]))];
        return Some(Phoneme { segments, mouths: vec![mouth], dominance: 1.0, closes: false, vowel: true });
    }
    if let Some(halves) = diphthong(name) {
        let [(a, m), (b, n)] = [vowel(halves[0])?, vowel(halves[1])?];
        let segments = vec![voiced(85.0, a, strength(a[0])), voiced(75.0, b, 0.9 * strength(b[0]))];
        return Some(Phoneme { segments, mouths: vec![m, n], dominance: 1.0, closes: false, vowel: true });
    }
    consonant(name)
}

fn consonant(name: &str) -> Option<Phoneme> {
    let labial = [300.0, 950.0, 2300.0];
    let alveolar = [320.0, 1850.0, 2850.0];
    let palatal = [320.0, 2000.0, 2700.0];
    let velar = [320.0, 2050.0, 2500.0];
    let dental = [330.0, 1500.0, 2700.0];
    let lips = [0.14, 0.0, 0.0, 0.0, 0.75, 0.0, 0.0, 0.0];
    let bite = [0.16, 0.13, 0.1, 0.0, 0.0, 1.0, 0.45, 0.0];
    let ridge = [0.18, 0.22, 0.15, 0.0, 0.0, 0.0, 0.1, 0.7];
    let hiss = [0.05, 0.20, 0.45, 0.0, 0.0, 0.0, 0.2, 0.3];
    let hush = [0.10, 0.26, -0.2, 0.75, 0.0, 0.0, 0.35, 0.2];
    let back = [0.32, 0.32, 0.05, 0.0, 0.0, 0.0, 0.0, 0.1];
    let tooth = [0.22, 0.26, 0.15, 0.0, 0.0, 0.0, 0.15, 1.0];
    let stop = |place: [f32; 3], voiced_: bool, band: [f32; 2]| {
        let closure = voiced(if voiced_ { 58.0 } else { 66.0 }, place, if voiced_ { 0.16 } else { 0.0 });
        let burst = friction(14.0, place, 0.0, if voiced_ { 0.6 } else { 0.9 }, band);
        let breath = Segment { ms: 26.0, formants: place, breath: 0.32, ..QUIET };
        if voiced_ { vec![closure, burst] } else { vec![closure, burst, breath] }
    };
    let (segments, mouth, dominance): (Vec<Segment>, [f32; 8], f32) = match name {
        "P" => (stop(labial, false, [1100.0, 1600.0]), lips, 4.0),
        "B" => (stop(labial, true, [900.0, 1400.0]), lips, 4.0),
        "M" => (vec![voiced(78.0, [270.0, 1000.0, 2300.0], 0.50)], lips, 4.0),
        "T" => (stop(alveolar, false, [4600.0, 2200.0]), ridge, 0.8),
        "D" => (stop(alveolar, true, [4200.0, 2200.0]), ridge, 0.8),
        "N" => (vec![voiced(68.0, [270.0, 1550.0, 2700.0], 0.50)], ridge, 0.8),
        "K" => (stop(velar, false, [2200.0, 900.0]), back, 0.5),
        "G" => (stop(velar, true, [2000.0, 900.0]), back, 0.5),
        "NG" => (vec![voiced(78.0, [280.0, 2050.0, 2600.0], 0.48)], back, 0.5),
        "F" => (vec![friction(96.0, labial, 0.0, 0.17, [5200.0, 5000.0])], bite, 3.0),
        "V" => (vec![friction(66.0, labial, 0.42, 0.09, [5200.0, 5000.0])], bite, 3.0),
        "TH" => (vec![friction(92.0, dental, 0.0, 0.13, [5800.0, 4500.0])], tooth, 1.5),
        "DH" => (vec![friction(54.0, dental, 0.45, 0.06, [5800.0, 4500.0])], tooth, 1.5),
        "S" => (vec![friction(104.0, alveolar, 0.0, 0.46, [6000.0, 1800.0])], hiss, 1.6),
        "Z" => (vec![friction(80.0, alveolar, 0.35, 0.30, [6000.0, 1800.0])], hiss, 1.6),
        "SH" => (vec![friction(108.0, palatal, 0.0, 0.75, [3300.0, 1500.0])], hush, 2.0),
        "ZH" => (vec![friction(84.0, palatal, 0.38, 0.32, [3200.0, 1500.0])], hush, 2.0),
        "CH" => {
            (vec![voiced(52.0, palatal, 0.0), friction(82.0, palatal, 0.0, 0.8, [3500.0, 1600.0])], hush, 2.0)
        }
        "JH" => (
            vec![voiced(44.0, palatal, 0.16), friction(62.0, palatal, 0.30, 0.40, [3300.0, 1600.0])],
            hush,
            2.0,
        ),
        "HH" => (vec![Segment { ms: 64.0, breath: 0.42, ..QUIET }], back, 0.15),
        "L" => (
            vec![voiced(64.0, [360.0, 1150.0, 2850.0], 0.72)],
            [0.34, 0.34, 0.1, 0.0, 0.0, 0.0, 0.05, 1.0],
            0.8,
        ),
        "R" => (
            vec![voiced(66.0, [350.0, 1250.0, 1750.0], 0.74)],
            [0.20, 0.24, -0.3, 0.6, 0.0, 0.0, 0.2, 0.2],
            1.3,
        ),
        "W" => (
            vec![voiced(62.0, [320.0, 700.0, 2350.0], 0.70)],
            [0.16, 0.12, -0.8, 1.0, 0.0, 0.0, 0.0, 0.1],
            2.2,
        ),
        "Y" => (
            vec![voiced(54.0, [290.0, 2500.0, 3200.0], 0.68)],
            [0.18, 0.26, 0.6, 0.0, 0.0, 0.0, 0.1, 0.4],
            1.0,
        ),
        "SIL" => (vec![Segment { ms: 180.0, ..QUIET }], [0.0; 8], 1.2),
        _ => return None,
    };
    let closes = matches!(name, "P" | "B" | "M");
    Some(Phoneme { segments, mouths: vec![pose(mouth)], dominance, closes, vowel: false })
}
