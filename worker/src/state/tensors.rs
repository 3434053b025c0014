//! Named tensors as safetensors bytes.
//!
//! Names are sorted and the metadata is one JSON text under one key, so that equal contents are equal bytes.

use std::collections::{BTreeMap, HashMap};

use common::architecture::TensorSpec;
use common::labels;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::bridge::{BridgeError, with_slice};

/// The one metadata key.
const METADATA: &str = "concentric";

/// Bytes before a safetensors header: its length.
const LENGTH_FIELD: usize = 8;

/// SHA-256, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    common::hexadecimal(&Sha256::digest(bytes))
}

/// How labels of so many classes are stored.
pub fn label_dtype(classes: usize) -> Dtype {
    if labels::width(classes) == 1 { Dtype::U8 } else { Dtype::U16 }
}

/// Why an archive cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes are no safetensors file, or a damaged one.
    #[error("not a safetensors file, or a damaged one: {0}")]
    Damaged(#[from] safetensors::SafeTensorError),
    /// The metadata are not what this program writes.
    #[error("the file's metadata are not a checkpoint's: {0}")]
    Metadata(#[from] serde_json::Error),
    /// Tensors are missing or of another shape.
    #[error("the file is of another architecture: {}", .0.join("; "))]
    Architecture(Vec<String>),
    /// A tensor is of a type that does not fit.
    #[error("{name} holds {found:?} numbers, which do not fit")]
    Numbers {
        /// The tensor.
        name: String,
        /// Its type.
        found: Dtype,
    },
    /// The resume file belongs to another model file.
    #[error("the resume file does not belong to the model file (its SHA-256 differs)")]
    Mismatch,
    /// libtorch failed.
    #[error("libtorch failed: {0}")]
    Torch(#[from] tch::TchError),
    /// A tensor could not be read.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
}

/// One tensor's shape, type and little-endian bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its type.
    pub dtype: Dtype,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Named tensors.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    tensors: BTreeMap<String, Values>,
}

impl Archive {
    /// Adds numbers in a run's precision.
    pub fn add_floats(&mut self, name: String, shape: Vec<usize>, values: &[f64], kind: Kind) {
        let (dtype, bytes) = match kind {
            Kind::Float => {
                (Dtype::F32, values.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect())
            }
            _ => (Dtype::F64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        };
        self.tensors.insert(name, Values { shape, dtype, bytes });
    }

    /// Adds a contiguous tensor of 32- or 64-bit floats.
    ///
    /// # Errors
    /// The tensor is something else.
    pub fn add_tensor(
        &mut self,
        name: String,
        shape: Vec<usize>,
        tensor: &Tensor,
    ) -> Result<(), ArchiveError> {
        let (dtype, bytes) = match tensor.kind() {
            Kind::Float => (
                Dtype::F32,
                with_slice(tensor, |v: &[f32]| v.iter().flat_map(|v| v.to_le_bytes()).collect())?,
            ),
            _ => (
                Dtype::F64,
                with_slice(tensor, |v: &[f64]| v.iter().flat_map(|v| v.to_le_bytes()).collect())?,
            ),
        };
        self.tensors.insert(name, Values { shape, dtype, bytes });
        Ok(())
    }

    /// Adds a 64-bit integer scalar.
    pub fn add_integer(&mut self, name: String, value: i64) {
        let bytes = value.to_le_bytes().to_vec();
        self.tensors.insert(name, Values { shape: Vec::new(), dtype: Dtype::I64, bytes });
    }

    /// Adds labels `[n]` of so many classes.
    pub fn add_labels(&mut self, name: String, labels: &[u16], classes: usize) {
        let (shape, bytes) = (vec![labels.len()], labels::to_bytes(labels, classes));
        self.tensors.insert(name, Values { shape, dtype: label_dtype(classes), bytes });
    }

    /// The file.
    ///
    /// # Errors
    /// The metadata cannot be written as JSON.
    pub fn encode(&self, metadata: &impl Serialize) -> Result<Vec<u8>, ArchiveError> {
        let metadata = HashMap::from([(METADATA.to_string(), serde_json::to_string(metadata)?)]);
        let views = self.tensors.iter().map(|(name, values)| {
            Ok((name, TensorView::new(values.dtype, values.shape.clone(), &values.bytes)?))
        });
        let views: Vec<_> = views.collect::<Result<_, ArchiveError>>()?;
        Ok(safetensors::serialize(views, Some(metadata))?)
    }

    /// SHA-256 of the bytes that all tensors have in the file, hexadecimal.
    ///
    /// # Errors
    /// As [`Archive::encode`].
    pub fn sha256(&self) -> Result<String, ArchiveError> {
        let file = self.encode(&())?;
        let (header, _) = SafeTensors::read_metadata(&file)?;
        Ok(sha256(&file[LENGTH_FIELD + header..]))
    }

    /// Reads a file and its metadata, if it has any.
    ///
    /// # Errors
    /// The bytes or the metadata are not what they should be.
    pub fn decode<M: DeserializeOwned>(file: &[u8]) -> Result<(Self, Option<M>), ArchiveError> {
        let (_, header) = SafeTensors::read_metadata(file)?;
        let metadata = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA));
        let metadata = metadata.map(|text| serde_json::from_str(text)).transpose()?;
        let tensors = SafeTensors::deserialize(file)?.tensors().into_iter().map(|(name, view)| {
            let values = Values {
                shape: view.shape().to_vec(),
                dtype: view.dtype(),
                bytes: view.data().to_vec(),
            };
            (name, values)
        });
        Ok((Self { tensors: tensors.collect() }, metadata))
    }

    /// Whether a tensor is there.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Refuses an archive in which one of these is missing or has another shape.
    ///
    /// # Errors
    /// All that do not fit.
    pub fn require<'s>(
        &self,
        specs: impl Iterator<Item = &'s TensorSpec>,
    ) -> Result<(), ArchiveError> {
        let faults = specs.filter_map(|spec| match self.tensors.get(&spec.name) {
            None => Some(format!("{} is missing", spec.name)),
            Some(values) if values.shape != spec.shape => {
                Some(format!("{} is {:?}, expected {:?}", spec.name, values.shape, spec.shape))
            }
            Some(_) => None,
        });
        let faults: Vec<String> = faults.collect();
        if faults.is_empty() { Ok(()) } else { Err(ArchiveError::Architecture(faults)) }
    }

    /// A tensor of floats.
    ///
    /// # Errors
    /// It is missing or holds no floats.
    pub fn floats(&self, name: &str) -> Result<Vec<f64>, ArchiveError> {
        self.get(name)?.floats(name)
    }

    /// A 64-bit integer scalar.
    ///
    /// # Errors
    /// It is missing or something else.
    pub fn integer(&self, name: &str) -> Result<i64, ArchiveError> {
        let values = self.get(name)?;
        match (values.dtype, <[u8; 8]>::try_from(values.bytes.as_slice())) {
            (Dtype::I64, Ok(bytes)) => Ok(i64::from_le_bytes(bytes)),
            (found, _) => Err(ArchiveError::Numbers { name: name.to_string(), found }),
        }
    }

    /// Labels of so many classes.
    ///
    /// # Errors
    /// They are missing, or of another type.
    pub fn labels(&self, name: &str, classes: usize) -> Result<Vec<u16>, ArchiveError> {
        match self.get(name)? {
            Values { dtype, bytes, .. } if *dtype == label_dtype(classes) => {
                Ok(labels::from_bytes(bytes, classes))
            }
            other => Err(ArchiveError::Numbers { name: name.to_string(), found: other.dtype }),
        }
    }

    /// All tensors by name.
    pub fn into_tensors(self) -> BTreeMap<String, Values> {
        self.tensors
    }

    fn get(&self, name: &str) -> Result<&Values, ArchiveError> {
        let missing = || ArchiveError::Architecture(vec![format!("{name} is missing")]);
        self.tensors.get(name).ok_or_else(missing)
    }
}

impl Values {
    /// The numbers of a tensor of floats; `name` is for messages.
    ///
    /// # Errors
    /// It holds no floats.
    pub fn floats(&self, name: &str) -> Result<Vec<f64>, ArchiveError> {
        match self.dtype {
            Dtype::F32 => Ok((self.bytes.as_chunks::<4>().0.iter())
                .map(|bytes| f64::from(f32::from_le_bytes(*bytes)))
                .collect()),
            Dtype::F64 => Ok((self.bytes.as_chunks::<8>().0.iter())
                .map(|bytes| f64::from_le_bytes(*bytes))
                .collect()),
            found => Err(ArchiveError::Numbers { name: name.to_string(), found }),
        }
    }
}
