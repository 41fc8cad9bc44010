//! `score poses`: how good the poses of datasets are.

use super::output;
use crate::metrics::report::{Column, Figure, Report};
use crate::{Error, Result};
use data_utils::camera::Camera;
use data_utils::dataset::{AudioChoice, Dataset, OpenOptions};
use data_utils::process::pose_figures::{PoseFigures, turns_against};
use data_utils::process::track_params::TrackParams;
use data_utils::track::stabilise::Amplitude;
use std::path::{Path, PathBuf};

/// How good the poses of datasets are: how far landmarks lie from the face through them, and through poses fitted to each frame
/// alone (PnP), how far they turn for each degree of the landmarks, and how much they shake on skin that they were not fitted to.
#[derive(Debug, clap::Args)]
#[command(rename_all = "snake_case")]
pub struct PoseFlags {
    /// Datasets that process made (data/xxx)
    #[arg(short = 's', long = "source_path", num_args = 1.., required = true)]
    source_path: Vec<PathBuf>,
    /// Dataset of the same clip by another program or run: turns are compared with its poses too
    #[arg(long)]
    against: Option<PathBuf>,
}

/// Prints the figures.
///
/// # Errors
/// [`Error::Input`] when files are missing, damaged or of another clip.
pub fn run(flags: &PoseFlags) -> Result<()> {
    let mut report = Report::new(columns());
    for dir in &flags.source_path {
        let params = TrackParams::read(dir)?;
        let found = PoseFigures::read(dir)?;
        let shown = found.reprojection;
        let mut row = [shown.rms, shown.pnp, shown.ratio()].map(Figure::new).to_vec();
        row.extend(turns(found.turns));
        row.extend(shaking(&params));
        report.push(&name(dir), shown.frames, row)?;
        if let Some(other) = &flags.against {
            let (frames, compared) = turns_against(&params, &cameras(other)?);
            if frames == 0 {
                return Err(Error::input(
                    other.display(),
                    format!("frames of the same clip as {}", dir.display()),
                    "none of the same number",
                    "name a dataset of that clip",
                ));
            }
            let mut row = vec![Figure::missing("poses alone"); 3];
            row.extend(turns(compared));
            row.extend(vec![Figure::missing("poses alone"); 4]);
            report.push(&format!("{} against {}", name(dir), other.display()), frames, row)?;
        }
    }
    output::result(report.to_string().trim_end());
    Ok(())
}

fn columns() -> Vec<Column> {
    let pixels = [("rms", "landmarks px"), ("pnp", "PnP px"), ("ratio", "ratio")];
    let turns = [("pitch", "pitch"), ("yaw", "yaw"), ("roll", "roll")];
    let shaking = [("x", "shakes x"), ("y", "shakes y"), ("was_x", "fit x"), ("was_y", "fit y")];
    let column = |(key, title): &(&str, &str)| Column::new(key, title, 3);
    [&pixels[..], &turns, &shaking].iter().flat_map(|part| part.iter().map(column)).collect()
}

fn turns(turns: [Option<Amplitude>; 3]) -> impl Iterator<Item = Figure> {
    turns.into_iter().map(|turn| {
        turn.map_or_else(|| Figure::missing("the head hardly turns"), |turn| Figure::new(turn.slope()))
    })
}

/// Motion from frame to frame on skin that was held out, of the final poses and of the fit, pixels.
fn shaking(params: &TrackParams) -> Vec<Figure> {
    match &params.held_out_residual {
        Some([before, after]) => {
            [after.frame_to_frame, before.frame_to_frame].concat().into_iter().map(Figure::new).collect()
        }
        None => vec![Figure::missing("nothing was held out"); 4],
    }
}

/// The cameras of a dataset with the numbers of their frames.
fn cameras(dir: &Path) -> Result<Vec<(usize, Camera)>> {
    let options = OpenOptions { audio: AudioChoice::Auto, ..OpenOptions::default() };
    let dataset = Dataset::open(dir, &options)?;
    Ok(dataset.frames.iter().map(|frame| (frame.img_id as usize, frame.camera)).collect())
}

fn name(dir: &Path) -> String {
    dir.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned())
}
