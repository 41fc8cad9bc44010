//! Tables of how drawn lips follow filmed ones. The real video stands beside the drawn one: no figure is better than its own.

use super::lip_sync::{Agreement, ForeignVoice, OwnVoice, foreign_voice, own_voice};
use super::lip_track::{COLUMNS, LipTrack, OPEN};
use super::report::{Column, Figure, Report};
use crate::Result;

/// The row of the real video.
const REAL: &str = "real";
const OPENING_ALONE: &str = "measured of the opening alone";

/// The head's own voice, for which the same mouth was filmed, one row for each column of a track: likeness, timing and amplitude;
/// for the opening also closures and movement in silence. `loudness` is in dB, one for each frame.
///
/// # Errors
/// [`crate::Error::Internal`] when figures and columns disagree.
pub fn of_own_voice(
    name: &str,
    drawn: &LipTrack,
    filmed: &LipTrack,
    loudness: Option<&[f32]>,
) -> Result<Report> {
    let mut report = Report::new(vec![
        Column::new("r", "r", 3),
        Column::new("concordance", "concordance", 3),
        Column::new("lag", "lag", 1),
        Column::new("amplitude", "amplitude / real", 2),
        Column::new("closures_f1", "closures F1", 3),
        Column::new("movement_in_silence", "movement in silence / real", 2),
    ]);
    for (name, drawn) in [(name, drawn), (REAL, filmed)] {
        for (column, title) in COLUMNS.iter().enumerate() {
            let frames = drawn.frames.len().min(filmed.frames.len());
            let first = |track: &LipTrack| track.column(column).map(|v| v[..frames].to_vec());
            let pair = first(drawn).zip(first(filmed));
            let found = pair.map_or(Ok(OwnVoice::default()), |(a, b)| own_voice(&a, &b, loudness))?;
            let Agreement { correlation, concordance, lag, amplitude } = found.opening;
            let mut figures = [correlation, concordance, lag, amplitude].map(figure).to_vec();
            figures.extend(match column {
                OPEN => [
                    figure(found.closures),
                    found.movement_in_silence.map_or_else(|| Figure::missing("no silence"), Figure::new),
                ],
                _ => [Figure::missing(OPENING_ALONE), Figure::missing(OPENING_ALONE)],
            });
            report.push(&format!("{name} {title}"), frames, figures)?;
        }
    }
    Ok(report)
}

/// A voice of somebody who was filmed with it.
///
/// # Errors
/// As [`of_own_voice`].
pub fn of_foreign_voice(name: &str, drawn: &LipTrack, filmed: &LipTrack) -> Result<Report> {
    let mut report = Report::new(vec![
        Column::new("open_r", "open r at best lag", 3),
        Column::new("lag", "lag", 1),
        Column::new("distinctness", "d'", 1),
        Column::new("closures_f1", "closures F1", 3),
    ]);
    for (name, drawn) in [(name, drawn), (REAL, filmed)] {
        let frames = drawn.frames.len().min(filmed.frames.len());
        let first = |track: &LipTrack| track.column(OPEN).map(|v| v[..frames].to_vec());
        let pair = first(drawn).zip(first(filmed));
        let found = pair.map_or(Ok(ForeignVoice::default()), |(a, b)| foreign_voice(&a, &b))?;
        let distinct = found.distinctness.map_or_else(|| Figure::missing("too short"), Figure::new);
        report.push(
            name,
            frames,
            vec![figure(found.correlation), figure(found.lag), distinct, figure(found.closures)],
        )?;
    }
    Ok(report)
}

fn figure(value: Option<f64>) -> Figure {
    value.map_or_else(|| Figure::missing("no face was found, or nothing moves"), Figure::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(size: f32) -> LipTrack {
        let frame = |i: usize| [size * (1.0 + (i as f32 * 0.7).sin()); COLUMNS.len()];
        LipTrack { frames: (0..200).map(frame).collect() }
    }

    #[test]
    fn the_real_video_stands_beside_the_drawn_one() {
        let own = of_own_voice("test", &track(0.5), &track(1.0), Some(&[-20.0; 200])).expect("a report");
        let value = |row: &str, key: &str| own.figure(row, key).and_then(Figure::value).expect("a number");
        assert!((value("test open", "amplitude") - 0.5).abs() < 1e-6);
        assert!((value("test mouthClose", "r") - 1.0).abs() < 1e-6);
        assert!(value("test width", "concordance") < 0.9 && value("real width", "concordance") > 0.999);
        assert!((value("real open", "closures_f1") - 1.0).abs() < 1e-9);
        assert_eq!(own.figure("real open", "movement_in_silence").and_then(Figure::value), None);
        let foreign = of_foreign_voice("p1", &track(0.5), &track(1.0)).expect("a report");
        assert!(foreign.figure("p1", "open_r").and_then(Figure::value).expect("a number") > 0.999);
        assert_eq!(foreign.rows().len(), 2);
    }

    #[test]
    fn a_track_without_a_face_has_no_figures() {
        let mut none = LipTrack::default();
        (0..200).for_each(|_| none.push(None));
        let own = of_own_voice("test", &none, &track(1.0), None).expect("a report");
        assert_eq!(own.figure("test open", "r").and_then(Figure::value), None);
    }
}
