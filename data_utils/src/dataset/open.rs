//! Opening a dataset: every check there is, before anything is refused.

use super::cache::Cache;
use super::check::{self, Findings};
use super::folder::{Dataset, FrameMeta, OpenOptions, Split};
use super::landmarks::{self, Points68};
use super::masks::Label;
use super::pixels::Store;
use super::readable::{self, FrameFault};
use super::transforms::{self, Pose};
use super::{audio, expression, scale};
use crate::camera::Camera;
use crate::error::{Error, Problem, Result};
use crate::formats::ply::{self, PointCloud};
use crate::media::pictures::picture_size;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Where pictures may lie, in order of preference.
const PICTURES: [(&str, &str); 4] =
    [("ori_imgs", "jpg"), ("ori_imgs", "png"), ("gt_imgs", "jpg"), ("gt_imgs", "png")];

/// The largest share of frames that may be left out, and how many are named one by one.
const MOST_LEFT_OUT: f64 = 0.5;
const MOST_NAMED: usize = 10;

/// What a look at a frame's files showed.
struct Seen {
    picture: std::result::Result<[u32; 2], String>,
    /// Other pictures of the frame that exist: pattern of the path, and size.
    others: Vec<(&'static str, std::result::Result<[u32; 2], String>)>,
    parsed: bool,
    landmarks: Option<std::result::Result<Points68, String>>,
}

impl Dataset {
    /// Opens the dataset in `dir`.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::Inputs`] with everything that is
    /// wrong: a file that is missing, cut short, of another size than its siblings or without meaning.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Dataset> {
        let (mut findings, mut notes) = (Findings::default(), Vec::new());
        if !dir.is_dir() {
            return Err(Problem::new(dir.display(), "a dataset folder", "no folder", "check the path").into());
        }
        let mut poses = read_poses(dir, &mut findings, &mut notes);
        if findings.is_empty() && !poses.iter().any(|(_, split)| *split == Split::Train) {
            findings.push(Problem::new(
                dir.join("transforms_train.json").display(),
                "at least one frame",
                "none",
                "run the pose tracking of this dataset again",
            ));
        }
        if poses.is_empty() {
            std::mem::take(&mut findings).into_result()?;
        }
        let pictures = choose_pictures(dir, &poses, &mut notes);
        let seen: Vec<Seen> = poses.par_iter().map(|(pose, _)| look(dir, pictures, pose.img_id)).collect();
        let stored = most_common_size(&seen).unwrap_or([1, 1]);
        report_files(pictures, &poses, &seen, stored, &mut findings);
        let store =
            Store { dir: dir.into(), pictures, stored, size: scale::target(stored, options.max_side) };
        if store.size != stored {
            notes.push(format!(
                "frames scaled from {}×{} to {}×{}",
                stored[0], stored[1], store.size[0], store.size[1]
            ));
        }
        // Without a single readable picture there is no size to hold anything against.
        let sized = seen.iter().any(|s| s.picture.is_ok());
        if sized {
            scale_cameras(&mut poses, stored, &mut notes);
        }
        let centered = sized && check_centers(&poses, stored, &mut findings);

        let last = poses.iter().map(|(p, _)| p.img_id).max().unwrap_or(0);
        let (rows, expression_source) = expression::read(dir, last, &mut findings, &mut notes);
        let last_row = poses.iter().map(|(p, _)| p.aud_id).max().unwrap_or(0);
        let weights = options.ave_weights.as_deref();
        let audio = audio::read(dir, options.audio, weights, last_row, &mut findings, &mut notes);
        let mut frames = frames_of(&poses, &seen, &store, &rows, &mut findings, &mut notes);
        if options.check_frames && findings.is_empty() {
            frames = leave_out(frames, &store, &mut findings, &mut notes);
        }
        let train = frames.iter().filter(|f| f.split == Split::Train).count();
        if findings.is_empty() && train == frames.len() {
            notes.push(
                "no frame is held out: nothing measures how the head does on frames it never saw".into(),
            );
        }
        let background = check_background(dir, stored, &mut findings, &mut notes);
        // Through a wrong centre no cloud is where it should be; one problem is enough.
        let seen_by = frames.first().filter(|_| centered);
        let cloud = read_cloud(dir, seen_by, &mut findings, &mut notes);
        if findings.is_empty() && !options.check_frames {
            check_samples(&store, &frames, &mut findings);
        }
        findings.into_result()?;
        let audio = audio.ok_or_else(|| Error::Internal("no audio features and no reason for it".into()))?;
        Ok(Dataset {
            audio,
            size: store.size,
            cache: Cache::new(options.image_budget),
            frames,
            expression_source,
            train,
            store,
            cloud,
            background,
            notes,
        })
    }
}

/// Frames of both files: those for training by rising number, then those held out.
fn read_poses(dir: &Path, findings: &mut Findings, notes: &mut Vec<String>) -> Vec<(Pose, Split)> {
    let tagged = |poses: Vec<Pose>, split: Split| poses.into_iter().map(move |p| (p, split));
    let mut poses: Vec<(Pose, Split)> =
        tagged(transforms::read(&dir.join("transforms_train.json"), findings), Split::Train).collect();
    poses.sort_by_key(|(p, _)| p.img_id);
    let held_out = dir.join("transforms_val.json");
    if held_out.exists() {
        let mut val: Vec<_> = tagged(transforms::read(&held_out, findings), Split::Val).collect();
        val.sort_by_key(|(p, _)| p.img_id);
        poses.extend(val);
    } else {
        let first = (poses.len() * 10 / 11).max(1);
        poses.iter_mut().skip(first).for_each(|(_, split)| *split = Split::Val);
        notes.push(format!(
            "no transforms_val.json: the last {} frames are held out",
            poses.len().saturating_sub(first)
        ));
    }
    let mut known = BTreeSet::new();
    for (pose, _) in &poses {
        if !known.insert(pose.img_id) {
            findings.frame(
                "transforms_*.json: img_id {}",
                pose.img_id,
                "each frame once, in one of the two files",
                "more than once",
                "run the pose tracking of this dataset again",
            );
        }
    }
    poses
}

fn choose_pictures(
    dir: &Path,
    poses: &[(Pose, Split)],
    notes: &mut Vec<String>,
) -> (&'static str, &'static str) {
    let has = |(folder, extension): (&str, &str)| {
        poses.iter().any(|(p, _)| dir.join(folder).join(format!("{}.{extension}", p.img_id)).exists())
    };
    let chosen = PICTURES.into_iter().find(|p| has(*p)).unwrap_or(PICTURES[0]);
    if chosen.0 == "gt_imgs" {
        notes.push("no ori_imgs: frames from gt_imgs, whose background was replaced".into());
    }
    chosen
}

fn look(dir: &Path, (folder, extension): (&str, &str), id: u32) -> Seen {
    let parsing = dir.join("parsing").join(format!("{id}.png"));
    let mut others = Vec::new();
    for pattern in ["parsing/{}.png", "parsing/{}_face.png", "torso_imgs/{}.png"] {
        let path = dir.join(pattern.replace("{}", &id.to_string()));
        if path.exists() {
            others.push((pattern, picture_size(&path)));
        }
    }
    let landmarks = dir.join("ori_imgs").join(format!("{id}.lms"));
    Seen {
        picture: picture_size(&dir.join(folder).join(format!("{id}.{extension}"))),
        others,
        parsed: parsing.exists(),
        landmarks: landmarks.exists().then(|| landmarks::read(&landmarks)),
    }
}

/// The size most pictures have, or most masks where no picture can be read.
fn most_common_size(seen: &[Seen]) -> Option<[u32; 2]> {
    let most = |sizes: &mut dyn Iterator<Item = [u32; 2]>| {
        let mut counts: BTreeMap<[u32; 2], usize> = BTreeMap::new();
        sizes.for_each(|size| *counts.entry(size).or_default() += 1);
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(size, _)| size)
    };
    let masks = || seen.iter().flat_map(|s| &s.others).filter_map(|(_, size)| size.clone().ok());
    most(&mut seen.iter().filter_map(|s| s.picture.clone().ok())).or_else(|| most(&mut masks()))
}

fn report_files(
    (folder, extension): (&str, &str),
    poses: &[(Pose, Split)],
    seen: &[Seen],
    stored: [u32; 2],
    findings: &mut Findings,
) {
    let whole = "a whole JPEG or PNG";
    let sized = format!("{}×{} pixels, as the other frames have", stored[0], stored[1]);
    let again = "extract the frames of this dataset again";
    for ((pose, _), seen) in poses.iter().zip(seen) {
        let id = pose.img_id;
        let mut picture = |at: &str, size: &std::result::Result<[u32; 2], String>| match size {
            Err(found) => findings.frame(at, id, whole, found, again),
            Ok(size) if *size != stored => {
                findings.frame(at, id, &sized, &format!("{}×{}", size[0], size[1]), again);
            }
            Ok(_) => {}
        };
        picture(&format!("{folder}/{{}}.{extension}"), &seen.picture);
        seen.others.iter().for_each(|(at, size)| picture(at, size));
        if let Some(Err(found)) = &seen.landmarks {
            let remedy = "find the landmarks again, or remove the file";
            findings.frame("ori_imgs/{}.lms", id, "68 lines of \"x y\"", found, remedy);
        }
    }
}

/// How far the two sides' factors of a resized dataset may be apart.
const ASPECT: f64 = 0.02;

/// Scales cameras that were found on frames of another size: of pictures that were resized later both coordinates of the
/// principal point are off by the same factor.
fn scale_cameras(poses: &mut [(Pose, Split)], stored: [u32; 2], notes: &mut Vec<String>) {
    let Some((first, _)) = poses.first() else { return };
    let factors = [0, 1].map(|k| f64::from(stored[k]) / 2.0 / first.center[k]);
    let [x, y] = factors;
    // A principal point that is a little off the middle is nothing else.
    let is_other = x.is_finite() && !(0.67..=1.34).contains(&x) && (x / y - 1.0).abs() < ASPECT;
    if !is_other || poses.iter().any(|(pose, _)| pose.center != first.center) {
        return;
    }
    let factor = (x + y) / 2.0;
    for (pose, _) in poses.iter_mut() {
        pose.focal *= factor;
        pose.center = pose.center.map(|c| c * factor);
    }
    notes.push(format!(
        "the cameras are those of pictures {:.2} times as large: focal length and principal point are scaled",
        1.0 / factor
    ));
}

/// Whether the principal points fit the frames: one far off the middle is one of a picture of another size.
fn check_centers(poses: &[(Pose, Split)], stored: [u32; 2], findings: &mut Findings) -> bool {
    let half = stored.map(|s| f64::from(s) / 2.0);
    let off = |p: &Pose| (0..2).any(|k| (p.center[k] - half[k]).abs() > half[k] / 2.0);
    let Some((pose, _)) = poses.iter().find(|(p, _)| off(p)) else { return true };
    findings.push(Problem::new(
        "transforms_*.json: cx, cy",
        format!("about {} {}, the middle of the frames", half[0], half[1]),
        format!("{} {}", pose.center[0], pose.center[1]),
        "track the poses on frames of this size",
    ));
    false
}

fn frames_of(
    poses: &[(Pose, Split)],
    seen: &[Seen],
    store: &Store,
    rows: &[[f32; expression::COLUMNS]],
    findings: &mut Findings,
    notes: &mut Vec<String>,
) -> Vec<FrameMeta> {
    let ids_where = |absent: &dyn Fn(&Seen) -> bool| -> Vec<u32> {
        poses.iter().zip(seen).filter(|(_, s)| absent(s)).map(|((p, _), _)| p.img_id).collect()
    };
    let unparsed = ids_where(&|s| !s.parsed);
    if !unparsed.is_empty() && unparsed.len() < poses.len() {
        notes.push(format!(
            "no parsing/{}.png: {} frames left out",
            check::ranges(&unparsed),
            unparsed.len()
        ));
    }
    // Without any training frame the json has been refused already.
    let mut train = poses.iter().zip(seen).filter(|((_, split), _)| *split == Split::Train).peekable();
    if train.peek().is_some() && !train.any(|(_, seen)| seen.parsed) {
        findings.push(Problem::new(
            store.dir.join("parsing").display(),
            "a label map for at least one training frame",
            format!("none for any of {} frames", poses.len()),
            "run the parsing step of preprocessing",
        ));
    }
    let unmarked = ids_where(&|s| s.landmarks.is_none());
    if !unmarked.is_empty() {
        notes.push(format!(
            "no ori_imgs/{}.lms: no lip rectangle for {} frames",
            check::ranges(&unmarked),
            unmarked.len()
        ));
    }
    let faceless = ids_where(&|s| s.parsed && !s.others.iter().any(|(at, _)| *at == "parsing/{}_face.png"));
    if !faceless.is_empty() {
        notes.push(format!(
            "no parsing/{}_face.png: face of {} frames from landmarks or head labels",
            check::ranges(&faceless),
            faceless.len()
        ));
    }
    let factor = [0, 1].map(|k| store.size[k] as f32 / store.stored[k] as f32);
    let scaled = |points: &Points68| points.map(|p| [0, 1].map(|k| (p[k] + 0.5) * factor[k] - 0.5));
    let frame = |((pose, split), seen): (&(Pose, Split), &Seen)| FrameMeta {
        img_id: pose.img_id,
        aud_id: pose.aud_id,
        split: *split,
        camera: Camera::from_opengl(
            &pose.world_from_camera,
            pose.focal,
            pose.center[0],
            pose.center[1],
            store.stored,
        )
        .resized(store.size[0], store.size[1]),
        expression: rows.get(pose.img_id as usize).or(rows.last()).copied().unwrap_or_default(),
        landmarks: seen.landmarks.as_ref().and_then(|l| l.as_ref().ok()).map(scaled),
    };
    poses.iter().zip(seen).filter(|(_, s)| s.parsed).map(frame).collect()
}

fn check_background(
    dir: &Path,
    stored: [u32; 2],
    findings: &mut Findings,
    notes: &mut Vec<String>,
) -> Option<std::path::PathBuf> {
    let path = dir.join("bc.jpg");
    if !path.exists() {
        notes.push("no bc.jpg: the background is black".into());
        return None;
    }
    let found = match picture_size(&path) {
        Ok(size) if size == stored => return Some(path),
        Ok(size) => format!("{}×{}", size[0], size[1]),
        Err(found) => found,
    };
    findings.push(Problem::new(
        path.display(),
        format!("a whole picture of {}×{} pixels, as the frames have", stored[0], stored[1]),
        found,
        "make it again, or remove it for a black background",
    ));
    None
}

fn read_cloud(
    dir: &Path,
    seen_by: Option<&FrameMeta>,
    findings: &mut Findings,
    notes: &mut Vec<String>,
) -> Option<PointCloud> {
    let names = ["fused.ply", "points3d.ply"];
    let Some(name) = names.into_iter().find(|n| dir.join(n).exists()) else {
        notes.push("no fused.ply and no points3d.ply: the cloud is filled from cameras and masks".into());
        return None;
    };
    if name != names[0] {
        notes.push("no fused.ply: the cloud is points3d.ply".into());
    }
    let cloud = findings.take(ply::read_points(&dir.join(name)))?;
    // A cloud in another unit than the cameras, or of another head, is not where they look.
    let Some(frame) = seen_by else { return Some(cloud) };
    let visible = cloud
        .positions
        .iter()
        .filter(|p| {
            let [column, row, depth] = frame.camera.project(p.map(f64::from));
            depth > 0.0
                && (0.0..f64::from(frame.camera.width)).contains(&column)
                && (0.0..f64::from(frame.camera.height)).contains(&row)
        })
        .count();
    if visible * 10 < cloud.positions.len() {
        findings.push(Problem::new(
            dir.join(name).display(),
            "points that the cameras see",
            format!("{visible} of {} in frame {}", cloud.positions.len(), frame.img_id),
            "bring cloud and cameras to one unit and origin, or remove the file",
        ));
    }
    Some(cloud)
}

/// Frames that can be learned from; the others are named, and when they are too many the dataset is refused.
fn leave_out(
    frames: Vec<FrameMeta>,
    store: &Store,
    findings: &mut Findings,
    notes: &mut Vec<String>,
) -> Vec<FrameMeta> {
    let faults = readable::faults(store, &frames);
    let count = faults.iter().flatten().count();
    let is_most = count as f64 > MOST_LEFT_OUT * frames.len() as f64;
    let remedy = "make these files again from the same frames";
    let mut nobody = Vec::new();
    let mut named = 0;
    for (frame, fault) in frames.iter().zip(&faults) {
        match fault {
            Some(FrameFault::NoHead) => nobody.push(frame.img_id),
            Some(FrameFault::Unreadable(at, expected, found)) if is_most => {
                findings.push(Problem::new(at, expected, found, remedy));
            }
            Some(FrameFault::Unreadable(at, expected, found)) => {
                named += 1;
                if named <= MOST_NAMED {
                    notes.push(format!(
                        "frame {} left out: {at}: expected {expected}, found {found}",
                        frame.img_id
                    ));
                }
            }
            None => {}
        }
    }
    if named > MOST_NAMED {
        notes.push(format!("{} more frames left out whose files cannot be read", named - MOST_NAMED));
    }
    if !nobody.is_empty() {
        let at = format!("parsing/{}.png", check::ranges(&nobody));
        if is_most {
            findings.push(Problem::new(
                at,
                "a head (blue, grey or black)",
                "none",
                "run the parsing step again",
            ));
        } else {
            notes.push(format!("no head in {at}: {} frames left out", nobody.len()));
        }
    }
    frames.into_iter().zip(faults).filter(|(_, fault)| fault.is_none()).map(|(frame, _)| frame).collect()
}

/// Decodes the first, the middle and the last frame: what is wrong in them is mostly wrong in all.
fn check_samples(store: &Store, frames: &[FrameMeta], findings: &mut Findings) {
    let picks: BTreeSet<usize> = [0, frames.len() / 2, frames.len().saturating_sub(1)].into();
    let mut head = false;
    for frame in picks.into_iter().filter_map(|i| frames.get(i)) {
        if let Some(pixels) = findings.take(store.decode(frame.img_id, frame.landmarks.as_ref())) {
            head |= pixels.labels.iter().any(|l| l & Label::HEAD != 0);
        }
    }
    if !head && findings.is_empty() {
        findings.push(Problem::new(
            store.dir.join("parsing").display(),
            "a head (blue, grey or black)",
            "none in the first, middle and last frame",
            "run the parsing step of preprocessing again",
        ));
    }
}
