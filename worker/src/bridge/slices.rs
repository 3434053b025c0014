//! The memory of a CPU tensor as a slice, for arithmetic whose order must be ours. Called by the
//! ordered reduction, the layers and the checkpoint; never copies.

use tch::{Device, Kind, Tensor};

use super::error::BridgeError;

mod sealed {
    pub trait Sealed {}
}

/// A number that a tensor and a slice hold alike.
pub trait Element: sealed::Sealed + Copy {
    /// Its name in torch.
    const KIND: Kind;
}

macro_rules! element {
    ($($number:ty => $kind:ident),*) => {$(
        impl sealed::Sealed for $number {}
        impl Element for $number {
            const KIND: Kind = Kind::$kind;
        }
    )*};
}

element!(f32 => Float, f64 => Double, u8 => Uint8, i64 => Int64);

/// Calls `read` with the elements of `tensor` in the order they have in memory.
///
/// The tensor lives on the CPU, holds `T` and is dense: contiguous, or channels-last for
/// `[batch, channels, height, width]`, whose memory order is batch, height, width, channels.
///
/// While `read` runs nobody writes to this memory, through another tensor that shares it either;
/// the trainer keeps that by using a tensor and its views on one thread at a time.
///
/// # Errors
///
/// [`BridgeError::Unsuitable`] if the tensor is none of that.
pub fn with_slice<T: Element, R>(
    tensor: &Tensor,
    read: impl FnOnce(&[T]) -> R,
) -> Result<R, BridgeError> {
    with_slices([tensor], |[slice]| read(slice))
}

/// [`with_slice`] of several tensors.
///
/// # Errors
///
/// As [`with_slice`].
pub fn with_slices<T: Element, R, const N: usize>(
    tensors: [&Tensor; N],
    read: impl FnOnce([&[T]; N]) -> R,
) -> Result<R, BridgeError> {
    let mut slices: [&[T]; N] = [&[]; N];
    for (slice, tensor) in slices.iter_mut().zip(tensors) {
        let (start, length) = memory::<T>("read a tensor's memory", tensor)?;
        // SAFETY: `memory` found `length` elements of `T` at the aligned, non-null `start`, without
        // gaps; the borrowed tensor keeps its storage alive and in place; every bit pattern is a valid
        // `T`; that nobody writes meanwhile is the contract of `with_slice`.
        *slice = unsafe { std::slice::from_raw_parts(start, length) };
    }
    Ok(read(slices))
}

/// Calls `write` with the elements of `tensor` in the order they have in memory, to be changed.
///
/// As [`with_slice`], and while `write` runs nobody else reads this memory. Autograd does not see
/// the change: not for tensors whose old values a later backward pass needs.
///
/// # Errors
///
/// [`BridgeError::Unsuitable`] as for [`with_slice`].
pub fn with_slice_mut<T: Element, R>(
    tensor: &mut Tensor,
    write: impl FnOnce(&mut [T]) -> R,
) -> Result<R, BridgeError> {
    with_slices_mut([tensor], |[slice]| write(slice))
}

/// [`with_slice_mut`] of several tensors, none of which shares memory with another.
///
/// # Errors
///
/// As [`with_slice_mut`].
pub fn with_slices_mut<T: Element, R, const N: usize>(
    tensors: [&mut Tensor; N],
    write: impl FnOnce([&mut [T]; N]) -> R,
) -> Result<R, BridgeError> {
    let mut slices: [&mut [T]; N] = std::array::from_fn(|_| &mut [][..]);
    for (slice, tensor) in slices.iter_mut().zip(tensors) {
        let (start, length) = memory::<T>("change a tensor's memory", tensor)?;
        // SAFETY: as in `with_slices`; dense means no two elements share a place, and that no other
        // tensor uses the storage meanwhile is the contract above.
        *slice = unsafe { std::slice::from_raw_parts_mut(start, length) };
    }
    Ok(write(slices))
}

/// Where the elements of a suitable tensor begin and how many there are.
fn memory<T: Element>(
    operation: &'static str,
    tensor: &Tensor,
) -> Result<(*mut T, usize), BridgeError> {
    let unsuitable = |expected: &str, found: String| {
        Err(BridgeError::Unsuitable { operation, expected: expected.to_owned(), found })
    };
    if !tensor.defined() {
        return unsuitable("a tensor", "none".into());
    }
    if tensor.device() != Device::Cpu {
        return unsuitable("a tensor on the CPU", format!("{:?}", tensor.device()));
    }
    if tensor.kind() != T::KIND {
        return unsuitable(&format!("elements of {:?}", T::KIND), format!("{:?}", tensor.kind()));
    }
    let dense = "a contiguous or channels-last tensor";
    if tensor.is_sparse() || tensor.is_mkldnn() {
        return unsuitable(dense, "a layout without strides".into());
    }
    if !is_dense(tensor) {
        return unsuitable(
            dense,
            format!("sizes {:?} with strides {:?}", tensor.size(), tensor.stride()),
        );
    }
    let length = tensor.numel();
    if length == 0 {
        return Ok((std::ptr::NonNull::dangling().as_ptr(), 0));
    }
    let start = tensor.data_ptr().cast::<T>();
    if start.is_null() || !start.is_aligned() {
        return unsuitable("memory aligned to its elements", format!("{start:?}"));
    }
    Ok((start, length))
}

fn is_dense(tensor: &Tensor) -> bool {
    let (sizes, strides) = (tensor.size(), tensor.stride());
    let contiguous: Vec<usize> = (0..sizes.len()).collect();
    has_order(&sizes, &strides, &contiguous)
        || (sizes.len() == 4 && has_order(&sizes, &strides, &[0, 2, 3, 1]))
}

/// Whether memory runs through the dimensions in this order, the last one fastest, without gaps.
/// A dimension of size one may have any stride.
fn has_order(sizes: &[i64], strides: &[i64], order: &[usize]) -> bool {
    let mut expected = 1;
    order.iter().rev().all(|&dimension| {
        let fits = sizes[dimension] == 1 || strides[dimension] == expected;
        expected *= sizes[dimension];
        fits
    }) || sizes.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: Element>(tensor: &Tensor) -> String {
        with_slice::<T, _>(tensor, |_| ()).unwrap_err().to_string()
    }

    #[test]
    fn contiguous_memory_is_seen_and_changed() {
        let mut tensor = Tensor::from_slice(&[1.0f64, 2.0, 3.0, 4.0]).reshape([2, 2]);
        let sum = with_slice(&tensor, |values: &[f64]| values.iter().sum::<f64>()).unwrap();
        assert_eq!(sum, 10.0);
        with_slice_mut(&mut tensor, |values: &mut [f64]| values[3] = -4.0).unwrap();
        assert_eq!(tensor.double_value(&[1, 1]), -4.0);
        let row = tensor.get(1);
        assert_eq!(with_slice(&row, <[f64]>::to_vec).unwrap(), [3.0, -4.0]);
    }

    #[test]
    fn every_element_type_crosses() {
        let bytes = Tensor::from_slice(&[0u8, 255]);
        assert_eq!(with_slice(&bytes, <[u8]>::to_vec).unwrap(), [0, 255]);
        let integers = Tensor::from_slice(&[-1i64, i64::MAX]);
        assert_eq!(with_slice(&integers, <[i64]>::to_vec).unwrap(), [-1, i64::MAX]);
        let floats = Tensor::from_slice(&[0.5f32]);
        assert_eq!(with_slice(&floats, <[f32]>::to_vec).unwrap(), [0.5]);
        let nothing = Tensor::zeros([0, 3], (Kind::Float, Device::Cpu));
        assert_eq!(with_slice(&nothing, <[f32]>::len).unwrap(), 0);
        let scalar = Tensor::from(7i64);
        assert_eq!(with_slice(&scalar, <[i64]>::to_vec).unwrap(), [7]);
    }

    #[test]
    fn channels_last_comes_in_memory_order() {
        let images = Tensor::arange(8, (Kind::Int64, Device::Cpu)).reshape([1, 2, 2, 2]);
        let channels_last = images.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        assert!(!channels_last.is_contiguous());
        let seen = with_slice(&channels_last, <[i64]>::to_vec).unwrap();
        assert_eq!(seen, [0, 4, 1, 5, 2, 6, 3, 7]);
    }

    #[test]
    fn unsuitable_tensors_are_refused() {
        let square = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        assert!(refused::<f64>(&square).contains("needs elements of Double, got Float"));
        assert!(refused::<f32>(&square.tr()).contains("sizes [3, 2] with strides [1, 3]"));
        assert!(refused::<f32>(&square.narrow(1, 0, 2)).contains("strides [3, 1]"));
        let broadcast = Tensor::zeros([1], (Kind::Float, Device::Cpu)).expand([4], false);
        assert!(refused::<f32>(&broadcast).contains("strides [0]"));
        assert!(refused::<f32>(&square.to_sparse_sparse_dim(2)).contains("without strides"));
        assert!(refused::<f32>(&Tensor::new()).contains("a tensor"));
    }
}
