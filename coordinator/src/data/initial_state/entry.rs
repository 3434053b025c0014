//! One named tensor of a file, and its conversion to the precision of the run.

use std::fmt;
use std::io;

use common::architecture::{TensorKind, TensorSpec};
use common::config::Precision;
use half::{bf16, f16};
use pytorch_reader::DType;
use safetensors::tensor::{Dtype, TensorView};
use tonic::codegen::Bytes;

/// A tensor whose numbers are read when they are asked for.
pub struct Entry {
    /// Full name in the file.
    pub name: String,
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    number: Number,
    read: Box<dyn Fn() -> io::Result<Vec<u8>>>,
}

/// The types of number that can be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    Other,
}

impl Entry {
    /// A tensor of a safetensors file.
    pub fn from_safetensors(name: &str, view: &TensorView<'_>) -> Self {
        let number = match view.dtype() {
            Dtype::F64 => Number::F64,
            Dtype::F32 => Number::F32,
            Dtype::F16 => Number::F16,
            Dtype::BF16 => Number::Bf16,
            Dtype::I64 => Number::I64,
            Dtype::I32 => Number::I32,
            _ => Number::Other,
        };
        let content = view.data().to_vec();
        let read = Box::new(move || Ok(content.clone()));
        Self { name: name.to_string(), shape: view.shape().to_vec(), number, read }
    }

    /// A tensor of a PyTorch file; views and permuted layouts arrive contiguous.
    pub fn from_pytorch(tensor: pytorch_reader::Tensor) -> Self {
        let number = match tensor.dtype() {
            DType::F64 => Number::F64,
            DType::F32 => Number::F32,
            DType::F16 => Number::F16,
            DType::BF16 => Number::Bf16,
            DType::I64 => Number::I64,
            DType::I32 => Number::I32,
            _ => Number::Other,
        };
        let (name, _, shape, read) = tensor.into_parts();
        Self { name, shape, number, read: Box::new(read) }
    }

    /// Whether its numbers can become those of a tensor of this kind.
    pub fn fits(&self, kind: TensorKind) -> bool {
        let is_integer = matches!(self.number, Number::I64 | Number::I32);
        let is_float = !is_integer && self.number != Number::Other;
        is_float || (is_integer && kind == TensorKind::Counter)
    }

    /// Its numbers. Those of a counter are exact up to 2⁵³.
    fn numbers(&self) -> io::Result<Vec<f64>> {
        let bytes = (self.read)()?;
        Ok(match self.number {
            Number::F64 => convert(&bytes, f64::from_le_bytes),
            Number::F32 => convert(&bytes, |b| f64::from(f32::from_le_bytes(b))),
            Number::F16 => convert(&bytes, |b| f16::from_le_bytes(b).to_f64()),
            Number::Bf16 => convert(&bytes, |b| bf16::from_le_bytes(b).to_f64()),
            Number::I64 => convert(&bytes, |b| i64::from_le_bytes(b) as f64),
            Number::I32 => convert(&bytes, |b| f64::from(i32::from_le_bytes(b))),
            Number::Other => {
                return Err(io::Error::other(format!("{} holds no numbers", self.name)));
            }
        })
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?}", self.name, self.number, self.shape)
    }
}

fn convert<const SIZE: usize>(bytes: &[u8], number: impl Fn([u8; SIZE]) -> f64) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|chunk| number(*chunk)).collect()
}

/// A safetensors file of the tensors `specs` asks for; a counter that the file lacks is 0.
///
/// # Errors
/// The source file cannot be read to its end.
pub fn write(tensors: &[(&TensorSpec, Option<Entry>)], precision: Precision) -> io::Result<Bytes> {
    let mut contents = Vec::with_capacity(tensors.len());
    for (spec, entry) in tensors {
        let numbers = match entry {
            Some(entry) => entry.numbers()?,
            None => vec![0.0; spec.shape.iter().product()],
        };
        contents.push(encode(&numbers, spec.kind, precision));
    }
    let views = tensors.iter().zip(&contents).map(|((spec, _), (dtype, content))| {
        let view =
            TensorView::new(*dtype, spec.shape.clone(), content).map_err(io::Error::other)?;
        Ok((&spec.name, view))
    });
    let views = views.collect::<io::Result<Vec<_>>>()?;
    safetensors::serialize(views, None).map(Bytes::from).map_err(io::Error::other)
}

fn encode(numbers: &[f64], kind: TensorKind, precision: Precision) -> (Dtype, Vec<u8>) {
    match (kind, precision.is_stored_in_64_bits()) {
        (TensorKind::Counter, _) => {
            (Dtype::I64, numbers.iter().flat_map(|number| (*number as i64).to_le_bytes()).collect())
        }
        (_, false) => {
            (Dtype::F32, numbers.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect())
        }
        (_, true) => (Dtype::F64, numbers.iter().flat_map(|number| number.to_le_bytes()).collect()),
    }
}
