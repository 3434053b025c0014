//! A library may have told a thread to round otherwise.

#![expect(
    unsafe_code,
    reason = "reads and sets the register that says how SSE and AVX instructions round"
)]

use std::arch::asm;
use std::hint::black_box;

use engine::*;

/// Nothing traps, rounding to the nearest, numbers below the smallest normal one are numbers: what Rust expects.
const EXPECTED: u32 = 0x1f80;
/// Such numbers are zero, as some libraries want it.
const FLUSHED: u32 = EXPECTED | 0x8040;
/// Bits that only tell what has happened.
const FLAGS: u32 = 0x3f;

fn control() -> u32 {
    let mut value = 0_u32;
    // SAFETY: writes the register into a local variable.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
    value
}

/// # Safety
/// Nothing is computed under another value than Rust expects but what the compiler cannot see.
unsafe fn set_control(value: u32) {
    // SAFETY: reads a local variable; no reserved bit is set.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, preserves_flags)) };
}

#[test]
fn a_thread_that_flushes_small_numbers_computes_like_any_other() {
    let layer = Convolution::new(Shape::linear(1, 1)).unwrap();
    let (mut lowered, mut workspace) = (Lowered::default(), Workspace::default());
    layer.prepare(Engine::alone(), &[0.5_f32], Purpose::Forward, &mut lowered);
    // On a thread of its own, which ends with the register.
    let (outside, inside, after) = std::thread::spawn(move || {
        let mut inside = [0.0_f32];
        // SAFETY: nothing but the two products below runs under it, whose operands the compiler cannot see.
        unsafe { set_control(FLUSHED) };
        let outside = black_box(black_box(f32::MIN_POSITIVE) * black_box(0.5));
        let input = [black_box(f32::MIN_POSITIVE)];
        let pass = Forward {
            input: &Stored::new(&input, 1),
            lowered: &lowered,
            output: &mut inside,
            observer: &unobserved,
        };
        layer.forward(Engine::alone(), pass, &mut workspace);
        let after = control() & !FLAGS;
        // SAFETY: what Rust expects.
        unsafe { set_control(EXPECTED) };
        (outside, inside[0], after)
    })
    .join()
    .unwrap();
    assert_eq!((outside, after), (0.0, FLUSHED));
    assert_eq!(inside, f32::MIN_POSITIVE / 2.0);
}
