use super::*;

const PRESETS: [(&str, &str); 6] = [
    ("head", include_str!("../../arguments/head.toml")),
    ("face", include_str!("../../arguments/face.toml")),
    ("all", include_str!("../../arguments/all.toml")),
    ("quick", include_str!("../../arguments/quick.toml")),
    ("short", include_str!("../../arguments/short.toml")),
    ("torso", include_str!("../../arguments/torso.toml")),
];

fn preset(text: &str) -> TrainConfig {
    let table = text.parse().expect("TOML");
    TrainConfig::from_tables("a preset", table, toml::Table::new()).expect("a preset that holds")
}

fn keys(table: &toml::Table, path: &str, found: &mut Vec<String>) {
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => keys(inner, &format!("{path}{key}."), found),
            _ => found.push(format!("{path}{key}")),
        }
    }
}

#[test]
fn every_preset_names_every_key() {
    let config = TrainConfig { lpips_weights: Some("weights.pt".into()), ..TrainConfig::default() };
    let mut wanted = Vec::new();
    keys(&config.to_toml().expect("text").parse().expect("TOML"), "", &mut wanted);
    wanted.retain(|key| key != "lpips_weights");
    assert!(wanted.len() > 50, "{wanted:?}");
    for (name, text) in PRESETS {
        preset(text);
        let mut named = Vec::new();
        keys(&text.parse().expect("TOML"), "", &mut named);
        let missing: Vec<_> = wanted.iter().filter(|key| !named.contains(key)).collect();
        assert!(missing.is_empty(), "{name} leaves out {missing:?}");
        assert!(text.contains("# lpips_weights ="), "{name} leaves out lpips_weights");
    }
}

#[test]
fn the_preset_head_is_the_default() {
    assert_eq!(preset(PRESETS[0].1), TrainConfig::default());
}

#[test]
fn presets_train_what_they_are_called_after() {
    let parts = PRESETS.map(|(_, text)| preset(text).part);
    assert_eq!(parts, [Part::Head, Part::Face, Part::All, Part::Head, Part::Head, Part::Torso]);
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    for (key, value) in [
        ("initial_share", "1.5"),
        ("camera_noise", "-1.0"),
        ("expression_noise", "nan"),
        ("voice_shift", "-1.0"),
        ("voice_mask", "81.0"),
        ("lip_only_share", "2.0"),
        ("mask_margin", "1000"),
        ("lpips_from", "1.5"),
        ("lpips_patch", "16"),
        ("max_points", "0"),
    ] {
        let table = format!("{key} = {value}").parse().expect("TOML");
        let refused = TrainConfig::from_tables("here", table, toml::Table::new()).expect_err("refused");
        assert!(refused.to_string().contains(key), "{refused}");
    }
}

#[test]
fn what_is_wrong_is_blamed_on_where_it_was_written() {
    let table = |text: &str| text.parse::<toml::Table>().expect("TOML");
    let refused = |preset: &str, over: &str| {
        let refused =
            TrainConfig::from_tables("quick.toml", table(preset), table(over)).expect_err("refused");
        assert_eq!(refused.exit_code(), 2);
        refused.to_string()
    };
    let begins = |text: String, place: &str| assert!(text.starts_with(place), "{text}");
    begins(refused("max_points = 0", ""), "quick.toml: max_points: expected 1 to");
    begins(refused("max_points = 5", "max_points = 0"), "--max_points: expected 1 to");
    begins(refused("", "rotation_lr = -1.0"), "--set rotation_lr: expected 0 to 1");
    begins(refused("", "field.layers = 0"), "--set field.layers: expected 1 to 8");
    begins(refused("", "no_such_key = 0"), "--set no_such_key: ");
    begins(refused("no_such_key = 0", "seed = 1"), "quick.toml: ");
    begins(refused("", "seed = \"one\""), "--seed: ");
    begins(refused("", "lambda_lips = nan"), "--set lambda_lips: ");
    // All at once.
    let all = refused("", "max_side = 10\nrotation_lr = nan\nfield.embedding = 16");
    assert!(
        ["--max_side", "--set rotation_lr", "--set field.embedding"].iter().all(|k| all.contains(k)),
        "{all}"
    );
}

#[test]
fn harmonics_of_the_field_follow_those_of_the_cloud() {
    let config = |preset: &str, over: &str| {
        let table = |text: &str| text.parse::<toml::Table>().expect("TOML");
        TrainConfig::from_tables("here", table(preset), table(over))
    };
    for degree in 0..=3 {
        let found = config("field.sh_degree = 1", &format!("sh_degree = {degree}")).expect("documented");
        assert_eq!((found.sh_degree, found.field.sh_degree), (degree, degree.min(1)));
    }
    let text = config("", "sh_degree = 0\nfield.sh_degree = 1").expect_err("refused").to_string();
    assert!(text.starts_with("--set field.sh_degree: expected at most sh_degree, which is 0"), "{text}");
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    for key in ["lambda_none", "no_such_key"] {
        let table = format!("{key} = 1.0").parse().expect("TOML");
        let refused = TrainConfig::from_tables("here", table, toml::Table::new()).expect_err("refused");
        assert!(refused.to_string().contains(key), "{refused}");
    }
}

#[test]
fn weights_of_the_loss_are_keys_of_their_own() {
    let table = |text: &str| text.parse().expect("TOML");
    let config = |preset, over| TrainConfig::from_tables("here", table(preset), table(over)).expect("read");
    let found = config("lambda_lips = 2\nlambda_mask = 0.3", "lambda_mask = 0.4").weights;
    assert_eq!(found, Weights { lips: 2.0, mask: 0.4, ..Weights::default() });
    let refused = TrainConfig::from_tables("here", table("lambda_lips = \"much\""), toml::Table::new());
    assert!(refused.is_err());
    let text = TrainConfig::default().to_toml().expect("text");
    assert_eq!(config(&text, ""), TrainConfig::default());
}

#[test]
fn keys_of_earlier_versions_still_work() {
    let table = |text: &str| text.parse().expect("TOML");
    let config = |preset, over| TrainConfig::from_tables("here", table(preset), table(over)).expect("read");
    assert_eq!(config("lips_alone = 0.5", "").lip_only_share, 0.5);
    assert_eq!(config("lip_only_share = 0.5", "lips_alone = 0.75").lip_only_share, 0.75);
    assert_eq!(config("lips_alone = 0.5", "lip_only_share = 0.75").lip_only_share, 0.75);
    let old = "lambda_perceptual = 0.5\nperceptual_patch = 80\nperceptual_weights = \"a.pt\"\nperceptual_from = 4000";
    let found = config(old, "perceptual_every = 2");
    assert_eq!((found.weights.lpips, found.lpips_patch), (0.5, 80));
    assert_eq!(found.lpips_weights, Some("a.pt".into()));
    assert_eq!(meaningless_keys(&table(old)).collect::<Vec<_>>(), ["perceptual_from"]);
}
