//! What a training run is told: defaults, then a preset (`arguments/*.toml`), then the command line.

use super::config_ranges;
use crate::head::field::{FieldConfig, TokenInputs};
use crate::loss::Weights;
use crate::{Error, Result};
use data_utils::Problem;
use data_utils::dataset::Part;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Keys that have a flag of their own.
pub const FLAGS: [&str; 8] = [
    "part",
    "batch_size",
    "max_points",
    "coarse_iterations",
    "fine_iterations",
    "max_side",
    "seed",
    "lpips_weights",
];
/// Smallest side of a picture, pixels: the window of SSIM.
const LEAST_SIDE: u32 = 11;

/// Every setting of a training run. `arguments/head.toml` lists and explains each key; the same key works as
/// `--set key=value`. Rates of positions and of the field's displacement are in units of the cloud's extent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// What is learned: head, face or all.
    pub part: Part,
    /// Steps of the static stage.
    pub coarse_iterations: u64,
    /// Steps of the stage with the field.
    pub fine_iterations: u64,
    /// Frames a step looks at in the fine stage.
    pub batch_size: usize,
    /// Most surfels the cloud may grow to.
    pub max_points: usize,
    /// Share of `max_points` the cloud may start with; the rest is room to grow where the first cloud has nothing, as
    /// a face model has no hair.
    pub initial_share: f64,
    /// Surfels the inside of the mouth starts with, behind the lips, at most a tenth of `max_points`; 0 leaves it to the others.
    pub mouth_points: usize,
    /// Degree of the spherical harmonics, 0..=3.
    pub sh_degree: usize,
    /// Steps between one degree in use and the next.
    pub sh_interval: u64,
    /// Longest side the frames are scaled down to, pixels; 0 keeps them.
    pub max_side: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// What is put behind head and target alike while training: random, black, white.
    pub background_type: TrainBackground,

    /// Positions, first and last rate, in extents.
    pub position_lr: [f64; 2],
    /// Rotations.
    pub rotation_lr: f64,
    /// ln scales.
    pub scaling_lr: f64,
    /// Opacity logits.
    pub opacity_lr: f64,
    /// Band 0 of the harmonics; higher bands get a twentieth.
    pub feature_lr: f64,
    /// Embedding of each surfel.
    pub embedding_lr: f64,
    /// Tri-planes, first and last rate.
    pub grid_lr: [f64; 2],
    /// The field's other parameters, first and last rate.
    pub deformation_lr: [f64; 2],
    /// Factor on the cloud's own rates in the fine stage; 0 freezes the cloud as the reference does.
    pub fine_cloud_lr: f64,
    /// Share of the fine stage after which all learning rates fall to a hundredth; 1 leaves them as they are.
    pub settle_from: f64,

    /// Weights of the terms of the loss, `lambda_…`; L1 gets what 1 − SSIM leaves.
    #[serde(flatten)]
    pub weights: Weights,
    /// Coarse step from which normal consistency and distortion count.
    pub surface_from: u64,
    /// Fine step from which the attention weights count.
    pub attention_from: u64,
    /// Weight of small displacements: keeps the field at rest where nothing speaks.
    pub lambda_motion: f32,
    /// Share of the fine stage after which LPIPS counts, 0..1.
    pub lpips_from: f64,
    /// Side of the patches it compares, pixels.
    pub lpips_patch: usize,
    /// Complete LPIPS weights (SqueezeNet, AlexNet or VGG16), a path; without, LPIPS does not count.
    pub lpips_weights: Option<PathBuf>,

    /// Pixels on either side of the mask's edge in which labels flicker and hair is half transparent; there the head is
    /// compared over the room it was filmed in (`bc.jpg`), not cut out.
    pub mask_margin: usize,
    /// Noise on the camera token while training, in deviations of the training cameras, so that a pose does not
    /// tell one frame from all others.
    pub camera_noise: f64,
    /// The same on the blendshapes.
    pub expression_noise: f64,
    /// The same on audio rows that are no mel windows, until the rates settle and at the end: fits the lips to what many frames
    /// share, as ridge regression does.
    pub audio_noise: [f64; 2],
    /// Factor on how far such rows are from their mean while training. Below 1 a voice moves the lips by more afterwards, which
    /// makes up for the noise: a fit to noisy numbers is too flat.
    pub audio_scale: f64,
    /// With mel features, channels of the spectrogram by which the voice is raised or lowered at most.
    pub voice_shift: f64,
    /// Channels of it that are muted at most, in every other frame.
    pub voice_mask: f64,
    /// Share of the frames that are drawn with another frame's blendshapes and pose, and of which only the lips count, 0..1.
    pub lip_only_share: f64,
    /// Share of the frames that are ones with closed lips, heard with silence or noise, so that lips close where no one speaks.
    pub rest_share: f64,

    /// Share of the frames drawn by how badly their mouth and eyes were drawn, 0..1.
    pub hard_frames: f64,
    /// Share of the frames spread evenly over how wide the mouth is open and how far the eyes are closed, 0..1.
    pub even_frames: f64,
    /// Share of the frames whose frame code is frozen while training, so that it can be frozen when driven.
    pub frame_code_dropout: f64,

    /// Coarse step density control starts at.
    pub densify_from: u64,
    /// Coarse step it ends at.
    pub densify_until: u64,
    /// Steps between two rounds.
    pub densify_every: u64,
    /// Mean screen gradient from which a surfel is cloned or split.
    pub densify_grad_threshold: f32,
    /// Size, in extents, above which a surfel is split rather than cloned.
    pub percent_dense: f32,
    /// Opacity below which a surfel goes.
    pub opacity_cull: f32,

    /// Steps between two evaluations on held-out frames.
    pub test_every: u64,
    /// Held-out frames an evaluation looks at.
    pub test_frames: usize,
    /// Steps between two saved point clouds.
    pub save_every: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
    /// Steps between two lines in the logs.
    pub log_every: u64,

    /// Sizes and inputs of the field.
    pub field: FieldConfig,
}

/// What is put behind head and target while training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainBackground {
    /// A new colour each step, so that alpha is learned and edges stay clean.
    Random,
    /// Black.
    Black,
    /// White.
    White,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            part: Part::Head,
            coarse_iterations: 3000,
            fine_iterations: 7000,
            batch_size: 4,
            max_points: 50_000,
            initial_share: 0.6,
            mouth_points: 2000,
            sh_degree: 1,
            sh_interval: 1000,
            max_side: 0,
            seed: 0,
            background_type: TrainBackground::Random,
            position_lr: [3.2e-4, 3.2e-6],
            rotation_lr: 1e-3,
            scaling_lr: 5e-3,
            opacity_lr: 0.05,
            feature_lr: 2.5e-3,
            embedding_lr: 2.5e-3,
            grid_lr: [1e-2, 1e-3],
            deformation_lr: [2e-3, 2e-4],
            fine_cloud_lr: 0.5,
            settle_from: 0.6,
            weights: Weights::default(),
            surface_from: 1000,
            attention_from: 2000,
            lambda_motion: 1e-3,
            lpips_from: 0.7,
            lpips_patch: 64,
            lpips_weights: None,
            mask_margin: 3,
            camera_noise: 0.2,
            expression_noise: 0.15,
            audio_noise: [0.75, 0.0],
            audio_scale: 0.75,
            voice_shift: 6.0,
            voice_mask: 30.0,
            rest_share: 0.03,
            lip_only_share: 0.25,
            hard_frames: 0.5,
            even_frames: 0.2,
            frame_code_dropout: 1.0,
            densify_from: 500,
            densify_until: 2500,
            densify_every: 100,
            densify_grad_threshold: 2e-4,
            percent_dense: 0.01,
            opacity_cull: 0.005,
            test_every: 1000,
            test_frames: 10,
            save_every: 5000,
            checkpoint_every: 1000,
            log_every: 50,
            // A frame code is nothing a voice can give, and it learns frames by heart.
            field: FieldConfig {
                inputs: TokenInputs { frame: false, ..TokenInputs::default() },
                ..FieldConfig::default()
            },
        }
    }
}

impl TrainConfig {
    /// The configuration of a preset with `overrides` on top, both as TOML tables: the preset is called `at` in errors,
    /// the overrides are those of the command line.
    ///
    /// # Errors
    /// [`Error::Input`] naming the key, and the preset or the flag, when a key is unknown, has another type, or a value
    /// is out of range.
    pub fn from_tables(at: &str, preset: toml::Table, overrides: toml::Table) -> Result<Self> {
        let place = |key: &str| match has_key(&overrides, key) {
            true if FLAGS.contains(&key) => format!("--{key}"),
            true => format!("--set {key}"),
            false => format!("{at}: {key}"),
        };
        let mut table = toml::Table::new();
        merge(&mut table, preset);
        read(&table).map_err(|reason| unreadable(at, reason))?;
        for (key, value) in &overrides {
            merge(&mut table, toml::Table::from_iter([(key.clone(), value.clone())]));
            read(&table).map_err(|reason| unreadable(&place(key), reason))?;
        }
        let mut config = read(&table).map_err(|reason| unreadable(at, reason))?;
        // A preset that was written for more harmonics works with fewer.
        if !has_key(&overrides, "field.sh_degree") {
            config.field.sh_degree = config.field.sh_degree.min(config.sh_degree);
        }
        config.check(&place)?;
        Ok(config)
    }

    /// Reads a preset file as a table.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is missing or not TOML.
    pub fn read_table(path: &Path) -> Result<toml::Table> {
        let bytes = data_utils::media::files::read_bounded(path, 1 << 20)?;
        let text = String::from_utf8_lossy(&bytes);
        text.parse::<toml::Table>().map_err(|e| {
            Error::input(path.display(), "a TOML preset", e.message(), "compare it with arguments/head.toml")
        })
    }

    /// The effective configuration as TOML.
    ///
    /// # Errors
    /// [`Error::Internal`] when a value cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self).map_err(|e| Error::Internal(format!("configuration as TOML: {e}")))
    }

    fn check(&self, place: &dyn Fn(&str) -> String) -> Result<()> {
        let table =
            self.to_toml()?.parse().map_err(|e| Error::Internal(format!("the configuration: {e}")))?;
        let mut problems = config_ranges::check(&table, place);
        let mut refuse = |key: &str, expected: String, found: String| {
            problems.push(Problem::new(place(key), expected, found, "choose another value, or leave it out"));
        };
        if (1..LEAST_SIDE).contains(&self.max_side) {
            refuse("max_side", format!("0, or at least {LEAST_SIDE} pixels"), self.max_side.to_string());
        }
        if self.field.sh_degree > self.sh_degree {
            let expected = format!("at most sh_degree, which is {}", self.sh_degree);
            refuse("field.sh_degree", expected, self.field.sh_degree.to_string());
        }
        if !(1..=4).contains(&self.field.plane_resolutions.len()) {
            let found = self.field.plane_resolutions.len().to_string();
            refuse("field.plane_resolutions", "1 to 4 sides".into(), found);
        }
        if self.field.attention_heads > 0
            && !self.field.model_width.is_multiple_of(self.field.attention_heads)
        {
            let expected = format!("a multiple of field.attention_heads, {}", self.field.attention_heads);
            refuse("field.model_width", expected, self.field.model_width.to_string());
        }
        match problems.len() {
            0 => Ok(()),
            1 => Err(Error::Input(problems.remove(0))),
            _ => Err(Error::Inputs(problems)),
        }
    }

    /// Steps of both stages.
    pub fn total_iterations(&self) -> u64 {
        self.coarse_iterations + self.fine_iterations
    }
}

/// A configuration of a table; why there is none in a few words.
fn read(table: &toml::Table) -> std::result::Result<TrainConfig, String> {
    toml::Value::Table(table.clone()).try_into().map_err(|e: toml::de::Error| e.message().to_owned())
}

fn unreadable(at: &str, reason: String) -> Error {
    let remedy = "see arguments/head.toml for every key and its meaning";
    Error::input(at, "the keys of a preset", reason, remedy)
}

/// Whether a table has the key `a` or `a.b`.
fn has_key(table: &toml::Table, key: &str) -> bool {
    match key.split_once('.') {
        Some((outer, inner)) => {
            table.get(outer).and_then(toml::Value::as_table).is_some_and(|table| table.contains_key(inner))
        }
        None => {
            table.contains_key(key)
                || RENAMED.iter().any(|(old, new)| *new == key && table.contains_key(*old))
        }
    }
}

/// Keys of earlier versions, and what they are called now.
const RENAMED: [(&str, &str); 4] = [
    ("lips_alone", "lip_only_share"),
    ("lambda_perceptual", "lambda_lpips"),
    ("perceptual_patch", "lpips_patch"),
    ("perceptual_weights", "lpips_weights"),
];
/// Keys of earlier versions that mean nothing any more: LPIPS counts in every step from `lpips_from` on.
const GONE: [&str; 2] = ["perceptual_from", "perceptual_every"];

/// Keys of a table that mean nothing any more.
pub fn meaningless_keys(table: &toml::Table) -> impl Iterator<Item = &str> {
    table.keys().map(String::as_str).filter(|key| GONE.contains(key))
}

/// Puts `from` on top of `into`, table by table. Keys of earlier versions get their new names, or are left out where they mean
/// nothing any more.
pub fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from.into_iter().filter(|(key, _)| !GONE.contains(&key.as_str())) {
        let renamed = RENAMED.iter().find(|(old, _)| *old == key);
        let key = renamed.map_or(key, |(_, new)| (*new).to_owned());
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
