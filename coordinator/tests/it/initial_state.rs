//! `--init-from`: every kind of file that PyTorch users have.

use std::io::Read;
use std::path::{Path, PathBuf};

use common::architecture::TensorKind;
use common::config::Network;
use common::data_shape::DataShape;
use coordinator::data::initial_state::{InitialState, load};
use flate2::read::GzDecoder;
use proto::StartFrom;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

use crate::harness::{FakeWorker, TestRun, plan};

pub fn fixture(folder: &TempDir, name: &str) -> PathBuf {
    let packed =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.pth.gz"));
    let packed =
        std::fs::File::open(&packed).unwrap_or_else(|e| panic!("{}: {e}", packed.display()));
    let mut content = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut content).unwrap();
    let path = folder.path().join(format!("{name}.pth"));
    std::fs::write(&path, content).unwrap();
    path
}

/// The initial state in a file, or the message by which it is refused.
pub fn load_file(path: &Path, arguments: &[&str]) -> Result<InitialState, String> {
    let given = ["--init-from", path.to_str().unwrap()];
    let config = plan(Path::new("unused"), &[&given, arguments].concat()).unwrap().config;
    load(path, &config, DataShape::MNIST)
        .map_err(|error| format!("{:#}", anyhow::Error::from(error)))
}

fn read(path: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    load_file(path, arguments).map(|state| state.content.to_vec())
}

fn numbers(view: &TensorView<'_>) -> Vec<f64> {
    match view.dtype() {
        Dtype::F64 => {
            view.data().chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
        }
        Dtype::F32 => view
            .data()
            .chunks(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()).into())
            .collect(),
        Dtype::I64 => view
            .data()
            .chunks(8)
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64)
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// The values that `make_checkpoints.py` wrote: see there.
fn check(content: &[u8], with_center: bool, float: Dtype) {
    let file = SafeTensors::deserialize(content).unwrap();
    assert_eq!(file.len(), 46 + usize::from(with_center));
    let mut parameter = 0;
    for spec in Network::Cnn
        .architecture(DataShape::MNIST)
        .tensors(2)
        .into_iter()
        .filter(|spec| with_center || spec.kind != TensorKind::Center)
    {
        let view = file.tensor(&spec.name).unwrap();
        assert_eq!(view.shape(), spec.shape, "{}", spec.name);
        let expected = |j: usize| match spec.kind {
            TensorKind::Counter => 7.0,
            TensorKind::Statistic if spec.name.ends_with("running_mean") => 0.5,
            TensorKind::Statistic => 2.0,
            TensorKind::Parameter | TensorKind::Center => {
                f64::from(parameter + 1) + (j % 7) as f64 / 8.0
            }
        };
        assert!(
            numbers(&view).into_iter().enumerate().all(|(j, n)| n == expected(j)),
            "{}",
            spec.name
        );
        assert_eq!(view.dtype() == Dtype::I64, spec.kind == TensorKind::Counter);
        assert!(view.dtype() == float || spec.kind == TensorKind::Counter);
        parameter += i32::from(matches!(spec.kind, TensorKind::Parameter));
    }
}

#[test]
fn every_container_that_pytorch_writes_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ordinary", "legacy", "nested"] {
        check(&read(&fixture(&folder, name), &[]).unwrap(), false, Dtype::F32);
        let path = fixture(&folder, &format!("{name}-center"));
        check(&read(&path, &["--precision", "f64"]).unwrap(), true, Dtype::F64);
    }
    check(&read(&fixture(&folder, "channels-last"), &[]).unwrap(), false, Dtype::F32);
}

/// A safetensors file like the fixture, its tensors renamed, left out or changed by `change`.
fn safetensors_file(
    folder: &TempDir,
    change: impl Fn(&str, &TensorView<'_>) -> Option<(String, Dtype, Vec<usize>, Vec<u8>)>,
) -> PathBuf {
    let content = read(&fixture(folder, "ordinary-center"), &[]).unwrap();
    let file = SafeTensors::deserialize(&content).unwrap();
    let changed: Vec<_> = file.iter().filter_map(|(name, view)| change(name, &view)).collect();
    let views = changed.iter().map(|(name, dtype, shape, data)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let path = folder.path().join("changed.safetensors");
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

fn unchanged(name: &str, view: &TensorView<'_>) -> (String, Dtype, Vec<usize>, Vec<u8>) {
    (name.to_string(), view.dtype(), view.shape().to_vec(), view.data().to_vec())
}

#[test]
fn prefixes_of_data_parallel_and_smaller_numbers_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = safetensors_file(&folder, |name, view| {
        let (_, dtype, shape, data) = unchanged(name, view);
        let name = format!("module.{name}");
        if dtype != Dtype::F32 {
            return Some((name, dtype, shape, data));
        }
        // Every value of the fixture is exact in half precision.
        let halves = numbers(view).into_iter().flat_map(|n| half::f16::from_f64(n).to_le_bytes());
        Some((name, Dtype::F16, shape, halves.collect()))
    });
    check(&read(&path, &[]).unwrap(), true, Dtype::F32);
}

/// The file with one tensor's numbers replaced by others; nothing where they are none.
fn with_numbers(folder: &TempDir, tensor: &str, dtype: Dtype, content: &[u8]) -> PathBuf {
    safetensors_file(folder, |name, view| {
        let (name, own, shape, data) = unchanged(name, view);
        let changed = name == tensor || (tensor == "num_batches_tracked" && name.ends_with(tensor));
        match changed {
            false => Some((name, own, shape, data)),
            true if content.is_empty() => None,
            true => {
                let size = content.len();
                let rest = numbers(view).len() * size - size;
                Some((name, dtype, shape, [content, &vec![0; rest]].concat()))
            }
        }
    })
}

#[test]
fn a_number_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let layer = "conv_layer.3.cnn_layer.1.";
    let variance = &format!("{layer}running_var");
    let (counter, counters) = (&format!("{layer}num_batches_tracked"), "num_batches_tracked");
    let refused = |tensor: &str, dtype, content: &[u8], words: &str| {
        let message = read(&with_numbers(&folder, tensor, dtype, content), &[]).unwrap_err();
        assert!(message.contains("changed.safetensors: "), "{message}");
        assert!(message.contains(words), "{words} is not in {message}");
    };
    let f32s = |number: f32| number.to_le_bytes();
    refused("features.weight", Dtype::F32, &f32s(f32::NAN), "features.weight[0, 0] is NaN");
    refused("features.weight", Dtype::F64, &1e39f64.to_le_bytes(), "is 1e39: 32-bit");
    refused("center", Dtype::F32, &f32s(f32::NEG_INFINITY), "center[0, 0] is -inf");
    refused(variance, Dtype::F32, &f32s(-1.0), "running_var[0] is -1.0: a variance");
    refused(counter, Dtype::F32, &f32s(f32::NAN), "num_batches_tracked is NaN: a count");
    refused(counter, Dtype::F32, &f32s(7.5), "is 7.5: a count");
    refused(
        counter,
        Dtype::F64,
        &9_223_372_036_854_775_808f64.to_le_bytes(),
        "is 9.223372036854776e18: a count",
    );
    refused(counter, Dtype::U64, &u64::MAX.to_le_bytes(), "is 18446744073709551615: a count");
    refused(counter, Dtype::I8, &[0xf9], "is -7: a count");
    let infinite_in_half = half::f16::from_f64(90_000.0).to_le_bytes();
    refused(counters, Dtype::F16, &infinite_in_half, "is inf: a count");
    refused(counter, Dtype::I64, &9i64.to_le_bytes(), "is 7 but conv_layer.3");
    let lacking = with_numbers(&folder, counter, Dtype::I64, &[]);
    assert!(read(&lacking, &[]).unwrap_err().contains(counter), "one layer's count is missing");
}

#[test]
fn counters_of_every_type_are_read_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let exact = (1i64 << 53) + 1;
    let counted = |dtype, content: &[u8], count: i64| {
        let file = with_numbers(&folder, "num_batches_tracked", dtype, content);
        let content = read(&file, &[]).unwrap();
        let file = SafeTensors::deserialize(&content).unwrap();
        let counter = file.tensor("conv_layer.7.cnn_layer.1.num_batches_tracked").unwrap();
        assert_eq!((counter.dtype(), counter.data()), (Dtype::I64, &count.to_le_bytes()[..]));
    };
    for (dtype, size) in [
        (Dtype::U8, 1),
        (Dtype::I8, 1),
        (Dtype::U16, 2),
        (Dtype::I16, 2),
        (Dtype::U32, 4),
        (Dtype::I32, 4),
        (Dtype::U64, 8),
        (Dtype::I64, 8),
    ] {
        counted(dtype, &7i64.to_le_bytes()[..size], 7);
    }
    counted(Dtype::BOOL, &[1], 1);
    counted(Dtype::F16, &half::f16::from_f64(7.0).to_le_bytes(), 7);
    counted(Dtype::BF16, &half::bf16::from_f64(90_112.0).to_le_bytes(), 90_112);
    counted(Dtype::I64, &exact.to_le_bytes(), exact);
    counted(Dtype::I64, &[], 0);
    // What is beyond 32 bits is taken where 64 are kept.
    let large = with_numbers(&folder, "features.weight", Dtype::F64, &1e39f64.to_le_bytes());
    let content = read(&large, &["--precision", "f64"]).unwrap();
    let file = SafeTensors::deserialize(&content).unwrap();
    assert_eq!(numbers(&file.tensor("features.weight").unwrap())[0], 1e39);
}

#[test]
fn everything_that_does_not_match_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = safetensors_file(&folder, |name, view| match name {
        "output.bias" => None,
        "features.bias" => {
            Some(("classifier.bias".to_string(), view.dtype(), vec![2], view.data().to_vec()))
        }
        "output.weight" => {
            Some((name.to_string(), view.dtype(), vec![2, 10], view.data().to_vec()))
        }
        _ => Some(unchanged(name, view)),
    });
    let message = read(&path, &[]).unwrap_err();
    for expected in [
        "missing:",
        "output.bias [10]",
        "features.bias [2]",
        "unexpected:",
        "classifier.bias [2]",
        "output.weight: expected [10, 2], found [2, 10]",
    ] {
        assert!(message.contains(expected), "{expected} is missing in\n{message}");
    }
    let ordinary = fixture(&folder, "ordinary");
    let message = read(&ordinary, &["--feature-dim", "3"]).unwrap_err();
    assert!(message.contains("features.weight: expected [3, 1152], found [2, 1152]"), "{message}");
}

#[tokio::test]
async fn workers_get_it_from_the_coordinator() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture(&folder, "ordinary");
    let run = TestRun::start(&folder, &["--init-from", path.to_str().unwrap()]).await;
    let (mut workers, starts) = FakeWorker::start_all(&run, 1).await;
    assert_eq!(starts[0].start_from(), StartFrom::Initial);
    check(&workers[0].get("initial.safetensors").await.unwrap(), false, Dtype::F32);
}
