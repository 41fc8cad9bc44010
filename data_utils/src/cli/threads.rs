//! What libraries read from the environment, settled once while there is one thread.

/// What rayon and candle take the number of threads from.
#[cfg(target_os = "linux")]
const THREADS: &str = "RAYON_NUM_THREADS";
/// Where Mesa's drivers look for a display; without it they complain on stderr.
#[cfg(target_os = "linux")]
const RUNTIME: &str = "XDG_RUNTIME_DIR";

/// Tells candle how many threads there are, and drivers where a display would be; to be called first in a program. Where
/// the variable is not set, candle (0.11.1) reads the kernel's list of processors again for every product of matrices,
/// which takes longer than the small ones of a frame's tokens.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "another thread must not read the environment while it is written")]
pub fn settle() {
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if !alone {
        return;
    }
    if let (None, Ok(count)) = (std::env::var_os(THREADS), std::thread::available_parallelism()) {
        // SAFETY: this is the only thread.
        unsafe { std::env::set_var(THREADS, count.to_string()) };
    }
    if std::env::var_os(RUNTIME).is_none() {
        // SAFETY: this is the only thread.
        unsafe { std::env::set_var(RUNTIME, std::env::temp_dir()) };
    }
}

/// Nothing to be told elsewhere.
#[cfg(not(target_os = "linux"))]
pub fn settle() {}
