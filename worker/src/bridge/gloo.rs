//! c10d's Gloo process group: send, receive, all-reduce. Called by `collective::gloo`, which gives
//! every operation its tag and decides what a failure means.

use std::ffi::{CString, c_char, c_int};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use common::ids::{Rank, WorldSize};
use tch::{Device, Tensor};

use super::contiguous::require_contiguous;
use super::error::{BridgeError, check};
use super::raw::{self, RawGroup, RawWork, TorchTensor};
use super::rendezvous::KeyValueStore;
use super::store;

/// Where a rank sits in its group and how the others reach it.
#[derive(Clone, Debug)]
pub struct Seat {
    /// This process.
    pub rank: Rank,
    /// All of them.
    pub world_size: WorldSize,
    /// A name or an address of this machine at which the peers reach it.
    pub address: String,
    /// The longest wait for each peer while connecting.
    pub timeout: Duration,
}

/// Labels an operation: a send meets the receive of the same tag at its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u32);

impl Tag {
    /// The tag under which `tensor` crosses as a part of the `sequence`-th operation. It holds the
    /// length too: where the two sides disagree they do not meet and run into their timeout,
    /// while Gloo would end the process over a message too long and not notice one too short.
    pub fn of(sequence: u64, tensor: &Tensor) -> Self {
        let bytes = (tensor.numel() * tensor.kind().elt_size_in_bytes()) as u64;
        // Spread over all tags by multiplying with 2^64 / golden ratio. Two operations that share
        // one by chance still meet in the order of their start.
        let mixed = (sequence ^ bytes.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        // The largest tag is the one that cutting uses.
        Self((mixed % u64::from(c_int::MAX.unsigned_abs())) as u32)
    }
}

/// A connection to every other rank. Operations of one group are started by one thread at a time,
/// hence not `Sync`.
#[derive(Debug)]
pub struct Group {
    raw: NonNull<RawGroup>,
}

// SAFETY: c10d's process groups are not bound to the thread that made them; only concurrent starts
// are forbidden, which moving does not cause.
unsafe impl Send for Group {}

impl Group {
    /// Meets the other ranks through `store` and connects to each of them. Blocks.
    ///
    /// # Errors
    ///
    /// If `seat.address` is not one of this machine's, the store fails, or a peer is not there
    /// within the timeout.
    pub fn connect(store: Arc<dyn KeyValueStore>, seat: &Seat) -> Result<Self, BridgeError> {
        const OPERATION: &str = "connect the ranks";
        let address = CString::new(seat.address.as_str()).map_err(|_| BridgeError::Unsuitable {
            operation: OPERATION,
            expected: "an address".into(),
            found: format!("{:?}", seat.address),
        })?;
        let mut group = ptr::null_mut();
        // SAFETY: `address` is NUL-terminated and outlives the call, `group` is a local slot, and
        // `store::export` hands over a context together with the functions that fit it.
        unsafe {
            check(
                OPERATION,
                raw::bridge_gloo_connect(
                    store::export(store),
                    address.as_ptr(),
                    seat.rank.0 as c_int,
                    seat.world_size.0 as c_int,
                    milliseconds(seat.timeout),
                    &raw mut group,
                ),
            )?;
        }
        let raw = NonNull::new(group).expect("a connected group is returned on success");
        Ok(Self { raw })
    }

    /// Starts to send the memory of `tensor`, a contiguous CPU tensor, to `peer`. Nobody writes to
    /// that memory before the work is complete or dropped.
    ///
    /// # Errors
    ///
    /// If the tensor is unsuitable or the connection is lost.
    pub fn send(&self, tensor: &Tensor, peer: Rank, tag: Tag) -> Result<Work, BridgeError> {
        const OPERATION: &str = "send to a peer";
        require_contiguous(OPERATION, tensor, Device::Cpu)?;
        // SAFETY: as in `start`.
        self.start(OPERATION, |group, work| unsafe {
            let (peer, tag) = (peer.0 as c_int, tag.0 as c_int);
            raw::bridge_gloo_send(group, tensor.as_ptr().cast::<TorchTensor>(), peer, tag, work)
        })
    }

    /// Starts to fill the memory of `tensor`, a contiguous CPU tensor, from `peer`, which sends
    /// exactly as many bytes. Nobody uses that memory before the work is complete or dropped.
    ///
    /// # Errors
    ///
    /// If the tensor is unsuitable or the connection is lost.
    pub fn receive(&self, tensor: &Tensor, peer: Rank, tag: Tag) -> Result<Work, BridgeError> {
        const OPERATION: &str = "receive from a peer";
        require_contiguous(OPERATION, tensor, Device::Cpu)?;
        // SAFETY: as in `start`.
        self.start(OPERATION, |group, work| unsafe {
            let (peer, tag) = (peer.0 as c_int, tag.0 as c_int);
            raw::bridge_gloo_receive(group, tensor.as_ptr().cast::<TorchTensor>(), peer, tag, work)
        })
    }

    /// Starts to sum `tensor`, a contiguous CPU tensor, in place over all ranks, in whatever order
    /// Gloo likes.
    ///
    /// # Errors
    ///
    /// If the tensor is unsuitable.
    pub fn all_reduce(&self, tensor: &mut Tensor, timeout: Duration) -> Result<Work, BridgeError> {
        const OPERATION: &str = "sum over all ranks";
        require_contiguous(OPERATION, tensor, Device::Cpu)?;
        // SAFETY: as in `start`.
        self.start(OPERATION, |group, work| unsafe {
            let tensor = tensor.as_ptr().cast::<TorchTensor>();
            raw::bridge_gloo_all_reduce(group, tensor, milliseconds(timeout), work)
        })
    }

    /// Breaks every connection: whatever is in flight or will be started fails at once, here and at
    /// the peers. Takes a few milliseconds.
    ///
    /// # Errors
    ///
    /// If Gloo refuses, which it has no reason to.
    pub fn cut(&self) -> Result<(), BridgeError> {
        // SAFETY: the group is alive while `self` is, and not `Sync`: nobody else starts now.
        unsafe { check("cut the connections", raw::bridge_gloo_cut(self.raw.as_ptr())) }
    }

    /// Calls a function that starts an operation. What it relies on: the group is alive while
    /// `self` is and, not being `Sync`, starts nothing else now; a borrowed tensor's `at::Tensor`
    /// is alive during the call and the work keeps its memory beyond; the work's slot is a local.
    fn start(
        &self,
        operation: &'static str,
        call: impl FnOnce(*mut RawGroup, *mut *mut RawWork) -> *mut c_char,
    ) -> Result<Work, BridgeError> {
        let mut work = ptr::null_mut();
        let error = call(self.raw.as_ptr(), &raw mut work);
        // SAFETY: `error` comes from a function of the bridge, and goes nowhere else.
        unsafe { check(operation, error) }?;
        let raw = NonNull::new(work).expect("a started work is returned on success");
        Ok(Work { raw, operation })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: made by `connect`, owned by this value alone, not used again.
        let closed =
            unsafe { check("close the connections", raw::bridge_gloo_close(self.raw.as_ptr())) };
        if let Err(error) = closed {
            tracing::warn!(%error, "a process group did not close");
        }
    }
}

/// An operation in flight. Dropping it gives it up; its tensor's memory is then left alone.
#[derive(Debug)]
pub struct Work {
    raw: NonNull<RawWork>,
    operation: &'static str,
}

// SAFETY: a c10d work may be waited for and released on any thread; it holds its own reference to
// the tensor, whose count is atomic.
unsafe impl Send for Work {}

// SAFETY: what may be called on a shared work, waiting and aborting, takes Gloo's own lock.
unsafe impl Sync for Work {}

impl Work {
    /// Blocks until the operation is complete.
    ///
    /// # Errors
    ///
    /// If the peer is lost, the group was cut, or `timeout` passes, which also cuts the group.
    pub fn wait(&self, timeout: Duration) -> Result<(), BridgeError> {
        // SAFETY: the work is alive while `self` is.
        unsafe {
            check(self.operation, raw::bridge_gloo_wait(self.raw.as_ptr(), milliseconds(timeout)))
        }
    }
}

impl Work {
    /// Ends the wait for a send or receive, the one that is under way or the next, from any thread.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn abort(&self) -> Result<(), BridgeError> {
        // SAFETY: the work is alive while `self` is.
        unsafe { check(self.operation, raw::bridge_gloo_abort(self.raw.as_ptr())) }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: made by `Group::start`, owned by this value alone, not used again. Gloo's threads
        // hold the buffer only while they copy; releasing waits for that.
        unsafe { raw::bridge_gloo_release(self.raw.as_ptr()) }
    }
}

/// Whole milliseconds, at least one: to Gloo zero means for ever. Rounded up, so that an operation
/// that ran into its timeout has lasted that long by the caller's clock too.
fn milliseconds(timeout: Duration) -> i64 {
    let whole = timeout.as_nanos().div_ceil(1_000_000);
    i64::try_from(whole).unwrap_or(i64::MAX).clamp(1, i64::from(c_int::MAX))
}
