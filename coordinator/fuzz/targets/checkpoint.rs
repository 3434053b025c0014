//! The files of a checkpoint, and features: as a resumed run reads them, as they are taken from workers, and the
//! functions that a worker's own reader rests on.

#![no_main]

use std::sync::LazyLock;

use coordinator::run_directory::{ArtifactPath, CheckpointMetadata, model_file};
use coordinator::service::intake::Intake;
use fuzz::run::{CONFIG, data_identity};
use fuzz::with_file;
use libfuzzer_sys::fuzz_target;
use safetensors::SafeTensors;

static INTAKE: LazyLock<Intake> = LazyLock::new(|| Intake::new(&CONFIG, &data_identity(), 0));

static PATHS: LazyLock<Vec<ArtifactPath>> = LazyLock::new(|| {
    let paths = [
        "checkpoints/last.safetensors",
        "checkpoints/last.resume.safetensors",
        "features/epoch=0.safetensors",
    ];
    paths.map(|path| ArtifactPath::parse(path).expect("it is one")).into()
});

fuzz_target!(|data: &[u8]| {
    let read = with_file("last.safetensors", data, model_file::read);
    for path in PATHS.iter() {
        if let Ok(Some(metadata)) = INTAKE.check_content(path, data) {
            assert_eq!(read, Ok(metadata));
        }
    }
    let read = read_like_a_worker(data);
    assert!(read.is_some() || PATHS.iter().all(|path| INTAKE.check_content(path, data).is_err()));
});

/// The metadata first, then the tensors.
fn read_like_a_worker(data: &[u8]) -> Option<usize> {
    let (_, header) = SafeTensors::read_metadata(data).ok()?;
    let text = header.metadata().as_ref().and_then(|entries| entries.get(model_file::METADATA_KEY));
    let _ = text.map(|text| serde_json::from_str::<CheckpointMetadata>(text));
    let tensors = SafeTensors::deserialize(data).ok()?.tensors();
    for (_, tensor) in &tensors {
        let bits = tensor.shape().iter().product::<usize>() * tensor.dtype().bitsize();
        assert_eq!(tensor.data().len() * 8, bits);
    }
    Some(tensors.len())
}
