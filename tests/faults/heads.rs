//! Heads whose numbers cannot be those of a head.

use super::*;
use speaking_head::speaking_head;
use surfeltalk::head::cloud::Cloud;
use surfeltalk::head::{Head, folder};

/// An array of a cloud.
type ArrayOf = fn(&mut Cloud) -> &mut Vec<f32>;

#[path = "../common/speaking_head.rs"]
#[allow(dead_code, reason = "the parts that other tests use")]
mod speaking_head;

/// A head like `whole` whose cloud was changed; the checksum of its file is right.
fn save_changed(dir: &Path, whole: &Head, change: impl FnOnce(&mut Cloud)) {
    let mut branch = whole.first().expect("a branch").copy().expect("a copy");
    change(&mut branch.cloud);
    folder::save(dir, &[&branch], None).expect("saved");
}

#[test]
fn numbers_that_are_none_or_absurd_are_refused_with_the_file_and_the_array() {
    let dir = tempfile::tempdir().expect("a folder");
    let whole = speaking_head(20, 16);
    save_changed(dir.path(), &whole, |_| {});
    assert!(Head::load(dir.path()).is_ok());
    let arrays: [(&str, ArrayOf); 6] = [
        ("positions", |c| &mut c.positions),
        ("rotations", |c| &mut c.rotations),
        ("log_scales", |c| &mut c.log_scales),
        ("opacity", |c| &mut c.opacity_logits),
        ("harmonics", |c| &mut c.harmonics),
        ("embedding", |c| &mut c.embedding),
    ];
    for (name, array) in arrays {
        for value in [f32::NAN, f32::INFINITY, -1e30] {
            save_changed(dir.path(), &whole, |cloud| array(cloud)[7] = value);
            let error =
                Head::load(dir.path()).err().unwrap_or_else(|| panic!("{name} with {value} is taken"));
            let text = error.to_string();
            assert_eq!(error.exit_code(), 2, "{text}");
            assert!(
                text.contains("head.safetensors") && text.contains(name) && text.contains(" at 7"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_program_says_so_and_ends_with_2() {
    let dir = tempfile::tempdir().expect("a folder");
    let iteration = dir.path().join("point_cloud/iteration_3");
    save_changed(&iteration, &speaking_head(20, 16), |cloud| cloud.positions[4] = f32::NAN);
    let mut command = program("render");
    command.arg("-m").arg(dir.path()).args(["--custom_aud", "voice.wav", "--device", "cpu"]);
    let output = quiet(&mut command).output().expect("started");
    expect(&output, 2, &["head.safetensors", "positions", "NaN at 4"]);
}
