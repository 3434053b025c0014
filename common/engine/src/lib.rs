//! Convolutions and products of matrices on the processor, in one order of operations.
//!
//! A number that is computed here is a function of the layer's shape and of its operands, and of nothing else: not of the
//! instructions, of vectors or of threads that compute it, of how memory is aligned, or of the other images of a shard, but
//! where a gradient sums over them. `docs/mathematics.md` has the order.
//!
//! - [`Shape`], [`Convolution`]: a layer and its passes, on slices with channels last;
//! - [`Engine`], [`Instructions`], [`Threads`]: what computes;
//! - [`Lowered`], [`Workspace`]: memory that is used again from step to step;
//! - `lowering`: how a convolution becomes products of matrices, `direct` or by `winograd`'s minimal filtering;
//! - `method`: which of them, and the passes compiled for either number;
//! - `prepare`, `forward`, `backward`: the passes, written once for all ways;
//! - `product`: the innermost loops;
//! - `number`, `vector`, `plain`, `x86`, `memory`, `rounding`: numbers, registers, memory, the processor's mode.
//!
//! Nothing here knows a tensor, a network, a step or a worker, and nothing is allocated once memory has grown. `unsafe` is
//! for three things: instructions that a processor may lack, places in memory that threads share, and reading numbers without
//! looking whether they are inside.

#![expect(
    unsafe_code,
    reason = "vectors, memory that threads share, and reads that look at no length; see each SAFETY comment"
)]

mod backward;
mod convolution;
mod direct;
mod forward;
mod instructions;
mod lowering;
mod memory;
mod method;
mod number;
mod plain;
mod prepare;
mod product;
mod rounding;
mod shape;
mod threads;
mod vector;
mod winograd;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use convolution::{Convolution, ToInput};
pub use instructions::{Instructions, NoSuchInstructions};
pub use memory::Workspace;
pub use number::Number;
pub use prepare::{Lowered, Purpose};
pub use shape::{Shape, ShapeError};
pub use threads::{Engine, OneThread, Threads};
