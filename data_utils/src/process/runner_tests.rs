//! Whose files are whose, on stages that are made up: frames of a video, a mask a frame, a plate, poses, and the file
//! that makes the folder a dataset.

use super::*;
use crate::process::options::Options;
use std::path::PathBuf;
use std::sync::Mutex;

const NOTHING: fn(&Options) -> Vec<(&'static str, String)> = |_| Vec::new();

fn read(context: &Context, name: &str) -> Result<String> {
    let path = context.dir().join(name);
    std::fs::read_to_string(&path).map_err(|e| Error::io(&path, "a readable file", &e))
}

/// Two frames, each the video's text and its number.
fn frames(context: &Context) -> Result<String> {
    let text = std::fs::read_to_string(&context.options.video).expect("the video");
    for k in 0..2 {
        context.put(&format!("frames/{k}.txt"), format!("{text} {k}").as_bytes())?;
    }
    Ok("frames".into())
}

fn masks(context: &Context) -> Result<String> {
    for k in 0..2 {
        let frame = read(context, &format!("frames/{k}.txt"))?;
        if context.options.silent && k == 1 {
            return Err(Error::Internal("killed".into()));
        }
        context.put(&format!("masks/{k}.txt"), format!("mask of {frame}").as_bytes())?;
    }
    Ok("masks".into())
}

fn plate(context: &Context) -> Result<String> {
    let text = format!("plate behind {}", read(context, "masks/0.txt")?);
    context.make("plate.txt", |path| {
        std::fs::write(path, &text).map_err(|e| Error::io(path, "a place to write to", &e))
    })?;
    Ok("plate".into())
}

fn torso(context: &Context) -> Result<String> {
    let text = format!("torso of {}, {}", read(context, "masks/1.txt")?, read(context, "plate.txt")?);
    context.put("torso.txt", text.as_bytes())?;
    Ok("torso".into())
}

fn poses(context: &Context) -> Result<String> {
    let text = format!("poses of {} by {}", read(context, "masks/0.txt")?, context.options.use_3dmm);
    context.put("poses.txt", text.as_bytes())?;
    Ok("poses".into())
}

fn transforms(context: &Context) -> Result<String> {
    context.put("transforms.txt", read(context, "poses.txt")?.as_bytes())?;
    Ok("transforms".into())
}

fn stage(
    name: &'static str,
    task: u8,
    inputs: &'static [&'static str],
    outputs: &'static [&'static str],
    fits: &'static [&'static str],
    run: fn(&Context) -> Result<String>,
) -> Stage {
    Stage {
        name,
        tasks: [task, task],
        version: 1,
        inputs,
        outputs,
        accepts: &[],
        fits,
        invalidates: if task == 0 { &["transforms.txt"] } else { &[] },
        follows: task == 10,
        options: if task == 8 { |o| vec![("use_3dmm", o.use_3dmm.to_string())] } else { NOTHING },
        run,
    }
}

struct Folder {
    dir: tempfile::TempDir,
    messages: Mutex<Vec<String>>,
}

impl Folder {
    fn new() -> Folder {
        let folder = Folder { dir: tempfile::tempdir().expect("a folder"), messages: Mutex::default() };
        folder.put("video", "v");
        folder
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.dir.path().join(name)).ok()
    }

    fn has(&self, name: &str, text: &str) {
        assert_eq!(self.text(name).as_deref(), Some(text), "{name}");
    }

    fn options(&self, tasks: [u8; 2]) -> Options {
        Options {
            video: self.dir.path().join("video"),
            dir: self.dir.path().to_path_buf(),
            tasks,
            redo: false,
            use_3dmm: false,
            scale: None,
            asr: None,
            ave_weights: None,
            landmarker: PathBuf::new(),
            parsing: None,
            face_model: None,
            flow: None,
            audio: None,
            shot: None,
            shift_sound: crate::process::options::ShiftSound::Seconds(0.0),
            silent: false,
            teeth_mask: false,
        }
    }

    /// Runs, and returns the names of the stages that did something.
    fn try_run(&self, options: &Options) -> Result<Vec<String>> {
        let stages = [
            stage("frames", 0, &["@video"], &["frames/*.txt"], &[], frames),
            stage("masks", 3, &["frames/*.txt"], &["masks/*.txt"], &["frames"], masks),
            stage("plate", 4, &["masks/*.txt"], &["plate.txt"], &["frames"], plate),
            stage("torso", 5, &["masks/*.txt", "plate.txt"], &["torso.txt"], &["frames"], torso),
            stage("poses", 8, &["masks/*.txt"], &["poses.txt"], &["frames"], poses),
            stage("transforms", 10, &["poses.txt"], &["transforms.txt"], &["frames", "poses"], transforms),
        ];
        let listener = |message: Message| {
            self.messages.lock().expect("no panic").push(format!("{message:?}"));
        };
        let took = run(&stages, &Resources::new(options, &listener, None, None))?;
        Ok(took.into_iter().map(|(name, _)| name).collect())
    }

    fn run(&self, tasks: [u8; 2]) -> Vec<String> {
        self.try_run(&self.options(tasks)).expect("done")
    }

    /// The refusal of a run that touches nothing.
    fn refused(&self, options: &Options) -> String {
        let before = self.contents();
        let error = self.try_run(options).expect_err("refused");
        assert_eq!(error.exit_code(), 2, "{error}");
        assert_eq!(self.contents(), before, "something was touched");
        error.to_string()
    }

    fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let mut open = vec![self.dir.path().to_path_buf()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true => open.push(path),
                    false => found.push((path.clone(), std::fs::read(path).expect("read"))),
                }
            }
        }
        found.sort();
        found
    }

    fn said(&self, text: &str) -> bool {
        self.messages.lock().expect("no panic").iter().any(|m| m.contains(text))
    }
}

const ALL: [u8; 2] = [0, 10];

#[test]
fn a_second_run_does_nothing_and_an_option_what_depends_on_it() {
    let folder = Folder::new();
    assert_eq!(folder.run(ALL), ["frames", "masks", "plate", "torso", "poses", "transforms"]);
    assert_eq!(folder.run(ALL), [""; 0]);
    let options = Options { use_3dmm: true, ..folder.options(ALL) };
    assert_eq!(folder.try_run(&options).expect("done"), ["poses", "transforms"]);
    folder.has("transforms.txt", "poses of mask of v 0 by true");
    assert!(!folder.dir.path().join(FOLDER).exists());
}

#[test]
fn files_changed_by_hand_are_kept_and_used_and_the_dataset_stays_one() {
    let folder = Folder::new();
    folder.run(ALL);
    let before = folder.text("transforms.txt").expect("a dataset");
    folder.put("masks/1.txt", "better mask");
    folder.put("plate.txt", "better plate");
    // The plate is not made anew, though a mask that it was made from is another one.
    assert_eq!(folder.run([5, 5]), ["plate", "torso"]);
    folder.has("masks/1.txt", "better mask");
    folder.has("plate.txt", "better plate");
    folder.has("torso.txt", "torso of better mask, better plate");
    folder.has("transforms.txt", &before);
    assert!(folder.said("Kept { stage: \"masks\", files: [\"masks/1.txt\"] }"));
    let manifest = Manifest::open(folder.dir.path()).expect("read");
    assert_eq!(manifest.stages["masks"].by_hand, ["masks/1.txt"]);
    assert_eq!(manifest.stages["plate"].by_hand, ["plate.txt"]);
    // They are still by hand the next time, and nothing is done twice.
    assert_eq!(folder.run([5, 5]), [""; 0]);
    folder.run(ALL);
    folder.has("masks/1.txt", "better mask");
    folder.has("plate.txt", "better plate");
    // Made anew when asked to, each for itself.
    let redo = |tasks| Options { redo: true, ..folder.options(tasks) };
    folder.try_run(&redo([3, 3])).expect("done");
    folder.has("masks/1.txt", "mask of v 1");
    folder.has("plate.txt", "better plate");
    folder.try_run(&redo([4, 5])).expect("done");
    folder.has("torso.txt", "torso of mask of v 1, plate behind mask of v 0");
    assert!(Manifest::open(folder.dir.path()).expect("read").stages.values().all(|r| r.by_hand.is_empty()));
}

#[test]
fn files_put_in_by_hand_for_the_frames_that_are_there_are_used() {
    let folder = Folder::new();
    folder.run([0, 0]);
    folder.put("masks/0.txt", "mask of another program");
    folder.run(ALL);
    folder.has("masks/0.txt", "mask of another program");
    folder.has("masks/1.txt", "mask of v 1");
    folder.has("plate.txt", "plate behind mask of another program");
}

#[test]
fn a_folder_of_another_program_is_refused_by_name_and_not_touched() {
    for (name, tasks) in [("frames/0.txt", ALL), ("masks/7.txt", ALL), ("transforms.txt", [0, 0])] {
        let folder = Folder::new();
        folder.put(name, "somebody's");
        folder.put("poses.txt", "somebody's");
        let said = folder.refused(&folder.options(tasks));
        assert!(said.contains(name) && said.contains("another program"), "{said}");
        let redo = Options { redo: true, ..folder.options(ALL) };
        folder.try_run(&redo).expect("asked for");
        folder.has("poses.txt", "poses of mask of v 0 by false");
        assert_eq!(folder.text("masks/7.txt"), None);
    }
}

#[test]
fn files_changed_by_hand_that_would_no_longer_fit_are_refused_by_name() {
    let folder = Folder::new();
    folder.run(ALL);
    folder.put("masks/1.txt", "better mask");
    folder.put("video", "another");
    for tasks in [ALL, [0, 0], [5, 5]] {
        let said = folder.refused(&folder.options(tasks));
        assert!(said.contains("masks/1.txt, changed by hand"), "{said}");
    }
    let folder = Folder::new();
    folder.run(ALL);
    folder.put("transforms.txt", "only the good frames");
    let options = Options { use_3dmm: true, ..folder.options([8, 8]) };
    assert!(folder.refused(&options).contains("transforms.txt, changed by hand"));
    assert_eq!(folder.run(ALL), [""; 0]);
    folder.has("transforms.txt", "only the good frames");
}

#[test]
fn other_frames_are_no_dataset_until_their_poses_are_known() {
    let folder = Folder::new();
    folder.run(ALL);
    folder.put("video", "another");
    assert_eq!(folder.run([0, 0]), ["frames"]);
    assert_eq!(folder.text("transforms.txt"), None);
    assert!(folder.said("Removed { files: [\"transforms.txt\"] }"));
    folder.run(ALL);
    folder.has("transforms.txt", "poses of mask of another 0 by false");
}

#[test]
fn other_poses_are_followed_by_the_dataset_without_being_asked_for() {
    let folder = Folder::new();
    folder.run(ALL);
    let options = Options { use_3dmm: true, ..folder.options([8, 8]) };
    assert_eq!(folder.try_run(&options).expect("done"), ["poses", "transforms"]);
    folder.has("transforms.txt", "poses of mask of v 0 by true");
}

#[test]
fn an_interrupted_stage_knows_its_files_and_those_that_were_changed_since() {
    for by_hand in [false, true] {
        let folder = Folder::new();
        let killed = Options { silent: true, ..folder.options(ALL) };
        folder.try_run(&killed).expect_err("killed");
        folder.has("masks/0.txt", "mask of v 0");
        if by_hand {
            folder.put("masks/0.txt", "better mask");
        }
        // Other work of the same stage takes its own files for its own, too.
        folder.put("frames/1.txt", "retouched");
        folder.run(ALL);
        folder.has("masks/0.txt", if by_hand { "better mask" } else { "mask of v 0" });
        folder.has("masks/1.txt", "mask of retouched");
    }
}

#[test]
fn a_file_that_a_power_cut_emptied_and_one_that_is_missing_are_made_again() {
    let folder = Folder::new();
    folder.run(ALL);
    folder.put("masks/1.txt", "");
    std::fs::remove_file(folder.dir.path().join("plate.txt")).expect("removed");
    assert_eq!(folder.run(ALL), ["masks", "plate"]);
    folder.has("masks/1.txt", "mask of v 1");
}

#[test]
fn files_that_are_no_longer_made_go() {
    let folder = Folder::new();
    folder.run(ALL);
    // As an earlier version left it.
    let mut manifest = Manifest::open(folder.dir.path()).expect("read");
    let record = manifest.stages.get_mut("masks").expect("a record");
    folder.put("masks/2.txt", "old");
    record.files.insert("masks/2.txt".into(), crate::workspace::digest_text("old"));
    record.key = "old".into();
    manifest.write(folder.dir.path()).expect("written");
    folder.run(ALL);
    assert_eq!(folder.text("masks/2.txt"), None);
}

#[test]
fn a_manifest_of_the_first_layout_still_tells_whose_files_are_whose() {
    let old = |folder: &Folder| {
        let mut manifest = Manifest::open(folder.dir.path()).expect("read");
        manifest.stages.values_mut().for_each(|r| r.files.clear());
        manifest.write(folder.dir.path()).expect("written");
    };
    let folder = Folder::new();
    folder.run(ALL);
    old(&folder);
    assert_eq!(folder.run(ALL), [""; 0]);
    old(&folder);
    folder.put("masks/0.txt", "better mask");
    folder.run(ALL);
    folder.has("masks/0.txt", "better mask");
    folder.has("plate.txt", "plate behind better mask");
}

#[test]
fn a_damaged_manifest_is_named_and_everything_can_be_made_anew() {
    let folder = Folder::new();
    folder.run(ALL);
    folder.put(manifest::FILE, "{");
    assert!(folder.refused(&folder.options(ALL)).contains("--redo"));
    let redo = Options { redo: true, ..folder.options(ALL) };
    assert_eq!(folder.try_run(&redo).expect("done").len(), 6);
}
