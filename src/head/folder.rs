//! A head on the disk: `point_cloud/iteration_N/` with the PLY for viewers and everything exact beside it.

use super::{Archive, Branch, PLY_DEGREE};
use crate::head::cloud::surfels::EMBEDDING;
use crate::head::cloud::{Cloud, init, ply};
use crate::head::field::{Field, FieldBounds, FieldConfig};
use crate::{Error, Result};
use candle_core::Device;
use data_utils::audio::features::AudioKind;
use data_utils::dataset::Part;
use serde::{Deserialize, Serialize};
use std::path::Path;

const FILE: &str = "head.safetensors";
const SETTINGS: &str = "settings";

/// What must be known to use a head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BranchSettings {
    /// What was learned.
    pub part: Part,
    /// The audio feature it listens to.
    pub audio: AudioKind,
    /// Seed of the field's first parameters.
    pub seed: u64,
    /// Half the size of the initial cloud, units of the dataset.
    pub extent: f32,
    /// Corners of the box the planes cover.
    pub bounds: [[f32; 3]; 2],
    /// Longest side of the frames it was trained on, pixels.
    pub max_side: u32,
    /// Degree of the cloud's harmonics.
    pub sh_degree: usize,
    /// Sizes of the field.
    pub field: FieldConfig,
}

impl BranchSettings {
    /// Settings of a head that starts from `cloud`; the field's audio sizes and bounds follow from the arguments.
    ///
    /// # Errors
    /// [`Error::Internal`] when the cloud is empty or not finite.
    pub fn new(
        part: Part,
        audio: AudioKind,
        max_side: u32,
        seed: u64,
        cloud: &Cloud,
        field: FieldConfig,
    ) -> Result<Self> {
        let bounds = FieldBounds::around(&cloud.positions)?;
        let (audio_channels, audio_width) = (audio.channels(), audio.width());
        Ok(BranchSettings {
            part,
            audio,
            seed,
            max_side,
            extent: init::extent(&cloud.positions),
            bounds: [bounds.min, bounds.max],
            sh_degree: cloud.sh_degree,
            field: FieldConfig { audio_channels, audio_width, ..field },
        })
    }
}

impl Branch {
    /// Writes `point_cloud.ply` and the exact head into `dir`, each as a whole or not at all.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be written to or the disk is full.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let mut archive = Archive::default();
        self.store(&mut archive)?;
        archive.write(&dir.join(FILE))?;
        ply::write(&dir.join("point_cloud.ply"), &padded(&self.cloud))
    }

    /// Reads what [`Branch::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Input`] when the file is missing, damaged or of another version.
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        let path = dir.join(FILE);
        Branch::restore(&mut Archive::read(&path)?, &path, device)
    }

    /// Puts everything that makes this head into an archive.
    ///
    /// # Errors
    /// [`Error::Internal`] when the field's numbers cannot be read back from its device.
    pub fn store(&self, archive: &mut Archive) -> Result<()> {
        let settings = serde_json::to_string(&self.settings)
            .map_err(|e| Error::Internal(format!("settings as JSON: {e}")))?;
        archive.put_text(SETTINGS, settings);
        let (n, c) = (self.cloud.len(), &self.cloud);
        archive.put("cloud.positions", &[n, 3], c.positions.clone());
        archive.put("cloud.rotations", &[n, 4], c.rotations.clone());
        archive.put("cloud.log_scales", &[n, 2], c.log_scales.clone());
        archive.put("cloud.opacity_logits", &[n], c.opacity_logits.clone());
        archive.put("cloud.harmonics", &[n, c.bands(), 3], c.harmonics.clone());
        archive.put("cloud.embedding", &[n, EMBEDDING], c.embedding.clone());
        archive.put_safetensors("field.", &self.field.to_safetensors()?)
    }

    /// Takes a head out of an archive that `path` was read into.
    ///
    /// # Errors
    /// [`Error::Input`] when something is missing or of another shape.
    pub fn restore(archive: &mut Archive, path: &Path, device: &Device) -> Result<Self> {
        let settings: BranchSettings =
            serde_json::from_str(&archive.take_text(path, SETTINGS)?).map_err(|e| {
                Error::input(
                    path.display(),
                    "settings of this version",
                    e.to_string(),
                    "train the head again",
                )
            })?;
        let bands = (settings.sh_degree.min(3) + 1).pow(2);
        let cloud = Cloud {
            sh_degree: settings.sh_degree.min(3),
            positions: archive.take(path, "cloud.positions", 3)?,
            rotations: archive.take(path, "cloud.rotations", 4)?,
            log_scales: archive.take(path, "cloud.log_scales", 2)?,
            opacity_logits: archive.take(path, "cloud.opacity_logits", 1)?,
            harmonics: archive.take(path, "cloud.harmonics", 3 * bands)?,
            embedding: archive.take(path, "cloud.embedding", EMBEDDING)?,
        };
        let n = cloud.len();
        let lengths = [cloud.positions.len() / 3, cloud.rotations.len() / 4, cloud.log_scales.len() / 2];
        let more = [cloud.harmonics.len() / (3 * bands), cloud.embedding.len() / EMBEDDING];
        if lengths.iter().chain(&more).any(|l| *l != n) {
            let found = format!("{lengths:?} and {more:?} surfels");
            return Err(Error::input(
                path.display(),
                format!("{n} surfels in every array"),
                found,
                "train again",
            ));
        }
        let bytes = archive.take_safetensors("field.")?;
        let at = path.display().to_string();
        let field = Field::from_safetensors(settings.field.clone(), &at, &bytes, device)?;
        Branch::assemble(settings, cloud, field)
    }
}

/// The cloud with harmonics up to [`PLY_DEGREE`], the missing bands zero.
fn padded(cloud: &Cloud) -> Cloud {
    let (have, want) = (3 * cloud.bands(), 3 * (PLY_DEGREE + 1).pow(2));
    let harmonics = cloud
        .harmonics
        .chunks_exact(have)
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, want - have)))
        .collect();
    Cloud { sh_degree: PLY_DEGREE, harmonics, ..cloud.clone() }
}
