//! How well drawn lips follow filmed ones, from a number or a few for each frame.
//!
//! Two cases. The head's own voice, where the same mouth was filmed: numbers are compared as they are ([`own_voice`]). A voice of
//! somebody else who was filmed: mouths differ in size, so only likeness and timing count ([`foreign_voice`]).
//!
//! No network judges here. A figure is only as good as the landmarks; print the real video beside it.

use super::landmarks::correlation;
use super::series::{best_lag, concordance, moments, quantile};
use crate::Result;

/// Frames by which lips may be early or late.
const MOST_LAG: usize = 12;
/// The share of the filmed frames with the smallest opening that count as closed.
const CLOSED_SHARE: f64 = 0.05;
/// Frames by which a closure may be early or late.
const CLOSURE_REACH: usize = 1;
/// Quieter than the loudest frame by this much counts as silence, dB.
const SILENCE_BELOW_DB: f32 = 45.0;
/// Shifts against another part of the voice, frames: 1 to 10 seconds.
const SHIFTS: [usize; 2] = [25, 250];
/// Fewer shifts say nothing about chance.
const FEWEST_SHIFTS: usize = 30;

/// How one track of the drawn lips agrees with the filmed one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Agreement {
    /// Pearson's correlation; none where one does not move.
    pub correlation: Option<f64>,
    /// Concordance, which a wrong amplitude or mean lowers.
    pub concordance: Option<f64>,
    /// Frames by which the drawn lips come late.
    pub lag: Option<f64>,
    /// Standard deviation over that of the filmed lips.
    pub amplitude: Option<f64>,
}

/// Compares two tracks frame by frame.
///
/// # Errors
/// [`crate::Error::Internal`] when they are of different lengths.
pub fn agreement(drawn: &[f64], filmed: &[f64]) -> Result<Agreement> {
    let ((_, of_drawn), (_, of_filmed)) = (moments(drawn), moments(filmed));
    Ok(Agreement {
        correlation: correlation(drawn, filmed)?,
        concordance: concordance(drawn, filmed)?,
        lag: best_lag(drawn, filmed, MOST_LAG)?.map(|lag| lag.values),
        amplitude: (of_filmed > 0.0).then(|| of_drawn / of_filmed),
    })
}

/// How the drawn opening follows that of the same mouth, filmed with the same voice.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OwnVoice {
    /// Of the openings.
    pub opening: Agreement,
    /// F1 of closures: frames at or below the filmed 5th percentile, found within one frame.
    pub closures: Option<f64>,
    /// Mean change from frame to frame in silence over the filmed one.
    pub movement_in_silence: Option<f64>,
}

/// Scores openings of the head's own voice. `loudness` is in dB, one for each frame.
///
/// # Errors
/// [`crate::Error::Internal`] when the series are of different lengths.
pub fn own_voice(drawn: &[f64], filmed: &[f64], loudness: Option<&[f32]>) -> Result<OwnVoice> {
    let silence = loudness.map(|loudness| silent(loudness, drawn.len()));
    Ok(OwnVoice {
        opening: agreement(drawn, filmed)?,
        closures: quantile(filmed, CLOSED_SHARE).and_then(|limit| closure_score(drawn, limit, filmed, limit)),
        movement_in_silence: silence.and_then(|silence| {
            let filmed = movement(filmed, &silence)?;
            (filmed > 0.0).then_some(movement(drawn, &silence)? / filmed)
        }),
    })
}

/// How the drawn opening follows that of the person whose voice it is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ForeignVoice {
    /// Correlation at the best lag.
    pub correlation: Option<f64>,
    /// That lag: frames by which the drawn lips come late.
    pub lag: Option<f64>,
    /// `(r − mean of r against shifted lips) / their deviation`: above 3 the lips follow this part of the voice and no other.
    pub distinctness: Option<f64>,
    /// F1 of closures: frames at or below each track's own 5th percentile, found within one frame.
    pub closures: Option<f64>,
}

/// Scores openings of somebody else's voice against the openings of the person who was filmed with it.
///
/// The shifted lips are the same film begun 1 to 10 seconds later, the end followed by the beginning; they may be early or late
/// like the true ones, so both are taken at their best lag.
///
/// # Errors
/// [`crate::Error::Internal`] when the series are of different lengths.
pub fn foreign_voice(drawn: &[f64], filmed: &[f64]) -> Result<ForeignVoice> {
    let best = best_lag(drawn, filmed, MOST_LAG)?;
    let limits = quantile(drawn, CLOSED_SHARE).zip(quantile(filmed, CLOSED_SHARE));
    Ok(ForeignVoice {
        correlation: best.map(|lag| lag.correlation),
        lag: best.map(|lag| lag.values),
        distinctness: match best {
            Some(lag) => distinctness(lag.correlation, drawn, filmed)?,
            None => None,
        },
        closures: limits.and_then(|(a, b)| closure_score(drawn, a, filmed, b)),
    })
}

fn distinctness(correlation: f64, drawn: &[f64], filmed: &[f64]) -> Result<Option<f64>> {
    let last = SHIFTS[1].min(filmed.len().saturating_sub(SHIFTS[0]));
    let mut shifted = Vec::new();
    for shift in SHIFTS[0]..=last {
        let other = [&filmed[shift..], &filmed[..shift]].concat();
        shifted.extend(best_lag(drawn, &other, MOST_LAG)?.map(|lag| lag.correlation));
    }
    let (mean, deviation) = moments(&shifted);
    Ok((shifted.len() >= FEWEST_SHIFTS && deviation > 0.0).then(|| (correlation - mean) / deviation))
}

/// F1 of closures: frames at or below the limit of each track, matched within one frame. `None` where the filmed lips never close.
fn closure_score(drawn: &[f64], drawn_limit: f64, filmed: &[f64], filmed_limit: f64) -> Option<f64> {
    let closed = |track: &[f64], limit: f64| track.iter().map(|v| *v <= limit).collect::<Vec<bool>>();
    let (drawn, filmed) = (closed(drawn, drawn_limit), closed(filmed, filmed_limit));
    let found = |which: &[bool], among: &[bool]| {
        let near = |i: usize| {
            let from = i.saturating_sub(CLOSURE_REACH);
            among.iter().skip(from).take(i + CLOSURE_REACH + 1 - from).any(|c| *c)
        };
        let all = which.iter().filter(|c| **c).count();
        let hits = which.iter().enumerate().filter(|(i, c)| **c && near(*i)).count();
        (all > 0).then(|| hits as f64 / all as f64)
    };
    let recall = found(&filmed, &drawn)?;
    let precision = found(&drawn, &filmed).unwrap_or(0.0);
    Some(if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 })
}

/// Which of the first `frames` frames are silent; those past the end of the sound are not.
fn silent(loudness: &[f32], frames: usize) -> Vec<bool> {
    let loudest = loudness.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    (0..frames).map(|i| loudness.get(i).is_some_and(|db| *db < loudest - SILENCE_BELOW_DB)).collect()
}

/// Mean change from frame to frame where both are silent.
fn movement(track: &[f64], is_silent: &[bool]) -> Option<f64> {
    let pairs = track.windows(2).zip(is_silent.windows(2)).filter(|(_, s)| s[0] && s[1]);
    let steps: Vec<f64> = pairs.map(|(pair, _)| (pair[1] - pair[0]).abs()).collect();
    (!steps.is_empty()).then(|| steps.iter().sum::<f64>() / steps.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mouth that speaks: bursts of syllables of uneven length, with pauses.
    fn mouth(frames: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut unit = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1u64 << 24) as f64
        };
        let mut track = Vec::new();
        while track.len() < frames {
            let (length, height) = (3 + (unit() * 5.0) as usize, 0.1 + 0.2 * unit());
            track.extend(
                (0..length).map(|k| height * (std::f64::consts::PI * k as f64 / length as f64).sin()),
            );
            if unit() < 0.15 {
                track.extend(vec![0.0; 10]);
            }
        }
        track.truncate(frames);
        track.iter().map(|v| v + 0.02 * unit()).collect()
    }

    fn loudness(track: &[f64]) -> Vec<f32> {
        track.iter().map(|v| if *v < 0.03 { -80.0 } else { -20.0 }).collect()
    }

    fn own(drawn: &[f64], filmed: &[f64]) -> OwnVoice {
        own_voice(drawn, filmed, Some(&loudness(filmed))).expect("same lengths")
    }

    fn near(found: Option<f64>, expected: f64, by: f64) {
        assert!(found.is_some_and(|v| (v - expected).abs() <= by), "{found:?}, {expected} expected");
    }

    #[test]
    fn the_real_mouth_beside_itself_is_perfect() {
        let mouth = mouth(600, 1);
        let OwnVoice { opening, closures, movement_in_silence } = own(&mouth, &mouth);
        near(opening.correlation, 1.0, 1e-12);
        near(opening.concordance, 1.0, 1e-12);
        near(opening.lag, 0.0, 0.05);
        near(opening.amplitude, 1.0, 1e-12);
        near(closures, 1.0, 1e-12);
        near(movement_in_silence, 1.0, 1e-12);
        let foreign = foreign_voice(&mouth, &mouth).expect("same lengths");
        near(foreign.correlation, 1.0, 1e-12);
        assert!(foreign.distinctness.expect("a number") > 5.0, "{foreign:?}");
    }

    #[test]
    fn sound_that_is_shifted_shows_as_that_lag() {
        let mouth = mouth(600, 2);
        for by in [-5i64, -1, 2, 8] {
            let shifted: Vec<f64> = (0..600).map(|i| mouth[(i as i64 - by).clamp(0, 599) as usize]).collect();
            near(own(&shifted, &mouth).opening.lag, by as f64, 0.3);
            near(foreign_voice(&shifted, &mouth).expect("same lengths").lag, by as f64, 0.3);
        }
    }

    #[test]
    fn a_frozen_mouth_has_no_correlation_and_no_amplitude() {
        let filmed = mouth(600, 3);
        let frozen = own(&[0.1; 600], &filmed);
        assert_eq!((frozen.opening.correlation, frozen.opening.lag), (None, None));
        near(frozen.opening.amplitude, 0.0, 1e-9);
        near(frozen.opening.concordance, 0.0, 1e-9);
        near(frozen.movement_in_silence, 0.0, 0.0);
        near(frozen.closures, 0.0, 0.0);
        assert_eq!(foreign_voice(&[0.1; 600], &filmed).expect("same lengths").correlation, None);
    }

    #[test]
    fn a_mouth_opened_too_wide_keeps_its_correlation_and_loses_concordance() {
        let filmed = mouth(600, 4);
        let wide: Vec<f64> = filmed.iter().map(|v| 1.5 * v).collect();
        let found = own(&wide, &filmed).opening;
        near(found.correlation, 1.0, 1e-12);
        near(found.amplitude, 1.5, 1e-12);
        assert!(found.concordance.expect("a number") < 0.9, "{found:?}");
    }

    #[test]
    fn the_mouth_of_another_sentence_is_not_distinct() {
        let mut found: Vec<f64> = (10..20)
            .map(|seed| {
                let other = foreign_voice(&mouth(600, seed), &mouth(600, seed + 50)).expect("same lengths");
                other.distinctness.expect("a number")
            })
            .collect();
        found.sort_by(f64::total_cmp);
        // By chance a single one may be higher.
        assert!(found[7] < 1.0 && found[9] < 3.0, "{found:?}");
    }

    #[test]
    fn noise_of_half_a_pixel_costs_some_correlation() {
        // 0.5 px of noise on two landmarks beside eyes 120 px apart.
        let filmed = mouth(600, 5);
        let mut state = 9u64;
        let mut normal = || {
            let mut sum = 0.0;
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                sum += (state >> 40) as f64 / (1u64 << 24) as f64;
            }
            sum - 6.0
        };
        let noisy: Vec<f64> = filmed.iter().map(|v| v + 0.5 * 2f64.sqrt() * normal() / 120.0).collect();
        let r = own(&noisy, &filmed).opening.correlation.expect("a number");
        assert!((0.98..0.999).contains(&r), "{r}");
    }

    #[test]
    fn a_short_voice_has_no_distinctness_and_lengths_must_agree() {
        let short = mouth(60, 6);
        assert_eq!(foreign_voice(&short, &short).expect("same lengths").distinctness, None);
        assert!(own_voice(&short, &short[1..], None).is_err());
        assert_eq!(own_voice(&[], &[], None).expect("same lengths"), OwnVoice::default());
    }
}
