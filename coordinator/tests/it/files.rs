//! The files of a run, as a worker would write them: the right tensors, all zero.

use common::architecture::TensorKind;
use common::config::Network;
use common::data_shape::DataShape;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};

/// A named tensor of 32-bit floats, bytes, or the like.
pub type Named = (String, Dtype, Vec<usize>, Vec<u8>);

/// A safetensors file.
pub fn archive(tensors: &[Named], metadata: Option<String>) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, content)| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), content).unwrap())
    });
    let metadata = metadata.map(|text| [("concentric".to_string(), text)].into());
    safetensors::serialize(views, metadata).unwrap()
}

/// The tensors of a model file.
pub fn model() -> Vec<Named> {
    let tensor = |spec: common::architecture::TensorSpec| {
        let (dtype, size) = match spec.kind {
            TensorKind::Counter => (Dtype::I64, 8),
            _ => (Dtype::F32, 4),
        };
        let content = vec![0; spec.shape.iter().product::<usize>() * size];
        (spec.name, dtype, spec.shape, content)
    };
    Network::Cnn.architecture(DataShape::MNIST).tensors(2).into_iter().map(tensor).collect()
}

/// Its metadata at a position `[epoch, step in epoch, step]`, beside `resume`.
pub fn metadata([epoch, step_in_epoch, step]: [u64; 3], resume: &[u8]) -> String {
    let sha256 = common::hexadecimal(&Sha256::digest(resume));
    serde_json::json!({
        "resume_sha256": sha256, "epoch": epoch, "step_in_epoch": step_in_epoch, "step": step,
    })
    .to_string()
}

/// Model and resume file at a position `[epoch, step in epoch, step]`.
pub fn checkpoint_files(position: [u64; 3]) -> (Vec<u8>, Vec<u8>) {
    let labels = ("record.labels".to_string(), Dtype::U8, vec![0], vec![]);
    let resume = archive(&[labels], Some(format!("of step {}", position[2])));
    (archive(&model(), Some(metadata(position, &resume))), resume)
}

/// The tensors of a feature file of `samples` training samples.
pub fn features(samples: usize) -> Vec<Named> {
    let classes = |name: &str| (name.to_string(), Dtype::U8, vec![samples], vec![3; samples]);
    let points = ("train.features".to_string(), Dtype::F32, vec![samples, 2], vec![0; 8 * samples]);
    vec![points, classes("train.labels"), classes("train.predictions")]
}
