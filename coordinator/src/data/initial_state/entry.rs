//! One named tensor of a file, whatever its format.
//!
//! `file` makes them, `matching` chooses among them, [`write`] makes the run's initial state of those chosen.

use std::fmt;
use std::io;
use std::rc::Rc;

use common::architecture::{TensorKind, TensorSpec};
use common::config::Precision;
use safetensors::tensor::{Dtype, TensorInfo, TensorView};
use tonic::codegen::Bytes;

use super::number::{BadNumber, NumberType, Raw};
use super::pytorch::{Storages, Tensor};

/// A tensor whose numbers are read when they are asked for.
pub struct Entry {
    /// Full name in the file.
    pub name: String,
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    number: NumberType,
    read: Box<dyn Fn() -> io::Result<Vec<u8>>>,
}

/// Why no initial state can be made of tensors that have the right names and shapes.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// The file cannot be read to its end.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// A number cannot be used.
    #[error(transparent)]
    Number(#[from] BadNumber),
    /// Layers that were trained for different numbers of batches.
    #[error(
        "{} is {} but {} is {}: a run keeps one count for all layers, so make them equal in the file",
        first.0, first.1, other.0, other.1
    )]
    Counters {
        /// Name and count of a layer.
        first: (String, i64),
        /// Name and count of one that differs.
        other: (String, i64),
    },
}

impl Entry {
    /// A tensor of a safetensors file, of which `contents` is what follows the header.
    pub fn from_safetensors(name: String, info: &TensorInfo, contents: &Bytes) -> Self {
        let number = match info.dtype {
            Dtype::F64 => NumberType::F64,
            Dtype::F32 => NumberType::F32,
            Dtype::F16 => NumberType::F16,
            Dtype::BF16 => NumberType::Bf16,
            Dtype::I64 => NumberType::I64,
            Dtype::I32 => NumberType::I32,
            Dtype::I16 => NumberType::I16,
            Dtype::I8 => NumberType::I8,
            Dtype::U64 => NumberType::U64,
            Dtype::U32 => NumberType::U32,
            Dtype::U16 => NumberType::U16,
            Dtype::U8 => NumberType::U8,
            Dtype::BOOL => NumberType::Bool,
            _ => NumberType::Other,
        };
        let (start, end) = info.data_offsets;
        let content = contents.slice(start..end);
        let read = Box::new(move || Ok(content.to_vec()));
        Self { name, shape: info.shape.clone(), number, read }
    }

    /// A tensor of a PyTorch file; views and permuted layouts arrive contiguous.
    pub fn from_pytorch(name: String, tensor: Rc<Tensor>, storages: Rc<dyn Storages>) -> Self {
        let (shape, number) = (tensor.shape.clone(), tensor.number);
        let place = name.clone();
        let read = move || {
            let content = storages.read(&tensor.storage).and_then(|bytes| tensor.gather(&bytes));
            content.map_err(|error| io::Error::other(format!("{place}: {error}")))
        };
        Self { name, shape, number, read: Box::new(read) }
    }

    /// Whether it holds the same as another.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn equals(&self, other: &Self) -> io::Result<bool> {
        let is_alike = self.number == other.number && self.shape == other.shape;
        Ok(is_alike && (self.read)()? == (other.read)()?)
    }

    /// Whether its numbers can become those of a tensor of this kind.
    pub fn fits(&self, kind: TensorKind) -> bool {
        self.number.fits(kind)
    }

    fn raw<'a>(&'a self, bytes: &'a [u8]) -> Raw<'a> {
        Raw { name: &self.name, shape: &self.shape, number: self.number, bytes }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.name, self.number, self.shape)
    }
}

/// A safetensors file of the tensors `specs` asks for; a counter that the file lacks is 0.
///
/// # Errors
/// The source file cannot be read to its end, or holds a number that cannot be used.
pub fn write(
    tensors: &[(&TensorSpec, Option<&Entry>)],
    precision: Precision,
) -> Result<Bytes, EntryError> {
    let mut contents = Vec::with_capacity(tensors.len());
    let mut counted: Option<(String, i64)> = None;
    for (spec, entry) in tensors {
        let content = match (entry, spec.kind) {
            (None, _) => encode_counters(&vec![0; spec.shape.iter().product()]),
            (Some(entry), TensorKind::Counter) => {
                let counters = entry.raw(&(entry.read)()?).counters()?;
                agree(&mut counted, &entry.name, &counters)?;
                encode_counters(&counters)
            }
            (Some(entry), _) => {
                encode(&entry.raw(&(entry.read)()?).floats(spec, precision)?, precision)
            }
        };
        contents.push(content);
    }
    let views = tensors.iter().zip(&contents).map(|((spec, _), (dtype, content))| {
        let view =
            TensorView::new(*dtype, spec.shape.clone(), content).map_err(io::Error::other)?;
        Ok((&spec.name, view))
    });
    let views = views.collect::<io::Result<Vec<_>>>()?;
    Ok(safetensors::serialize(views, None).map(Bytes::from).map_err(io::Error::other)?)
}

/// Refuses a count that differs from the first.
fn agree(
    counted: &mut Option<(String, i64)>,
    name: &str,
    counters: &[i64],
) -> Result<(), EntryError> {
    for &count in counters {
        let first = counted.get_or_insert_with(|| (name.to_string(), count));
        if first.1 != count {
            let (first, other) = (first.clone(), (name.to_string(), count));
            return Err(EntryError::Counters { first, other });
        }
    }
    Ok(())
}

fn encode_counters(numbers: &[i64]) -> (Dtype, Vec<u8>) {
    (Dtype::I64, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
}

fn encode(numbers: &[f64], precision: Precision) -> (Dtype, Vec<u8>) {
    if precision.is_stored_in_64_bits() {
        (Dtype::F64, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
    } else {
        (Dtype::F32, numbers.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect())
    }
}
