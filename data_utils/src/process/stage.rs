//! A stage: one step from the video to the dataset, described by what it reads and writes.

use super::context::Context;
use super::options::Options;
use crate::error::Result;

/// One step from the video to the dataset.
pub struct Stage {
    /// Its name in the manifest.
    pub name: &'static str,
    /// Its first and last number on the command line.
    pub tasks: [u8; 2],
    /// Raised when its results change.
    pub version: u32,
    /// What it reads: patterns in the dataset's folder, or the external inputs `@video`, `@landmarker`, `@parsing`,
    /// `@face_model` and `@flow`.
    pub inputs: &'static [&'static str],
    /// What it writes: patterns in the dataset's folder.
    pub outputs: &'static [&'static str],
    /// Outputs that may be the user's own from the beginning.
    pub accepts: &'static [&'static str],
    /// What outputs changed by hand belong to: stages, or `@video`. As long as these stay what they were, such files
    /// are kept and used.
    pub fits: &'static [&'static str],
    /// Files that no longer hold once this stage makes something else than before.
    pub invalidates: &'static [&'static str],
    /// Whether it runs, once it has run, whenever what it reads has changed, also when it is not asked for.
    pub follows: bool,
    /// Options that matter to it.
    pub options: fn(&Options) -> Vec<(&'static str, String)>,
    /// Does the work and returns the result in one line.
    pub run: fn(&Context) -> Result<String>,
}

impl Stage {
    /// Whether one of the tasks from `first` to `last` is this stage.
    pub fn is_asked(&self, [first, last]: [u8; 2]) -> bool {
        self.tasks[0] <= last && first <= self.tasks[1]
    }

    /// Whether this stage reads what `other` writes.
    pub fn reads_from(&self, other: &Stage) -> bool {
        other.outputs.iter().any(|o| self.inputs.contains(o))
    }
}

/// Which stages run for the tasks asked for: those, and all that they read from. Stages stand in an order in which
/// nothing is read before it is written.
pub fn wanted(stages: &[Stage], tasks: [u8; 2]) -> Vec<bool> {
    let mut wanted: Vec<bool> = stages.iter().map(|s| s.is_asked(tasks)).collect();
    for later in (0..stages.len()).rev() {
        if wanted[later] {
            for earlier in 0..later {
                wanted[earlier] |= stages[later].reads_from(&stages[earlier]);
            }
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(tasks: [u8; 2], inputs: &'static [&'static str], outputs: &'static [&'static str]) -> Stage {
        Stage {
            name: "made up",
            tasks,
            version: 1,
            inputs,
            outputs,
            accepts: &[],
            fits: &[],
            invalidates: &[],
            follows: false,
            options: |_| Vec::new(),
            run: |_| Ok(String::new()),
        }
    }

    #[test]
    fn a_task_brings_what_it_reads_and_nothing_else() {
        let stages = [
            stage([0, 0], &["@video"], &["box"]),
            stage([2, 2], &["@video", "box"], &["frames"]),
            stage([1, 1], &["@video"], &["sound"]),
            stage([6, 6], &["frames"], &["landmarks"]),
            stage([3, 3], &["frames", "landmarks"], &["masks"]),
            stage([8, 9], &["landmarks"], &["poses"]),
        ];
        assert_eq!(wanted(&stages, [3, 3]), [true, true, false, true, true, false]);
        assert_eq!(wanted(&stages, [9, 9]), [true, true, false, true, false, true]);
        assert_eq!(wanted(&stages, [1, 1]), [false, false, true, false, false, false]);
        assert_eq!(wanted(&stages, [0, 10]), [true; 6]);
    }
}
