//! Safetensors files: tensors by name, which may be anything, and what the file says of itself.

use std::collections::BTreeMap;

use common::architecture::TensorKind;
use common::config::Network;
use common::data_shape::DataShape;
use common::hexadecimal;
use coordinator::run_directory::model_file::METADATA_KEY;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

/// Bytes before a safetensors header: its length.
const LENGTH_FIELD: usize = 8;

/// A tensor's type, shape and bytes.
pub type Values = (Dtype, Vec<usize>, Vec<u8>);

/// Tensors by name.
pub type Tensors = BTreeMap<String, Values>;

/// Zeros.
pub fn zeros(dtype: Dtype, shape: &[usize]) -> Values {
    let bytes = shape.iter().product::<usize>() * dtype.bitsize() / 8;
    (dtype, shape.to_vec(), vec![0; bytes])
}

/// The tensors of a model file, all zero.
pub fn model(network: Network, feature_dim: usize) -> Tensors {
    let specs = network.architecture(DataShape::MNIST).tensors(feature_dim).into_iter();
    let tensors = specs.map(|spec| {
        let dtype = if spec.kind == TensorKind::Counter { Dtype::I64 } else { Dtype::F32 };
        (spec.name, zeros(dtype, &spec.shape))
    });
    tensors.collect()
}

/// The file.
pub fn encode(tensors: &Tensors, metadata: Option<String>) -> Vec<u8> {
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).expect("the bytes fit the shape"))
    });
    let metadata = metadata.map(|text| [(METADATA_KEY.to_string(), text)].into());
    safetensors::serialize(views, metadata).expect("tensors can be written")
}

/// What a model file says of itself: its position `[epoch, step in epoch, step]`, its resume file, its tensors.
pub fn metadata(position: [u64; 3], resume: &[u8], tensors_sha256: Option<String>) -> String {
    let [epoch, step_in_epoch, step] = position;
    let resume_sha256 = sha256(resume);
    serde_json::json!({
        "resume_sha256": resume_sha256, "epoch": epoch, "step_in_epoch": step_in_epoch, "step": step,
        "tensors_sha256": tensors_sha256,
    })
    .to_string()
}

/// SHA-256, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The SHA-256 of the bytes that all tensors have in the file.
pub fn tensors_sha256(tensors: &Tensors) -> String {
    let file = encode(tensors, None);
    let (header, _) = SafeTensors::read_metadata(&file).expect("it was just written");
    sha256(&file[LENGTH_FIELD + header..])
}
