//! What a process takes.

/// MiB of this process in memory, 0 where the system does not tell.
pub fn resident() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|s| s.split_whitespace().nth(1)?.parse::<f64>().ok());
    pages.unwrap_or(0.0) * 4096.0 / 1_048_576.0
}
