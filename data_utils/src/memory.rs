//! How much memory this process may still take.

/// Bytes that can be had without pushing other programs out of memory, and within the limits that are set for this
/// process; `None` where the system does not say.
pub fn available() -> Option<u64> {
    [free(), address_space(), group()].into_iter().flatten().min()
}

/// What the machine can give, by Linux's own estimate.
fn free() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1 << 10)
}

/// What is left of the address space that `ulimit -v` gives.
#[cfg(unix)]
fn address_space() -> Option<u64> {
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
    let (limit, _) = getrlimit(Resource::RLIMIT_AS).ok().filter(|(limit, _)| *limit != RLIM_INFINITY)?;
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    let taken = line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1 << 10)?;
    Some(limit.saturating_sub(taken))
}

#[cfg(not(unix))]
fn address_space() -> Option<u64> {
    None
}

/// What is left of the memory of a container (control groups, version 2).
fn group() -> Option<u64> {
    let number = |name: &str| {
        std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current").unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_is_some_memory_and_less_than_any_machine_has() {
        if let Some(bytes) = super::available() {
            assert!((1 << 20..1 << 50).contains(&bytes), "{bytes}");
        }
    }
}
