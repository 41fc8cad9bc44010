//! Faces found by MediaPipe's networks against MediaPipe itself.
//!
//! The networks, `models/face_landmarker.task` in the data folder, are not part of this repository.

#[path = "../../tests/common/real_data.rs"]
mod real_data;

use data_utils::face::{FaceModels, Landmarks, Tracker};
use image::RgbImage;
use real_data::{Missing, Outcome, data};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

fn models() -> Result<FaceModels, Missing> {
    data("models/face_landmarker.task").map(|path| FaceModels::open(&path).expect("the published bundle"))
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn pixels(path: &Path) -> RgbImage {
    image::open(path).expect("an image").to_rgb8()
}

/// What MediaPipe found: 478 landmarks and 52 blendshapes.
fn golden(path: &Path) -> (Vec<[f32; 3]>, Vec<f32>) {
    let bytes = std::fs::read(path).expect("golden data");
    let values: Vec<f32> =
        bytes.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
    assert_eq!(values.len(), 478 * 3 + 52);
    let points = values[..478 * 3].chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect();
    (points, values[478 * 3..].to_vec())
}

/// Distances in the image, and differences of depth, pixels.
fn errors(found: &Landmarks, expected: &[[f32; 3]]) -> (Vec<f32>, Vec<f32>) {
    let pairs = || found.points.iter().zip(expected);
    let flat = pairs().map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).collect();
    (flat, pairs().map(|(a, b)| (a[2] - b[2]).abs()).collect())
}

fn largest(values: &[f32]) -> f32 {
    values.iter().copied().fold(0.0, f32::max)
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

/// The values of an npy file of little-endian f32, whatever its shape.
fn npy(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).expect("an npy file");
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = String::from_utf8_lossy(&bytes[10..10 + header]).into_owned();
    assert!(text.contains("<f4") && text.contains("'fortran_order': False"), "{text}");
    bytes[10 + header..].chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
}

fn a_drawn_face_is_found_where_mediapipe_finds_it() -> Outcome {
    let models = models()?;
    let face = models.landmarks(&pixels(&fixture("face.png"))).expect("an image").expect("a face");
    let (points, scores) = golden(&fixture("face.bin"));
    let (flat, depth) = errors(&face, &points);
    println!("drawn face: max {} px, depth {} px", largest(&flat), largest(&depth));
    assert!(largest(&flat) < 0.05 && largest(&depth) < 0.05);
    let found = models.blendshapes(&face).expect("478 landmarks");
    let off: Vec<f32> = found.iter().zip(&scores).map(|(a, b)| (a - b).abs()).collect();
    assert!(found.len() == 52 && largest(&off) < 0.002, "blendshapes off by {}", largest(&off));
    Ok(())
}

fn the_mouth_of_the_drawn_face_is_a_little_open() -> Outcome {
    let models = models()?;
    let face = models.landmarks(&pixels(&fixture("face.png"))).expect("an image").expect("a face");
    assert!((0.03..0.25).contains(&face.mouth_opening()), "{}", face.mouth_opening());
    let [left, top, right, bottom] = face.lips();
    // The lips are drawn around (161.9, 192.4), 41 wide and turned by 0.16.
    assert!((left + right - 2.0 * 163.5).abs() < 6.0 && (top + bottom - 2.0 * 193.0).abs() < 6.0);
    assert!((30.0..50.0).contains(&(right - left)) && (10.0..26.0).contains(&(bottom - top)));
    Ok(())
}

fn an_image_without_a_face_has_no_landmarks() -> Outcome {
    let models = models()?;
    for (width, height) in [(1, 1), (1, 300), (64, 48), (512, 512)] {
        let grey = RgbImage::from_pixel(width, height, image::Rgb([90, 90, 90]));
        assert_eq!(models.landmarks(&grey).expect("an image"), None, "{width}x{height}");
    }
    let error = models.landmarks(&RgbImage::new(0, 0)).expect_err("no pixels");
    assert_eq!(error.exit_code(), 2);
    Ok(())
}

fn a_tracker_follows_loses_and_finds_again() -> Outcome {
    let models = models()?;
    let image = pixels(&fixture("face.png"));
    let black = RgbImage::new(image.width(), image.height());
    let mut tracker = Tracker::new(&models);
    let first = tracker.next(&image).expect("an image").expect("a face");
    let second = tracker.next(&image).expect("an image").expect("the same face");
    // Another region is looked at, so the points wobble a little.
    assert!(largest(&errors(&second, &first.points).0) < 3.0);
    assert_ne!(first, second);
    assert_eq!(tracker.next(&black).expect("an image"), None);
    assert_eq!(tracker.next(&image).expect("an image").as_ref(), Some(&first));
    Ok(())
}

fn any_number_of_threads_gives_the_same_bits() -> Outcome {
    let models = models()?;
    let image = pixels(&fixture("face.png"));
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| models.landmarks(&image)).expect("an image").expect("a face")
    };
    let one = on(1);
    assert_eq!(one, on(2));
    assert_eq!(one, on(5));
    Ok(())
}

fn landmarks_equal_mediapipes_on_the_same_pixels_of_real_frames() -> Outcome {
    let Some(folder) = std::env::var_os("SURFELTALK_MEDIAPIPE_DIR").map(PathBuf::from) else {
        return Err(Missing::optional(
            "needs the folder that tests/data/mediapipe_frames.py fills; SURFELTALK_MEDIAPIPE_DIR names it",
        ));
    };
    let models = models()?;
    let (mut flat, mut off, mut milliseconds) = (Vec::new(), 0f32, Vec::new());
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "png") {
            continue;
        }
        let (points, scores) = golden(&path.with_extension("bin"));
        let image = pixels(&path);
        let start = std::time::Instant::now();
        let face = models.landmarks(&image).expect("an image").expect("a face");
        milliseconds.push(start.elapsed().as_secs_f32() * 1e3);
        flat.extend(errors(&face, &points).0);
        for (a, b) in models.blendshapes(&face).expect("landmarks").iter().zip(&scores) {
            off = off.max((a - b).abs());
        }
    }
    let frames = milliseconds.len();
    println!(
        "{frames} frames: max {} px, median {} px, blendshapes {off}",
        largest(&flat),
        median(flat.clone())
    );
    println!("{} ms a frame (median)", median(milliseconds));
    assert!(frames >= 20 && largest(&flat) <= 0.1 && off <= 0.01);
    Ok(())
}

fn recompressed_frames_give_nearly_the_landmarks_of_their_originals() -> Outcome {
    let models = models()?;
    for (clip, limits) in [("anchor50s", [0.6, 0.04]), ("may13s", [0.6, 0.04])] {
        let folder = data(clip)?;
        let (points, scores) = (npy(&folder.join("landmarks478.npy")), npy(&folder.join("bs_raw.npy")));
        let frames = scores.len() / 52;
        let (mut flat, mut off) = (Vec::new(), Vec::new());
        for index in (0..frames).step_by(frames / 10) {
            let image = pixels(&folder.join(format!("ori_imgs/{index}.jpg")));
            let face = models.landmarks(&image).expect("an image").expect("a face");
            let expected: Vec<[f32; 3]> =
                points[index * 478 * 3..][..478 * 3].chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect();
            flat.extend(errors(&face, &expected).0);
            let found = models.blendshapes(&face).expect("landmarks");
            off.extend(found.iter().zip(&scores[index * 52..]).map(|(a, b)| (a - b).abs()));
        }
        let mean = off.iter().sum::<f32>() / off.len() as f32;
        println!(
            "{clip}: landmarks median {} px, max {} px; blendshapes mean {mean}, max {}",
            median(flat.clone()),
            largest(&flat),
            largest(&off)
        );
        assert!(median(flat) < limits[0] && mean < limits[1]);
    }
    Ok(())
}

fn the_68_points_are_those_of_the_lms_files() -> Outcome {
    for clip in ["anchor50s", "may13s"] {
        let folder = data(clip)?;
        let points = npy(&folder.join("landmarks478.npy"));
        let frames = points.len() / (478 * 3);
        for index in (0..frames).step_by(frames / 10) {
            let points = points[index * 478 * 3..][..478 * 3].chunks_exact(3).map(|p| [p[0], p[1], p[2]]);
            let face = Landmarks { points: points.collect(), score: 1.0 };
            let text = std::fs::read_to_string(folder.join(format!("ori_imgs/{index}.lms"))).expect("lms");
            let expected: Vec<f32> = text.split_whitespace().map(|v| v.parse().expect("a number")).collect();
            let found = face.ibug68();
            assert_eq!(expected.len(), 2 * found.len());
            for (a, b) in found.as_flattened().iter().zip(&expected) {
                assert!((a - b).abs() < 1e-3, "{clip} {index}: {a} is {b} in the file");
            }
        }
    }
    Ok(())
}

fn the_canonical_face_is_the_published_one() -> Outcome {
    let (models, path) = (models()?, data("models/ict_facekit/canonical_face_model.obj")?);
    let text = std::fs::read_to_string(path).expect("obj");
    let vertices = text.lines().filter_map(|l| l.strip_prefix("v "));
    let face = models.canonical();
    for (line, found) in vertices.zip(&face.vertices) {
        for (text, value) in line.split_whitespace().zip(found) {
            assert!((text.parse::<f32>().expect("a number") - value).abs() < 1e-5);
        }
    }
    assert_eq!((face.vertices.len(), face.triangles.len(), face.basis.len()), (468, 898, 33));
    Ok(())
}

/// A bundle in which every network is the little one of all operators.
fn other_networks() -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for name in ["face_detector", "face_landmarks_detector", "face_blendshapes"] {
        archive.start_file(format!("{name}.tflite"), stored).expect("a member");
        archive.write_all(include_bytes!("data/operators.tflite")).expect("written");
    }
    archive.finish().expect("an archive").into_inner()
}

fn refusal(bytes: &[u8]) -> Option<String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("written");
    let error = FaceModels::open(file.path()).err()?;
    assert_eq!(error.exit_code(), 2, "{error}");
    Some(error.to_string())
}

fn a_bundle_of_other_networks_is_refused_by_their_shapes() {
    let message = refusal(&other_networks()).expect("refused");
    assert!(message.contains("face detector") && message.contains("[1, 13, 10, 3]"), "{message}");
}

fn what_is_no_bundle_is_refused() {
    assert!(refusal(b"").is_some());
    assert!(refusal(b"\0\0PK\x03\x04 and then nothing").is_some());
    let missing = FaceModels::open(Path::new("no/such/face_landmarker.task")).expect_err("missing");
    assert_eq!(missing.exit_code(), 2);
}

/// Opens `bytes` cut off at 64 places; whole they are opened where `opens` says so.
fn truncated(bytes: &[u8], opens: bool) {
    assert_eq!(refusal(bytes).is_none(), opens);
    for point in 0..64 {
        assert!(refusal(&bytes[..bytes.len() * point / 64]).is_some(), "cut at {point} of 64");
    }
}

fn no_truncated_bundle_is_opened() {
    truncated(&other_networks(), false);
}

fn the_published_bundle_is_opened_and_no_truncated_one() -> Outcome {
    truncated(&std::fs::read(data("models/face_landmarker.task")?).expect("the bundle"), true);
    Ok(())
}

real_data::test_main!(
    a_drawn_face_is_found_where_mediapipe_finds_it,
    the_mouth_of_the_drawn_face_is_a_little_open,
    an_image_without_a_face_has_no_landmarks,
    a_tracker_follows_loses_and_finds_again,
    any_number_of_threads_gives_the_same_bits,
    landmarks_equal_mediapipes_on_the_same_pixels_of_real_frames,
    recompressed_frames_give_nearly_the_landmarks_of_their_originals,
    the_68_points_are_those_of_the_lms_files,
    the_canonical_face_is_the_published_one,
    a_bundle_of_other_networks_is_refused_by_their_shapes,
    what_is_no_bundle_is_refused,
    no_truncated_bundle_is_opened,
    the_published_bundle_is_opened_and_no_truncated_one,
);
