//! A branch in the arrays of a head file or a checkpoint.

use super::archive::Archive;
use super::branch::Branch;
use super::branch_settings::BranchSettings;
use super::numbers::check_numbers;
use crate::head::cloud::Cloud;
use crate::head::cloud::surfels::{EMBEDDING, Mouth};
use crate::head::field::Field;
use crate::{Error, Result};
use candle_core::Device;

const SETTINGS: &str = "settings";

impl Branch {
    /// Puts settings, cloud and field into an archive, their names behind `prefix`.
    ///
    /// # Errors
    /// [`Error::Internal`] when the field's parameters cannot be read back from its device.
    pub fn store(&self, archive: &mut Archive, prefix: &str) -> Result<()> {
        let settings = serde_json::to_string(&self.settings)
            .map_err(|e| Error::Internal(format!("settings as JSON: {e}")))?;
        archive.put_text(format!("{prefix}{SETTINGS}"), settings);
        let (n, c) = (self.cloud.len(), &self.cloud);
        let name = |array: &str| format!("{prefix}cloud.{array}");
        archive.put(name("positions"), &[n, 3], c.positions.clone());
        archive.put(name("rotations"), &[n, 4], c.rotations.clone());
        archive.put(name("log_scales"), &[n, 2], c.log_scales.clone());
        archive.put(name("opacity_logits"), &[n], c.opacity_logits.clone());
        archive.put(name("harmonics"), &[n, c.bands(), 3], c.harmonics.clone());
        archive.put(name("embedding"), &[n, EMBEDDING], c.embedding.clone());
        if c.mouth.surfels > 0 {
            let mouth = serde_json::to_string(&c.mouth)
                .map_err(|e| Error::Internal(format!("the inside of the mouth as JSON: {e}")))?;
            archive.put_text(name("mouth"), mouth);
        }
        archive.put_safetensors(&format!("{prefix}field."), &self.field.to_safetensors()?)
    }

    /// Takes a branch out of an archive. `at` names the file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] when something is missing or of another shape.
    pub fn restore(archive: &mut Archive, prefix: &str, at: &str, device: &Device) -> Result<Self> {
        let settings: BranchSettings =
            serde_json::from_str(&archive.take_text(at, &format!("{prefix}{SETTINGS}"))?).map_err(|e| {
                Error::input(at, "settings of this version", e.to_string(), "train the head again")
            })?;
        let (kind, field) = (settings.audio, &settings.field);
        if [field.audio_channels, field.audio_width] != [kind.channels(), kind.width()] {
            return Err(Error::input(
                at,
                format!("a head for {} features of {} × {}", kind.name(), kind.channels(), kind.width()),
                format!("one for {} × {}", field.audio_channels, field.audio_width),
                "train the head again with this version of surfeltalk",
            ));
        }
        let name = |array: &str| format!("{prefix}cloud.{array}");
        let bands = (settings.sh_degree.min(3) + 1).pow(2);
        // Heads of earlier versions have none.
        let mouth = match archive.has_text(&name("mouth")) {
            true => serde_json::from_str(&archive.take_text(at, &name("mouth"))?).map_err(|e| {
                Error::input(at, "the inside of the mouth as JSON", e.to_string(), "train the head again")
            })?,
            false => Mouth::default(),
        };
        let cloud = Cloud {
            sh_degree: settings.sh_degree.min(3),
            positions: archive.take(at, &name("positions"), 3)?,
            rotations: archive.take(at, &name("rotations"), 4)?,
            log_scales: archive.take(at, &name("log_scales"), 2)?,
            opacity_logits: archive.take(at, &name("opacity_logits"), 1)?,
            harmonics: archive.take(at, &name("harmonics"), 3 * bands)?,
            embedding: archive.take(at, &name("embedding"), EMBEDDING)?,
            mouth,
        };
        for (array, values) in [
            ("positions", &cloud.positions),
            ("rotations", &cloud.rotations),
            ("log_scales", &cloud.log_scales),
            ("opacity_logits", &cloud.opacity_logits),
            ("harmonics", &cloud.harmonics),
            ("embedding", &cloud.embedding),
        ] {
            check_numbers(at, &name(array), values)?;
        }
        let n = cloud.len();
        let lengths = [cloud.positions.len() / 3, cloud.rotations.len() / 4, cloud.log_scales.len() / 2];
        let more = [cloud.harmonics.len() / (3 * bands), cloud.embedding.len() / EMBEDDING];
        if lengths.iter().chain(&more).any(|l| *l != n) {
            let found = format!("{lengths:?} and {more:?} surfels");
            return Err(Error::input(at, format!("{n} surfels in every array"), found, "train again"));
        }
        if mouth.surfels > n || !(mouth.depth_offset >= 0.0 && mouth.depth_offset.is_finite()) {
            let expected = format!("at most {n} surfels inside the mouth, behind the others");
            let found = format!("{} surfels, {} behind", mouth.surfels, mouth.depth_offset);
            return Err(Error::input(at, expected, found, "train the head again"));
        }
        let bytes = archive.take_safetensors(&format!("{prefix}field."))?;
        let field = Field::from_safetensors(settings.field.clone(), at, &bytes, device)?;
        Branch::assemble(settings, cloud, field)
    }
}
