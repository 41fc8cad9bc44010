//! `surfeltalk convert`: a model that was written without its clip learns to do without its dataset.

use super::model_source::{ModelSource, dataset_of};
use super::output;
use crate::Result;
use crate::head::cloud::model_dir::ModelDir;
use crate::head::{Branch, Clip, Head, folder};
use clap::Parser;
use data_utils::dataset::{AudioChoice, Dataset, OpenOptions};
use std::path::PathBuf;

/// Stores poses, torsos, background and voice levels of its dataset in a model, so that the model speaks without the dataset.
#[derive(Debug, Parser)]
#[command(name = "convert", version, rename_all = "snake_case")]
pub struct ConvertFlags {
    /// Folder of the trained model (model/xxx)
    #[arg(short = 'm', long = "model_path")]
    model_path: PathBuf,
    /// Dataset folder (data/xxx); the one that the model was trained on by default
    #[arg(short = 's', long = "source_path")]
    source_path: Option<PathBuf>,
    /// Which saved iteration; the newest by default
    #[arg(long)]
    iteration: Option<u64>,
    /// Weights of the audio-visual encoder (audio_visual_encoder.pth), where the dataset has no features yet
    #[arg(long)]
    ave_weights: Option<PathBuf>,
}

/// Runs `convert` with the flags given.
///
/// # Errors
/// [`crate::Error::Input`] when there is no model or no dataset, or the model cannot be written.
pub fn run(flags: &ConvertFlags) -> Result<()> {
    let model = ModelDir::new(&flags.model_path);
    let dir = model.iteration_dir(model.iteration(flags.iteration)?);
    let mut head = Head::load(&dir)?;
    let settings = &head.first()?.settings;
    let why = Some("poses and torsos are copied from it");
    let path = dataset_of(&ModelSource { folder: &model, source_path: flags.source_path.as_deref(), why })?;
    let path = path.ok_or_else(|| crate::Error::Internal("no dataset to convert with".into()))?;
    let options = OpenOptions {
        audio: AudioChoice::Kind(settings.audio),
        ave_weights: flags.ave_weights.clone(),
        max_side: Some(settings.max_side),
        ..OpenOptions::default()
    };
    let clip = Clip::of(&Dataset::open(&path, &options)?, settings.part)?;
    head.clip = Some(clip);
    let branches: Vec<&Branch> = head.branches.iter().collect();
    folder::save(&dir, &branches, head.clip.as_ref())?;
    output::result(describe(&head, &folder::head_file(&dir)));
    Ok(())
}

/// What was written, for stdout.
fn describe(head: &Head, file: &std::path::Path) -> String {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let whole = std::fs::metadata(file).map_or(0, |data| data.len());
    let plates = head.clip.as_ref().map(|clip| (clip.plates.len(), clip.plates.compressed_bytes() as u64));
    let (frames, bytes) = plates.unwrap_or_default();
    format!(
        "{:<12} {}\n{:<12} {:.1} MB, of which {:.1} MB are the torsos of {frames} frames\n{:<12} this model now speaks without its dataset",
        "model",
        file.display(),
        "size",
        megabytes(whole),
        megabytes(bytes),
        ""
    )
}
