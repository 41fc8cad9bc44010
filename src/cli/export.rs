//! `surfeltalk export`: a head for viewers and other programs, at rest or while it says something.

use super::interrupt::Interrupt;
use super::output;
use super::progress::Progress;
use crate::head::backend::{Backend, CpuBackend};
use crate::head::cloud::model_dir::ModelDir;
use crate::head::cloud::posed::posed;
use crate::head::cloud::{Cloud, ViewerFrame, ply, splat};
use crate::head::{Branch, Head, folder};
use crate::live::performance::{Performance, PerformanceOptions};
use crate::{Error, Result};
use clap::Parser;
use data_utils::audio;
use data_utils::audio::ave::AveEncoder;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Samples that are given at once.
const PIECE: usize = 1 << 16;

/// Writes a head as files that viewers open: at rest, or frame by frame while it says something.
#[derive(Debug, Parser)]
#[command(name = "export", version, rename_all = "snake_case")]
pub struct ExportFlags {
    /// Folder of the trained model (model/xxx)
    #[arg(short = 'm', long = "model_path")]
    model_path: PathBuf,
    /// Which saved iteration; the newest by default
    #[arg(long)]
    iteration: Option<u64>,
    /// The file: .ply with everything, for SIBR, SuperSplat, Spark and others, or .splat, smaller, with one colour a surfel. Frames
    /// of a voice get numbers: head_00000.ply and so on
    output: PathBuf,
    /// A voice: each of its frames becomes a file
    #[arg(long)]
    custom_aud: Option<PathBuf>,
    /// Frames of the voice, 25 a second: one, or the first and the last (0-24); all by default
    #[arg(long, value_parser = frames, requires = "custom_aud")]
    frames: Option<(usize, usize)>,
    /// Weights of the audio-visual encoder (audio_visual_encoder.pth), for heads that listen to it
    #[arg(long)]
    ave_weights: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    overwrite: bool,
    /// No progress
    #[arg(long)]
    quiet: bool,
}

/// `7` or `3-9`.
fn frames(text: &str) -> std::result::Result<(usize, usize), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
        _ => Err("expected a frame, such as 12, or the first and the last, such as 0-24".into()),
    }
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Ply,
    Splat,
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("ply") => Ok(Format::Ply),
            Some("splat") => Ok(Format::Splat),
            _ => Err(Error::input(
                path.display(),
                "a name that ends in .ply or .splat",
                "another",
                "rename it",
            )),
        }
    }
}

/// Runs `export` with the flags given.
///
/// # Errors
/// [`Error::Input`] when there is no model, the voice cannot be read, or a file exists or cannot be written.
pub fn run(flags: &ExportFlags) -> Result<()> {
    let format = Format::of(&flags.output)?;
    let model = ModelDir::new(&flags.model_path);
    let head = Arc::new(Head::load(&model.iteration_dir(model.iteration(flags.iteration)?))?);
    let branch = head.first()?;
    let written = match &flags.custom_aud {
        None => {
            check_vacant(&flags.output, flags.overwrite)?;
            write(&flags.output, format, branch, &branch.cloud)?;
            vec![flags.output.clone()]
        }
        Some(voice) => say(flags, format, &head, voice)?,
    };
    let (Some(first), Some(last)) = (written.first(), written.last()) else {
        return Err(Error::input(
            "--frames",
            "frames of the voice",
            "none",
            "the voice is shorter than that",
        ));
    };
    output::result(match written.len() {
        1 => format!("{:<12} {}", "file", first.display()),
        files => format!("{:<12} {files}, {} to {}", "files", first.display(), last.display()),
    });
    Ok(())
}

/// Writes the frames of a voice.
fn say(flags: &ExportFlags, format: Format, head: &Arc<Head>, voice: &Path) -> Result<Vec<PathBuf>> {
    let interrupt = Interrupt::get();
    let branch = head.first()?;
    let sound = audio::load(voice)?;
    let total = sound.video_frames();
    let (first, last) = flags.frames.unwrap_or((0, total.saturating_sub(1)));
    let device = candle_core::Device::Cpu;
    let encoder = flags.ave_weights.as_deref().map(|path| AveEncoder::open(path, &device)).transpose()?;
    let options = PerformanceOptions { encoder, frame_count: Some(total), ..PerformanceOptions::default() };
    let backend: Box<dyn Backend> = Box::new(CpuBackend::new());
    let mut performance = Performance::new(head, backend, options)?;
    let mut pieces = sound.samples.chunks(PIECE);
    let (mut written, mut number, mut is_open) = (Vec::new(), 0, true);
    let end = total.min(last.saturating_add(1));
    (first..end).try_for_each(|number| check_vacant(&numbered(&flags.output, number), flags.overwrite))?;
    let mut progress = Progress::start("export", first as u64, end as u64, flags.quiet);
    while number < end {
        let Some(inputs) = performance.next_inputs() else {
            match pieces.next() {
                Some(piece) => performance.push_audio(piece, sound.rate)?,
                None if is_open => {
                    performance.finish()?;
                    is_open = false;
                }
                None => break,
            }
            continue;
        };
        if number >= first {
            let packed = branch.deform(&[inputs.conditions])?;
            let cloud = posed(&branch.cloud, &branch.deltas(&packed, 1))?;
            let path = numbered(&flags.output, number);
            write(&path, format, branch, &cloud)?;
            written.push(path);
            progress.update(number as u64 + 1, String::new);
        }
        number += 1;
        if interrupt.raised() {
            return Err(interrupt.error(format!("{} files were written", written.len())));
        }
    }
    progress.finish();
    Ok(written)
}

/// `head.ply` to `head_00012.ply`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}_{number:05}.{ending}"))
}

fn check_vacant(path: &Path, overwrite: bool) -> Result<()> {
    if overwrite || !path.exists() {
        return Ok(());
    }
    let remedy = "choose another name, or add --overwrite";
    Err(Error::input(path.display(), "a file that is not there yet", "one that exists", remedy))
}

fn write(path: &Path, format: Format, branch: &Branch, cloud: &Cloud) -> Result<()> {
    let frame = ViewerFrame::of_extent(branch.settings.extent);
    let cloud = frame.cloud(&folder::padded(cloud));
    match format {
        Format::Ply => ply::write(path, &cloud, &[frame.comment()]),
        Format::Splat => splat::write(path, &cloud),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_one_or_a_range() {
        assert_eq!([frames("12"), frames("0-24")], [Ok((12, 12)), Ok((0, 24))]);
        for wrong in ["", "-3", "5-2", "a", "1-"] {
            assert!(frames(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_ending_names_the_format() {
        assert_eq!(Format::of(Path::new("a/b.PLY")).ok(), Some(Format::Ply));
        assert_eq!(Format::of(Path::new("b.splat")).ok(), Some(Format::Splat));
        assert_eq!(Format::of(Path::new("b.glb")).expect_err("refused").exit_code(), 2);
        assert_eq!(numbered(Path::new("a/b.ply"), 7), Path::new("a/b_00007.ply"));
    }
}
