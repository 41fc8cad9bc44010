//! The range of every number of a configuration, checked before anything else is done with it.

use crate::head::cloud::surfels::EMBEDDING;
use crate::metrics::lpips::SMALLEST;
use data_utils::Problem;

/// Most steps of a stage, and the latest step that a setting may name.
const MOST_STEPS: f64 = 1e9;
/// A learning rate above this ruins any head.
const MOST_RATE: f64 = 1.0;
const LEAST_RATE: f64 = 1e-12;
const MOST_WEIGHT: f64 = 1000.0;
const LENGTH: f64 = EMBEDDING as f64;

/// Key, least value, largest value, unit. Weights of the loss, `lambda_…`, have one range together.
const RANGES: &[(&str, f64, f64, &str)] = &[
    ("coarse_iterations", 0.0, MOST_STEPS, "steps"),
    ("fine_iterations", 0.0, MOST_STEPS, "steps"),
    ("batch_size", 1.0, 256.0, "frames"),
    ("max_points", 1.0, 1e7, "surfels"),
    ("mouth_points", 0.0, 1e6, "surfels"),
    ("initial_share", 0.0, 1.0, "as a share"),
    ("sh_degree", 0.0, 3.0, "as a degree"),
    ("sh_interval", 0.0, MOST_STEPS, "steps"),
    ("max_side", 0.0, 8192.0, "pixels"),
    ("seed", 0.0, i64::MAX as f64, "as a seed"),
    ("position_lr", LEAST_RATE, MOST_RATE, "as a rate"),
    ("rotation_lr", 0.0, MOST_RATE, "as a rate"),
    ("scaling_lr", 0.0, MOST_RATE, "as a rate"),
    ("opacity_lr", 0.0, MOST_RATE, "as a rate"),
    ("feature_lr", 0.0, MOST_RATE, "as a rate"),
    ("embedding_lr", 0.0, MOST_RATE, "as a rate"),
    ("grid_lr", LEAST_RATE, MOST_RATE, "as a rate"),
    ("deformation_lr", LEAST_RATE, MOST_RATE, "as a rate"),
    ("fine_cloud_lr", 0.0, 100.0, "as a factor"),
    ("settle_from", 0.0, 1.0, "as a share"),
    ("lambda_dssim", 0.0, 1.0, "as a weight"),
    ("surface_from", 0.0, MOST_STEPS, "steps"),
    ("attention_from", 0.0, MOST_STEPS, "steps"),
    ("lpips_from", 0.0, 1.0, "as a share"),
    ("lpips_patch", SMALLEST as f64, 512.0, "pixels"),
    ("mask_margin", 0.0, 64.0, "pixels"),
    ("camera_noise", 0.0, 10.0, "deviations"),
    ("expression_noise", 0.0, 10.0, "deviations"),
    ("audio_noise", 0.0, 10.0, "deviations"),
    ("audio_scale", 0.1, 10.0, "as a factor"),
    ("voice_shift", 0.0, 10.0, "channels"),
    ("voice_mask", 0.0, 80.0, "channels"),
    ("lip_only_share", 0.0, 1.0, "as a share"),
    ("rest_share", 0.0, 1.0, "as a share"),
    ("even_frames", 0.0, 1.0, "as a share"),
    ("hard_frames", 0.0, 1.0, "as a share"),
    ("frame_code_dropout", 0.0, 1.0, "as a share"),
    ("densify_from", 0.0, MOST_STEPS, "steps"),
    ("densify_until", 0.0, MOST_STEPS, "steps"),
    ("densify_every", 1.0, MOST_STEPS, "steps"),
    ("densify_grad_threshold", 1e-9, 100.0, "as a gradient"),
    ("percent_dense", 0.0, 1.0, "extents"),
    ("opacity_cull", 0.0, 0.99, "as an opacity"),
    ("test_every", 1.0, MOST_STEPS, "steps"),
    ("test_frames", 1.0, 1e6, "frames"),
    ("save_every", 1.0, MOST_STEPS, "steps"),
    ("checkpoint_every", 1.0, MOST_STEPS, "steps"),
    ("log_every", 1.0, MOST_STEPS, "steps"),
    ("field.audio_channels", 1.0, 4096.0, "channels"),
    ("field.audio_rows_before", 0.0, 7.0, "rows"),
    ("field.audio_heard", 0.0, 4096.0, "as channels"),
    ("field.audio_components", 0.0, 4096.0, "components"),
    ("field.audio_direct", 0.0, 4096.0, "channels"),
    ("field.audio_width", 1.0, 16.0, "steps of an audio row"),
    ("field.plane_resolutions", 2.0, 1024.0, "as sides"),
    ("field.plane_channels", 1.0, 128.0, "channels"),
    // The file format, the rasterizer's workspace and the shaders have this length.
    ("field.embedding", LENGTH, LENGTH, "numbers"),
    ("field.model_width", 1.0, 1024.0, "channels"),
    ("field.attention_heads", 1.0, 16.0, "heads"),
    ("field.layers", 1.0, 8.0, "layers"),
    ("field.feed_width", 1.0, 4096.0, "channels"),
    ("field.head_width", 1.0, 1024.0, "channels"),
    ("field.sh_degree", 0.0, 3.0, "as a degree"),
    ("field.position_range", 0.0, 10.0, "sides of the cloud"),
    ("field.head_gain", 0.0, 10.0, "as a gain"),
];

/// The range of a key, when it is one of a number.
fn range(key: &str) -> Option<(f64, f64, &'static str)> {
    let row = RANGES.iter().find(|(name, ..)| *name == key).map(|(_, low, high, unit)| (*low, *high, *unit));
    row.or(key.starts_with("lambda_").then_some((0.0, MOST_WEIGHT, "as a weight")))
}

/// What is out of its range in a whole configuration; `place` says where a key was written.
pub(super) fn check(config: &toml::Table, place: &dyn Fn(&str) -> String) -> Vec<Problem> {
    let mut problems = Vec::new();
    each_number(config, "", &mut |key, number, shown| {
        let (low, high, unit) = range(key).unwrap_or((f64::MIN, f64::MAX, "as a finite number"));
        if !(low..=high).contains(&number) {
            let expected =
                if low == high { format!("{low} {unit}") } else { format!("{low} to {high} {unit}") };
            problems.push(Problem::new(place(key), expected, shown, "choose another value, or leave it out"));
        }
    });
    problems
}

/// Calls `with` for every number of a table, those in lists and tables too, with the key and the number as written.
fn each_number(table: &toml::Table, prefix: &str, with: &mut dyn FnMut(&str, f64, String)) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => each_number(inner, &format!("{key}."), with),
            toml::Value::Array(values) => {
                for number in values.iter().filter_map(number) {
                    with(&key, number, number.to_string());
                }
            }
            value => {
                if let Some(number) = number(value) {
                    with(&key, number, value.to_string());
                }
            }
        }
    }
}

fn number(value: &toml::Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|n| n as f64))
}

#[cfg(test)]
mod tests {
    use super::super::config::TrainConfig;
    use super::*;

    #[test]
    fn every_number_has_a_range_that_holds_its_default() {
        let config: toml::Table = TrainConfig::default().to_toml().expect("text").parse().expect("TOML");
        let mut numbers = 0;
        each_number(&config, "", &mut |key, _, _| {
            numbers += 1;
            assert!(range(key).is_some(), "{key} has no range");
        });
        assert!(numbers > 50, "{numbers}");
        assert_eq!(check(&config, &str::to_owned), []);
        for (key, ..) in RANGES {
            let mut found = false;
            each_number(&config, "", &mut |name, _, _| found |= name == *key);
            assert!(found, "{key} is no key");
        }
    }

    #[test]
    fn no_number_of_any_key_may_be_infinite_or_beyond_its_range() {
        let config: toml::Table = TrainConfig::default().to_toml().expect("text").parse().expect("TOML");
        let mut keys = Vec::new();
        each_number(&config, "", &mut |key, _, _| keys.push(key.to_owned()));
        for key in keys {
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e30] {
                let mut config = config.clone();
                let (table, name) = match key.split_once('.') {
                    Some((table, name)) => (config[table].as_table_mut().expect("a table"), name),
                    None => (&mut config, key.as_str()),
                };
                let value = toml::Value::Float(bad);
                let value = if table[name].is_array() { toml::Value::Array(vec![value]) } else { value };
                table.insert(name.to_owned(), value);
                let problems = check(&config, &str::to_owned);
                assert!(problems.len() == 1 && problems[0].at == key, "{key} = {bad}: {problems:?}");
            }
        }
    }
}
