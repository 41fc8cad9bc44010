//! `surfeltalk export`: a head for viewers and other programs, at rest or while it says something.

use super::export_file::{Exporter, Format, numbered};
use super::export_web;
use super::interrupt::Interrupt;
use super::output;
use super::progress::Progress;
use crate::head::Head;
use crate::head::backend::{Backend, CpuBackend};
use crate::head::cloud::model_dir::ModelDir;
use crate::head::cloud::posed::posed;
use crate::head::folder::head_file;
use crate::head::mesh::MeshOptions;
use crate::live::performance::{Performance, PerformanceOptions};
use crate::sample;
use crate::{Error, Result};
use clap::Parser;
use data_utils::audio;
use data_utils::audio::ave::AveEncoder;
use data_utils::media::files;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest head file that is read, bytes.
const MOST_HEAD: u64 = 1 << 30;
/// Samples that are given at once.
const PIECE: usize = 1 << 16;

/// Writes a head as files that viewers open: at rest, or frame by frame while it says something.
#[derive(Debug, Parser)]
#[command(name = "export", version, rename_all = "snake_case")]
pub struct ExportFlags {
    /// Folder of the trained model (model/xxx); without it --web shows the sample talker
    #[arg(short = 'm', long = "model_path", required_unless_present = "web")]
    model_path: Option<PathBuf>,
    /// Which saved iteration; the newest by default
    #[arg(long)]
    iteration: Option<u64>,
    /// The file: .ply with everything, for SIBR, SuperSplat, Spark and others; .splat, smaller, with one colour a surfel; or a mesh as
    /// .glb or .obj. Frames of a voice get numbers: head_00000.ply and so on
    output: PathBuf,
    /// A folder of static files in place of one: a page in which the head speaks, drawn by the visitor's browser
    #[arg(long, conflicts_with_all = ["mesh", "custom_aud"])]
    web: bool,
    /// Triangles in place of surfels, closed where the clip's cameras saw the head: .glb, .obj or .ply
    #[arg(long)]
    mesh: bool,
    /// Voxels along the longest side of the head from which a mesh is made
    #[arg(long, default_value_t = MeshOptions::default().resolution as u32, value_parser = clap::value_parser!(u32).range(16..=512))]
    mesh_resolution: u32,
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

/// Runs `export` with the flags given.
///
/// # Errors
/// [`Error::Input`] when there is no model, the voice cannot be read, or a file exists or cannot be written.
pub fn run(flags: &ExportFlags) -> Result<()> {
    let folder = flags.model_path.as_deref().map(|path| newest(path, flags.iteration)).transpose()?;
    if flags.web {
        return web(flags, folder.as_deref());
    }
    let format = Format::of(&flags.output, flags.mesh)?;
    let folder = folder.ok_or_else(|| Error::Internal("an export without a model".into()))?;
    let head = Arc::new(Head::load(&folder)?);
    let exporter = Exporter {
        format,
        branch: head.first()?,
        cameras: head.clip.iter().flat_map(|clip| &clip.frames).map(|frame| frame.camera).collect(),
        mesh: MeshOptions { resolution: flags.mesh_resolution as usize, ..MeshOptions::default() },
    };
    let written = match &flags.custom_aud {
        None => rest(flags, &exporter)?,
        Some(voice) => say(flags, &exporter, &head, voice)?,
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

/// The folder of a model's iteration.
fn newest(model_path: &Path, iteration: Option<u64>) -> Result<PathBuf> {
    let model = ModelDir::new(model_path);
    Ok(model.iteration_dir(model.iteration(iteration)?))
}

/// Writes a page with the head in `folder`, or with the sample talker.
fn web(flags: &ExportFlags, folder: Option<&Path>) -> Result<()> {
    let bytes = match folder {
        Some(folder) => Cow::Owned(files::read_bounded(&head_file(folder), MOST_HEAD)?),
        None => Cow::Borrowed(sample::TRAINED),
    };
    let total = export_web::write(&bytes, &flags.output, flags.overwrite)?;
    let megabytes = total as f64 / 1e6;
    output::result(format!(
        "{:<12} {}, {megabytes:.1} MB; any web server can serve it",
        "page",
        flags.output.display()
    ));
    Ok(())
}

/// Writes the head at rest.
fn rest(flags: &ExportFlags, exporter: &Exporter<'_>) -> Result<Vec<PathBuf>> {
    check_vacant(&flags.output, flags.overwrite)?;
    let interrupt = Interrupt::get();
    let is_mesh = matches!(exporter.format, Format::Mesh(_));
    let mut progress = Progress::start("views", 0, exporter.mesh.views as u64, flags.quiet || !is_mesh);
    exporter.write(&flags.output, &exporter.branch.cloud, |done, _| {
        progress.update(done as u64, String::new);
        if interrupt.raised() { Err(interrupt.error("nothing was written")) } else { Ok(()) }
    })?;
    progress.finish();
    Ok(vec![flags.output.clone()])
}

/// Writes the frames of a voice.
fn say(flags: &ExportFlags, exporter: &Exporter<'_>, head: &Arc<Head>, voice: &Path) -> Result<Vec<PathBuf>> {
    let interrupt = Interrupt::get();
    let branch = exporter.branch;
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
            exporter.write(&path, &cloud, |_, _| Ok(()))?;
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

fn check_vacant(path: &Path, overwrite: bool) -> Result<()> {
    if overwrite || !path.exists() {
        return Ok(());
    }
    let remedy = "choose another name, or add --overwrite";
    Err(Error::input(path.display(), "a file that is not there yet", "one that exists", remedy))
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
}
