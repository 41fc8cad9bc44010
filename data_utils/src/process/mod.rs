//! From a video to a dataset: the stages of the `process` program.
//!
//! Each stage reads files of the dataset's folder and writes others ([`STAGES`] lists which). [`runner`] runs those that
//! are asked for and not done yet; [`manifest`] records what was made from what, and whose each file is. Frames are read
//! one by one, so memory does not grow with the length of the video.

pub mod context;
pub mod crop;
pub mod digests;
pub mod doctor;
pub mod frame_faults;
pub mod frame_filter;
pub mod frames;
pub mod journal;
pub mod landmarks;
mod lip_offset;
pub mod manifest;
pub mod masks;
pub mod message;
pub mod models;
pub mod options;
mod overlay;
pub mod plan;
pub mod pose;
mod pose_choice;
pub mod pose_figures;
pub mod probe;
mod report;
pub mod runner;
mod sheets;
pub mod shots;
pub mod smooth;
mod sound;
mod source;
pub mod stage;
pub mod torso;
pub mod track_params;
pub mod transforms;

pub use message::{Listener, Message};

use crate::audio::ave::AveEncoder;
use crate::audio::features::AudioKind;
use crate::error::{Error, Result};
use crate::face::FaceModels;
use crate::media::Ffmpeg;
use crate::segment::bisenet::BiSeNet;
use crate::track::flow::Raft;
use crate::workspace::Lock;
use candle_core::Device;
use context::Resources;
use options::Options;
use stage::Stage;

/// All stages, in an order in which nothing is read before it is written.
pub const STAGES: [Stage; 12] = [
    Stage {
        name: "crop",
        tasks: [0, 0],
        version: 1,
        inputs: &["@video", "@landmarker"],
        outputs: &["anchor_box.txt", "anchor.mp4"],
        accepts: &[],
        fits: &[],
        invalidates: &[],
        follows: false,
        options: |o| vec![("scale", format!("{:?}", o.scale))],
        run: crop::run,
    },
    Stage {
        name: "source",
        tasks: [0, 0],
        version: 1,
        inputs: &["@video", "anchor_box.txt"],
        outputs: &[source::FILE],
        accepts: &[],
        fits: &["crop"],
        invalidates: &[],
        follows: false,
        options: |_| Vec::new(),
        run: source::run,
    },
    Stage {
        name: "frames",
        tasks: [2, 2],
        version: 1,
        inputs: &["@video", "anchor_box.txt"],
        outputs: &["ori_imgs/*.jpg"],
        accepts: &[],
        fits: &["crop"],
        invalidates: &transforms::FILES,
        follows: false,
        options: |_| Vec::new(),
        run: frames::run,
    },
    Stage {
        name: "sound",
        tasks: [1, 1],
        version: 3,
        inputs: &["@video", "@audio", "ori_imgs/*.jpg"],
        outputs: &["aud.wav"],
        accepts: &["aud.wav"],
        fits: &["@video"],
        invalidates: &[],
        follows: false,
        options: |o| vec![("shift_sound", format!("{:?}", o.shift_sound))],
        run: sound::run,
    },
    Stage {
        name: "features",
        tasks: [1, 1],
        version: 1,
        inputs: &["aud.wav"],
        outputs: &["aud_ave.npy", "aud_mel.npy"],
        accepts: &["aud_ave.npy", "aud_mel.npy"],
        fits: &["sound"],
        invalidates: &[],
        follows: false,
        options: |o| vec![("asr", format!("{:?}", o.asr)), ("ave_weights", format!("{:?}", o.ave_weights))],
        run: sound::features,
    },
    Stage {
        name: "landmarks",
        tasks: [6, 6],
        version: 2,
        inputs: &["ori_imgs/*.jpg", "@landmarker"],
        outputs: &["landmarks478.npy", "bs_raw.npy", frame_filter::FILE, "ori_imgs/*.lms"],
        accepts: &[],
        fits: &["frames"],
        invalidates: &[],
        follows: false,
        options: |o| vec![("shot", format!("{:?}", o.shot))],
        run: landmarks::run,
    },
    Stage {
        name: "blendshapes",
        tasks: [7, 7],
        version: 1,
        inputs: &["bs_raw.npy", frame_filter::FILE],
        outputs: &["bs.npy", "au.csv"],
        accepts: &["au.csv"],
        fits: &["frames"],
        invalidates: &[],
        follows: false,
        options: |_| Vec::new(),
        run: landmarks::expression,
    },
    Stage {
        name: "parsing",
        tasks: [3, 3],
        version: 4,
        inputs: &["ori_imgs/*.jpg", "landmarks478.npy", frame_filter::FILE, "@parsing"],
        outputs: &["parsing/*.png", "parsing/*_face.png", "teeth_mask/*.npy"],
        accepts: &[],
        fits: &["frames"],
        invalidates: &[],
        follows: false,
        options: |o| vec![("teeth_mask", o.teeth_mask.to_string())],
        run: masks::parsing,
    },
    Stage {
        name: "background",
        tasks: [4, 4],
        version: 1,
        inputs: &["ori_imgs/*.jpg", "parsing/*.png", frame_filter::FILE],
        outputs: &["bc.jpg"],
        accepts: &[],
        fits: &["frames"],
        invalidates: &[],
        follows: false,
        options: |_| Vec::new(),
        run: masks::background,
    },
    Stage {
        name: "torso",
        tasks: [5, 5],
        version: 1,
        inputs: &["ori_imgs/*.jpg", "parsing/*.png", "bc.jpg", frame_filter::FILE],
        outputs: &["gt_imgs/*.jpg", "torso_imgs/*.png", "face_mask/*.png"],
        accepts: &[],
        fits: &["frames"],
        invalidates: &[],
        follows: false,
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
            frame_filter::FILE,
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
        accepts: &[],
        fits: &["frames"],
        invalidates: &[],
        follows: false,
        options: |o| vec![("use_3dmm", o.use_3dmm.to_string())],
        run: pose::run,
    },
    Stage {
        name: "transforms",
        tasks: [10, 10],
        version: 1,
        inputs: &[track_params::FILE, frame_filter::FILE],
        outputs: &[transforms::FILES[0], transforms::FILES[1]],
        accepts: &[],
        fits: &["frames", "landmarks", "pose"],
        invalidates: &[],
        follows: true,
        options: |_| Vec::new(),
        run: transforms::run,
    },
];

/// Makes a dataset, or what is missing of it, and returns how long each stage took that had something to do, seconds.
/// `listener` receives messages while it works.
///
/// # Errors
/// [`Error::Input`] for the user's mistakes, before anything is written.
pub fn run(options: &Options, listener: Listener) -> Result<Vec<(String, f64)>> {
    let tools = tools()?;
    if !tools.has_h264 {
        listener(Message::NoH264);
    }
    let models = FaceModels::open(&options.landmarker)?;
    if let Some(path) = &options.parsing {
        BiSeNet::open(path)?;
    }
    if let Some(path) = &options.flow {
        Raft::open(path)?;
    }
    if options.face_model.is_some() {
        pose::face_model(options, &models)?;
    }
    if let (Some(AudioKind::Ave) | None, Some(weights)) = (options.asr, &options.ave_weights) {
        AveEncoder::open(weights, &Device::Cpu)?;
    }
    if let Some(kind) = options.asr.filter(|k| matches!(k, AudioKind::DeepSpeech | AudioKind::Hubert)) {
        sound::existing_features(&options.dir, kind)?;
    }
    let lock = Lock::acquire(&options.dir, "process")?;
    if let Some(run) = lock.interrupted() {
        listener(Message::Interrupted(run));
    }
    let took = runner::run(&STAGES, &Resources::new(options, listener, Some(tools), Some(models)))?;
    if options.tasks[1] == options::LAST_TASK {
        report::write(&options.dir)?;
    }
    Ok(took)
}

/// Says whether the video will make a good head: the doctor, `process --check video`.
///
/// # Errors
/// As [`doctor::examine`].
pub fn check(options: &Options) -> Result<doctor::Examination> {
    doctor::examine(options, &tools()?, &FaceModels::open(&options.landmarker)?)
}

fn tools() -> Result<Ffmpeg> {
    Ffmpeg::find_with_probe().map_err(|why| {
        Error::input("ffmpeg", "ffmpeg and ffprobe that can be run", why, "install ffmpeg and try again")
    })
}
