//! How far apart the checkpoints of two runs are.
//!
//! `verify` asks for two finished runs; nothing here knows what they were to prove.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::run_directory::{CHECKPOINTS, CheckpointPaths};

/// Name of the checkpoint that a run leaves.
const LAST: &str = "last";

/// What two runs have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The tensor that differs most, and how much: ‖a − b‖₂ / ‖b‖₂, or ‖a‖₂ where b is zero.
    pub largest: Difference,
    /// Both files of the last checkpoint are equal, byte by byte.
    pub same_bytes: bool,
}

/// How far a tensor is from another.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// At least 0; infinite where a number is none.
    pub relative: f64,
    /// The tensor's name.
    pub tensor: String,
}

/// Compares the last checkpoint of the run in folder `a` with that of the run in `b`.
///
/// # Errors
/// One cannot be read, or they hold different tensors.
pub fn compare(a: &Path, b: &Path) -> Result<Comparison> {
    let paths = |root: &Path| CheckpointPaths::new(&root.join(CHECKPOINTS), LAST);
    let (a, b) = (paths(a), paths(b));
    let models = (read(&a.model)?, read(&b.model)?);
    let same_bytes = models.0 == models.1 && read(&a.resume)? == read(&b.resume)?;
    let largest = largest_difference(&models.0, &models.1)
        .with_context(|| format!("comparing {} with {}", a.model.display(), b.model.display()))?;
    Ok(Comparison { largest, same_bytes })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read the checkpoint {}", path.display()))
}

/// Over all tensors of two safetensors files.
fn largest_difference(a: &[u8], b: &[u8]) -> Result<Difference> {
    let (a, b) = (SafeTensors::deserialize(a)?, SafeTensors::deserialize(b)?);
    ensure!(a.len() == b.len(), "one has {} tensors, the other {}", a.len(), b.len());
    let mut largest = Difference { relative: 0.0, tensor: String::new() };
    for (name, of_a) in a.iter() {
        let of_b = b.tensor(name).with_context(|| format!("only one has the tensor {name}"))?;
        ensure!(of_a.shape() == of_b.shape(), "{name} has two shapes");
        let numbers = |view: &TensorView<'_>| numbers(view).with_context(|| name.to_string());
        let relative = relative_difference(&numbers(&of_a)?, &numbers(&of_b)?);
        if relative >= largest.relative {
            largest = Difference { relative, tensor: name.to_string() };
        }
    }
    Ok(largest)
}

/// ‖a − b‖₂ / ‖b‖₂, or ‖a‖₂ where b is zero.
fn relative_difference(a: &[f64], b: &[f64]) -> f64 {
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
    let reference = norm(&mut b.iter().copied());
    let relative = if reference == 0.0 { difference } else { difference / reference };
    // Not a number: neither equal nor near.
    if relative.is_nan() { f64::INFINITY } else { relative }
}

fn numbers(tensor: &TensorView<'_>) -> Result<Vec<f64>> {
    let bytes = tensor.data();
    Ok(match tensor.dtype() {
        Dtype::F64 => each(bytes, f64::from_le_bytes),
        Dtype::F32 => each(bytes, |bytes| f32::from_le_bytes(bytes).into()),
        Dtype::I64 => each(bytes, |bytes| i64::from_le_bytes(bytes) as f64),
        other => bail!("its numbers are {other:?}, which no checkpoint of a run has"),
    })
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| number(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_relative_to_the_second() {
        let check = |a: &[f64], b: &[f64], expected: f64| {
            assert_eq!(relative_difference(a, b), expected, "{a:?} {b:?}");
        };
        check(&[3.0, 4.0], &[3.0, 4.0], 0.0);
        check(&[6.0, 8.0], &[3.0, 4.0], 1.0);
        check(&[3.0, 4.0], &[6.0, 8.0], 0.5);
        check(&[3.0, 4.0], &[0.0, 0.0], 5.0);
        check(&[0.0], &[0.0], 0.0);
        check(&[], &[], 0.0);
        check(&[f64::NAN], &[1.0], f64::INFINITY);
        check(&[f64::INFINITY], &[f64::INFINITY], f64::INFINITY);
    }

    fn file(tensors: &[(&str, Dtype, &[u8])]) -> Vec<u8> {
        let views = tensors.iter().map(|(name, dtype, bytes)| {
            let width = if *dtype == Dtype::F32 { 4 } else { 8 };
            (*name, TensorView::new(*dtype, vec![bytes.len() / width], bytes).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    }

    #[test]
    fn the_tensor_that_differs_most_is_named() {
        let one = file(&[
            ("near", Dtype::F32, &1.0f32.to_le_bytes()),
            ("far", Dtype::F64, &2.0f64.to_le_bytes()),
            ("count", Dtype::I64, &7i64.to_le_bytes()),
        ]);
        let other = file(&[
            ("near", Dtype::F32, &1.25f32.to_le_bytes()),
            ("far", Dtype::F64, &1.0f64.to_le_bytes()),
            ("count", Dtype::I64, &7i64.to_le_bytes()),
        ]);
        let expected = Difference { relative: 1.0, tensor: "far".to_string() };
        assert_eq!(largest_difference(&one, &other).unwrap(), expected);
        assert_eq!(largest_difference(&one, &one).unwrap().relative, 0.0);
    }

    #[test]
    fn other_tensors_are_no_small_difference() {
        let a = file(&[("a", Dtype::F32, &[0; 8])]);
        assert!(largest_difference(&a, &file(&[])).is_err());
        assert!(largest_difference(&a, &file(&[("b", Dtype::F32, &[0; 8])])).is_err());
        assert!(largest_difference(&a, &file(&[("a", Dtype::F32, &[0; 4])])).is_err());
    }

    #[test]
    fn both_files_of_a_checkpoint_count() {
        let roots = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for root in &roots {
            let folder = root.path().join(CHECKPOINTS);
            fs::create_dir(&folder).unwrap();
            let paths = CheckpointPaths::new(&folder, LAST);
            fs::write(paths.model, file(&[("a", Dtype::F32, &[0; 4])])).unwrap();
            fs::write(paths.resume, "state").unwrap();
        }
        let [a, b] = roots.each_ref().map(|root| root.path());
        assert!(compare(a, b).unwrap().same_bytes);
        fs::write(CheckpointPaths::new(&b.join(CHECKPOINTS), LAST).resume, "State").unwrap();
        let comparison = compare(a, b).unwrap();
        assert!(!comparison.same_bytes && comparison.largest.relative == 0.0);
    }
}
