//! The processor's way of rounding while the engine computes: to the nearest, with gradual underflow, which is what Rust
//! takes for granted. A library may have set a thread to something else, and whoever made the thread passed it on.

/// Calls `compute` with the processor set as Rust expects, and leaves it as it was found.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn as_rust_expects(compute: impl FnOnce()) {
    compute();
}

/// Calls `compute` with the processor set as Rust expects, and leaves it as it was found.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn as_rust_expects(compute: impl FnOnce()) {
    let found = x86::control();
    if found & !x86::FLAGS == x86::EXPECTED {
        return compute();
    }
    let _restored = x86::Restored(found);
    // SAFETY: this is the value that Rust code is promised.
    unsafe { x86::set_control(x86::EXPECTED) };
    compute();
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    /// Bits that only tell what has happened.
    pub(super) const FLAGS: u32 = 0x3f;
    /// No exception traps, rounding to the nearest, numbers below the smallest normal one are numbers.
    pub(super) const EXPECTED: u32 = 0x1f80;

    /// The register that says how SSE and AVX instructions round.
    #[inline(always)]
    pub(super) fn control() -> u32 {
        let mut value = 0_u32;
        // SAFETY: writes the register into a local variable.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
        value
    }

    /// # Safety
    /// The value is the one that Rust expects, or the one that was found before it was set.
    pub(super) unsafe fn set_control(value: u32) {
        // SAFETY: reads a local variable; the value has no reserved bit by the caller's promise.
        unsafe {
            asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, preserves_flags))
        };
    }

    /// Sets the register back, also when a panic passes.
    pub(super) struct Restored(pub(super) u32);

    impl Drop for Restored {
        fn drop(&mut self) {
            // SAFETY: the value that was found.
            unsafe { set_control(self.0) };
        }
    }
}
