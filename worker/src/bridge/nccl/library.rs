//! NCCL's functions, looked up in a file. Called by `super::Library` alone.

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cudarc::nccl::sys::{cudaStream_t, ncclComm_t, ncclConfig_t, ncclUniqueId};

use crate::bridge::cuda::{open_library, symbol_in};

/// Declares the functions that are used, and looks all of them up. What returns `ncclResult_t`, takes `ncclDataType_t`
/// or `ncclRedOp_t` in nccl.h does so as the number that these are in C.
macro_rules! functions {
    ($($field:ident = $name:literal: fn($($argument:ty),*) -> $result:ty;)*) => {
        #[derive(Debug)]
        pub(super) struct Functions {
            $(pub(super) $field: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl Functions {
            /// All functions of the library in `file`, which is never unloaded.
            ///
            /// # Errors
            /// It cannot be opened, or lacks one of them.
            pub(super) fn of(file: &Path) -> Result<Self, String> {
                let library = open(file)?;
                let missing =
                    |name| format!("{} is no NCCL that serves: it lacks {name}", file.display());
                Ok(Self {
                    $($field: {
                        let name = const { c_name(concat!($name, "\0")) };
                        let address = symbol_in(library, name).ok_or_else(|| missing($name))?;
                        // SAFETY: the address is that of NCCL's function of this name, whose declaration in nccl.h is
                        // the one above; functions only ever get arguments added under new names there.
                        unsafe {
                            std::mem::transmute::<
                                *mut c_void,
                                unsafe extern "C" fn($($argument),*) -> $result,
                            >(address)
                        }
                    },)*
                })
            }
        }
    };
}

functions! {
    get_version = "ncclGetVersion": fn(*mut c_int) -> c_int;
    get_unique_id = "ncclGetUniqueId": fn(*mut ncclUniqueId) -> c_int;
    get_error_string = "ncclGetErrorString": fn(c_int) -> *const c_char;
    get_last_error = "ncclGetLastError": fn(ncclComm_t) -> *const c_char;
    init_rank = "ncclCommInitRankConfig":
        fn(*mut ncclComm_t, c_int, ncclUniqueId, c_int, *mut ncclConfig_t) -> c_int;
    get_async_error = "ncclCommGetAsyncError": fn(ncclComm_t, *mut c_int) -> c_int;
    group_start = "ncclGroupStart": fn() -> c_int;
    group_end = "ncclGroupEnd": fn() -> c_int;
    send = "ncclSend":
        fn(*const c_void, usize, c_int, c_int, ncclComm_t, cudaStream_t) -> c_int;
    receive = "ncclRecv":
        fn(*mut c_void, usize, c_int, c_int, ncclComm_t, cudaStream_t) -> c_int;
    all_reduce = "ncclAllReduce":
        fn(*const c_void, *mut c_void, usize, c_int, c_int, ncclComm_t, cudaStream_t) -> c_int;
    abort = "ncclCommAbort": fn(ncclComm_t) -> c_int;
    finalise = "ncclCommFinalize": fn(ncclComm_t) -> c_int;
    destroy = "ncclCommDestroy": fn(ncclComm_t) -> c_int;
}

fn open(file: &Path) -> Result<*mut c_void, String> {
    let name = CString::new(file.as_os_str().as_bytes())
        .map_err(|_| format!("{} is no file's name", file.display()))?;
    // Its names stay its own: another NCCL may be in the process.
    open_library(&name, libc::RTLD_NOW | libc::RTLD_LOCAL)
}

const fn c_name(text: &'static str) -> &'static std::ffi::CStr {
    match std::ffi::CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a name ends with its only NUL"),
    }
}
