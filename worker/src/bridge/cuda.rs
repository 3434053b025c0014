//! libtorch's CUDA part, opened while the program runs, and a GPU's stream and settings. Called once a process and once
//! a trainer thread.

use std::ffi::{CStr, c_char, c_void};
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
        open_library(DRIVER).map_err(|error| format!("no NVIDIA driver ({error})"))?;
        open_library(LIBTORCH_CUDA).map_err(|error| {
            format!("libtorch's CUDA part cannot be opened ({error}); `deploy/libtorch.sh cuda` fetches it")
        })
    };
    OPENED.get_or_init(open_both).clone()
}

fn open_library(name: &CStr) -> Result<(), String> {
    // SAFETY: the name is NUL-terminated and lives for ever. The initialisers of these libraries register themselves
    // with libtorch and the driver and need nothing of this program. The handle is never closed: what they have
    // registered must stay.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if !handle.is_null() {
        return Ok(());
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
/// `cuDeviceGetName(name, length, device)`.
type GetName = unsafe extern "C" fn(*mut c_char, i32, i32) -> i32;

/// The model of a GPU, by its number among the visible ones; nothing where the driver does not tell.
pub fn name_of(index: usize) -> Option<String> {
    open().ok()?;
    // SAFETY: `open` has loaded the driver for good, and these are the types of its functions of these names, the same
    // in every version (cuda.h).
    let (initialise, get_device, get_name) = unsafe {
        let initialise: Initialise = std::mem::transmute(symbol(c"cuInit")?);
        let get_device: GetDevice = std::mem::transmute(symbol(c"cuDeviceGet")?);
        let get_name: GetName = std::mem::transmute(symbol(c"cuDeviceGetName")?);
        (initialise, get_device, get_name)
    };
    let (mut device, mut name) = (0, [0 as c_char; 128]);
    // SAFETY: the slots are locals of this frame; the driver writes at most the given length, its NUL included. It may
    // be initialised any number of times.
    let done = unsafe {
        initialise(0) == 0
            && get_device(&raw mut device, i32::try_from(index).ok()?) == 0
            && get_name(name.as_mut_ptr(), name.len() as i32, device) == 0
    };
    let bytes: Vec<u8> = name.iter().map(|byte| *byte as u8).collect();
    let name = CStr::from_bytes_until_nul(&bytes).ok()?;
    done.then(|| name.to_string_lossy().into_owned())
}

/// A function of a library that was opened for all.
fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name is NUL-terminated; looking it up calls nothing of this program.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}
