//! How the allocator shares memory between threads.
//!
//! Owns nothing. glibc gives threads that allocate at the same time arenas of their own, up to eight for each
//! core, and what is free in one is of no use to the others: with the threads of librdkafka a worker had a
//! dozen, each as large as its worst moment.
#![expect(
    unsafe_code,
    reason = "the setting is a C function; the block says why it is sound"
)]

/// Enough that reading and delivering do not wait for each other.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: libc::c_int = 2;

/// The variable by which a user decides.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const VARIABLE: &str = "MALLOC_ARENA_MAX";

/// Lets all threads share few arenas, unless glibc's own variable says how many. Call it before there are
/// other threads; elsewhere than with glibc it does nothing.
pub(crate) fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: it sets one number, which is read when a thread allocates for the first time.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, ARENAS);
        }
    }
}
