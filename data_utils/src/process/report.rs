//! `report.html`: what was made, what was left out and why, and pictures to look at before hours of training.

use super::frame_filter::FrameFilter;
use super::landmarks;
use super::manifest::Manifest;
use super::pose_figures::PoseFigures;
use super::sheets;
use super::track_params::{Motion, TrackParams};
use crate::camera::Camera;
use crate::error::Result;
use crate::formats::npy;
use crate::media::files;
use std::fmt::Write as _;
use std::path::Path;

/// Size of a curve's picture.
const CURVE: [f64; 2] = [1000.0, 160.0];
const COLORS: [&str; 3] = ["#c33", "#292", "#36c"];

/// A line of a curve's picture.
struct Line {
    name: &'static str,
    values: Vec<f64>,
}

/// Writes `report.html` and the pictures beside it; the same bytes for the same dataset.
///
/// # Errors
/// What reading the dataset fails with.
pub fn write(dir: &Path) -> Result<()> {
    let filter = FrameFilter::read(dir)?;
    sheets::write(dir, &filter)?;
    // The folder's own name, also where it is called `.`.
    let whole = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let name = escaped(&whole.file_name().unwrap_or_default().to_string_lossy());
    let mut html = format!(
        "<!doctype html><meta charset=utf-8><title>{name}</title>\n\
         <style>body{{font:15px sans-serif;max-width:1040px;margin:2em auto}}img{{width:100%}}\
         td{{padding:2px 12px 2px 0;vertical-align:top}}svg{{width:100%;background:#f6f6f6}}</style>\n",
    );
    let mut add = |text: String| html.push_str(&text);
    add(format!("<h1>{name}</h1>\n<table>"));
    let manifest = Manifest::open(dir)?;
    for (name, record) in &manifest.stages {
        add(format!("<tr><td>{}<td>{}</tr>\n", escaped(name), escaped(&record.result)));
    }
    add("</table>\n".into());
    let by_hand: Vec<&str> = manifest.stages.values().flat_map(|r| &r.by_hand).map(String::as_str).collect();
    if !by_hand.is_empty() {
        add(format!(
            "<h2>Changed or put in by hand, and kept</h2>\n<p>{}</p>\n",
            escaped(&by_hand.join(", "))
        ));
    }
    add("<h2>Frames that are not used</h2>\n".into());
    add(if filter.excluded.is_empty() {
        format!("<p>None of {}.</p>\n", filter.count)
    } else {
        format!("<p>{} of {}: {}.</p>\n", filter.excluded.len(), filter.count, escaped(&filter.summary()))
    });
    for (title, picture) in [
        ("Masks: head blue, neck green, torso red", "masks"),
        ("Torso alone, on a colour that no torso has", "torso"),
        ("Crop", "crop"),
        ("Fitted face on twelve frames", "mesh"),
        ("Fitted face where the head is turned and moved the most", "extremes"),
        ("The same twelve frames seen from one place: features must not move", "still"),
        (
            "Mean of many frames: as they are, held still by the fitted face, held still after stabilizing",
            "mean",
        ),
    ] {
        add(format!("<h2>{title}</h2>\n<img src=report/{picture}.png>\n"));
    }
    let params = TrackParams::read(dir)?;
    let cameras = params.cameras();
    add(jitter(&params));
    let faces = landmarks::read(dir)?;
    add(format!("<p>{}.</p>\n", escaped(&PoseFigures::of(&params, &faces)?.words())));
    add(curve("Rotation of the head, degrees", &rotations(&cameras)));
    add(curve("Place of the head, millimetres from its mean", &places(&cameras)));
    let expression = npy::read(&dir.join("bs.npy"))?;
    let column = |name, k: usize| Line {
        name,
        values: expression.data.chunks_exact(52).map(|r| f64::from(r[k])).collect(),
    };
    add(curve(
        "Expression, 0 to 1",
        &[column("blink left", 8), column("blink right", 9), column("jaw open", 24)],
    ));
    add(curve(
        "Mouth opening by landmarks, share of the eyes' distance",
        &[Line {
            name: "opening",
            values: faces.iter().map(|f| f.as_ref().map_or(0.0, |f| f64::from(f.mouth_opening()))).collect(),
        }],
    ));
    files::write_bytes(&dir.join("report.html"), html.as_bytes())
}

/// The motion of the face that the poses leave, with and without stabilizing.
fn jitter(params: &TrackParams) -> String {
    let line = |name, motion: &Motion, axis: usize| Line {
        name,
        values: motion.path.iter().map(|p| p.map_or(f64::NAN, |p| f64::from(p[axis]))).collect(),
    };
    let mut text = format!(
        "<h2>Jitter</h2>\n<p>Common motion of still skin in the frames once the poses are removed; standard deviation along \
         x / y.</p>\n<table><tr><td>fitted face<td>{}</tr>\n",
        params.fit_residual.words()
    );
    let mut rows = String::new();
    if let Some([before, after]) = &params.held_out_residual {
        rows = format!(
            "<tr><td>fitted face, on other skin<td>{}</tr><tr><td>stabilized, on skin that was not followed<td>{}</tr>",
            before.words(),
            after.words()
        );
    }
    let Some(after) = &params.stabilized_residual else {
        text.push_str(&format!("{rows}</table>\n"));
        text.push_str(&curve(
            "Jitter of the fitted face, pixels",
            &[line("x", &params.fit_residual, 0), line("y", &params.fit_residual, 1)],
        ));
        return text;
    };
    text.push_str(&format!("<tr><td>stabilized<td>{}</tr>{rows}</table>\n", after.words()));
    for (axis, title) in [(0, "Jitter along x, pixels"), (1, "Jitter along y, pixels")] {
        let lines = [line("fitted face", &params.fit_residual, axis), line("stabilized", after, axis)];
        text.push_str(&curve(title, &lines));
    }
    text
}

/// Pitch, yaw and roll of the head against the camera.
fn rotations(cameras: &[Camera]) -> [Line; 3] {
    // R = Rx(pitch) Ry(yaw) Rz(roll) of the head in an OpenGL camera, with the signs of SyncTalk's trackers.
    let angles: Vec<[f64; 3]> = cameras
        .iter()
        .map(|c| {
            let m = c.to_opengl();
            let r = |row: usize, column: usize| m[column][row];
            [r(1, 2).atan2(r(2, 2)), -r(0, 2).clamp(-1.0, 1.0).asin(), (-r(0, 1)).atan2(r(0, 0))]
        })
        .collect();
    let of = |k: usize| angles.iter().map(|a| a[k].to_degrees()).collect();
    [
        Line { name: "pitch", values: of(0) },
        Line { name: "yaw", values: of(1) },
        Line { name: "roll", values: of(2) },
    ]
}

/// The world's origin in camera coordinates, minus its mean.
fn places(cameras: &[Camera]) -> [Line; 3] {
    let of = |k: usize| {
        let values: Vec<f64> = cameras.iter().map(|c| c.camera_from_world[k][3] * 1000.0).collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        values.iter().map(|v| v - mean).collect()
    };
    [
        Line { name: "right", values: of(0) },
        Line { name: "down", values: of(1) },
        Line { name: "away", values: of(2) },
    ]
}

/// A picture of lines over the frames, as SVG.
fn curve(title: &str, lines: &[Line]) -> String {
    let all = || lines.iter().flat_map(|l| l.values.iter().copied()).filter(|v| v.is_finite());
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let [width, height] = CURVE;
    let span = if high > low { high - low } else { 1.0 };
    let mut svg = format!("<h2>{title}</h2>\n<svg viewBox='0 0 {width} {height}'>");
    for (line, color) in lines.iter().zip(COLORS) {
        let last = line.values.len().saturating_sub(1).max(1) as f64;
        let mut points = String::new();
        for (i, value) in line.values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let (x, y) = (i as f64 / last * width, height - 8.0 - (value - low) / span * (height - 16.0));
            // Writing to a string cannot fail.
            let _ = write!(points, "{x:.1},{y:.1} ");
        }
        svg.push_str(&format!("<polyline fill=none stroke='{color}' points='{points}'/>"));
    }
    svg.push_str("</svg>\n<p>");
    for (line, color) in lines.iter().zip(COLORS) {
        svg.push_str(&format!("<span style='color:{color}'>{}</span> ", line.name));
    }
    svg.push_str(&format!("from {low:.2} to {high:.2}</p>\n"));
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_runs_from_its_lowest_to_its_highest_value() {
        let svg = curve("a", &[Line { name: "b", values: vec![1.0, f64::NAN, 3.0] }]);
        assert!(svg.contains("0.0,152.0 1000.0,8.0"), "{svg}");
        assert!(svg.contains("from 1.00 to 3.00"));
    }

    #[test]
    fn names_cannot_break_the_page() {
        assert_eq!(escaped("<b>&"), "&lt;b&gt;&amp;");
    }
}
