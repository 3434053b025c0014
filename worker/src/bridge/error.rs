//! What goes wrong at the border to libtorch. Called by every wrapper of the bridge.

use std::ffi::{CStr, c_char};

use super::raw;

/// Why an operation of the bridge did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// A tensor cannot cross: wrong element type, device or memory layout. A mistake in the caller.
    #[error("{operation} needs {expected}, got {found}")]
    Unsuitable {
        /// What was attempted.
        operation: &'static str,
        /// What it takes.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// libtorch threw; its message, without the backtrace.
    #[error("libtorch failed to {operation}: {message}")]
    Torch {
        /// What was attempted.
        operation: &'static str,
        /// What libtorch said.
        message: String,
    },
}

/// Turns what a function of the bridge returned into a result and releases the text.
///
/// # Safety
///
/// `text` is null or was returned by a function of the bridge, and nobody else releases it.
pub(super) unsafe fn check(operation: &'static str, text: *mut c_char) -> Result<(), BridgeError> {
    if text.is_null() {
        return Ok(());
    }
    // SAFETY: the caller vouches for `text`: a NUL-terminated string made by `error_text` with
    // `strdup`, alive until the release below, which happens once and after the copy.
    let message = unsafe {
        let message = CStr::from_ptr(text).to_string_lossy().into_owned();
        raw::bridge_error_free(text);
        message
    };
    Err(BridgeError::Torch { operation, message })
}
