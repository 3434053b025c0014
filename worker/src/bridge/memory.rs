//! Tells the C library to keep memory that was freed.
//!
//! Every step allocates and frees the same large tensors. glibc by default gives each of them back to the system and
//! asks for it anew, and the system clears every page again, which took a quarter of the processor's time.

/// Largest block that is taken from the heap, the most that glibc allows.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGEST: libc::c_int = 32 << 20;
/// Free memory at the heap's end above which it is given back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: libc::c_int = 1 << 30;

/// Keeps freed memory for the next step, in one heap for all threads. Called once, before any thread is started; does
/// nothing where the C library is another.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, value) in
        [(libc::M_MMAP_THRESHOLD, LARGEST), (libc::M_TRIM_THRESHOLD, KEPT), (libc::M_ARENA_MAX, 1)]
    {
        // SAFETY: `mallopt` takes two integers, checks them, and changes settings of the allocator alone; no other
        // thread exists yet.
        let accepted = unsafe { libc::mallopt(parameter, value) };
        debug_assert_eq!(accepted, 1, "glibc takes parameter {parameter}");
    }
}
