//! The preprocessed clips of real people.

#[path = "../../tests/common/real_data.rs"]
mod real_data;

use data_utils::dataset::{Dataset, ExpressionSource, Label, OpenOptions, Part};
use real_data::{Outcome, data};
use std::time::Instant;

/// Share of the pixels of a mask.
fn share(mask: &[bool]) -> f64 {
    mask.iter().filter(|m| **m).count() as f64 / mask.len() as f64
}

fn real_clips_open_with_every_frame() -> Outcome {
    for (name, train, val) in [("anchor50s", 1137, 114), ("may13s", 300, 31)] {
        let dir = data(name)?;
        let start = Instant::now();
        let dataset = Dataset::open(&dir, &OpenOptions::default()).expect("a dataset");
        println!("{name}: opened in {:.3} s; {:#?}", start.elapsed().as_secs_f64(), dataset.notes());
        assert_eq!((dataset.train_indices().len(), dataset.val_indices().len()), (train, val));
        assert_eq!(dataset.size, [512, 512]);
        assert_eq!(dataset.expression_source, ExpressionSource::Blendshapes);
        assert!(dataset.frames.iter().all(|f| f.landmarks.is_some()));
        let cloud = dataset.initial_points().expect("a cloud");
        assert!(cloud.positions.len() > 20_000 && cloud.normals.is_some() && !cloud.faces.is_empty());
    }
    Ok(())
}

fn labels_of_real_frames_lie_where_the_face_is() -> Outcome {
    for (name, torso) in [("anchor50s", false), ("may13s", true)] {
        let dir = data(name)?;
        let dataset = Dataset::open(&dir, &OpenOptions::default()).expect("a dataset");
        for index in [0, dataset.frames.len() / 2, dataset.frames.len() - 1] {
            let (meta, pixels) = (&dataset.frames[index], dataset.pixels(index).expect("pixels"));
            let [head, face, all] = [Part::Head, Part::Face, Part::All].map(|p| share(&pixels.part_mask(p)));
            println!("{name} frame {}: head {head:.3}, face {face:.3}, all {all:.3}", meta.img_id);
            assert!(0.03 < face && face < head && head < all && all < 0.9);
            let lips = meta.lips_rect().expect("lips");
            let middle = (lips.row0 + lips.row1) / 2 * 512 + (lips.col0 + lips.col1) / 2;
            assert_eq!(pixels.labels[middle] & (Label::HEAD | Label::FACE), Label::HEAD | Label::FACE);
            let (eyes, bounds) = (meta.eyes_rect().expect("eyes"), meta.face_rect().expect("face"));
            // Brows rise above the face's outline by up to a quarter of the crop.
            assert!(eyes.row1 < lips.row1 && lips.row1 <= bounds.row1 + 20);
            assert!(bounds.row0 <= eyes.row0 + (eyes.row1 - eyes.row0) / 4);
            assert_eq!(dataset.has_torsos(), torso);
            let opaque = dataset.torso(index).expect("readable").pixels().filter(|p| p.0[3] > 0).count();
            assert!(opaque > 512 * 512 / 20, "{name}: {opaque} pixels of torso");
        }
    }
    Ok(())
}

fn the_cloud_projects_onto_the_head() -> Outcome {
    for name in ["anchor50s", "may13s"] {
        let dir = data(name)?;
        let dataset = Dataset::open(&dir, &OpenOptions::default()).expect("a dataset");
        let (cloud, pixels) =
            (dataset.initial_points().expect("a cloud"), dataset.pixels(40).expect("pixels"));
        let camera = dataset.frames[40].camera;
        let on = cloud.positions.iter().filter(|p| {
            let [column, row, _] = camera.project(p.map(f64::from));
            pixels.labels[row.round() as usize * 512 + column.round() as usize] & (Label::HEAD | Label::NECK)
                != 0
        });
        let on = on.count() as f64 / cloud.positions.len() as f64;
        println!("{name}: {on:.3} of the cloud on head and neck");
        assert!(on > 0.9);
    }
    Ok(())
}

/// The same clip without its cloud: what the masks give must lie where the tracked head is.
#[cfg(unix)]
fn a_cloud_from_real_masks_lies_where_the_tracked_head_is() -> Outcome {
    for name in ["anchor50s", "may13s"] {
        let dir = data(name)?;
        let bare = tempfile::tempdir().expect("a temporary folder");
        for file in ["ori_imgs", "parsing", "transforms_train.json", "transforms_val.json", "aud.wav"] {
            let from = dir.canonicalize().expect("a path").join(file);
            std::os::unix::fs::symlink(from, bare.path().join(file)).expect("a link");
        }
        let tracked = Dataset::open(&dir, &OpenOptions::default()).expect("a dataset");
        let dataset = Dataset::open(bare.path(), &OpenOptions::default()).expect("a dataset");
        let start = Instant::now();
        let clouds = [&tracked, &dataset].map(|d| d.initial_points().expect("a cloud").positions);
        let mean =
            |points: &[[f32; 3]], k: usize| points.iter().map(|p| p[k]).sum::<f32>() / points.len() as f32;
        let [a, b] = [&clouds[0], &clouds[1]].map(|c| [0, 1, 2].map(|k| mean(c, k)));
        let count = clouds[1].len();
        println!(
            "{name}: {count} points in {:.2} s around {b:.3?}, tracked {a:.3?}",
            start.elapsed().as_secs_f64()
        );
        assert!((10_000..40_000).contains(&count));
        // Metres: hair and neck move the middle of the volume, by less than half a head.
        assert!((0..3).all(|k| (a[k] - b[k]).abs() < 0.1));
    }
    Ok(())
}

fn real_frames_are_decoded_again_when_nothing_may_be_kept() -> Outcome {
    let dir = data("anchor50s")?;
    let dataset =
        Dataset::open(&dir, &OpenOptions { image_budget: 0, ..OpenOptions::default() }).expect("a dataset");
    let start = Instant::now();
    (0..100).for_each(|i| assert_eq!(dataset.pixels(i * 11).expect("pixels").bytes(), 512 * 512 * 4));
    println!("{:.1} ms a frame, one thread", start.elapsed().as_secs_f64() * 10.0);
    assert_eq!(dataset.cached_bytes(), 0);
    Ok(())
}

real_data::test_main!(
    real_clips_open_with_every_frame,
    labels_of_real_frames_lie_where_the_face_is,
    the_cloud_projects_onto_the_head,
    a_cloud_from_real_masks_lies_where_the_tracked_head_is,
    real_frames_are_decoded_again_when_nothing_may_be_kept,
);
