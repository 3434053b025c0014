//! The border to libtorch's C++, where tch does not reach. The worker's only place with `unsafe` code.
//!
//! - [`slices`]: a CPU tensor's memory as a slice;
//! - [`convolution`]: the backward pass of a convolution;
//! - [`cuda`]: where libtorch's CUDA part comes from, and a GPU's stream and settings;
//! - [`device`]: work that a GPU does while this program goes on;
//! - [`fused`]: optimizer steps in one pass;
//! - [`rendezvous`]: where ranks meet; `store`: that as C++ sees it;
//! - [`gloo`]: c10d's Gloo process group, which meets there;
//! - [`graphs`]: steps that are recorded and replayed, by a library that is opened where it is there;
//! - [`memory`]: how the C library keeps what is freed;
//! - [`nccl`]: NCCL's communicators, out of a library that is opened while the program runs;
//! - [`scheduling`]: which threads wait for which;
//! - [`shared`]: tensors that several threads read at once;
//! - [`error`]: what goes wrong, C++ exceptions included;
//! - `raw`: the declarations of `worker/bridge/*.h`.
//!
//! Every wrapper checks dtype, device, contiguity and length before it crosses; nothing here
//! decides anything.
#![expect(unsafe_code, reason = "calls into C++ and views of its memory; see each SAFETY comment")]

mod contiguous;
pub mod convolution;
pub mod cuda;
pub mod device;
pub mod error;
pub mod fused;
pub mod gloo;
pub mod graphs;
pub mod memory;
pub mod nccl;
mod raw;
pub mod rendezvous;
pub mod scheduling;
pub mod shared;
pub mod slices;
mod store;

pub use convolution::{InputGradient, convolution_backward};
pub use error::BridgeError;
pub use slices::{Element, with_slice, with_slice_mut, with_slices, with_slices_mut};

/// The version of the libtorch this program was built against.
pub const LIBTORCH_VERSION: &str = env!("CONCENTRIC_LIBTORCH_VERSION");
