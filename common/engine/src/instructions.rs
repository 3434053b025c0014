//! Which instructions compute: the widest that the processor has, or those that are asked for by name. Results are the same
//! to the bit.

use std::fmt;
use std::str::FromStr;

use super::number::Number;
use super::rounding;
use super::vector::Vector;

/// A piece of work for one thread, written once for every instruction set.
pub(super) trait Task<T: Number>: Sync {
    /// Does a part of it.
    ///
    /// # Safety
    /// The processor has the instructions of `V`. Memory that a part writes is used by no other part that runs
    /// meanwhile.
    unsafe fn run<V: Vector<Number = T>>(&self, part: usize);
}

/// An instruction set that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instructions(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    /// No instruction for `mul_add`, as far as can be known here.
    Plain,
    /// One number at a time with FMA.
    #[cfg(target_arch = "x86_64")]
    PlainFma,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Instructions {
    /// The fastest that the processor has.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// All that the processor has, the fastest first; `plain` is always the last.
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::with_capacity(3);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("fma") {
            if is_x86_feature_detected!("avx512f") {
                sets.push(Self(Set::Avx512));
            }
            if is_x86_feature_detected!("avx2") {
                sets.push(Self(Set::Avx2));
            }
            sets.push(Self(Set::PlainFma));
            return sets;
        }
        sets.push(Self(Set::Plain));
        sets
    }

    /// Whether products are added by an instruction. Where they are added by a function, results are the same and take
    /// twenty times as long or more.
    pub fn fused(self) -> bool {
        // Of the other processors that Rust knows by default, 64-bit ARM has the instruction in every program.
        self.0 != Set::Plain || cfg!(target_arch = "aarch64")
    }

    /// Does a part of `task`.
    ///
    /// # Safety
    /// As for [`Task::run`], but for the instructions, which the processor has.
    pub(super) unsafe fn run<T: Number, K: Task<T>>(self, task: &K, part: usize) {
        rounding::as_rust_expects(|| match self.0 {
            // SAFETY: the plain vectors need no instructions; the caller's promise.
            Set::Plain => unsafe { task.run::<T::Plain>(part) },
            // SAFETY: only `available` makes this value, where the processor has FMA; the caller's promise.
            #[cfg(target_arch = "x86_64")]
            Set::PlainFma => unsafe { plain_fma(task, part) },
            // SAFETY: as above, with AVX2.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { avx2(task, part) },
            // SAFETY: as above, with AVX-512.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { avx512(task, part) },
        });
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "fma")]
unsafe fn plain_fma<T: Number, K: Task<T>>(task: &K, part: usize) {
    // SAFETY: the caller's promise.
    unsafe { task.run::<T::Plain>(part) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Number, K: Task<T>>(task: &K, part: usize) {
    // SAFETY: the caller's promise.
    unsafe { task.run::<T::Avx2>(part) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn avx512<T: Number, K: Task<T>>(task: &K, part: usize) {
    // SAFETY: the caller's promise.
    unsafe { task.run::<T::Avx512>(part) }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Set::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Set::PlainFma => "plain",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
        })
    }
}

/// Why instructions asked for by name cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this processor cannot compute with {name:?}: it has {}", available.join(", "))]
pub struct NoSuchInstructions {
    name: String,
    available: Vec<String>,
}

impl FromStr for Instructions {
    type Err = NoSuchInstructions;

    fn from_str(name: &str) -> Result<Self, NoSuchInstructions> {
        let available = Self::available();
        let names: Vec<String> = available.iter().map(ToString::to_string).collect();
        match names.iter().position(|known| known == name) {
            Some(index) => Ok(available[index]),
            None => Err(NoSuchInstructions { name: name.to_owned(), available: names }),
        }
    }
}
