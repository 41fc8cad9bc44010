//! How well audio features alone tell what lips do: learned from one voice, tried on others.
//!
//! Ridge regression from the features around a frame to opening, width and pucker of the lips. What a head could learn at best
//! is bounded by this; it takes seconds where a head takes minutes.

use super::landmarks::correlation;
use super::lip_track::{LipTrack, OPEN, PUCKER, WIDTH};
use super::series::{moments, quantile, smaller_share};
use crate::{Error, Result};
use data_utils::audio::features::AudioFeatures;
use data_utils::linear::{Ridge, principal_components};

/// Rows before and after a frame's own that are looked at, for features of one step.
const ROWS: i64 = 2;
/// Steps of a wider row that are looked at, around its middle.
const STEPS: usize = 8;
/// Principal components of the teacher's rows.
const COMPONENTS: usize = 64;
/// Penalty of the weights for each frame.
const PENALTY: f64 = 3.0;
/// Quieter than the loudest frame by more than this is not speech, dB.
const SPEECH_BELOW_DB: f32 = 35.0;
/// The share of frames in speech with the smallest filmed opening that counts as closed, and the share with the smallest predicted
/// one in which they should lie.
const CLOSED: [f64; 2] = [0.15, 0.2];
/// Parts that the teacher is cut into, each predicted from the others.
const PARTS: usize = 11;
/// What is predicted.
const CURVES: [usize; 3] = [OPEN, WIDTH, PUCKER];

/// Someone who speaks: what is heard and what the lips do, frame by frame.
pub struct Speaker {
    /// Row `i` belongs to frame `i`.
    pub features: AudioFeatures,
    /// In dB.
    pub loudness: Vec<f32>,
    /// The filmed lips.
    pub lips: LipTrack,
}

/// How the predicted lips of a speaker agree with the filmed ones; a figure is missing where there is nothing to measure.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PredictionScore {
    /// Correlation of the opening.
    pub open: Option<f64>,
    /// The same in speech alone.
    pub speech: Option<f64>,
    /// Correlation of the width.
    pub width: Option<f64>,
    /// Correlation of the pucker.
    pub pucker: Option<f64>,
    /// Of the frames in speech where the lips are filmed closed (lowest 15 %), the share in the lowest fifth of the prediction;
    /// chance is .20.
    pub closed: Option<f64>,
    /// The same as a ranking, the area under the ROC curve; chance is .50.
    pub auc: Option<f64>,
}

/// What was learned of one speaker.
pub struct LipPredictor {
    hearing: Hearing,
    ridge: Ridge,
}

impl LipPredictor {
    /// Learns from one speaker.
    ///
    /// # Errors
    /// [`Error::Input`] for a speaker without frames or lips.
    pub fn learn(teacher: &Speaker) -> Result<Self> {
        let hearing = Hearing::of(&teacher.features);
        let frames = teacher.frames();
        let (x, inputs) = hearing.inputs(&teacher.features, frames);
        let y = teacher.curves(frames);
        let ridge = fit(&x, inputs, &y, 0..0)?;
        Ok(LipPredictor { hearing, ridge })
    }

    /// Tries what was learned on a speaker.
    ///
    /// # Errors
    /// [`Error::Internal`] when series disagree in length.
    pub fn score(&self, speaker: &Speaker) -> Result<PredictionScore> {
        let frames = speaker.frames();
        score(&self.ridge.apply(&self.hearing.inputs(&speaker.features, frames).0), speaker)
    }
}

/// How well each eleventh of a speaker is predicted from the other ten.
///
/// # Errors
/// As [`LipPredictor::learn`].
pub fn score_own(speaker: &Speaker) -> Result<PredictionScore> {
    let hearing = Hearing::of(&speaker.features);
    let frames = speaker.frames();
    let (x, inputs) = hearing.inputs(&speaker.features, frames);
    let y = speaker.curves(frames);
    let mut predicted = Vec::with_capacity(frames * CURVES.len());
    for part in 0..PARTS {
        let held = part * frames / PARTS..(part + 1) * frames / PARTS;
        let ridge = fit(&x, inputs, &y, held.clone())?;
        predicted.extend(ridge.apply(&x[held.start * inputs..held.end * inputs]));
    }
    score(&predicted, speaker)
}

/// The regression over all frames but those held out.
fn fit(x: &[f32], inputs: usize, y: &[f32], held: std::ops::Range<usize>) -> Result<Ridge> {
    let rest = |values: &[f32], width: usize| -> Vec<f32> {
        [&values[..held.start * width], &values[held.end * width..]].concat()
    };
    let (x, y) = (rest(x, inputs), rest(y, CURVES.len()));
    let penalty = PENALTY * (x.len() / inputs) as f64;
    Ridge::fit(&x, inputs, &y, CURVES.len(), penalty).ok_or_else(|| {
        Error::input(
            "the teacher",
            "a filmed speaker of some seconds",
            "no frames to learn from",
            "name another",
        )
    })
}

impl Speaker {
    /// Frames that are both heard and seen.
    fn frames(&self) -> usize {
        self.features.rows.min(self.lips.frames.len()).min(self.loudness.len())
    }

    /// The curves, each brought to mean 0 and deviation 1, `[frames, 3]`; zeros for one that was not measured.
    fn curves(&self, frames: usize) -> Vec<f32> {
        let mut all = vec![0.0; frames * CURVES.len()];
        for (k, column) in CURVES.iter().enumerate() {
            let Some(values) = self.lips.column(*column) else { continue };
            let (mean, deviation) = moments(&values[..frames]);
            let normal = values[..frames].iter().map(|v| ((v - mean) / deviation.max(1e-9)) as f32);
            all.iter_mut().skip(k).step_by(CURVES.len()).zip(normal).for_each(|(to, v)| *to = v);
        }
        all
    }
}

fn score(predicted: &[f64], speaker: &Speaker) -> Result<PredictionScore> {
    let frames = predicted.len() / CURVES.len();
    let curve = |k: usize| -> Vec<f64> { predicted.iter().skip(k).step_by(CURVES.len()).copied().collect() };
    let filmed = |k: usize| speaker.lips.column(CURVES[k]).map(|v| v[..frames].to_vec());
    let agree = |k: usize| match filmed(k) {
        Some(filmed) => correlation(&curve(k), &filmed),
        None => Ok(None),
    };
    let loudest = speaker.loudness.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let is_speech: Vec<bool> =
        speaker.loudness[..frames].iter().map(|db| *db > loudest - SPEECH_BELOW_DB).collect();
    let spoken = |values: Vec<f64>| -> Vec<f64> {
        values.into_iter().zip(&is_speech).filter(|(_, s)| **s).map(|(v, _)| v).collect()
    };
    let mut found = PredictionScore {
        open: agree(0)?,
        width: agree(1)?,
        pucker: agree(2)?,
        ..PredictionScore::default()
    };
    let (drawn, Some(filmed)) = (spoken(curve(0)), filmed(0).map(spoken)) else { return Ok(found) };
    found.speech = correlation(&drawn, &filmed)?;
    if let (Some(closed), Some(low)) = (quantile(&filmed, CLOSED[0]), quantile(&drawn, CLOSED[1])) {
        let is_closed: Vec<bool> = filmed.iter().map(|v| *v <= closed).collect();
        let count = is_closed.iter().filter(|c| **c).count();
        let hits = drawn.iter().zip(&is_closed).filter(|(v, c)| **c && **v <= low).count();
        found.closed = (count > 0).then(|| hits as f64 / count as f64);
        found.auc = smaller_share(&drawn, &is_closed);
    }
    Ok(found)
}

/// From rows of features to inputs of the regression, by the statistics of the teacher.
struct Hearing {
    mean: Vec<f32>,
    deviation: Vec<f32>,
    /// `[components, projected channels]`; empty for features of several steps.
    components: Vec<f32>,
    projected: usize,
    /// What the channels that are not projected are multiplied with, so that they count like a component.
    direct_scale: f32,
}

impl Hearing {
    fn of(features: &AudioFeatures) -> Self {
        let (channels, width) = (features.channels, features.width);
        let channel = |c: usize| -> Vec<f64> {
            let rows = features.values.chunks_exact(channels * width);
            rows.flat_map(|row| row[c * width..(c + 1) * width].iter().map(|v| f64::from(*v))).collect()
        };
        let (mean, deviation): (Vec<f32>, Vec<f32>) = (0..channels)
            .map(|c| moments(&channel(c)))
            .map(|(mean, deviation)| (mean as f32, deviation.max(1e-6) as f32))
            .unzip();
        let projected = if width == 1 { channels - features.kind.direct() } else { 0 };
        let mut hearing = Hearing { mean, deviation, components: Vec::new(), projected, direct_scale: 1.0 };
        if projected > 0 {
            let rows: Vec<f32> = features
                .values
                .chunks_exact(channels)
                .flat_map(|row| (0..projected).map(|c| hearing.normal(c, row[c])))
                .collect();
            let count = COMPONENTS.min(projected);
            let (components, variances) = principal_components(&rows, projected, count);
            hearing.direct_scale = (variances.iter().sum::<f64>() / count as f64).sqrt() as f32;
            hearing.components = components;
        }
        hearing
    }

    fn normal(&self, channel: usize, value: f32) -> f32 {
        (value - self.mean[channel]) / self.deviation[channel]
    }

    /// Rows for the first `frames` frames, and their width.
    fn inputs(&self, features: &AudioFeatures, frames: usize) -> (Vec<f32>, usize) {
        let (channels, width) = (features.channels, features.width);
        let rows = features.values.chunks_exact(channels * width).take(frames);
        if width > 1 {
            let from = (width - STEPS.min(width)) / 2;
            let steps = from..from + STEPS.min(width);
            let inside = |row: &[f32]| -> Vec<f32> {
                let of = |c: usize| steps.clone().map(move |t| (c, row[c * width + t]));
                (0..channels).flat_map(of).map(|(c, v)| self.normal(c, v)).collect()
            };
            return (rows.flat_map(inside).collect(), channels * steps.len());
        }
        let seen: Vec<Vec<f32>> = rows
            .map(|row| {
                let normal: Vec<f32> = row.iter().enumerate().map(|(c, v)| self.normal(c, *v)).collect();
                let (row, direct) = normal.split_at(self.projected);
                let along = |d: &[f32]| d.iter().zip(row).map(|(d, v)| d * v).sum::<f32>();
                let components = self.components.chunks_exact(self.projected).map(along);
                components.chain(direct.iter().map(|v| v * self.direct_scale)).collect()
            })
            .collect();
        let last = seen.len() as i64 - 1;
        let around = |i: i64| (i - ROWS..=i + ROWS).flat_map(|at| &seen[at.clamp(0, last) as usize]).copied();
        let one = seen.first().map_or(1, Vec::len);
        ((0..=last).flat_map(around).collect(), one * (2 * ROWS as usize + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_utils::audio::features::AudioKind;

    /// Lips that follow two of the features' channels, with a loudness that has pauses.
    fn speaker(frames: usize, seed: f32, follows: bool) -> Speaker {
        let kind = AudioKind::Speech;
        let (channels, width) = (kind.channels(), kind.width());
        let hidden = |i: usize, k: usize| ((i as f32 * 0.31 + seed) * (1.0 + 0.37 * k as f32)).sin();
        let values = (0..frames)
            .flat_map(|i| (0..channels).map(move |c| hidden(i, c % 5) + 0.3 * hidden(i, (c + 1) % 5)))
            .collect();
        let lip = |i: usize, k: usize| match follows {
            true => hidden(i, k),
            false => ((i * i) as f32 * 0.0713 + (i * (k + 1)) as f32 * 0.917).sin(),
        };
        let lips = (0..frames).map(|i| {
            let open = lip(i, 0) + 0.5 * lip(i, 1);
            [open, lip(i, 2), f32::NAN, lip(i, 3), f32::NAN, f32::NAN]
        });
        Speaker {
            features: AudioFeatures { kind, rows: frames, channels, width, values },
            loudness: (0..frames).map(|i| if i % 50 < 10 { -90.0 } else { -20.0 }).collect(),
            lips: LipTrack { frames: lips.collect() },
        }
    }

    #[test]
    fn lips_that_follow_the_features_are_learned_for_other_speakers() {
        let predictor = LipPredictor::learn(&speaker(500, 0.0, true)).expect("learned");
        let found = predictor.score(&speaker(400, 2.0, true)).expect("scores");
        for value in [found.open, found.speech, found.width, found.pucker, found.auc] {
            assert!(value.expect("a number") > 0.95, "{found:?}");
        }
        assert!(found.closed.expect("a number") > 0.9, "{found:?}");
        let own = score_own(&speaker(500, 0.0, true)).expect("scores");
        assert!(own.open.expect("a number") > 0.95, "{own:?}");
    }

    #[test]
    fn lips_that_do_something_else_are_not_predicted() {
        let predictor = LipPredictor::learn(&speaker(500, 0.0, true)).expect("learned");
        let found = predictor.score(&speaker(400, 2.0, false)).expect("scores");
        assert!(found.open.expect("a number") < 0.3 && found.auc.expect("a number") < 0.7, "{found:?}");
    }

    #[test]
    fn a_speaker_without_frames_teaches_nothing() {
        assert_eq!(LipPredictor::learn(&speaker(0, 0.0, true)).err().expect("refused").exit_code(), 2);
        let predictor = LipPredictor::learn(&speaker(200, 0.0, true)).expect("learned");
        assert_eq!(predictor.score(&speaker(0, 0.0, true)).expect("scores"), PredictionScore::default());
    }
}
