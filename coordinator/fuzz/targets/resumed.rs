//! What a resumed run finds in its folder: metrics, ledger, identity of its samples, checkpoints; whole, torn or mixed
//! up.

#![no_main]

use std::fs;
use std::io::Write;
use std::path::Path;

use common::ids::{Epoch, Step};
use common::metrics::{Record, StepMetrics, TermsMetrics};
use coordinator::data::{DATA_IDENTITY, DataIdentity};
use coordinator::run_directory::{
    self, CHECKPOINTS, CheckpointPaths, EVENTS, METRICS, RunDirectory, ledger, model_file,
};
use coordinator::service::status::status;
use fuzz::archive::{Tensors, encode, metadata, sha256, tensors_sha256, zeros};
use fuzz::run::{STEPS_PER_EPOCH, prepared, shared};
use fuzz::{Choices, folder, pieces};
use libfuzzer_sys::fuzz_target;
use safetensors::Dtype;

fuzz_target!(|data: &[u8]| {
    let folder = folder();
    let root = folder.path();
    fs::create_dir(root.join(CHECKPOINTS)).expect("it is new");
    fs::write(root.join(run_directory::CONFIG), "").expect("it can be written");
    for piece in pieces(data) {
        let mut choices = Choices(piece);
        match choices.below(4) {
            0 => append(&root.join(METRICS), choices.0),
            1 => append(&root.join(EVENTS), choices.0),
            2 => append(&root.join(DATA_IDENTITY), choices.0),
            _ => checkpoint(&root.join(CHECKPOINTS), &mut choices),
        }
    }
    let Ok(directory) = RunDirectory::open(root, 2) else { return };
    let _ = DataIdentity::read(root).map(|identity| directory.check_data_identity(&identity));
    rewind(&directory);
    if let Ok(lines) = directory.events() {
        let history = ledger::summarise(&lines);
        drop(status(&shared(prepared(directory, history))));
    }
});

fn append(path: &Path, content: &[u8]) {
    let file = fs::File::options().create(true).append(true).open(path);
    file.expect("it can be opened").write_all(content).expect("it can be written");
}

/// Puts a checkpoint's files in place, or some of them, or other ones.
fn checkpoint(folder: &Path, choices: &mut Choices<'_>) {
    let stem = choices.of(&["last", "best", "epoch=0", "epoch=1", "epoch=10", "epoch=01"]);
    let paths = CheckpointPaths::new(folder, stem);
    let (parts, damage) = (choices.byte(), choices.byte());
    let position = [(); 3].map(|()| u64::from(choices.byte()));
    let resume: &[u8] = &position.map(|number| number as u8);
    let tensors = Tensors::from([("center".to_string(), zeros(Dtype::F32, &[10, 1]))]);
    let digest = (parts & 8 == 0).then(|| tensors_sha256(&tensors));
    let text = match parts & 16 {
        0 => metadata(position, resume, digest),
        _ => String::from_utf8_lossy(choices.0).into_owned(),
    };
    let mut model = encode(&tensors, Some(text));
    if damage > 0 {
        let place = usize::from(damage) % model.len();
        model[place] ^= damage;
    }
    for (bit, path, content) in [
        (1, &paths.model, &model[..]),
        (2, &paths.resume, resume),
        (4, &paths.previous_resume, resume),
    ] {
        if parts & bit != 0 {
            fs::write(path, content).expect("it can be written");
        }
    }
}

/// The checkpoint that is gone back to is whole and the last one; all is as it was when it is gone back to again.
fn rewind(directory: &RunDirectory) {
    let root = directory.root();
    let _ = directory.newest();
    let Ok(point) = directory.rewind() else { return };
    let metrics = fs::read(root.join(METRICS)).expect("it is there");
    let mut done = 0;
    if let Some(point) = &point {
        let last = CheckpointPaths::new(&root.join(CHECKPOINTS), "last");
        let resume = fs::read(&last.resume).expect("it is there");
        assert_eq!(model_file::read(&last.model).as_ref(), Ok(&point.position));
        assert_eq!(sha256(&resume), point.position.resume_sha256);
        assert!(!last.previous_resume.exists());
        done = point.position.step;
    }
    let again = directory.rewind().expect("it was possible before");
    assert_eq!(again.map(|point| point.position), point.map(|point| point.position));
    assert!(fs::read(root.join(METRICS)).expect("it is there") == metrics);
    go_on(directory, done);
}

/// The next step's line is written, once.
fn go_on(directory: &RunDirectory, done: u64) {
    let record = Record::Step(StepMetrics {
        epoch: Epoch(done / STEPS_PER_EPOCH),
        step: Step(done),
        loss: 0.5,
        softmax_loss: 0.5,
        center_loss: 0.0,
        lr: 0.1,
        images_per_second: 1.0,
        digests: Vec::new(),
        terms: TermsMetrics::default(),
    });
    let length = || fs::metadata(directory.root().join(METRICS)).expect("it is there").len();
    let before = length();
    directory.append_metrics(&record).expect("it can be written");
    let after = length();
    assert!(after > before);
    directory.append_metrics(&record).expect("it can be written");
    assert_eq!(length(), after);
}
