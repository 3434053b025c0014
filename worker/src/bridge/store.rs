//! A Rust key-value store as C++ sees it: the callbacks behind a `c10d::Store`. Called by
//! `bridge::gloo` while a group connects.

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use super::raw::{self, Emit, RawStore, RawText};
use super::rendezvous::{KeyValueStore, StoreError};

type Context = Arc<dyn KeyValueStore>;

/// The store as a context and the functions that take it. C++ releases it exactly once.
pub(super) fn export(store: Context) -> RawStore {
    RawStore { context: Box::into_raw(Box::new(store)).cast(), release, set, get, add }
}

// SAFETY of the functions below: C++ passes the `context` of `export` until it has called
// `release`, and passes texts, values and results that are valid during the call. The store is
// `Sync`, so any thread may call.

unsafe extern "C" fn release(context: *mut c_void) {
    // SAFETY: `export` made it from a box; C++ calls this once and last.
    drop(unsafe { Box::from_raw(context.cast::<Context>()) });
}

unsafe extern "C" fn set(
    context: *mut c_void,
    key: RawText,
    value: *const u8,
    length: usize,
) -> *mut c_char {
    // SAFETY: see above.
    let (store, key, value) = unsafe { (store(context), text(key), bytes(value, length)) };
    answer(|| store.set(&key, value.to_vec()))
}

unsafe extern "C" fn get(
    context: *mut c_void,
    keys: *const RawText,
    count: usize,
    timeout_milliseconds: i64,
    emit: Emit,
    sink: *mut c_void,
) -> *mut c_char {
    // SAFETY: see above; `keys` holds `count` texts.
    let (store, keys) = unsafe {
        let keys = if count == 0 { &[] } else { slice::from_raw_parts(keys, count) };
        (store(context), keys.iter().map(|key| text(*key)).collect::<Vec<_>>())
    };
    let timeout = Duration::from_millis(timeout_milliseconds.max(0).unsigned_abs());
    answer(|| {
        for value in store.get(&keys, timeout)? {
            // SAFETY: `emit` copies the bytes into the `sink` it came with, and does not unwind.
            unsafe { emit(sink, value.as_ptr(), value.len()) };
        }
        Ok(())
    })
}

unsafe extern "C" fn add(
    context: *mut c_void,
    key: RawText,
    amount: i64,
    sum: *mut i64,
) -> *mut c_char {
    // SAFETY: see above.
    let (store, key) = unsafe { (store(context), text(key)) };
    answer(|| {
        let result = store.add(&key, amount)?;
        // SAFETY: a local variable of the C++ caller.
        unsafe { sum.write(result) };
        Ok(())
    })
}

/// Null, or the error as a text. A panic must not unwind into C++, so it becomes one too.
fn answer(call: impl FnOnce() -> Result<(), StoreError>) -> *mut c_char {
    let message = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return ptr::null_mut(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the key-value store panicked".to_owned(),
    };
    // SAFETY: copies the bytes before it returns.
    unsafe { raw::bridge_error_new(message.as_ptr().cast(), message.len()) }
}

/// # Safety
///
/// `context` comes from `export` and is not released during `'a`.
unsafe fn store<'a>(context: *mut c_void) -> &'a dyn KeyValueStore {
    // SAFETY: the caller vouches; only shared references are ever made.
    unsafe { (*context.cast::<Context>()).as_ref() }
}

/// # Safety
///
/// `text` is valid during the call.
unsafe fn text(text: RawText) -> String {
    // SAFETY: the caller vouches.
    String::from_utf8_lossy(unsafe { bytes(text.data.cast(), text.length) }).into_owned()
}

/// # Safety
///
/// `length` bytes at `data` are valid during `'a`; `data` may be null if there are none.
unsafe fn bytes<'a>(data: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: the caller vouches.
    unsafe { slice::from_raw_parts(data, length) }
}
