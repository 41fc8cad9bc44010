//! Small pictures of the sample talker against those in `tests/snapshots`.
//!
//! A failing test leaves what it drew, what it expected and where they differ in `target/snapshots`. With
//! `SURFELTALK_UPDATE_SNAPSHOTS` set the pictures in `tests/snapshots` are written anew.

#[path = "common/perception.rs"]
mod perception;

use image::{Rgb, RgbImage};
use perception::{Difference, perceived};
use std::path::Path;
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::sample::{SampleClip, Sentence, Talker, backdrop, render_frame};

const SIZE: u32 = 96;
/// Largest and mean difference that pass; 2 is about what an eye just notices in two pictures side by side. Rounding on
/// another machine is far below.
const BOUND: Difference = Difference { largest: 2.0, mean: 0.1 };

/// Holds `drawn` against the picture `name`.
fn hold(name: &str, drawn: &RgbImage) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join(format!("tests/snapshots/{name}.png"));
    if std::env::var_os("SURFELTALK_UPDATE_SNAPSHOTS").is_some() {
        return drawn.save(&path).expect("written");
    }
    let expected = image::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).to_rgb8();
    let (difference, map) = perceived(drawn, &expected);
    println!("{name}: {difference:?}");
    if difference.within(BOUND) {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("snapshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    for (kind, picture) in [("drawn", drawn), ("expected", &expected), ("difference", &map)] {
        picture.save(folder.join(format!("{name}-{kind}.png"))).expect("written");
    }
    panic!("{name}: {difference:?} of {BOUND:?}; look at {}", folder.display());
}

/// Frame `frame` of someone who says a sentence.
fn frame(person: u64, frame: usize) -> RgbImage {
    let talker = Talker::new(person);
    let clip = SampleClip::speak(&[Sentence::new("Hello there!").expect("known words")], 3).expect("spoken");
    let plate = backdrop(&talker, SIZE);
    let rasterizer = CpuRasterizer::<f32>::new();
    render_frame(&talker, &clip.params[frame], SIZE, &plate, &rasterizer).expect("drawn").rgb
}

#[test]
fn the_sample_talker_looks_as_it_did() {
    hold("talker-silent", &frame(0, 0));
    hold("talker-speaking", &frame(0, 9));
    hold("another-talker", &frame(7, 14));
}

#[test]
fn a_picture_that_differs_is_told_apart() {
    let drawn = frame(0, 0);
    let noisy = RgbImage::from_fn(SIZE, SIZE, |x, y| Rgb(drawn[(x, y)].0.map(|v| v ^ (x + y) as u8 & 1)));
    assert!(perceived(&drawn, &noisy).0.within(BOUND), "{:?}", perceived(&drawn, &noisy).0);
    let moved = RgbImage::from_fn(SIZE, SIZE, |x, y| drawn[((x + 1).min(SIZE - 1), y)]);
    let darker =
        RgbImage::from_fn(SIZE, SIZE, |x, y| Rgb(drawn[(x, y)].0.map(|v| (f32::from(v) * 0.93) as u8)));
    let mut spotted = drawn.clone();
    (46..49).for_each(|x| (46..49).for_each(|y| spotted[(x, y)] = Rgb([255, 0, 255])));
    for (what, other) in
        [("moved", moved), ("darker", darker), ("spotted", spotted), ("speaking", frame(0, 9))]
    {
        let found = perceived(&drawn, &other).0;
        assert!(!found.within(BOUND), "{what}: {found:?}");
    }
}
