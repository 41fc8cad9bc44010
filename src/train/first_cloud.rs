//! The cloud that a run starts with, and the settings of its branch.

use super::config::TrainConfig;
use super::mouth_points::mouth_cloud;
use super::torso_points::TorsoPoints;
use crate::Result;
use crate::head::BranchSettings;
use crate::head::cloud::Cloud;
use crate::head::cloud::init::{self, InitOptions, Points};
use data_utils::dataset::{Dataset, Part};

/// The inside of the mouth starts with at most one in so many surfels.
const MOUTH_SHARE: usize = 10;
/// Opacity the static stage starts from.
const FIRST_OPACITY: f32 = 0.5;

/// The first cloud of a run on `dataset`, and the settings that follow from it.
///
/// # Errors
/// [`crate::Error::Input`] when the dataset has no points, or shows no torso where one is to be learned.
pub(super) fn first_cloud(config: &TrainConfig, dataset: &Dataset) -> Result<(Cloud, BranchSettings)> {
    let options = InitOptions {
        sh_degree: config.sh_degree,
        max_points: ((config.max_points as f64 * config.initial_share) as usize).max(1),
        opacity: FIRST_OPACITY,
        seed: config.seed,
    };
    if config.part == Part::Torso {
        let cloud = TorsoPoints::of(dataset, config.seed)?.cloud(&options)?;
        let settings = settings(config, dataset, &cloud)?;
        return Ok((cloud, settings));
    }
    let points = dataset.initial_points()?;
    let points = Points::from(&points);
    let mut cloud = init::from_points(&points, &options)?;
    let settings = settings(config, dataset, &cloud)?;
    // The attention channel that tells where the mouth is seen is that of the frame token.
    let mouth_points = config.mouth_points.min(config.max_points / MOUTH_SHARE);
    if mouth_points > 0 && !config.field.inputs.frame {
        let options = InitOptions { max_points: mouth_points, ..options };
        if let Some(mouth) = mouth_cloud(dataset, &cloud, settings.extent, &options)? {
            cloud.append(mouth);
        }
    }
    Ok((cloud, settings))
}

fn settings(config: &TrainConfig, dataset: &Dataset, cloud: &Cloud) -> Result<BranchSettings> {
    let [width, height] = dataset.size;
    let (side, field) = (width.max(height), config.field.clone());
    BranchSettings::new(config.part, dataset.audio.kind, side, config.seed, cloud, field)
}
