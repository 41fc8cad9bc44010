//! A lock on a folder, so that two runs never write into it at the same time.
//!
//! The lock is the operating system's own lock on a file in the folder, which ends with the process that holds it, so
//! a killed run never blocks the next one. The file names the holder for messages. On file systems without locks the
//! holder counts as running when it ran on another host, or when its process is still there.

use crate::error::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Name of the lock file.
pub const LOCK_FILE: &str = ".surfeltalk.lock";
/// How often a lock is tried for that its holder removes at the same moment.
const ATTEMPTS: usize = 20;

/// A folder that this process has for itself; given back on drop.
#[derive(Debug)]
pub struct Lock {
    /// Open, and locked, as long as this value lives.
    file: File,
    path: PathBuf,
    /// Folders that were made for the lock, the innermost first.
    created: Vec<PathBuf>,
    interrupted: Option<String>,
}

impl Lock {
    /// Locks `dir` for `program`; the folder is made when it is missing, and removed again with the lock when nothing
    /// was written to it.
    ///
    /// # Errors
    /// [`Error::Input`] when another run holds the lock, or the folder cannot be written to.
    pub fn acquire(dir: &Path, program: &str) -> Result<Lock> {
        let fail = |e: std::io::Error| Error::io(dir, "a folder that can be written to", &e);
        let created: Vec<PathBuf> = dir
            .ancestors()
            .take_while(|p| !p.as_os_str().is_empty() && !p.exists())
            .map(Path::to_owned)
            .collect();
        std::fs::create_dir_all(dir).map_err(fail)?;
        let path = dir.join(LOCK_FILE);
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let holder = Holder { program: program.to_owned(), process: std::process::id(), host: host() };
        let line = format!("{holder}, started at {started}\n");
        for _ in 0..ATTEMPTS {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(fail)?;
            let before = contents(&mut file);
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(busy(dir, &before)),
                Err(TryLockError::Error(_)) if Holder::parse(&before).is_some_and(|h| h.may_run()) => {
                    return Err(busy(dir, &before));
                }
                Err(TryLockError::Error(_)) => {}
            }
            // The holder before may have ended, and removed the file, between opening and locking it.
            file.set_len(0).and_then(|()| file.rewind()).map_err(fail)?;
            file.write_all(line.as_bytes()).map_err(fail)?;
            if std::fs::read_to_string(&path).is_ok_and(|now| now == line) {
                let interrupted = Holder::parse(&before).map(|h| h.to_string());
                return Ok(Lock { file, path, created, interrupted });
            }
        }
        Err(busy(dir, ""))
    }

    /// The run that held the lock before and ended without giving it back, as `train (process 12 on host)`.
    pub fn interrupted(&self) -> Option<&str> {
        self.interrupted.as_deref()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is still locked, so that nobody else's lock is removed. Nothing depends on success.
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
        for folder in &self.created {
            if std::fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

/// The run that a lock file names.
struct Holder {
    program: String,
    process: u32,
    host: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {} on {})", self.program, self.process, self.host)
    }
}

impl Holder {
    fn parse(line: &str) -> Option<Holder> {
        let (program, rest) = line.split_once(" (process ")?;
        let (process, rest) = rest.split_once(" on ")?;
        let (host, _) = rest.split_once(')')?;
        let plain = |text: &str| text.chars().filter(|c| !c.is_control()).collect();
        Some(Holder { program: plain(program), process: process.parse().ok()?, host: plain(host) })
    }

    /// Whether the run can still be going on.
    fn may_run(&self) -> bool {
        let processes = Path::new("/proc/self");
        self.host != host()
            || !processes.exists()
            || Path::new("/proc").join(self.process.to_string()).exists()
    }
}

/// The name of this machine, for messages and for file systems without locks.
fn host() -> String {
    let known = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let known =
        known.or_else(|| ["HOSTNAME", "COMPUTERNAME"].iter().find_map(|name| std::env::var(name).ok()));
    let name: String = known.unwrap_or_default().trim().chars().filter(|c| *c != ')').collect();
    if name.is_empty() { "an unnamed host".into() } else { name }
}

fn contents(file: &mut File) -> String {
    let mut bytes = Vec::new();
    // On Windows a locked file cannot be read; the holder is then unknown.
    let _ = file.take(4096).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn busy(dir: &Path, line: &str) -> Error {
    let holder = Holder::parse(line).map_or_else(|| "another run".to_owned(), |h| h.to_string());
    Error::input(
        dir.display(),
        "a folder in which no other run is working",
        format!("{holder} at work in it"),
        "wait until it has ended, or use another folder",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_names_the_first_and_leaves_it_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Lock::acquire(dir.path(), "train").expect("locked");
        assert_eq!(first.interrupted(), None);
        let refused = Lock::acquire(dir.path(), "process").expect_err("refused");
        assert_eq!(refused.exit_code(), 2);
        let text = refused.to_string();
        assert!(text.contains(&format!("train (process {} on ", std::process::id())), "{text}");
        assert!(dir.path().join(LOCK_FILE).exists());
        drop(first);
        assert!(!dir.path().join(LOCK_FILE).exists());
        Lock::acquire(dir.path(), "process").expect("free again");
    }

    #[test]
    fn the_lock_of_a_killed_run_is_taken_over_and_named() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(LOCK_FILE), "train (process 1 on some-host), started at 7\n")
            .expect("written");
        let lock = Lock::acquire(dir.path(), "train").expect("locked");
        assert_eq!(lock.interrupted(), Some("train (process 1 on some-host)"));
    }

    #[test]
    fn a_lock_file_without_meaning_is_taken_over() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(LOCK_FILE), [0xff, 0x1b, b'[', b'2', b'J']).expect("written");
        assert_eq!(Lock::acquire(dir.path(), "train").expect("locked").interrupted(), None);
    }

    #[test]
    fn a_folder_made_for_the_lock_goes_with_it_unless_it_was_used() {
        let dir = tempfile::tempdir().expect("a folder");
        let inner = dir.path().join("model/new");
        drop(Lock::acquire(&inner, "train").expect("locked"));
        assert!(!dir.path().join("model").exists());
        let lock = Lock::acquire(&inner, "train").expect("locked");
        std::fs::write(inner.join("config.toml"), "").expect("written");
        drop(lock);
        assert!(inner.join("config.toml").exists());
    }

    #[test]
    fn of_many_who_want_it_at_once_exactly_one_has_it() {
        let dir = tempfile::tempdir().expect("a folder");
        for _ in 0..50 {
            let held: Vec<Lock> = std::thread::scope(|scope| {
                let tries: Vec<_> =
                    (0..8).map(|_| scope.spawn(|| Lock::acquire(dir.path(), "train").ok())).collect();
                tries.into_iter().filter_map(|t| t.join().expect("no panic")).collect()
            });
            assert_eq!(held.len(), 1);
        }
    }
}
