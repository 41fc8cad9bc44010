//! The scores of a rendered video: of frames that are drawn, and of portraits.

use super::output;
use super::output_folder::{LIP_METRICS, LIPS, METRICS, OutputFolder};
use super::record::RenderSummary;
use crate::Result;
use crate::live::frame_renderer::RenderedFrame;
use crate::live::portrait_frame::PortraitFrame;
use crate::metrics::accumulator::MetricAccumulator;
use crate::metrics::portrait::{PortraitPicture, PortraitScore};
use std::path::PathBuf;
use std::sync::Arc;

/// How good the frames are.
pub(super) struct Scores<'a> {
    pub(super) metrics: MetricAccumulator<'a>,
    /// In portrait mode.
    pub(super) portrait: Option<PortraitScore<'a>>,
}

impl Scores<'_> {
    /// Adds a frame.
    ///
    /// # Errors
    /// Those of reading filmed frames and of the networks.
    pub(super) fn add(&mut self, frame: &RenderedFrame) -> Result<()> {
        let Some((score, laid)) = self.portrait.as_mut().zip(frame.portrait.as_ref()) else {
            return self.metrics.add(frame.size, &frame.rgb(), frame.plate);
        };
        let finished = PortraitFrame { original: Arc::new(frame.to_image()?), ..laid.clone() };
        score.add(&PortraitPicture {
            size: frame.size,
            finished: &frame.picture,
            original: laid.original.as_raw(),
            crops: [&finished.filmed(), &laid.filmed()],
            width: laid.size[0] as usize,
            mask: &laid.mask,
            copied: laid.copied()[0],
        })?;
        // Lips of another voice are looked at in the whole frame.
        if self.metrics.has_truth() {
            Ok(())
        } else {
            self.metrics.add(frame.size, &frame.picture, frame.plate)
        }
    }
}

/// Prints what was made and how good it is, and writes the metrics beside it.
///
/// # Errors
/// [`crate::Error::Input`] when the folder cannot be written to.
pub(super) fn report(
    summary: &RenderSummary,
    scores: &Scores<'_>,
    name: &str,
    folder: &OutputFolder,
) -> Result<()> {
    let Scores { metrics, portrait } = scores;
    let mut report = metrics.report(name)?;
    if let Some(portrait) = portrait {
        let of_portrait = portrait.report(&format!("{name} portrait"))?;
        report = if metrics.has_truth() { of_portrait } else { report.beside(of_portrait)? };
    }
    let scores = folder.path().join(METRICS);
    report.write_json(&scores)?;
    let lips = metrics.lips().map(|_| folder.path().join(LIPS));
    if let (Some(path), Some(track)) = (&lips, metrics.lips()) {
        track.write(path)?;
    }
    let lip_report = metrics.lip_report(name)?;
    let lip_scores = lip_report.as_ref().map(|_| folder.path().join(LIP_METRICS));
    if let (Some(path), Some(report)) = (&lip_scores, &lip_report) {
        report.write_json(path)?;
    }
    let files =
        summary.attention.iter().chain(&summary.files).chain([&scores]).chain(&lips).chain(&lip_scores);
    folder.record(files.map(PathBuf::as_path))?;
    output::result(format_args!("{summary}\n{report}"));
    if let Some(report) = lip_report {
        output::result(report);
    }
    Ok(())
}
