//! Settings that cannot be, refused before anything is made.

use super::*;

#[test]
fn a_setting_out_of_range_is_blamed_on_its_flag_and_nothing_is_made() {
    let dir = talker_folder();
    let preset = dir.path().join("my.toml");
    std::fs::write(&preset, "rotation_lr = -1.0\n").expect("written");
    let preset = preset.to_str().expect("a name").to_owned();
    let cases: [(&[&str], &str); 6] = [
        (&["--set", "lambda_lips=nan"], "--set lambda_lips: expected 0 to 1000"),
        (&["--set", "opacity_lr=-0.1"], "--set opacity_lr: "),
        (&["--max_side", "10"], "--max_side: "),
        (&["--set", "sh_degree=0", "--set", "field.sh_degree=1"], "--set field.sh_degree: "),
        (&["--set", "field.embedding=16"], "--set field.embedding: expected 32"),
        (&["--configs", &preset], "my.toml: rotation_lr: "),
    ];
    for (flags, said) in cases {
        let mut command = train(dir.path(), 2);
        let output = quiet(command.args(flags)).output().expect("started");
        expect(&output, 2, &[said]);
        assert!(!dir.path().join("model").exists(), "{flags:?}");
    }
}

#[test]
fn documented_degrees_of_harmonics_train() {
    let dir = talker_folder();
    for degree in ["0", "2"] {
        let mut command = train(dir.path(), 2);
        command.args(["--overwrite", "--set"]).arg(format!("sh_degree={degree}"));
        expect(&quiet(&mut command).output().expect("started"), 0, &["finished"]);
    }
}

#[test]
fn memory_that_is_not_there_is_refused_before_it_is_taken() {
    let dir = talker_folder();
    let mut command = train(dir.path(), 2);
    command.args(["--set", "field.plane_resolutions=[1024, 1024, 1024, 1024]"]);
    let output = quiet(command.args(["--set", "field.plane_channels=128"])).output().expect("started");
    expect(&output, 2, &["plane_channels", "GB of memory"]);
    assert!(!dir.path().join("model").exists());
}

#[test]
fn a_text_from_a_file_cannot_command_the_terminal() {
    let dir = talker_folder();
    std::fs::remove_file(dir.path().join("data/bs.npy")).ok();
    let evil = "frame,AU45_r\n1,\u{1b}[2J\u{1b}[31mall is well\u{7}\n";
    std::fs::write(dir.path().join("data/au.csv"), evil).expect("written");
    let output = quiet(&mut train(dir.path(), 2)).output().expect("started");
    expect(&output, 2, &["au.csv", "\\u{1b}[2J"]);
    assert!(!text(&output).contains('\u{1b}'));
}
