//! A made-up dataset broken in every way there is: refused before training, with all that is wrong and where.

mod made_up;

use data_utils::dataset::{AudioChoice, Dataset, OpenOptions};
use data_utils::{Error, Problem};
use made_up::{copied, made};
use std::fs;
use std::path::Path;

/// Breaks something in a dataset.
type Break = fn(&Path);

fn refusal(dir: &Path) -> Error {
    Dataset::open(dir, &OpenOptions::default()).expect_err("refused")
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("text");
    assert!(text.contains(from), "{} has no {from}", path.display());
    fs::write(path, text.replacen(from, to, 1)).expect("written");
}

fn cut(path: &Path, keep: usize) {
    let bytes = fs::read(path).expect("read");
    fs::write(path, &bytes[..keep.min(bytes.len())]).expect("written");
}

fn repaint(path: &Path, width: u32, height: u32, color: [u8; 3]) {
    image::RgbImage::from_pixel(width, height, image::Rgb(color)).save(path).expect("saved");
}

/// What is done to the dataset, what the message must name, and what it must say.
const TABLE: [(&str, &str, &str, Break); 28] = [
    ("no json", "transforms_train.json", "no such file", |d| {
        fs::remove_file(d.join("transforms_train.json")).expect("removed")
    }),
    ("json cut", "transforms_train.json", "EOF", |d| cut(&d.join("transforms_train.json"), 500)),
    ("json with NaN", "transforms_train.json", "NaN", |d| {
        edit(&d.join("transforms_train.json"), "\"focal_len\": 100.0", "\"focal_len\": NaN")
    }),
    ("no focal length", "focal_len", "-100", |d| {
        edit(&d.join("transforms_train.json"), "\"focal_len\": 100.0", "\"focal_len\": -100.0")
    }),
    ("15 numbers", "transform_matrix", "15 numbers", |d| {
        let path = d.join("transforms_val.json");
        let mut json: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).expect("read")).expect("json");
        json["frames"][1]["transform_matrix"][2].as_array_mut().expect("a row").pop();
        fs::write(path, json.to_string()).expect("written");
    }),
    ("a frame twice", "img_id 4", "more than once", |d| {
        edit(&d.join("transforms_train.json"), "\"img_id\": 5", "\"img_id\": 4")
    }),
    ("no frames", "transforms_train.json", "none", |d| {
        let text = r#"{"focal_len":100.0,"cx":24.0,"cy":20.0,"frames":[]}"#;
        ["train", "val"]
            .iter()
            .for_each(|s| fs::write(d.join(format!("transforms_{s}.json")), text).expect("written"));
    }),
    ("centre of another size", "cx, cy", "256", |d| {
        edit(&d.join("transforms_train.json"), "\"cx\": 24.0", "\"cx\": 256.0")
    }),
    ("image missing", "ori_imgs/{3,11}.jpg", "no such file", |d| {
        ["3", "11"]
            .iter()
            .for_each(|i| fs::remove_file(d.join(format!("ori_imgs/{i}.jpg"))).expect("removed"));
    }),
    ("all images missing", "ori_imgs/{0-21}.jpg", "no such file", |d| {
        ["ori_imgs", "gt_imgs"].iter().for_each(|f| fs::remove_dir_all(d.join(f)).expect("removed"));
    }),
    ("image cut", "ori_imgs/3.jpg", "cut short", |d| cut(&d.join("ori_imgs/3.jpg"), 700)),
    ("image empty", "ori_imgs/3.jpg", "empty", |d| cut(&d.join("ori_imgs/3.jpg"), 0)),
    ("image of another size", "ori_imgs/3.jpg", "50×40", |d| {
        repaint(&d.join("ori_imgs/3.jpg"), 50, 40, [1, 2, 3])
    }),
    ("image is text", "ori_imgs/3.jpg", "neither", |d| {
        fs::write(d.join("ori_imgs/3.jpg"), "text").expect("written")
    }),
    ("mask of another size", "parsing/3.png", "24×20", |d| {
        repaint(&d.join("parsing/3.png"), 24, 20, [0, 0, 255])
    }),
    ("mask cut", "parsing/3.png", "cut short", |d| cut(&d.join("parsing/3.png"), 60)),
    ("mask of wild colours", "parsing/0.png", "other colours", |d| {
        repaint(&d.join("parsing/0.png"), 48, 40, [3, 2, 1])
    }),
    ("no valid frame", "parsing", "none for any", |d| {
        fs::remove_dir_all(d.join("parsing")).expect("removed")
    }),
    ("no head", "parsing", "none in the first", |d| {
        (0..22).for_each(|i| repaint(&d.join(format!("parsing/{i}.png")), 48, 40, [0, 255, 0]))
    }),
    ("landmarks broken", "ori_imgs/3.lms", "finite", |d| {
        fs::write(d.join("ori_imgs/3.lms"), "nan 1\n".repeat(68)).expect("written")
    }),
    ("plate of another size", "bc.jpg", "8×8", |d| repaint(&d.join("bc.jpg"), 8, 8, [0; 3])),
    ("bs.npy with a huge header", "bs.npy", "header", |d| {
        fs::write(d.join("bs.npy"), b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr': '<f4'").expect("written");
    }),
    ("bs.npy of objects", "bs.npy", "object array", |d| {
        let header = format!("{:<117}\n", "{'descr': '|O', 'fortran_order': False, 'shape': (22, 52), }");
        fs::write(d.join("bs.npy"), [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes(), &[0; 64]].concat())
            .expect("written");
    }),
    ("bs.npy too short", "bs.npy", "3 rows", |d| {
        data_utils::formats::npy::write(&d.join("bs.npy"), &[3, 52], &[0.0; 156]).expect("written")
    }),
    ("ply with a lying count", "fused.ply", "4000000000", |d| {
        let bytes = fs::read(d.join("fused.ply")).expect("read");
        let at = bytes.windows(3).position(|w| w == b"200").expect("a count");
        fs::write(d.join("fused.ply"), [&bytes[..at], b"4000000000", &bytes[at + 3..]].concat())
            .expect("written");
    }),
    ("ply in another unit", "fused.ply", "0 of 200", |d| {
        let mut cloud = made_up::cloud();
        cloud.positions.iter_mut().for_each(|p| *p = p.map(|c| 1000.0 * c + 400.0));
        data_utils::formats::ply::write_points(&d.join("fused.ply"), &cloud).expect("written");
    }),
    ("no sound", "aud.wav", "no such file", |d| fs::remove_file(d.join("aud.wav")).expect("removed")),
    ("sound without samples", "aud.wav", "sample", |d| cut(&d.join("aud.wav"), 44)),
];

#[test]
fn every_broken_part_is_one_message_that_names_it() {
    let whole = made();
    for (what, named, said, damage) in TABLE {
        let dir = copied(whole.path());
        damage(dir.path());
        let error = refusal(dir.path());
        let message = error.to_string();
        assert_eq!(error.exit_code(), 2, "{what}: {message}");
        assert!(matches!(error, Error::Input(_)), "{what}: more than one problem: {message}");
        assert!(message.contains(named) && message.contains(said), "{what}: {message}");
    }
}

#[test]
fn all_problems_are_listed_at_once() {
    let dir = made();
    // Those that leave the rest to be looked at.
    let names = [
        "15 numbers",
        "image missing",
        "mask of another size",
        "landmarks broken",
        "bs.npy too short",
        "no sound",
        "plate of another size",
    ];
    for (what, _, _, damage) in TABLE {
        if names.contains(&what) {
            damage(dir.path());
        }
    }
    let Error::Inputs(problems) = refusal(dir.path()) else { panic!("several problems expected") };
    assert_eq!(problems.len(), names.len(), "{problems:#?}");
    assert!(problems.iter().all(|Problem { at, expected, found, remedy }| {
        [at, expected, found, remedy].iter().all(|part| !part.is_empty())
    }));
}

#[test]
fn features_that_were_asked_for_and_are_not_there_are_refused() {
    let dir = made();
    for kind in ["ave", "deepspeech", "hubert"] {
        let audio: AudioChoice = kind.parse().expect("a kind");
        let options = OpenOptions { audio, ..OpenOptions::default() };
        assert_eq!(Dataset::open(dir.path(), &options).expect_err("refused").exit_code(), 2, "{kind}");
    }
    assert!(Dataset::open(&dir.path().join("nowhere"), &OpenOptions::default()).is_err());
}

#[test]
fn what_the_first_look_cannot_see_is_an_error_of_that_frame_alone() {
    let dir = made();
    let path = dir.path().join("parsing/5.png");
    let mut bytes = fs::read(&path).expect("read");
    // Inside the compressed pixels: size and end stay as they are.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&path, bytes).expect("written");
    let dataset = Dataset::open(dir.path(), &OpenOptions::default()).expect("a dataset");
    let message = dataset.pixels(5).expect_err("refused").to_string();
    assert!(message.contains("5.png"), "{message}");
    assert!(dataset.pixels(6).is_ok());
}
