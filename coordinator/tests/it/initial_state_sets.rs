//! `--init-from`: which of a file's tensors are taken, where it holds several sets of them, and where the centers are.

use std::path::{Path, PathBuf};

use common::architecture::TensorKind;
use common::config::Network;
use common::data_shape::DataShape;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::files::{Named, archive};
use crate::initial_state::{fixture, load_file};

/// A tensor whose every number is `value`.
fn constant(name: &str, shape: &[usize], value: f32) -> Named {
    let content = value.to_le_bytes().repeat(shape.iter().product());
    (name.to_string(), Dtype::F32, shape.to_vec(), content)
}

/// The parameters of the fully connected network under a prefix, every number `value`.
fn set(prefix: &str, value: f32) -> Vec<Named> {
    let specs = Network::Mlp.architecture(DataShape::MNIST).tensors(2).into_iter();
    let parameters = specs.filter(|spec| spec.kind == TensorKind::Parameter);
    parameters.map(|spec| constant(&format!("{prefix}{}", spec.name), &spec.shape, value)).collect()
}

fn center(name: &str, value: f32) -> Named {
    constant(name, &[10, 2], value)
}

fn write(folder: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn file(folder: &TempDir, parts: &[Vec<Named>]) -> PathBuf {
    write(folder, "given.safetensors", &archive(&parts.concat(), None))
}

/// What was taken: the prefix, the first weight, and the name of the centers.
#[derive(Debug, PartialEq)]
struct Found(String, f32, Option<String>);

fn take(path: &Path, arguments: &[&str]) -> Result<Found, String> {
    let state = load_file(path, &[&["--network", "mlp"], arguments].concat())?;
    let written = SafeTensors::deserialize(&state.content).unwrap();
    let taken = state.taken;
    assert_eq!(taken.tensors, 10);
    assert_eq!(written.len(), 10 + usize::from(taken.centers.is_some()), "centers are passed on");
    let weight = written.tensor("hidden.0.weight").unwrap();
    let weight = f32::from_le_bytes(*weight.data().first_chunk().unwrap());
    Ok(Found(taken.prefix, weight, taken.centers))
}

fn found(prefix: &str, weight: f32, centers: Option<&str>) -> Result<Found, String> {
    Ok(Found(prefix.to_string(), weight, centers.map(str::to_string)))
}

#[test]
fn of_several_that_fit_the_user_chooses() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, &[set("model.", 1.0), set("ema.module.", 2.0), set("", 3.0)]);
    let message = take(&path, &[]).unwrap_err();
    let all = ["--init-prefix model", "--init-prefix ema.module", "--init-prefix ''"];
    for expected in all {
        assert!(message.contains(expected), "{expected} is not in {message}");
    }
    for (asked, prefix, weight) in [
        ("model", "model.", 1.0),
        ("model.", "model.", 1.0),
        ("ema.module", "ema.module.", 2.0),
        ("ema", "ema.module.", 2.0),
        ("", "", 3.0),
    ] {
        assert_eq!(take(&path, &["--init-prefix", asked]), found(prefix, weight, None), "{asked}");
    }
    let message = take(&path, &["--init-prefix", "mo"]).unwrap_err();
    assert!(message.contains("no tensors of this network under `mo`"), "{message}");
    assert!(message.contains("--init-prefix model"), "{message}");
}

#[test]
fn the_only_one_that_fits_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut wide = set("best.", 1.0);
    wide.retain(|tensor| !tensor.0.contains("features"));
    wide.push(constant("best.features.weight", &[3, 256], 1.0));
    wide.push(constant("best.features.bias", &[3], 1.0));
    let mut partial = set("exp_avg.", 1.0);
    partial.pop();
    let path = file(&folder, &[set("state_dict.", 2.0), wide, partial]);
    assert_eq!(take(&path, &[]), found("state_dict.", 2.0, None));
    let message = take(&path, &["--init-prefix", "best"]).unwrap_err();
    assert!(message.contains("under `best.`") && message.contains("found [3, 256]"), "{message}");
    let message = take(&path, &["--init-prefix", "exp_avg"]).unwrap_err();
    assert!(message.contains("missing:\n    output.bias [10]"), "{message}");
}

#[test]
fn one_set_twice_is_no_question() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, &[set("model.", 1.0), set("model_copy.", 1.0)]);
    assert_eq!(take(&path, &[]), found("model.", 1.0, None));
    let notes = load_file(&path, &["--network", "mlp"]).unwrap().taken.notes;
    assert_eq!(notes, ["what it holds under `model_copy.` is the same"]);
    let centers = vec![center("model.center", 1.0), center("model_copy.center", 2.0)];
    let path = file(&folder, &[set("model.", 1.0), set("model_copy.", 1.0), centers]);
    let message = take(&path, &[]).unwrap_err();
    assert!(message.contains("--init-prefix model_copy"), "the centers differ: {message}");
}

#[test]
fn centers_are_found_wherever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let check = |prefix: &str, tensors: &[&str], expected: Option<&str>| {
        let centers = tensors.iter().zip(1u8..).map(|(name, value)| center(name, value.into()));
        let path = file(&folder, &[set(prefix, 1.0), centers.collect()]);
        assert_eq!(take(&path, &[]), found(prefix, 1.0, expected), "{prefix} {tensors:?}");
    };
    check("", &["center"], Some("center"));
    check("", &["centers"], Some("centers"));
    check("", &["center_loss.centers"], Some("center_loss.centers"));
    check("module.", &["center"], Some("center"));
    check("net.", &["criterion.centers"], Some("criterion.centers"));
    check("state_dict.net.", &["state_dict.loss.center", "center"], Some("state_dict.loss.center"));
    check("model.", &["model.center", "center", "loss.centers"], Some("model.center"));
    check("model.", &["epicenter", "center.x"], None);
    let both = file(
        &folder,
        &[set("model.", 1.0), vec![center("a.center", 1.0), center("b.center", 2.0)]],
    );
    let message = take(&both, &[]).unwrap_err();
    assert!(message.contains("may be the centers: a.center, b.center"), "{message}");
    let both = file(
        &folder,
        &[set("model.", 1.0), vec![center("a.center", 1.0), center("b.center", 1.0)]],
    );
    assert_eq!(take(&both, &[]), found("model.", 1.0, Some("a.center")));
    let ema = vec![center("model.center", 1.0), center("ema.center", 2.0)];
    let ema = file(&folder, &[set("model.", 1.0), set("ema.", 2.0), ema]);
    assert_eq!(take(&ema, &["--init-prefix", "ema"]), found("ema.", 2.0, Some("ema.center")));
    let other = file(&folder, &[set("model.", 1.0), vec![constant("loss.center", &[10, 3], 0.0)]]);
    assert_eq!(take(&other, &[]), found("model.", 1.0, None));
    let notes = load_file(&other, &["--network", "mlp"]).unwrap().taken.notes;
    assert_eq!(notes, ["loss.center [10, 3] is not taken for the centers, which are [10, 2]"]);
}

/// The digest under which a model names its resume file, or its tensors.
fn digest(content: &[u8]) -> String {
    common::hexadecimal(&Sha256::digest(content))
}

#[test]
fn momenta_of_a_checkpoint_are_no_weights() {
    let folder = tempfile::tempdir().unwrap();
    let metadata = serde_json::json!({ "optimizer_steps": 3, "step": 3 }).to_string();
    let resume = archive(&set("momentum.", 9.0), Some(metadata));
    let mut model = set("", 1.0);
    model.push(center("center", 2.0));
    let metadata = serde_json::json!({ "resume_sha256": digest(&resume), "step": 3 }).to_string();
    let content = archive(&model, Some(metadata));
    let path = write(&folder, "last.resume.safetensors", &resume);
    let message = take(&path, &[]).unwrap_err();
    assert!(message.contains("holds the momenta of a checkpoint, not its weights"), "{message}");
    assert!(message.contains("last.safetensors"), "{message}");
    write(&folder, "last.safetensors", &content);
    assert_eq!(take(&path, &[]), found("", 1.0, Some("center")));
    let taken = load_file(&path, &["--network", "mlp"]).unwrap().taken;
    assert_eq!(taken.file, folder.path().join("last.safetensors"));
    let other = write(&folder, "renamed.safetensors", &resume);
    assert!(take(&other, &[]).unwrap_err().contains("momenta"), "known by its metadata");
    write(&folder, "last.safetensors", &archive(&model, Some(r#"{"resume_sha256":"0"}"#.into())));
    assert!(take(&path, &[]).unwrap_err().contains("is of another state"));
    let metadata = serde_json::json!({ "resume_sha256": "0", "tensors_sha256": "0" }).to_string();
    let damaged = write(&folder, "last.safetensors", &archive(&model, Some(metadata)));
    assert!(take(&damaged, &[]).unwrap_err().contains("does not match its SHA-256"));
    let features = archive(&model, Some(r#"{"metrics":{}}"#.into()));
    let features = write(&folder, "epoch=0.safetensors", &features);
    assert!(take(&features, &[]).unwrap_err().contains("the features of an epoch"));
}

#[test]
fn weights_are_taken_out_of_whatever_python_objects_lie_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["wrapped", "wrapped-legacy"] {
        let path = fixture(&folder, name);
        assert_eq!(
            take(&path, &[]),
            found("state_dict.", 0.5, Some("criterion.centers")),
            "{name}"
        );
        let notes = load_file(&path, &["--network", "mlp"]).unwrap().taken.notes.join("\n");
        for expected in [
            "optimizer (torch.optim.adam.Adam)",
            "scheduler (torch.optim.lr_scheduler.StepLR)",
            "remark (__main__.Remark)",
            "sparse (torch._utils._rebuild_sparse_tensor)",
        ] {
            assert!(notes.contains(expected), "{expected} is not in {notes}");
        }
        assert!(!notes.contains("collections") && !notes.contains("Settings"), "{notes}");
    }
    assert_eq!(take(&fixture(&folder, "wrapped-4"), &[]), found("snapshots.0.", 0.5, None));
    assert_eq!(take(&fixture(&folder, "module"), &[]), found("module.", 0.5, None));
}
