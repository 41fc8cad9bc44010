//! What a run tells its caller while it works. The library prints nothing.

/// One message of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Message<'a> {
    /// ffmpeg has no H.264 encoder, so the videos of the dataset are larger and less sharp.
    NoH264,
    /// An earlier run in this folder, named as `process (process 12 on host)`, ended without finishing.
    Interrupted(&'a str),
    /// A stage has nothing to do.
    UpToDate {
        /// Its name.
        stage: &'a str,
    },
    /// Files of a stage were changed or put in by hand, and are used as they are.
    Kept {
        /// Name of the stage.
        stage: &'a str,
        /// The files, relative to the dataset's folder.
        files: &'a [String],
    },
    /// Files were removed since they no longer belong to the frames.
    Removed {
        /// The files, relative to the dataset's folder.
        files: &'a [String],
    },
    /// A stage has done `done` of `total` steps.
    Progress {
        /// What is being done.
        what: &'a str,
        /// Steps that are done.
        done: u64,
        /// All steps; 0 where the number is not known.
        total: u64,
        /// What the last step was, where that is worth telling.
        note: &'a str,
    },
    /// A stage is finished.
    Finished {
        /// Its name.
        stage: &'a str,
        /// The result in one line.
        result: &'a str,
        /// How long it took, seconds.
        seconds: f64,
    },
}

/// Receives the messages of a run; may be called from several threads.
pub type Listener<'a> = &'a (dyn Fn(Message) + Sync);
