//! The C functions of `worker/bridge/*.h`, as Rust sees them. Only the wrappers beside this file
//! call them. Each returns null or an error text that `error::check` takes over.

use std::ffi::{c_char, c_int, c_void};

/// An `at::Tensor`. tch's own pointer type for it has no public name, so pointers are cast here.
#[repr(C)]
pub(super) struct TorchTensor {
    _opaque: [u8; 0],
}

/// A process group.
#[repr(C)]
pub(super) struct RawGroup {
    _opaque: [u8; 0],
}

/// An operation in flight or complete.
#[repr(C)]
pub(super) struct RawWork {
    _opaque: [u8; 0],
}

/// A place in a GPU's stream.
#[repr(C)]
pub(super) struct RawEvent {
    _opaque: [u8; 0],
}

/// Borrowed text, not NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct RawText {
    pub(super) data: *const c_char,
    pub(super) length: usize,
}

/// Takes one value that a store was asked for.
pub(super) type Emit = unsafe extern "C" fn(sink: *mut c_void, value: *const u8, length: usize);

/// Rust's side of a store; see `bridge/store.h`.
#[repr(C)]
pub(super) struct RawStore {
    pub(super) context: *mut c_void,
    pub(super) release: unsafe extern "C" fn(context: *mut c_void),
    pub(super) set:
        unsafe extern "C" fn(*mut c_void, key: RawText, *const u8, usize) -> *mut c_char,
    pub(super) get: unsafe extern "C" fn(
        *mut c_void,
        keys: *const RawText,
        count: usize,
        timeout_milliseconds: i64,
        emit: Emit,
        sink: *mut c_void,
    ) -> *mut c_char,
    pub(super) add:
        unsafe extern "C" fn(*mut c_void, key: RawText, amount: i64, sum: *mut i64) -> *mut c_char,
}

unsafe extern "C" {
    pub(super) fn bridge_error_new(text: *const c_char, length: usize) -> *mut c_char;
    pub(super) fn bridge_error_free(error: *mut c_char);

    pub(super) fn bridge_convolution_backward(
        grad_output: *const TorchTensor,
        input: *const TorchTensor,
        weight: *const TorchTensor,
        padding: i64,
        input_gradient: *mut *mut TorchTensor,
        weight_gradient: *mut *mut TorchTensor,
    ) -> *mut c_char;

    pub(super) fn bridge_device_configure(tf32: bool) -> *mut c_char;
    pub(super) fn bridge_device_enter(index: c_int) -> *mut c_char;
    pub(super) fn bridge_device_stream(index: c_int, stream: *mut *mut c_void) -> *mut c_char;
    pub(super) fn bridge_event_record(index: c_int, event: *mut *mut RawEvent) -> *mut c_char;
    pub(super) fn bridge_event_query(event: *const RawEvent, reached: *mut bool) -> *mut c_char;
    pub(super) fn bridge_event_release(event: *mut RawEvent);
    pub(super) fn bridge_staging(tensor: *mut TorchTensor, page_locked: bool) -> *mut c_char;
    pub(super) fn bridge_copy_without_waiting(
        to: *mut TorchTensor,
        from: *const TorchTensor,
    ) -> *mut c_char;
    pub(super) fn bridge_fused_sgd(
        parameters: *mut TorchTensor,
        gradient: *const TorchTensor,
        momentum_buffer: *mut TorchTensor,
        learning_rate: *const TorchTensor,
        momentum: f64,
        weight_decay: f64,
    ) -> *mut c_char;

    pub(super) fn bridge_gloo_connect(
        store: RawStore,
        address: *const c_char,
        rank: c_int,
        size: c_int,
        timeout: i64,
        group: *mut *mut RawGroup,
    ) -> *mut c_char;
    pub(super) fn bridge_gloo_close(group: *mut RawGroup) -> *mut c_char;
    pub(super) fn bridge_gloo_cut(group: *mut RawGroup) -> *mut c_char;
    pub(super) fn bridge_gloo_send(
        group: *mut RawGroup,
        tensor: *const TorchTensor,
        peer: c_int,
        tag: c_int,
        work: *mut *mut RawWork,
    ) -> *mut c_char;
    pub(super) fn bridge_gloo_receive(
        group: *mut RawGroup,
        tensor: *const TorchTensor,
        peer: c_int,
        tag: c_int,
        work: *mut *mut RawWork,
    ) -> *mut c_char;
    pub(super) fn bridge_gloo_all_reduce(
        group: *mut RawGroup,
        tensor: *const TorchTensor,
        timeout: i64,
        work: *mut *mut RawWork,
    ) -> *mut c_char;
    pub(super) fn bridge_gloo_wait(work: *mut RawWork, timeout: i64) -> *mut c_char;
    pub(super) fn bridge_gloo_abort(work: *mut RawWork) -> *mut c_char;
    pub(super) fn bridge_gloo_release(work: *mut RawWork);
}
