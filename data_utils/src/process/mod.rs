//! From a video to a dataset: the stages of the `process` program.
//!
//! Each stage reads files of the dataset's folder and writes others ([`STAGES`] lists which); [`stage`] runs those
//! that are asked for and not done yet, and keeps in [`manifest`] what was made from what. Frames are read one by
//! one, so memory does not grow with the length of the video.

pub mod crop;
pub mod doctor;
pub mod filter;
pub mod frames;
pub mod landmarks;
pub mod manifest;
pub mod masks;
pub mod models;
pub mod options;
mod overlay;
pub mod pose;
mod report;
mod sheets;
pub mod smooth;
pub mod stage;
pub mod torso;
pub mod track_params;
pub mod transforms;

use crate::audio::ave::AveEncoder;
use crate::audio::features::AudioKind;
use crate::cli::progress::duration;
use crate::error::{Error, Result};
use crate::face::FaceModels;
use crate::parse::bisenet::BiSeNet;
use crate::track::flow::Raft;
use crate::video::{self, Encoder, Ffmpeg};
use candle_core::Device;
use options::{Options, ProcessFlags};
use stage::Stage;

/// Every stage, none before what it reads.
pub const STAGES: [Stage; 10] = [
    Stage {
        name: "crop",
        tasks: [0, 0],
        version: 1,
        inputs: &["@video", "@landmarker"],
        outputs: &["anchor_box.txt", "anchor.mp4"],
        options: |o| vec![("scale", format!("{:?}", o.scale))],
        run: crop::run,
    },
    Stage {
        name: "frames",
        tasks: [2, 2],
        version: 1,
        inputs: &["@video", "anchor_box.txt"],
        outputs: &["ori_imgs/*.jpg"],
        options: |_| Vec::new(),
        run: frames::run,
    },
    Stage {
        name: "sound",
        tasks: [1, 1],
        version: 1,
        inputs: &["@video", "ori_imgs/*.jpg"],
        outputs: &["aud.wav", "aud_ave.npy", "aud_mel.npy"],
        options: |o| vec![("asr", format!("{:?}", o.asr)), ("ave_weights", format!("{:?}", o.ave_weights))],
        run: frames::sound,
    },
    Stage {
        name: "landmarks",
        tasks: [6, 6],
        version: 1,
        inputs: &["ori_imgs/*.jpg", "@landmarker"],
        outputs: &["landmarks478.npy", "bs_raw.npy", landmarks::VERDICTS, "ori_imgs/*.lms"],
        options: |_| Vec::new(),
        run: landmarks::run,
    },
    Stage {
        name: "blendshapes",
        tasks: [7, 7],
        version: 1,
        inputs: &["bs_raw.npy", landmarks::VERDICTS],
        outputs: &["bs.npy"],
        options: |_| Vec::new(),
        run: landmarks::expression,
    },
    Stage {
        name: "parsing",
        tasks: [3, 3],
        version: 4,
        inputs: &["ori_imgs/*.jpg", "landmarks478.npy", landmarks::VERDICTS, "@parsing"],
        outputs: &["parsing/*.png", "parsing/*_face.png", "teeth_mask/*.npy"],
        options: |o| vec![("teeth_mask", o.teeth_mask.to_string())],
        run: masks::parsing,
    },
    Stage {
        name: "background",
        tasks: [4, 4],
        version: 1,
        inputs: &["ori_imgs/*.jpg", "parsing/*.png", landmarks::VERDICTS],
        outputs: &["bc.jpg"],
        options: |_| Vec::new(),
        run: masks::background,
    },
    Stage {
        name: "torso",
        tasks: [5, 5],
        version: 1,
        inputs: &["ori_imgs/*.jpg", "parsing/*.png", "bc.jpg", landmarks::VERDICTS],
        outputs: &["gt_imgs/*.jpg", "torso_imgs/*.png", "face_mask/*.png"],
        options: |_| Vec::new(),
        run: masks::torsos,
    },
    Stage {
        name: "pose",
        tasks: [8, 9],
        version: 4,
        inputs: &[
            "ori_imgs/*.jpg",
            "parsing/*.png",
            "landmarks478.npy",
            landmarks::VERDICTS,
            "aud.wav",
            "@landmarker",
            "@face_model",
            "@flow",
        ],
        outputs: &[
            track_params::FILE,
            "fused.ply",
            overlay::VIDEO,
            overlay::PICTURES[0],
            overlay::PICTURES[1],
            overlay::PICTURES[2],
            overlay::PICTURES[3],
        ],
        options: |o| vec![("use_3dmm", o.use_3dmm.to_string())],
        run: pose::run,
    },
    Stage {
        name: "transforms",
        tasks: [10, 10],
        version: 1,
        inputs: &[track_params::FILE, landmarks::VERDICTS],
        outputs: &[transforms::FILES[0], transforms::FILES[1]],
        options: |_| Vec::new(),
        run: transforms::run,
    },
];

/// Runs the program with the flags given.
///
/// # Errors
/// [`Error::Input`] for the user's mistakes, before anything is written.
pub fn run(flags: &ProcessFlags) -> Result<()> {
    if flags.check && flags.video.is_none() {
        print!("{}", models::check(flags)?);
        return Ok(());
    }
    let options = Options::new(flags)?;
    let tools = tools()?;
    if tools.encoder == Encoder::Mpeg4 {
        eprintln!("ffmpeg has no libx264: videos are written as MPEG-4 part 2, larger and a little softer");
    }
    let models = FaceModels::open(&options.landmarker)?;
    if flags.check {
        print!("{}", doctor::examine(&options, &tools, &models)?);
        return Ok(());
    }
    if let Some(path) = &options.parsing {
        BiSeNet::open(path)?;
    }
    if let Some(path) = &options.flow {
        Raft::open(path)?;
    }
    if options.face_model.is_some() {
        pose::face_model(&options, &models)?;
    }
    if let (Some(AudioKind::Ave) | None, Some(weights)) = (options.asr, &options.ave_weights) {
        AveEncoder::open(weights, &Device::Cpu)?;
    }
    if let Some(kind) = options.asr.filter(|k| !matches!(k.name(), "ave" | "mel")) {
        frames::given(&options.dir, kind)?;
    }
    if !manifest::Manifest::open(&options.dir).stages.contains_key("crop") {
        crop::accept(&options, &crop::look(&tools, &models, &options.video)?)?;
    }
    let took = stage::run(&STAGES, &options, &tools, models)?;
    if options.tasks[1] == options::LAST_TASK {
        report::write(&options.dir)?;
    }
    for (name, seconds) in &took {
        println!("{name:<12} {}", duration(*seconds));
    }
    println!("{:<12} {}", "dataset", options.dir.display());
    Ok(())
}

fn tools() -> Result<Ffmpeg> {
    video::find().ok_or_else(|| {
        Error::input(
            "ffmpeg",
            "ffmpeg and ffprobe that can be run",
            "not both of them",
            "install ffmpeg and try again",
        )
    })
}
