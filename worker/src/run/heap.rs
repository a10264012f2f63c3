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

/// Arenas for all threads beside the shards: those that read and write, and librdkafka's own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const BESIDE_SHARDS: usize = 4;

/// From now on no more than so many arenas are made. Does nothing when the environment says how many.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn limit_arenas(shards: usize) {
    let chosen = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if chosen("MALLOC_ARENA_MAX") || chosen("GLIBC_TUNABLES") {
        return;
    }
    let arenas = libc::c_int::try_from(shards + BESIDE_SHARDS).unwrap_or(libc::c_int::MAX);
    // SAFETY: sets a number, under the allocator's own lock.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
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
