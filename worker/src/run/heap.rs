//! Keeps the heap as small as what lives in it.
//!
//! Owns nothing. glibc gives each thread that allocates at the same time as others an arena of its own, up
//! to eight a core, and each keeps what was freed in it. A worker's memory goes through few threads, so
//! few arenas are enough. Other allocators keep their own ways.
#![cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(
        unsafe_code,
        reason = "mallopt(3) and malloc_trim(3); each block says why it is sound"
    )
)]

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::ffi::OsString;

/// Arenas for all threads beside the shards: those that read and write, and librdkafka's own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const BESIDE_SHARDS: usize = 4;

/// From now on no more than so many arenas are made. Does nothing when the environment says how many.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn limit_arenas(shards: usize) {
    if let Some(arenas) = arenas(shards, |name| std::env::var_os(name)) {
        // SAFETY: sets a number, under the allocator's own lock.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
    }
}

/// How many arenas there may be; none when the environment says it (mallopt(3)).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn arenas(shards: usize, env: impl Fn(&str) -> Option<OsString>) -> Option<libc::c_int> {
    let is_set = |name| env(name).is_some_and(|value| !value.is_empty());
    if is_set("MALLOC_ARENA_MAX") || is_set("GLIBC_TUNABLES") {
        return None;
    }
    Some(libc::c_int::try_from(shards.saturating_add(BESIDE_SHARDS)).unwrap_or(libc::c_int::MAX))
}

/// Gives the system back what has been freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn give_back() {
    // SAFETY: works on freed memory only, under the allocator's own locks.
    unsafe { libc::malloc_trim(0) };
}

/// Nothing here keeps arenas.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn limit_arenas(_shards: usize) {}

/// Nothing here is kept.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_back() {}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_arena_for_each_shard_unless_the_environment_says_otherwise() {
        assert_eq!(arenas(2, |_| None), Some(6));
        assert_eq!(arenas(usize::MAX, |_| None), Some(libc::c_int::MAX));
        for name in ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"] {
            assert_eq!(arenas(2, |asked| (asked == name).then(|| "1".into())), None);
            assert_eq!(arenas(2, |_| Some(OsString::new())), Some(6));
        }
    }
}
