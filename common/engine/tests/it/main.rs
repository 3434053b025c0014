//! What the engine promises: the definition's numbers, and the same bits from whoever computes them.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod accuracy;
mod bits;
mod case;
mod definition;
mod extremes;
mod fused;
mod instructions;
mod kept;
#[cfg(target_arch = "x86_64")]
mod rounding;
mod shapes;
