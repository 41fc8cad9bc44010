//! The `train` program: flags, presets, and the run.

use super::device::Device;
use super::output;
use super::presets;
use super::progress::duration;
use super::watcher::TrainingWatcher;
use crate::gpu::Gpu;
use crate::head::cloud::model_dir::ModelDir;
use crate::head::{BranchSettings, Head};
use crate::train::{
    CONFIG_FILE, MemoryPlan, SNAPSHOT_EVERY, Session, SessionOptions, Summary, TrainConfig, attach_torso,
    has_checkpoint, meaningless_keys, merge, torso_folder,
};
use crate::{Error, Result};
use clap::Parser;
use data_utils::dataset::{AudioChoice, Dataset, OpenOptions, Part};
use std::path::{Path, PathBuf};

/// The preset of a torso.
const TORSO: &str = "torso";
/// Memory from which a run says what it will need, bytes.
const WORTH_TELLING: u64 = 2_000_000_000;

/// Trains a talking head from a preprocessed clip.
#[derive(Debug, Parser)]
#[command(name = "train", version, rename_all = "snake_case")]
pub struct TrainFlags {
    /// Dataset folder (data/xxx)
    #[arg(short = 's', long = "source_path")]
    source_path: PathBuf,
    /// Folder the model is written to (model/xxx)
    #[arg(short = 'm', long = "model_path")]
    model_path: PathBuf,
    /// Preset: head, face, all, quick, short, torso, or a file like arguments/*.toml
    #[arg(long)]
    configs: Option<PathBuf>,
    /// What is learned: head, face, all (with the torso), or torso: the neck and the clothes, which follow the pose of the head
    /// in the same model folder [default: head]
    #[arg(long)]
    part: Option<Part>,
    /// Also learns the torso, once the head is learned
    #[arg(long)]
    torso: bool,
    /// Frames a step of the fine stage looks at [default: 4]
    #[arg(long)]
    batch_size: Option<usize>,
    /// Most surfels the cloud may grow to [default: 50000]
    #[arg(long)]
    max_points: Option<usize>,
    /// Steps of the static stage
    #[arg(long)]
    coarse_iterations: Option<u64>,
    /// Steps of the stage with the field
    #[arg(long)]
    fine_iterations: Option<u64>,
    /// Longest side frames are scaled down to, pixels; 0 keeps them
    #[arg(long)]
    max_side: Option<u32>,
    /// Seed of everything random
    #[arg(long)]
    seed: Option<u64>,
    /// Audio feature: auto, ave, speech, mel, deepspeech or hubert
    #[arg(long, default_value = "auto")]
    asr: AudioChoice,
    /// Weights of the audio-visual encoder (audio_visual_encoder.pth)
    #[arg(long)]
    ave_weights: Option<PathBuf>,
    /// Complete LPIPS weights (SqueezeNet, AlexNet or VGG16): the last part of the training compares patches by them
    #[arg(long, alias = "perceptual_weights")]
    lpips_weights: Option<PathBuf>,
    /// Where the work is done: auto, gpu or cpu
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Answered with what to type instead.
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "")]
    field: Option<String>,
    /// Memory for decoded frames, MiB
    #[arg(long, default_value_t = 1024)]
    image_budget: u64,
    /// Goes on from the newest checkpoint in the model folder, with the settings it was started with; only
    /// fine_iterations and how often it saves and reports may be other than they were
    #[arg(long)]
    resume: bool,
    /// Starts over in a model folder that already holds a model
    #[arg(long, conflicts_with = "resume")]
    overwrite: bool,
    /// Any other key of a preset, `--set lambda_dssim=0.1`; may be given often
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// No progress, only problems
    #[arg(long)]
    quiet: bool,
}

impl TrainFlags {
    fn overrides(&self) -> Result<toml::Table> {
        let mut table = toml::Table::new();
        for pair in &self.set {
            let parsed = pair.split_once('=').and_then(|(key, value)| {
                let value = value.trim();
                format!("{key} = {value}").parse().or_else(|_| format!("{key} = {value:?}").parse()).ok()
            });
            let parsed: toml::Table = parsed.ok_or_else(|| {
                Error::input(
                    "--set",
                    "KEY=VALUE",
                    pair.clone(),
                    "write it as in a preset, for example --set seed=7",
                )
            })?;
            merge(&mut table, parsed);
        }
        let mut put = |key: &str, value: Option<toml::Value>| {
            if let Some(value) = value {
                table.insert(key.into(), value);
            }
        };
        let count = |n: u64| toml::Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        put("part", self.part.map(|p| p.to_string().into()));
        put("batch_size", self.batch_size.map(|n| count(n as u64)));
        put("max_points", self.max_points.map(|n| count(n as u64)));
        put("coarse_iterations", self.coarse_iterations.map(count));
        put("fine_iterations", self.fine_iterations.map(count));
        put("max_side", self.max_side.map(|n| count(n.into())));
        put("seed", self.seed.map(count));
        put("lpips_weights", self.lpips_weights.as_ref().map(|p| p.to_string_lossy().into_owned().into()));
        Ok(table)
    }

    /// Whether the run is one of the torso alone.
    fn is_torso(&self) -> bool {
        self.part == Some(Part::Torso) || self.configs.as_deref() == Some(Path::new(TORSO))
    }

    /// Where the run writes.
    fn run_folder(&self) -> PathBuf {
        if self.is_torso() { torso_folder(&self.model_path) } else { self.model_path.clone() }
    }

    /// A run that goes on keeps its settings, save those that the command line names.
    fn config(&self) -> Result<TrainConfig> {
        let kept = self.resume.then(|| self.run_folder().join(CONFIG_FILE)).filter(|path| path.is_file());
        let torso = self.is_torso().then(|| PathBuf::from(TORSO));
        let (at, preset) = match self.configs.as_ref().or(kept.as_ref()).or(torso.as_ref()) {
            Some(path) => (path.display().to_string(), presets::read(path)?),
            None => ("the command line".to_owned(), toml::Table::new()),
        };
        let overrides = self.overrides()?;
        for key in meaningless_keys(&preset).chain(meaningless_keys(&overrides)) {
            output::note(format!("{key} means nothing any more; LPIPS counts from lpips_from on"));
        }
        TrainConfig::from_tables(&at, preset, overrides)
    }

    /// The settings of a torso that is learned after the head of this run: the preset, on the same frames.
    fn torso_config(&self, head: &TrainConfig) -> Result<TrainConfig> {
        let mut same = toml::Table::new();
        same.insert("max_side".into(), i64::from(head.max_side).into());
        // A run that is only to show that everything works is as short in both.
        let preset = presets::read(Path::new(TORSO))?;
        let own = TrainConfig::from_tables(TORSO, preset.clone(), toml::Table::new())?;
        let steps = |own: u64, head: u64| toml::Value::Integer(own.min(head).try_into().unwrap_or(i64::MAX));
        same.insert("coarse_iterations".into(), steps(own.coarse_iterations, head.coarse_iterations));
        same.insert("fine_iterations".into(), steps(own.fine_iterations, head.fine_iterations));
        same.insert("seed".into(), i64::try_from(head.seed).unwrap_or(i64::MAX).into());
        TrainConfig::from_tables(TORSO, preset, same)
    }
}

/// Runs `train` with the flags given.
///
/// # Errors
/// [`Error::Input`] for the user's mistakes, before anything is written.
pub fn run(flags: &TrainFlags) -> Result<()> {
    if let Some(place) = &flags.field {
        return Err(Error::input(
            "--field",
            "no such flag: the field runs on the device that draws",
            format!("--field {place}"),
            "leave it out, and choose the device of both with --device auto, gpu or cpu",
        ));
    }
    let mut config = flags.config()?;
    check_parts(flags, &config)?;
    let mut audio = flags.asr;
    if config.part == Part::Torso
        && let Some(head) = head_settings(&flags.model_path)?
    {
        // What was not asked for otherwise is as in the head that the torso belongs to.
        if config.max_side == 0 {
            config.max_side = head.max_side;
        }
        if audio == AudioChoice::Auto {
            audio = AudioChoice::Kind(head.audio);
        }
    }
    let memory = MemoryPlan::of(&config);
    memory.check()?;
    if memory.total() > WORTH_TELLING && !flags.quiet {
        output::note(format!("these settings need {memory}"));
    }
    let gpu = flags.device.gpu()?;
    let dataset = Dataset::open(
        &flags.source_path,
        &OpenOptions {
            audio,
            ave_weights: flags.ave_weights.clone(),
            image_budget: flags.image_budget << 20,
            max_side: (config.max_side > 0).then_some(config.max_side),
            check_frames: true,
        },
    )?;
    if !flags.quiet {
        dataset.notes().iter().for_each(output::note);
    }
    let torso = flags.torso.then(|| flags.torso_config(&config)).transpose()?;
    let on = (&dataset, gpu.as_ref());
    learn(flags, config, flags.run_folder(), flags.resume, on)?;
    if let Some(torso) = torso {
        // A run that was stopped between head and torso goes on with the torso from its start.
        let folder = torso_folder(&flags.model_path);
        let resume = flags.resume && has_checkpoint(&folder)?;
        learn(flags, torso, folder, resume, on)?;
    }
    match attach_torso(&flags.model_path)? {
        Some(file) => {
            output::result(format_args!("{:<12} joined to the head in {}", "torso", file.display()))
        }
        None if flags.is_torso() => {
            let model = flags.model_path.display();
            output::note(format!("{model} holds no head yet; the torso joins it when one is trained there"));
        }
        None => {}
    }
    Ok(())
}

/// Refuses a torso that is asked for in a way that cannot be.
fn check_parts(flags: &TrainFlags, config: &TrainConfig) -> Result<()> {
    let refuse =
        |at: &str, expected: &str, found: &str, remedy: &str| Err(Error::input(at, expected, found, remedy));
    match (config.part, flags.is_torso(), flags.torso) {
        (Part::Torso, true, false) if !config.field.inputs.audio && !config.field.inputs.expression => Ok(()),
        (Part::Torso, true, true) => {
            refuse("--torso", "a head that is learned before it", "--part torso", "leave one of the two away")
        }
        (Part::All, _, true) => refuse(
            "--torso",
            "a head without its torso",
            "--part all",
            "leave --torso away: the torso is learned with the head",
        ),
        (Part::Torso, false, _) => {
            refuse("--configs", "a preset of a head", "part = \"torso\"", "add --part torso")
        }
        (_, false, true)
            if !flags.resume && !flags.overwrite && has_checkpoint(&torso_folder(&flags.model_path))? =>
        {
            let remedy = "add --resume to go on, --overwrite to start over, or name another folder";
            refuse(
                &torso_folder(&flags.model_path).display().to_string(),
                "a folder without a torso",
                "one",
                remedy,
            )
        }
        (_, true, _) => refuse(
            "--part torso",
            "the preset torso, or one like it",
            "a preset of a head",
            "name it with --configs torso",
        ),
        _ => Ok(()),
    }
}

/// The settings of the head in a model folder, where there is one.
fn head_settings(model: &Path) -> Result<Option<BranchSettings>> {
    let folder = ModelDir::new(model);
    let Some(newest) = folder.iterations()?.last().copied() else { return Ok(None) };
    Ok(Some(Head::load(&folder.iteration_dir(newest))?.first()?.settings.clone()))
}

/// One run, from its first step or where it was left to its last.
fn learn(
    flags: &TrainFlags,
    config: TrainConfig,
    model_path: PathBuf,
    resume: bool,
    (dataset, gpu): (&Dataset, Option<&Gpu>),
) -> Result<()> {
    let options = SessionOptions {
        source_path: flags.source_path.clone(),
        model_path,
        resume,
        overwrite: flags.overwrite,
        snapshot_every: SNAPSHOT_EVERY,
    };
    let mut session = Session::open(config, dataset, gpu, options)?;
    if !flags.quiet {
        session.note().iter().for_each(output::note);
        output::tell(format_args!("training on {}", session.device()));
    }
    let ((stage, step), done, total) = session.position();
    if let Some(run) = session.interrupted_run().filter(|_| !flags.quiet) {
        output::note(format!("{run} was interrupted while it worked in this folder"));
    }
    for problem in session.damaged_checkpoints() {
        output::note(format!("an earlier checkpoint is used: {problem}"));
    }
    if resume && !flags.quiet {
        output::tell(format_args!("goes on from {stage} step {step}"));
    }
    let mut watcher = TrainingWatcher::start(done, total, flags.quiet)?;
    let summary = session.run(&mut watcher)?;
    output::result(describe(&summary));
    watcher.finish(summary.interrupted, || {
        format!("saved in {}; add --resume to go on", summary.model_path.display())
    })
}

/// The last words of a run, for stdout.
fn describe(summary: &Summary) -> String {
    let (stage, step) = summary.at;
    let how = if summary.interrupted { "stopped at" } else { "finished at" };
    let time = duration(summary.time.as_secs_f64());
    let mut lines = vec![
        format!("{how:<12} {stage} step {step}, {} surfels", summary.surfels),
        format!("{:<12} {time}, {:.1} ms a step", "time", summary.step_time.as_secs_f64() * 1e3),
    ];
    lines.extend(summary.evaluation.as_ref().map(|e| format!("{:<12} {e}", "held-out")));
    lines.push(format!("{:<12} {}", "model", summary.model_path.display()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_a_flag_of_their_own_are_known() {
        use clap::CommandFactory as _;
        let flags = TrainFlags::command();
        let table: toml::Table = TrainConfig::default().to_toml().expect("text").parse().expect("TOML");
        let known = |key: &str| table.contains_key(key) || key == "lpips_weights";
        // A flag of an earlier version of that name only says what to do instead.
        let known = |key: &str| known(key) && key != "field";
        let mut both: Vec<&str> =
            flags.get_arguments().map(|a| a.get_id().as_str()).filter(|k| known(k)).collect();
        let mut listed = crate::train::FLAGS.to_vec();
        both.sort_unstable();
        listed.sort_unstable();
        assert_eq!(both, listed);
    }

    #[test]
    fn a_run_that_goes_on_keeps_the_settings_that_the_command_line_does_not_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let model = dir.path().to_string_lossy().into_owned();
        let started =
            ["train", "-s", "x", "-m", &model, "--coarse_iterations", "7", "--set", "hard_frames=0.25"];
        let started = TrainFlags::try_parse_from(started).expect("flags").config().expect("a configuration");
        std::fs::write(dir.path().join(CONFIG_FILE), started.to_toml().expect("TOML")).expect("written");
        let resumed = ["train", "-s", "x", "-m", &model, "--resume", "--fine_iterations", "11"];
        let resumed = TrainFlags::try_parse_from(resumed).expect("flags").config().expect("a configuration");
        assert_eq!(resumed, TrainConfig { fine_iterations: 11, ..started });
        assert_ne!(resumed.coarse_iterations, TrainConfig::default().coarse_iterations);
    }
}
