//! libtorch's CUDA part, opened while the program runs, and a GPU's stream and settings. Called once a process and once
//! a trainer thread.

use std::ffi::{CStr, c_char, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::error::{BridgeError, check};
use super::raw;

/// NVIDIA's driver. Without it there is no GPU to compute on, and no need to open the large libraries.
const DRIVER: &CStr = c"libcuda.so.1";
/// libtorch's CUDA part.
const LIBTORCH_CUDA: &CStr = c"libtorch_cuda.so";

/// Opens the CUDA part of libtorch, once. Must come before anything asks libtorch for CUDA: after the first question it
/// never appears.
///
/// # Errors
/// Which library is missing or cannot be opened, as the system says it.
pub fn open() -> Result<(), String> {
    static OPENED: OnceLock<Result<(), String>> = OnceLock::new();
    let open_both = || {
        let flags = libc::RTLD_NOW | libc::RTLD_GLOBAL;
        open_library(DRIVER, flags).map_err(|error| format!("no NVIDIA driver ({error})"))?;
        open_library(LIBTORCH_CUDA, flags).map_err(|error| {
            format!("libtorch's CUDA part cannot be opened ({error}); `deploy/libtorch.sh cuda` fetches it")
        })?;
        Ok(())
    };
    OPENED.get_or_init(open_both).clone()
}

/// Opens a library for good.
pub(super) fn open_library(name: &CStr, flags: i32) -> Result<*mut c_void, String> {
    // SAFETY: the name is NUL-terminated. The initialisers of these libraries (CUDA's, NCCL's) register themselves with
    // libtorch and the driver and need nothing of this program. The handle is never closed: what they have registered
    // must stay.
    let handle = unsafe { libc::dlopen(name.as_ptr(), flags) };
    if !handle.is_null() {
        return Ok(handle);
    }
    // SAFETY: `dlerror` returns null or the text of this thread's last failure, valid until its next call.
    let message = unsafe {
        let text = libc::dlerror();
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    Err(message.unwrap_or_else(|| format!("{} cannot be opened", name.to_string_lossy())))
}

/// How 32-bit convolutions and matrix products are computed on the GPUs of this process: with TF32 or in full.
///
/// # Errors
/// What libtorch says.
pub fn configure(tf32: bool) -> Result<(), BridgeError> {
    // SAFETY: the function takes a boolean by value and changes settings of libtorch's own context.
    unsafe { check("set how a GPU computes", raw::bridge_device_configure(tf32)) }
}

/// Makes GPU `index` the calling thread's, with a stream of its own.
///
/// # Errors
/// There is no such GPU, or it cannot be used: libtorch's words.
pub fn enter(index: usize) -> Result<(), BridgeError> {
    let number = i32::try_from(index).unwrap_or(i32::MAX);
    // SAFETY: the function takes an integer by value, throws nothing and returns a text made for `check`.
    unsafe { check("use a GPU", raw::bridge_device_enter(number)) }
}

/// `cuInit(flags)`.
type Initialise = unsafe extern "C" fn(u32) -> i32;
/// `cuDeviceGet(device, ordinal)`.
type GetDevice = unsafe extern "C" fn(*mut i32, i32) -> i32;
/// `cuDeviceGetName(name, length, device)`, and `cuDeviceGetPCIBusId(id, length, device)` likewise.
type GetText = unsafe extern "C" fn(*mut c_char, i32, i32) -> i32;

/// Whether the driver shows a GPU, whatever libtorch has found. For tests, which would take a libtorch that finds none
/// for a machine that has none.
pub fn has_gpu() -> bool {
    name_of(0).is_some()
}

/// The tests of one process ask libtorch for what they like in any order, so its CUDA part is open before the first.
#[cfg(test)]
#[used]
// SAFETY: the loader calls what this section names once, when the libraries that this program links are ready.
#[unsafe(link_section = ".init_array")]
static OPENED_BEFORE_TESTS: extern "C" fn() = {
    extern "C" fn open_first() {
        let _ = open();
    }
    open_first
};

/// The model of a GPU, by its number among the visible ones; nothing where the driver does not tell.
pub fn name_of(index: usize) -> Option<String> {
    text_of(index, c"cuDeviceGetName")
}

/// Where a GPU sits in this machine: its PCI address, the same for every process that sees it.
pub fn address_of(index: usize) -> Option<String> {
    text_of(index, c"cuDeviceGetPCIBusId")
}

fn text_of(index: usize, function: &CStr) -> Option<String> {
    open().ok()?;
    // SAFETY: `open` has loaded the driver for good, and these are the types of its functions of these names, the same
    // in every version (cuda.h).
    let (initialise, get_device, get_text) = unsafe {
        let initialise: Initialise = std::mem::transmute(symbol(c"cuInit")?);
        let get_device: GetDevice = std::mem::transmute(symbol(c"cuDeviceGet")?);
        let get_text: GetText = std::mem::transmute(symbol(function)?);
        (initialise, get_device, get_text)
    };
    let (mut device, mut text) = (0, [0 as c_char; 128]);
    // SAFETY: the slots are locals of this frame; the driver writes at most the given length, its NUL included. It may
    // be initialised any number of times.
    let done = unsafe {
        initialise(0) == 0
            && get_device(&raw mut device, i32::try_from(index).ok()?) == 0
            && get_text(text.as_mut_ptr(), text.len() as i32, device) == 0
    };
    let bytes: Vec<u8> = text.iter().map(|byte| *byte as u8).collect();
    let text = CStr::from_bytes_until_nul(&bytes).ok()?;
    done.then(|| text.to_string_lossy().into_owned())
}

/// A function of a library that was opened for all.
fn symbol(name: &CStr) -> Option<*mut c_void> {
    symbol_in(libc::RTLD_DEFAULT, name)
}

/// A function of one library, by what [`open_library`] gave for it.
pub(super) fn symbol_in(library: *mut c_void, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name is NUL-terminated and the library open for good; looking a name up calls nothing of this program.
    let address = unsafe { libc::dlsym(library, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// The folder that this process's libtorch was loaded from.
pub fn libtorch_folder() -> Option<PathBuf> {
    let function = symbol(c"aoti_torch_device_type_cpu")?;
    let mut found = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the slot is a local of this frame; on success `dli_fname` is the NUL-terminated path of a library that
    // stays loaded.
    let file = unsafe {
        if libc::dladdr(function, found.as_mut_ptr()) == 0 {
            return None;
        }
        CStr::from_ptr(found.assume_init().dli_fname)
    };
    let file = Path::new(std::ffi::OsStr::from_bytes(file.to_bytes())).canonicalize().ok()?;
    file.parent().map(Path::to_path_buf)
}
