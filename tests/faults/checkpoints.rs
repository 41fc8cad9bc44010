//! Damaged checkpoints and heads.

use super::*;

#[test]
fn a_damaged_newest_checkpoint_is_passed_over_and_said() {
    let dir = talker_folder();
    let mut command = train(dir.path(), 6);
    command.args(["--set", "checkpoint_every=5"]);
    expect(&quiet(&mut command).output().expect("started"), 0, &["finished"]);
    let [_, newest] = &saved(dir.path())[..] else { panic!("two checkpoints expected") };
    let whole = std::fs::read(newest).expect("read");
    // A digit in the texts, which say how many steps are done; and a number of an array.
    let done = whole.windows(4).position(|w| w == b"done").expect("the steps done");
    let digit = done + whole[done..].iter().position(u8::is_ascii_digit).expect("a digit");
    for place in [digit, whole.len() - 3] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        std::fs::write(newest, &damaged).expect("written");
        let mut command = train(dir.path(), 6);
        command.args(["--set", "checkpoint_every=5", "--resume"]);
        let output = quiet(&mut command).output().expect("started");
        expect(&output, 0, &["an earlier checkpoint is used", "checksum", "goes on from fine step 1"]);
        assert_eq!(std::fs::read(newest).expect("read"), whole, "the same steps give the same bytes");
    }
    // When all are damaged there is nothing to go on from.
    for path in saved(dir.path()) {
        std::fs::write(path, &whole[..whole.len() / 2]).expect("written");
    }
    let mut command = train(dir.path(), 6);
    let output = quiet(command.arg("--resume")).output().expect("started");
    expect(&output, 2, &["whole safetensors file"]);
}

#[test]
fn logs_of_a_run_that_goes_on_have_each_step_once_and_temporaries_are_swept() {
    let dir = talker_folder();
    let run = |steps: u64, more: &[&str]| {
        let mut command = train(dir.path(), steps);
        command.args(["--set", "log_every=1", "--set", "checkpoint_every=5"]).args(more);
        expect(&quiet(&mut command).output().expect("started"), 0, &["finished"]);
    };
    run(6, &[]);
    // What a run leaves that was killed three steps after its checkpoint.
    let log = dir.path().join("model/metrics.jsonl");
    let mut lines = std::fs::read_to_string(&log).expect("a log");
    lines.push_str("{\"kind\":\"train_fine\",\"step\":11,\"total\":1.0}\n{\"kind\":\"train_fine\",\"st");
    std::fs::write(&log, lines).expect("written");
    let temporary = dir.path().join("model/chkpnt/.abcdef.tmp");
    std::fs::write(&temporary, "half a checkpoint").expect("written");
    run(9, &["--resume"]);
    assert!(!temporary.exists());
    let steps = |log: &Path| -> Vec<u64> {
        let text = std::fs::read_to_string(log).expect("a log");
        let lines = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).expect("json"));
        let train = lines.filter(|l| l["kind"].as_str().is_some_and(|kind| kind.starts_with("train")));
        train.map(|l| l["step"].as_u64().expect("a step")).collect()
    };
    assert_eq!(steps(&log), (1..=13).collect::<Vec<_>>());
    run(2, &["--overwrite"]);
    assert_eq!(steps(&log), (1..=6).collect::<Vec<_>>());
}
