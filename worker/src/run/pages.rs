//! Gives back the pages of the executable that only a start or a change of configuration needed.
//!
//! Owns nothing. Reading manifests, checking them, and making clients runs code once that then stays in
//! memory beside what every event needs. Pages of the executable are copies of a file, so the kernel reads
//! one again when it is needed again: the first call of a function costs a page fault then. Other systems
//! than Linux keep them.
#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "madvise(2); the block says why it is sound")
)]

#[cfg(target_os = "linux")]
mod smaps;

/// Gives back what can be. Returns how many bytes were resident of it.
#[cfg(not(target_os = "linux"))]
pub(super) fn give_back() -> usize {
    0
}

/// Gives back what can be. Returns how many bytes were resident of it.
#[cfg(target_os = "linux")]
pub(super) fn give_back() -> usize {
    use rustix::mm::{Advice, madvise};

    let executable = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let mut given = 0;
    for mapping in smaps::unchanged(&smaps, &executable) {
        let start = std::ptr::with_exposed_provenance_mut(mapping.start);
        // SAFETY: every page of the mapping is what the executable's file holds: none differs, and none
        // can be written. Touched again it is read again, from a file that nobody can write while it runs
        // (ETXTBSY).
        if unsafe { madvise(start, mapping.bytes, Advice::LinuxDontNeed) }.is_ok() {
            given += mapping.resident;
        }
    }
    given
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Calls through what the linker relocated, and reads constants.
    fn works(parts: &[&dyn std::fmt::Display]) -> String {
        parts.iter().map(|part| format!("{part:>4}")).collect()
    }

    #[test]
    fn what_is_given_back_is_there_when_it_is_needed_again() {
        let before = works(&[&1, &"two", &3.5]);
        for _ in 0..3 {
            assert!(give_back() > 0);
            assert_eq!(works(&[&1, &"two", &3.5]), before);
            assert_eq!(before, "   1 two 3.5");
        }
    }
}
