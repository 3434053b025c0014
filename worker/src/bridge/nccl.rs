//! NCCL: a communicator's sends, receives and sums in a GPU's stream. Called by `collective::nccl`, which decides what a
//! failure means and how long anything may take.
//!
//! The types are cudarc's, NCCL 2.28's own. Its functions are looked up here, in a file that the caller names: cudarc
//! looks for `libnccl.so` alone, which Python's packages do not have, and panics where a function is missing.
//!
//! Communicators are non-blocking: a call returns at once and goes on in the background, until
//! [`Communicator::progress`] says that it is done. Nothing here waits.

mod library;
mod place;
mod settings;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use common::ids::{Rank, WorldSize};
use cudarc::nccl::sys;
use tch::Tensor;

use super::contiguous::require_contiguous;
use super::error::BridgeError;
use library::Functions;
pub use place::Place;
use place::{bytes_of, kind_of};
use settings::without_blocking;

/// The oldest NCCL whose communicators have the settings of cudarc's types.
const OLDEST: Version = Version(22_800);
/// A version of NCCL as it tells it: 22809 is 2.28.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0 / 10_000, self.0 / 100 % 100, self.0 % 100)
    }
}

/// Why NCCL did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct NcclError {
    /// NCCL's function.
    pub operation: &'static str,
    /// What NCCL says of it.
    pub message: String,
    /// Where the cause lies.
    pub origin: Origin,
}

/// Where the cause of a failure lies, as far as NCCL knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// With a peer, or on the way to it: `ncclRemoteError`.
    Peer,
    /// With this system or the network, which NCCL does not tell apart: `ncclSystemError`.
    System,
    /// On this rank: CUDA, NCCL itself, or a mistake in a call.
    Rank,
}

/// What has become of the calls so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All are done: what they were to put into the stream is there.
    Done,
    /// One goes on in the background; no other may be made meanwhile.
    Under,
}

/// NCCL, loaded for good.
#[derive(Debug)]
pub struct Library {
    functions: Functions,
    version: Version,
}

impl Library {
    /// Loads NCCL from a file, by its path or, without a slash, by its name on the loader's path.
    ///
    /// # Errors
    /// There is none, it lacks a function, or is too old: which, and what was found.
    pub fn load(file: &Path) -> Result<Self, String> {
        let functions = Functions::of(file)?;
        let mut version = 0;
        // SAFETY: the slot is a local of this frame.
        let result = unsafe { (functions.get_version)(&raw mut version) };
        if result != SUCCESS {
            return Err(format!("{} does not tell its version", file.display()));
        }
        let version = Version(u32::try_from(version).unwrap_or(0));
        if version < OLDEST {
            return Err(format!(
                "{} is NCCL {version}, and {OLDEST} or newer is needed",
                file.display()
            ));
        }
        Ok(Self { functions, version })
    }

    /// Its version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What the ranks of a new communicator find each other by; the rank that makes it listens for the others.
    ///
    /// # Errors
    /// What NCCL says: it finds no network, for one.
    pub fn unique_id(&self) -> Result<UniqueId, NcclError> {
        let mut id = sys::ncclUniqueId { internal: [0; 128] };
        // SAFETY: the slot is a local of this frame.
        let result = unsafe { (self.functions.get_unique_id)(&raw mut id) };
        self.require("ncclGetUniqueId", result, ptr::null_mut())?;
        Ok(UniqueId(id.internal.map(|byte| byte as u8)))
    }

    /// An error, unless the call is done or goes on.
    fn require(
        &self,
        operation: &'static str,
        result: c_int,
        communicator: sys::ncclComm_t,
    ) -> Result<(), NcclError> {
        if result == SUCCESS || result == IN_PROGRESS {
            return Ok(());
        }
        // SAFETY: the communicator is null or alive, and the texts are NUL-terminated and live until NCCL's next
        // failure on this thread; they are copied at once.
        let (name, detail) = unsafe {
            let text = |text: *const c_char| match text.is_null() {
                true => String::new(),
                false => CStr::from_ptr(text).to_string_lossy().into_owned(),
            };
            let name = text((self.functions.get_error_string)(result));
            (name, text((self.functions.get_last_error)(communicator)))
        };
        let message = match detail.trim() {
            "" => name,
            detail => format!("{name} ({detail})"),
        };
        let origin = match result {
            REMOTE_ERROR => Origin::Peer,
            SYSTEM_ERROR => Origin::System,
            _ => Origin::Rank,
        };
        Err(NcclError { operation, message, origin })
    }
}

// What functions return. Plain numbers, not cudarc's enumeration: a later NCCL may know more of them.
const SUCCESS: c_int = sys::ncclResult_t::ncclSuccess as c_int;
const IN_PROGRESS: c_int = sys::ncclResult_t::ncclInProgress as c_int;
const REMOTE_ERROR: c_int = sys::ncclResult_t::ncclRemoteError as c_int;
const SYSTEM_ERROR: c_int = sys::ncclResult_t::ncclSystemError as c_int;

/// What the ranks of a communicator find each other by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniqueId(pub [u8; 128]);

/// One rank's end of a communicator, destroyed by [`Communicator::abort`] or [`Communicator::destroy`] and by nothing
/// else: either may hang, so the owner chooses the thread. Used by one thread at a time.
#[derive(Debug)]
pub struct Communicator {
    library: Arc<Library>,
    raw: sys::ncclComm_t,
}

// SAFETY: a communicator may be used from any thread, one at a time, which `&mut` sees to.
unsafe impl Send for Communicator {}

impl Communicator {
    /// Begins to meet the other ranks, on the calling thread's GPU.
    ///
    /// # Errors
    /// What NCCL says at once; most is said by [`Communicator::progress`].
    pub fn begin(
        library: &Arc<Library>,
        id: UniqueId,
        (rank, world_size): (Rank, WorldSize),
    ) -> Result<Self, NcclError> {
        let id = sys::ncclUniqueId { internal: id.0.map(|byte| byte as _) };
        let mut config = without_blocking();
        let mut raw = ptr::null_mut();
        // SAFETY: the slots are locals of this frame, and NCCL copies the settings, which are those of the version
        // they say, before it returns.
        let result = unsafe {
            (library.functions.init_rank)(
                &raw mut raw,
                world_size.0 as c_int,
                id,
                rank.0 as c_int,
                &raw mut config,
            )
        };
        library.require("ncclCommInitRankConfig", result, ptr::null_mut())?;
        Ok(Self { library: Arc::clone(library), raw })
    }

    /// Whether all calls so far are done.
    ///
    /// # Errors
    /// What has gone wrong in the background, then or since.
    pub fn progress(&mut self) -> Result<Progress, NcclError> {
        let mut state = SUCCESS;
        // SAFETY: the communicator is alive while `self` is; the slot is a local of this frame.
        let result = unsafe { (self.library.functions.get_async_error)(self.raw, &raw mut state) };
        self.require("ncclCommGetAsyncError", result)?;
        self.require("a call in the background", state)?;
        Ok(if state == IN_PROGRESS { Progress::Under } else { Progress::Done })
    }

    /// Puts sends and receives into the stream that go on side by side. Memory is left alone until the stream is past
    /// them; as blocks of a GPU are reused in the order of the stream, the caller need not keep the tensors.
    ///
    /// # Errors
    /// A tensor is none that this place takes (nothing is sent then), or what NCCL says.
    pub fn exchange(
        &mut self,
        place: Place,
        sends: &[(Rank, Tensor)],
        receives: &[(Rank, Tensor)],
    ) -> Result<(), ExchangeError> {
        for (_, tensor) in sends.iter().chain(receives) {
            require_contiguous("exchange with a peer", tensor, place.device)?;
        }
        let functions = &self.library.functions;
        // SAFETY: takes nothing; it is ended below whatever happens in between.
        self.require("ncclGroupStart", unsafe { (functions.group_start)() })?;
        let result = self.put_in(place, sends, receives);
        // SAFETY: as above.
        let ended = unsafe { (functions.group_end)() };
        result?;
        Ok(self.require("ncclGroupEnd", ended)?)
    }

    fn put_in(
        &self,
        place: Place,
        sends: &[(Rank, Tensor)],
        receives: &[(Rank, Tensor)],
    ) -> Result<(), NcclError> {
        let functions = &self.library.functions;
        let bytes = sys::ncclDataType_t::ncclUint8 as c_int;
        for (peer, tensor) in receives {
            let (memory, length) = (tensor.data_ptr(), bytes_of(tensor));
            // SAFETY: the tensor holds `length` contiguous bytes in the memory of the stream's device, and is left alone
            // until the stream is past this, which is the caller's part of the contract.
            let result = unsafe {
                (functions.receive)(memory, length, bytes, peer.0 as c_int, self.raw, place.stream)
            };
            self.require("ncclRecv", result)?;
        }
        for (peer, tensor) in sends {
            let (memory, length) = (tensor.data_ptr().cast_const(), bytes_of(tensor));
            // SAFETY: as above.
            let result = unsafe {
                (functions.send)(memory, length, bytes, peer.0 as c_int, self.raw, place.stream)
            };
            self.require("ncclSend", result)?;
        }
        Ok(())
    }

    /// Puts a sum over all ranks into the stream, in place and in whatever order NCCL likes.
    ///
    /// # Errors
    /// As [`Communicator::exchange`].
    pub fn all_reduce(&mut self, place: Place, tensor: &mut Tensor) -> Result<(), ExchangeError> {
        const OPERATION: &str = "sum over all ranks";
        require_contiguous(OPERATION, tensor, place.device)?;
        let Some(kind) = kind_of(tensor.kind()) else {
            return Err(ExchangeError::Unsuitable(BridgeError::Unsuitable {
                operation: OPERATION,
                expected: "numbers that NCCL adds".into(),
                found: format!("{:?}", tensor.kind()),
            }));
        };
        let memory: *mut c_void = tensor.data_ptr();
        // SAFETY: the tensor holds so many contiguous numbers of that kind in the memory of the stream's device and is
        // left alone until the stream is past this; NCCL sums in place where both pointers are the same.
        let result = unsafe {
            (self.library.functions.all_reduce)(
                memory.cast_const(),
                memory,
                tensor.numel(),
                kind as c_int,
                sys::ncclRedOp_t::ncclSum as c_int,
                self.raw,
                place.stream,
            )
        };
        Ok(self.require("ncclAllReduce", result)?)
    }

    /// Ends everything that is under way, in the background and on the device, and the communicator. May take a moment,
    /// and hang where the driver does.
    pub fn abort(self) {
        // SAFETY: the communicator is alive, and nobody has it any more afterwards.
        let result = unsafe { (self.library.functions.abort)(self.raw) };
        if let Err(error) = self.require("ncclCommAbort", result) {
            tracing::warn!(%error, "a communicator was not aborted");
        }
    }

    /// Begins the orderly end: what is under way on this side is done once [`Communicator::progress`] says so.
    ///
    /// # Errors
    /// What NCCL says.
    pub fn finalise(&mut self) -> Result<(), NcclError> {
        // SAFETY: the communicator is alive while `self` is.
        let result = unsafe { (self.library.functions.finalise)(self.raw) };
        self.require("ncclCommFinalize", result)
    }

    /// Frees a communicator that is finalised.
    pub fn destroy(self) {
        // SAFETY: the communicator is alive, and nobody has it any more afterwards.
        let result = unsafe { (self.library.functions.destroy)(self.raw) };
        if let Err(error) = self.library.require("ncclCommDestroy", result, ptr::null_mut()) {
            tracing::warn!(%error, "a communicator was not freed");
        }
    }

    fn require(&self, operation: &'static str, result: c_int) -> Result<(), NcclError> {
        self.library.require(operation, result, self.raw)
    }
}

/// Why an operation was not put into the stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// A mistake in the caller; nothing has happened.
    #[error(transparent)]
    Unsuitable(#[from] BridgeError),
    /// The communicator is of no more use.
    #[error(transparent)]
    Nccl(#[from] NcclError),
}
