//! Tests that need files which are not part of this repository.
//!
//! libtest decides before a test runs whether it is ignored, so these tests run under libtest-mimic: a test function
//! returns `Outcome`, and one that misses a file reports `ignored` with the name of the file.
//!
//! Files are looked for in the folders that these variables name:
//!
//! | variable | default, beside the workspace |
//! |---|---|
//! | `SURFELTALK_SHARED_DIR` | `../shared` |
//! | `SURFELTALK_DATA_DIR` | `data` in the folder above: clips, datasets, models, voices |
//! | `SURFELTALK_REFERENCE_DIR` | `bench/reference` in it: scenes of other rasterizers |
//!
//! With `SURFELTALK_REQUIRE_DATA` set, a missing file fails the test. CI sets it.

#![allow(dead_code, unused_macros, unused_imports)] // each test target uses a part of this module

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What a test misses on this machine.
#[derive(Debug)]
pub struct Missing {
    what: String,
    required: bool,
}

/// The result of a test that may miss something; a failed one panics.
pub type Outcome = Result<(), Missing>;

impl Missing {
    /// Something that not even CI has, e.g. the right to mount a disk.
    pub fn optional(what: impl Into<String>) -> Self {
        Missing { what: what.into(), required: false }
    }

    /// The same, where not even CI has it.
    pub fn into_optional(self) -> Self {
        Missing { required: false, ..self }
    }

    fn required(what: String) -> Self {
        Missing { what, required: true }
    }
}

/// The folder that holds `Cargo.lock`.
fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().find(|dir| dir.join("Cargo.lock").is_file()).unwrap_or(package)
}

fn shared_dir() -> PathBuf {
    let beside = || workspace().parent().unwrap_or(workspace()).join("shared");
    std::env::var_os("SURFELTALK_SHARED_DIR").map_or_else(beside, PathBuf::from)
}

fn present(variable: &str, inside: &str, name: &str) -> Result<PathBuf, Missing> {
    let folder = std::env::var_os(variable).map_or_else(|| shared_dir().join(inside), PathBuf::from);
    let path = folder.join(name);
    if path.exists() {
        return Ok(path);
    }
    Err(Missing::required(format!("needs {}; {variable} names its folder", path.display())))
}

/// A path in the data folder.
pub fn data(name: &str) -> Result<PathBuf, Missing> {
    present("SURFELTALK_DATA_DIR", "data", name)
}

/// A path in the folder of references of other rasterizers.
pub fn reference(name: &str) -> Result<PathBuf, Missing> {
    present("SURFELTALK_REFERENCE_DIR", "bench/reference", name)
}

/// A program on the search path that prints its version for `-version`.
pub fn program(name: &'static str) -> Result<&'static str, Missing> {
    let mut command = Command::new(name);
    command.arg("-version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(name),
        _ => Err(Missing::required(format!("needs {name} on the search path"))),
    }
}

/// What a test function returns: nothing, or an `Outcome`.
pub trait Report {
    fn outcome(self) -> Outcome;
}

impl Report for () {
    fn outcome(self) -> Outcome {
        Ok(())
    }
}

impl Report for Outcome {
    fn outcome(self) -> Outcome {
        self
    }
}

/// A trial of the name `name` that runs `test`.
pub fn trial<R: Report>(name: &str, test: impl FnOnce() -> R + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || {
        judge(test().outcome(), std::env::var_os("SURFELTALK_REQUIRE_DATA").is_some())
    })
}

/// What libtest-mimic is told about `outcome`.
pub fn judge(outcome: Outcome, all_required: bool) -> Result<Completion, Failed> {
    match outcome {
        Ok(()) => Ok(Completion::Completed),
        Err(missing) if missing.required && all_required => Err(missing.what.into()),
        Err(missing) => Ok(Completion::ignored_with(missing.what)),
    }
}

/// A test of this module, for one target to run.
pub fn a_missing_file_is_ignored_by_name_and_fails_where_data_is_required() {
    let missing = || data("no/such/file").map(drop);
    let ignored = judge(missing(), false).expect("no failure");
    assert!(matches!(ignored, Completion::Ignored { reason: Some(why) } if why.contains("no/such/file")));
    assert!(
        judge(missing(), true)
            .err()
            .expect("a failure")
            .message()
            .expect("a reason")
            .contains("no/such/file")
    );
    let optional = judge(Err(Missing::optional("a disk")), true).expect("no failure");
    assert!(matches!(optional, Completion::Ignored { reason: Some(why) } if why == "a disk"));
    assert!(matches!(judge(Ok(()), true), Ok(Completion::Completed)));
}

/// Runs the trials that the command line asks for.
pub fn run(trials: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// `main` of a test target: runs the functions named, by the names they have here.
macro_rules! test_main {
    ($($test:path),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            real_data::run(vec![$(real_data::trial(stringify!($test), $test)),+])
        }
    };
}
pub(crate) use test_main;
