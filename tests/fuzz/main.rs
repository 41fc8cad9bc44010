//! Mutated files for every reader of bytes that others wrote: no panic, an error that is the user's to mend, no memory
//! beyond what the file is worth, and an answer in seconds. Works on a stable compiler.
//!
//! `cargo test --release --test fuzz` replays the inputs in `corpus/TARGET/`, the fixtures they grow from, and a second of
//! mutations for each target. `SURFELTALK_FUZZ_SECONDS=3600` looks longer, `SURFELTALK_FUZZ_SEED=7` elsewhere, and
//! `cargo test --release --test fuzz npy` at one target. An input that fails is written to `target/fuzz/TARGET/`; once
//! mended it goes to `corpus/TARGET/`.

mod mutate;
mod targets;

use libtest_mimic::{Arguments, Failed, Trial};
use mutate::Mutator;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

/// The longest that one input may take, and the most memory that it may add.
const SLOWEST: Duration = Duration::from_secs(20);
const MOST_MEMORY: u64 = 600 << 20;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let arguments = Arguments::from_args();
    let trials = TARGETS.iter().map(|target| Trial::test(target.name, || run(target))).collect();
    // One after the other, so that the memory is that of one target.
    libtest_mimic::run(&Arguments { test_threads: Some(1), ..arguments }, trials).exit();
}

fn run(target: &Target) -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let read = (target.prepare)(dir.path());
    let mut corpus: Vec<Vec<u8>> = (target.seeds)(dir.path());
    assert!(!corpus.is_empty() && corpus.iter().any(|seed| !seed.is_empty()), "a target without seeds");
    // At least one seed must be understood, or nothing behind the first check is ever reached.
    if !corpus.iter().any(|seed| read(seed).is_ok()) {
        return Err(format!("no seed is read: {:?}", corpus.first().map(|seed| read(seed))).into());
    }
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target.name);
    if let Ok(entries) = std::fs::read_dir(&kept) {
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            corpus.push(std::fs::read(path)?);
        }
    }
    for input in &corpus {
        check(target, &read, input)?;
    }
    let until = Instant::now() + Duration::from_secs(number("SURFELTALK_FUZZ_SECONDS", 1));
    let mut mutator = Mutator::new(number("SURFELTALK_FUZZ_SEED", 1), target.words);
    let mut inputs = 0u64;
    while Instant::now() < until {
        let input = mutator.mutate(&corpus);
        check(target, &read, &input)?;
        inputs += 1;
    }
    println!("{}: {inputs} inputs grown from {}", target.name, corpus.len());
    Ok(())
}

/// Reads one input; what is wrong with how it was read.
fn check(target: &Target, read: &targets::Reader, input: &[u8]) -> Result<(), Failed> {
    let (start, before) = (Instant::now(), memory());
    let outcome = catch_unwind(AssertUnwindSafe(|| read(input)));
    let added = memory().saturating_sub(before);
    let fault = match outcome {
        Err(_) => Some("a panic".to_owned()),
        Ok(Err(error)) if error.exit_code() != 2 => Some(format!("not the user's error: {error}")),
        Ok(Err(error)) if error.to_string().contains(char::is_control) && !is_list(&error) => {
            Some(format!("control characters in {error:?}"))
        }
        Ok(_) if start.elapsed() > SLOWEST => Some(format!("{:?}", start.elapsed())),
        Ok(_) if added > MOST_MEMORY => Some(format!("{added} bytes of memory")),
        Ok(_) => None,
    };
    let Some(fault) = fault else { return Ok(()) };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz").join(target.name);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(data_utils::workspace::digest_bytes(input).get(..16).unwrap_or("input"));
    std::fs::write(&path, input)?;
    Err(format!("{fault}: {}", path.display()).into())
}

fn is_list(error: &data_utils::Error) -> bool {
    matches!(error, data_utils::Error::Inputs(_))
}

/// The most memory that this process has had, bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}
