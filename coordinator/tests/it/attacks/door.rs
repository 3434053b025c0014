//! Attacks at the door: connections that say nothing or nonsense, expired certificates, joins without end.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use common::access::Access;
use common::status::ServiceError;
use coordinator::door::certs::{AUTHORITY, worker_access};
use coordinator::door::entrance::HANDSHAKE;
use proto::{Hello, StatusRequest};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{FLAGS, Honest};
use crate::harness::{FakeWorker, TestRun, hello, within};
use crate::tls;

/// A client certificate of the cluster's own authority that was valid until yesterday.
fn expire(made: &Path) -> Access {
    let authority = KeyPair::from_pem(&std::fs::read_to_string(made.join("ca.key")).unwrap());
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, AUTHORITY);
    let issuer = Issuer::new(params, authority.unwrap());
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::now_utc() - time::Duration::days(9);
    params.not_after = OffsetDateTime::now_utc() - time::Duration::days(1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(made.join("expired.pem"), certificate.pem()).unwrap();
    std::fs::write(made.join("expired.key"), key.serialize_pem()).unwrap();
    Access {
        tls_cert: Some(made.join("expired.pem")),
        tls_key: Some(made.join("expired.key")),
        ..worker_access(made)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let made = tls::certificates(&folder, "certs");
    let honest = Honest::train(tls::start(&folder, &made, &FLAGS).await).await;
    let expired = expire(&made);
    for _ in 0..5 {
        let begin = Instant::now();
        let refused = tls::refusal(&honest.run, &expired, 2).await;
        let ServiceError::Unauthenticated(message) = refused else { panic!("{refused:?}") };
        assert!(message.contains("CertificateExpired"), "{message}");
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }
    honest.ends_well().await;
}

fn socket(run: &TestRun) -> SocketAddr {
    run.address.split_once("://").unwrap().1.parse().unwrap()
}

/// A thousand connections that say this by turns, and nothing after it.
async fn besiege(run: &TestRun, says: [&[u8]; 4]) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for word in says.into_iter().cycle().take(1000) {
        let mut stream = within(TcpStream::connect(socket(run))).await.unwrap();
        stream.write_all(word).await.unwrap();
        open.push(stream);
    }
    open
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_of_garbage_and_silence_disturb_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let says: [&[u8]; 4] = [
        b"",
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x04\xff\xff\xff\xff\xff\xffxxxxxxxxxxxxxxxxxxx",
    ];
    let mut open = besiege(&honest.run, says).await;
    // Whoever comes now is served.
    within(honest.intruder().await.client.get_status(StatusRequest {})).await.unwrap();
    // What is no HTTP/2 is not kept.
    let mut rest = Vec::new();
    within(open[1].read_to_end(&mut rest)).await.ok();
    assert_eq!(rest, b"");
    honest.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_that_begin_no_tls_disturb_nobody_and_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let made = tls::certificates(&folder, "certs");
    let honest = Honest::train(tls::start(&folder, &made, &FLAGS).await).await;
    let says: [&[u8]; 4] = [
        b"",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // A greeting of 508 bytes that breaks off, and a record that is longer than any may be.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x16\x03\x01\xff\xffxxxxxxxxxxxxxxxxxxx",
    ];
    let open = besiege(&honest.run, says).await;
    within(honest.intruder().await.client.get_status(StatusRequest {})).await.unwrap();
    let latest = tokio::time::Instant::now() + 2 * HANDSHAKE;
    for mut stream in open {
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        tokio::time::timeout_at(latest, read).await.expect("it is kept").ok();
    }
    honest.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_answers_and_reads_none_is_closed_like_the_silent() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let mut flood = within(TcpStream::connect(socket(&honest.run))).await.unwrap();
    let connected = Instant::now();
    // The preface, and settings without any.
    let mut says = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let pings = b"\0\0\x08\x06\0\0\0\0\0pingpong".repeat(1000);
    let limit = 2 * HANDSHAKE;
    while tokio::time::timeout(limit, flood.write_all(&says)).await.expect("it is kept").is_ok() {
        assert!(connected.elapsed() < limit, "it is kept");
        says.clone_from(&pings);
    }
    assert!(connected.elapsed() + Duration::from_secs(1) > HANDSHAKE, "it had no time to call");
    honest.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_rank_0_does_not_get_in_however_often_it_asks() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let impostor = || Hello { process_id: 999, held: None, ..hello(0) };
    let mut refusals = Vec::new();
    for _ in 0..30 {
        refusals.push(FakeWorker::join_as(&honest.run, impostor()).await.unwrap_err());
    }
    assert!(matches!(refusals[0], ServiceError::SlotTaken(_)), "{:?}", refusals[0]);
    assert!(refusals.iter().all(ServiceError::is_retryable), "{refusals:?}");
    // So often its holder is not even asked.
    let rate = |error: &&ServiceError| matches!(error, ServiceError::Unreachable(_));
    let Some(message) = refusals.iter().find(rate) else { panic!("{refusals:?}") };
    assert!(message.to_string().contains("too many joins"), "{message}");
    honest.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_and_leaving_without_end_is_slowed_down() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let mut joined = 0;
    for _ in 0..100 {
        joined += usize::from(FakeWorker::join_as(&honest.run, hello(2)).await.is_ok());
    }
    // Ten at once, and one a second.
    assert!((10..20).contains(&joined), "{joined}");
    let out_of_range = FakeWorker::join_as(&honest.run, hello(3)).await.unwrap_err();
    assert!(matches!(out_of_range, ServiceError::Invalid(_)), "{out_of_range:?}");
    let events = honest.ends_well().await;
    let lines = events.iter().filter(|event| event["kind"] == "join").count();
    assert_eq!(lines, joined + 2);
}
