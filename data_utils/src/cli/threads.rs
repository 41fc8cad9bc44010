//! How many threads there are, said once.

/// What rayon and candle take the number of threads from.
#[cfg(target_os = "linux")]
const THREADS: &str = "RAYON_NUM_THREADS";

/// Tells candle how many threads there are; to be called first in a program. Where the variable is not set, candle (0.11.1)
/// reads the kernel's list of processors again for every product of matrices, which takes longer than the small ones of a
/// frame's tokens.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "another thread must not read the environment while it is written")]
pub fn settle() {
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if !alone || std::env::var_os(THREADS).is_some() {
        return;
    }
    if let Ok(count) = std::thread::available_parallelism() {
        // SAFETY: this is the only thread.
        unsafe { std::env::set_var(THREADS, count.to_string()) };
    }
}

/// Nothing to be told elsewhere.
#[cfg(not(target_os = "linux"))]
pub fn settle() {}
