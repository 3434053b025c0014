//! A coordinator behind TLS, mutual TLS and a join token: who is let in, and who is not.

use std::fs;
use std::path::{Path, PathBuf};

use common::access::Access;
use common::status::ServiceError;
use coordinator::door::certs::{self, CertsPlan, worker_access};
use proto::StatusRequest;
use tempfile::TempDir;

use crate::harness::{FakeWorker, TestRun, hello};

/// What is said to who shows none that is valid.
const CERTIFICATE: &str = "give a valid certificate";

/// A cluster's certificates in a new folder below `folder`.
pub fn certificates(folder: &TempDir, name: &str) -> PathBuf {
    let made = folder.path().join(name);
    let plan = CertsPlan {
        folder: made.clone(),
        names: Vec::new(),
        days: 1,
        renew: false,
        if_missing: false,
    };
    certs::command(&plan).unwrap();
    made
}

/// The flags of a coordinator that has locked everything.
pub fn locked(made: &Path) -> Vec<String> {
    [
        ("--tls-cert", "coordinator.pem"),
        ("--tls-key", "coordinator.key"),
        ("--tls-ca", "ca.pem"),
        ("--join-token-file", "join-token"),
    ]
    .into_iter()
    .flat_map(|(flag, file)| [flag.to_string(), made.join(file).display().to_string()])
    .collect()
}

pub async fn start(folder: &TempDir, made: &Path, flags: &[&str]) -> TestRun {
    let locked = locked(made);
    let locked: Vec<&str> = locked.iter().map(String::as_str).collect();
    TestRun::start(folder, &[&locked[..], flags].concat()).await
}

/// The member goes on, as if nothing had happened.
async fn check_undisturbed(run: TestRun, mut member: FakeWorker) {
    member.report_step(0, 1).await.unwrap();
    member.finish(false).await;
    assert!(matches!(member.order().await, Ok(Some(_))));
    drop(member);
    assert_eq!(run.ended().await.exit_code(), 0);
}

/// Why a worker is not let in. HTTP/2 loses the reason where it arrives before the first call is on its way, and calls the
/// coordinator unreachable; who tries again, as workers do, is told.
pub async fn refusal(run: &TestRun, access: &Access, slot: u32) -> ServiceError {
    for _ in 0..20 {
        match FakeWorker::join_with(&run.address, access, hello(slot)).await {
            Ok(_) => panic!("let in with {access:?}"),
            Err(ServiceError::Unreachable(_)) => {}
            Err(error) => return error,
        }
    }
    panic!("not told in twenty attempts")
}

#[tokio::test]
async fn only_who_has_certificate_and_token_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let (made, foreign) = (certificates(&folder, "certs"), certificates(&folder, "foreign"));
    let run = start(&folder, &made, &["--workers", "1"]).await;
    assert!(run.address.starts_with("https://"));
    let good = worker_access(&made);
    let mut member = FakeWorker::join_with(&run.address, &good, hello(0)).await.unwrap();
    member.start().await;

    let wrong = folder.path().join("wrong-token");
    fs::write(&wrong, "0123456789abcdef").unwrap();
    let other = worker_access(&foreign);
    for (access, expected) in [
        (Access { join_token_file: None, ..good.clone() }, "the join token is missing or wrong"),
        (
            Access { join_token_file: Some(wrong), ..good.clone() },
            "the join token is missing or wrong",
        ),
        (Access { tls_cert: None, tls_key: None, ..good.clone() }, CERTIFICATE),
        (Access { tls_cert: other.tls_cert, tls_key: other.tls_key, ..good.clone() }, CERTIFICATE),
        (Access { tls_ca: other.tls_ca, ..good.clone() }, "is not to be trusted"),
    ] {
        let error = refusal(&run, &access, 0).await;
        let refused = matches!(error, ServiceError::Unauthenticated(_));
        assert!(refused && error.to_string().contains(expected), "{access:?}: {error:?}");
    }
    let plain = run.address.replace("https", "http");
    assert!(FakeWorker::join_at(&plain, hello(0)).await.is_err());
    check_undisturbed(run, member).await;
}

#[tokio::test]
async fn every_call_needs_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let made = certificates(&folder, "certs");
    let token = made.join("join-token");
    let token = token.to_str().unwrap();
    let run = TestRun::start(&folder, &["--workers", "1", "--join-token-file", token]).await;
    let mut member = FakeWorker::join(&run, 0).await;
    member.start().await;
    let endpoint = tonic::transport::Endpoint::from_shared(run.address.clone()).unwrap();
    let line = Access::default().connect(endpoint).await.unwrap();
    let mut client = proto::coordinator_client::CoordinatorClient::new(line);
    let check = |what: &str, result: Result<(), tonic::Status>| {
        let status = result.expect_err(what);
        assert_eq!(status.code(), tonic::Code::Unauthenticated, "{what}: {status}");
    };
    let done = |_: tonic::Response<_>| ();
    check("status", client.get_status(StatusRequest {}).await.map(done));
    check("scale", client.scale(proto::ScaleRequest { workers: 1 }).await.map(|_| ()));
    check("drain", client.drain(proto::DrainRequest { slot: 0 }).await.map(|_| ()));
    check("set", client.set_key(proto::SetKeyRequest::default()).await.map(|_| ()));
    check("get", client.get_keys(proto::GetKeysRequest::default()).await.map(|_| ()));
    check("add", client.add_key(proto::AddKeyRequest::default()).await.map(|_| ()));
    check("samples", client.stream_samples(proto::SamplesRequest::default()).await.map(|_| ()));
    check("read", client.get_artifact(proto::GetArtifactRequest::default()).await.map(|_| ()));
    let report = proto::ReportMetricsRequest::default();
    check("metrics", client.report_metrics(report).await.map(|_| ()));
    check("store", client.put_artifact(tokio_stream::empty()).await.map(|_| ()));
    check("session", client.session(tokio_stream::empty()).await.map(|_| ()));
    check_undisturbed(run, member).await;
}

#[tokio::test]
async fn replaced_certificates_are_used_for_new_connections() {
    let folder = tempfile::tempdir().unwrap();
    let (made, new) = (certificates(&folder, "certs"), certificates(&folder, "new"));
    let run = start(&folder, &made, &["--workers", "1"]).await;
    let old_access = worker_access(&made);
    let mut member = FakeWorker::join_with(&run.address, &old_access, hello(0)).await.unwrap();
    member.start().await;
    let kept = folder.path().join("old-ca.pem");
    fs::copy(made.join("ca.pem"), &kept).unwrap();
    for file in ["ca.pem", "coordinator.pem", "coordinator.key"] {
        fs::copy(new.join(file), made.join(file)).unwrap();
    }
    let status = async |access: Access| {
        let endpoint = tonic::transport::Endpoint::from_shared(run.address.clone()).unwrap();
        let line = access.connect(endpoint).await?;
        let mut client = proto::coordinator_client::CoordinatorClient::new(line);
        client.get_status(StatusRequest {}).await?;
        Ok::<_, ServiceError>(())
    };
    let token = Some(made.join("join-token"));
    status(Access { join_token_file: token.clone(), ..worker_access(&new) }).await.unwrap();
    status(Access { tls_ca: Some(kept), ..worker_access(&made) }).await.unwrap_err();
    // Who was connected stays so.
    check_undisturbed(run, member).await;
}

#[tokio::test]
async fn an_open_door_faces_this_machine_only() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--listen", "0.0.0.0:0"]).await;
    let error = run.error().await;
    assert!(error.contains("without TLS and join token"), "{error}");
    assert!(error.contains("coordinator certs DIR") && error.contains("--insecure"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--listen", "0.0.0.0:0", "--insecure"]).await;
    let address = run.address.replace("0.0.0.0", "127.0.0.1");
    let mut member = FakeWorker::join_at(&address, hello(0)).await.unwrap();
    member.start().await;
    check_undisturbed(run, member).await;
}

#[tokio::test]
async fn neither_token_nor_certificates_are_saved_with_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let made = certificates(&folder, "certs");
    let run = start(&folder, &made, &["--workers", "1"]).await;
    let mut member = FakeWorker::join(&run, 0).await;
    let start = member.start().await;
    let token = fs::read_to_string(made.join("join-token")).unwrap();
    let saved = String::from_utf8(run.read("config.toml")).unwrap();
    for text in [saved, start.config, format!("{:?}", run.access)] {
        assert!(!text.contains(token.trim()));
        assert!(!text.contains("tls-cert"), "{text}");
    }
    check_undisturbed(run, member).await;
}
