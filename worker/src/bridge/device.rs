//! Work that a GPU does while this program goes on: events in its stream, and copies that nobody waits for. On a CPU,
//! where every call returns when its work is done, events are reached and copies complete at once.

use tch::{Device, Tensor};

use super::error::{BridgeError, check};
use super::raw;

/// A place in a device's stream.
#[derive(Debug)]
pub struct Event(Option<Recorded>);

#[derive(Debug)]
struct Recorded(*mut raw::RawEvent);

// SAFETY: an event may be asked and released from any thread, one at a time, which `&mut` and ownership see to: `query`
// takes `&self`, but `Recorded` is not `Sync`.
unsafe impl Send for Recorded {}

impl Drop for Recorded {
    fn drop(&mut self) {
        // SAFETY: the pointer was made by `bridge_event_record` for this value alone, which nobody uses afterwards.
        unsafe { raw::bridge_event_release(self.0) }
    }
}

impl Event {
    /// After everything that the calling thread has asked `device` for.
    ///
    /// # Errors
    /// What libtorch says; an error of earlier work may show here.
    pub fn record(device: Device) -> Result<Self, BridgeError> {
        let Device::Cuda(index) = device else { return Ok(Self(None)) };
        let mut event = std::ptr::null_mut();
        let number = i32::try_from(index).unwrap_or(i32::MAX);
        // SAFETY: the slot is a local of this frame; the function throws nothing and returns a text made for `check`.
        unsafe {
            check("mark a place in a GPU's work", raw::bridge_event_record(number, &raw mut event))?
        };
        Ok(Self(Some(Recorded(event))))
    }

    /// Whether everything before it is done. Does not wait.
    ///
    /// # Errors
    /// What went wrong on the device, in that work or before.
    pub fn is_reached(&self) -> Result<bool, BridgeError> {
        let Some(Recorded(event)) = &self.0 else { return Ok(true) };
        let mut reached = false;
        // SAFETY: the event lives as long as `self`; the slot is a local of this frame.
        unsafe {
            check("ask how far a GPU is", raw::bridge_event_query(*event, &raw mut reached))?;
        }
        Ok(reached)
    }
}

/// Copies `from` into `to`. Between a GPU and page-locked memory it only asks for the copy, which is done when an event
/// recorded afterwards is reached; until then neither may change.
///
/// # Errors
/// Shapes or types that do not fit, or what libtorch says.
pub fn copy_without_waiting(to: &mut Tensor, from: &Tensor) -> Result<(), BridgeError> {
    const OPERATION: &str = "copy a tensor";
    if to.size() != from.size() || to.kind() != from.kind() {
        return Err(BridgeError::Unsuitable {
            operation: OPERATION,
            expected: format!("{:?} numbers of {:?}", to.size(), to.kind()),
            found: format!("{:?} of {:?}", from.size(), from.kind()),
        });
    }
    // SAFETY: both tensors are borrowed, `to` uniquely, so their `at::Tensor`s outlive the call. What the device does
    // later it does in its stream, to storage that libtorch's allocators keep until then: blocks of a GPU are reused in
    // the order of the stream, page-locked ones after an event that `copy_` records.
    unsafe {
        check(
            OPERATION,
            raw::bridge_copy_without_waiting(to.as_mut_ptr().cast(), from.as_ptr().cast()),
        )
    }
}

/// Memory of this shape and kind that `device` copies from and to without waiting: page-locked for a GPU.
///
/// # Errors
/// Memory ran out, or the GPU's driver locks none.
pub fn staging_like(tensor: &Tensor, device: Device) -> Result<Tensor, BridgeError> {
    const OPERATION: &str = "make memory that a GPU copies from and to";
    let mut memory = tensor.shallow_clone();
    // SAFETY: the tensor is a local of this frame, a handle that the function lets stand for other memory; whoever else
    // has one for the same keeps that.
    unsafe {
        let page_locked = matches!(device, Device::Cuda(_));
        check(OPERATION, raw::bridge_staging(memory.as_mut_ptr().cast(), page_locked))?;
    }
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::cuda;

    #[test]
    fn memory_is_page_locked_where_a_gpu_is() {
        let numbers = Tensor::from_slice(&[1.0f64, 2.0]);
        if cuda::has_gpu() {
            let staging = staging_like(&numbers, Device::Cuda(0)).unwrap();
            assert!(staging.is_pinned(Device::Cuda(0)));
            return;
        }
        eprintln!("SKIPPED: there is no GPU here, no memory was locked for one");
        let error = staging_like(&numbers, Device::Cuda(0)).unwrap_err();
        assert!(error.to_string().contains("memory that a GPU copies"), "{error}");
    }

    #[test]
    fn on_a_cpu_nothing_is_waited_for() {
        let from = Tensor::from_slice(&[1.0f64, 2.0]);
        let mut to = staging_like(&from, Device::Cpu).unwrap();
        assert_eq!((to.size(), to.kind()), (from.size(), from.kind()));
        assert_ne!(to.data_ptr(), from.data_ptr());
        copy_without_waiting(&mut to, &from).unwrap();
        assert!(Event::record(Device::Cpu).unwrap().is_reached().unwrap());
        assert_eq!(to, from);
        let short = Tensor::from_slice(&[1.0f64]);
        assert!(matches!(
            copy_without_waiting(&mut to, &short),
            Err(BridgeError::Unsuitable { .. })
        ));
    }
}
