//! Convolutions and products of matrices on the processor, in one order of operations.
//!
//! A number that is computed here is a function of the layer's shape and of its operands, and of nothing else: not of the
//! instructions, of vectors or of threads that compute it, of how memory is aligned, or of the other images of a shard, but
//! where a gradient sums over them. `docs/mathematics.md` has the order.
//!
//! - [`Shape`], [`Convolution`]: a layer and its passes, [`Forward`] and [`Backward`], with channels last;
//! - [`Images`], [`Observer`]: images that are made when a pass needs them, and told of when it has made them;
//! - [`Engine`], [`Instructions`], [`Threads`]: what computes;
//! - [`Lowered`], [`Workspace`]: memory that is used again from step to step;
//! - `lowering`: how a convolution becomes products of matrices, `direct` or by `winograd`'s minimal filtering;
//! - `method`: which of them, and the passes compiled for either number;
//! - `prepare`, `forward`, `backward`: the passes, written once for all ways;
//! - `product`: the innermost loops;
//! - `number`, `vector`, `plain`, `x86`, `memory`, `copying`, `streaming`, `rounding`, `share`: numbers, registers, memory,
//!   the processor's mode, equal parts.
//!
//! A layer is made once, and its kernel lowered after every step, for all shards:
//!
//! ```
//! use engine::*;
//!
//! let engine = Engine::alone();
//! let shape = Shape { height: 28, width: 28, kernel: 5, padding: 2, ..Shape::linear(1, 32) };
//! let layer = Convolution::new(shape)?;
//! let (mut lowered, mut workspace) = (Lowered::default(), Workspace::default());
//! layer.prepare(engine, &vec![0.1_f32; shape.weights()], Purpose::Training, &mut lowered);
//!
//! let (input, mut output) = (vec![1.0_f32; 3 * shape.input_numbers()], vec![0.0; 3 * shape.output_numbers()]);
//! let input = Stored::new(&input, shape.input_numbers());
//! let pass = Forward { input: &input, lowered: &lowered, output: &mut output, observer: &unobserved };
//! layer.forward(engine, pass, &mut workspace);
//!
//! let mut to_kernel = vec![0.0; shape.weights()];
//! let gradient = Stored::new(&output, shape.output_numbers());
//! let pass = Backward { gradient: &gradient, input: &input, to_kernel: &mut to_kernel, to_input: None };
//! layer.backward(engine, pass, &mut workspace);
//! # Ok::<(), ShapeError>(())
//! ```
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
mod copying;
mod direct;
mod forward;
mod images;
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
mod share;
mod streaming;
mod threads;
mod vector;
mod winograd;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use convolution::{Backward, Convolution, Forward, ToInput};
pub use images::{Images, Observer, Stored, unobserved};
pub use instructions::{Instructions, NoSuchInstructions};
pub use memory::Workspace;
pub use number::Number;
pub use prepare::{Lowered, Purpose};
pub use shape::{Shape, ShapeError};
pub use threads::{Engine, OneThread, Threads};
