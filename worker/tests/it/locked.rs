//! A cluster behind mutual TLS and a join token, from `coordinator certs` to the last checkpoint.

use std::path::Path;
use std::process::Command;

use crate::harness::{Launch, Worker, programs};

const FOLDERS: [&str; 3] = ["checkpoints", "features", "pictures"];

/// One epoch of six steps.
fn launch(root: &Path) -> Launch {
    Launch::new(root)
        .with(&["--dataset", "synthetic", "--train-samples", "120", "--test-samples", "40"])
        .with(&["--batch-size", "20", "--epochs", "1", "--logical-shards", "4", "--threads", "1"])
}

#[test]
fn behind_tls_and_a_token_workers_leave_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let open = launch(&folder.path().join("open")).workers(2).complete();

    let certs = folder.path().join("certs");
    let made = Command::new(programs::coordinator()).arg("certs").arg(&certs).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = |name: &str| certs.join(name).display().to_string();
    let flags = |side: &str| {
        let files = [
            ("--tls-ca", "ca.pem".to_string()),
            ("--tls-cert", format!("{side}.pem")),
            ("--tls-key", format!("{side}.key")),
            ("--join-token-file", "join-token".to_string()),
        ];
        files.map(|(flag, name)| [flag.to_string(), file(&name)]).concat()
    };
    let of_coordinator = flags("coordinator");
    let of_coordinator: Vec<&str> = of_coordinator.iter().map(String::as_str).collect();
    let locked = launch(&folder.path().join("locked")).with(&["--workers", "2"]);
    let mut run = locked.with(&of_coordinator).start();
    let address = run.address().replace("http://", "https://");
    let of_worker = [vec!["--coordinator".to_string(), address], flags("worker")].concat();
    let of_worker: Vec<&str> = of_worker.iter().map(String::as_str).collect();
    let start = |flags: &[&str]| Worker::start(folder.path(), &run.mark, flags);

    let without_token = start(&of_worker[..8]).wait();
    assert_eq!(without_token.code, Some(1), "{}", without_token.printed);
    assert!(without_token.printed.contains("the join token is missing or wrong"));
    let workers = [start(&of_worker), start(&of_worker)];
    let ending = run.wait();
    assert_eq!(ending.code, Some(0), "{}", ending.printed);
    for worker in workers {
        let ending = worker.wait();
        assert_eq!(ending.code, Some(0), "{}", ending.printed);
    }
    let locked = crate::harness::Results::of(&run.root);
    assert_eq!(locked.hashes(&FOLDERS), open.hashes(&FOLDERS));
}
