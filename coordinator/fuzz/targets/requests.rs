//! Calls that are answered by themselves: the key-value store, samples, paths of artifacts, metrics.

#![no_main]

use std::sync::{Arc, LazyLock};

use common::config::Config;
use common::dataset::Samples;
use common::ids::Generation;
use common::metrics::{EpochMetrics, StepMetrics};
use coordinator::args::{self, Command, Environment};
use coordinator::data::{Data, DataIdentity};
use coordinator::rendezvous::Rendezvous;
use coordinator::run_directory::ArtifactPath;
use coordinator::samples::SampleServer;
use fuzz::pieces;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use proto::report_metrics_request::Metrics;
use proto::{
    AddKeyRequest, GetArtifactRequest, PutArtifactHeader, ReportMetricsRequest, SampleBlock,
    SamplesRequest, SetKeyRequest, StateTransfer,
};

const SAMPLES: usize = 50;

static SERVER: LazyLock<SampleServer> = LazyLock::new(|| {
    let samples = || Samples { images: vec![1; SAMPLES * 784], labels: vec![1; SAMPLES] };
    let data = Data {
        identity: DataIdentity {
            dataset: "mnist".to_string(),
            train_samples: SAMPLES as u64,
            test_samples: SAMPLES as u64,
            sha256: String::new(),
        },
        synthetic: false,
        train: samples(),
        test: samples(),
    };
    SampleServer::new(Arc::new(data), &config())
});

fn config() -> Config {
    let environment = Environment { world_size: None, mnist_dir: None, cores: 2 };
    match args::parse(["coordinator", "--batch-size", "7"].map(Into::into), &environment) {
        Ok(Command::Run(run)) => run.config,
        other => panic!("these are the settings of a run: {other:?}"),
    }
}

fuzz_target!(|data: &[u8]| {
    let rendezvous = Rendezvous::default();
    rendezvous.open(Generation(1));
    for piece in pieces(data) {
        let Some((kind, body)) = piece.split_first() else { continue };
        answer(*kind, body, &rendezvous);
    }
});

fn answer(kind: u8, body: &[u8], rendezvous: &Rendezvous) {
    match kind % 8 {
        0 => {
            if let Ok(SetKeyRequest { key, value, .. }) = Message::decode(body) {
                let _ = rendezvous.set(Generation(1), key, value);
            }
        }
        1 => {
            if let Ok(AddKeyRequest { key, amount, .. }) = Message::decode(body) {
                let _ = rendezvous.add(Generation(1), key, amount);
            }
        }
        2 => samples(body),
        3 => {
            if let Ok(header) = PutArtifactHeader::decode(body) {
                header.paths.iter().for_each(|path| parse(path));
            }
        }
        4 => {
            if let Ok(request) = GetArtifactRequest::decode(body) {
                parse(&request.path);
            }
        }
        5 => metrics(body),
        6 => drop(StateTransfer::decode(body)),
        _ => {
            if let Ok(path) = std::str::from_utf8(body) {
                parse(path);
            }
        }
    }
}

/// What is accepted is a file right below one of the run directory's folders.
fn parse(path: &str) {
    if let Ok(path) = ArtifactPath::parse(path) {
        let below = path.below("/run".as_ref());
        assert_eq!(below.components().count(), 4, "{below:?}");
        assert!(below.components().all(|part| part.as_os_str() != ".."), "{below:?}");
        let _ = path.checkpoint();
    }
}

/// What is sent is what the data has, whole samples, no more than an epoch.
fn samples(body: &[u8]) {
    let Ok(request) = SamplesRequest::decode(body) else { return };
    let Ok(blocks) = SERVER.blocks(&request) else { return };
    let mut count = 0;
    for SampleBlock { images, labels } in blocks {
        assert_eq!(images.len(), labels.len() * 784);
        count += labels.len();
    }
    assert!(count <= SAMPLES);
}

fn metrics(body: &[u8]) {
    match ReportMetricsRequest::decode(body).ok().and_then(|request| request.metrics) {
        Some(Metrics::Step(step)) => drop(StepMetrics::from(step)),
        Some(Metrics::Epoch(epoch)) => drop(EpochMetrics::from(epoch)),
        None => {}
    }
}
