//! The coordinator's certificates: read at the start, and again whenever their files change.
//!
//! `entrance` asks for the configuration of each new connection. A file that cannot be used leaves the old ones in use.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};
use common::causes::in_words;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// What gRPC is called in the handshake.
const PROTOCOL: &[u8] = b"h2";

/// Certificates that follow their files.
#[derive(Clone, Debug)]
pub struct ServerTls {
    files: Arc<Files>,
    current: Arc<Mutex<Current>>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    authority: Option<PathBuf>,
}

#[derive(Debug)]
struct Current {
    /// As the files were when they were read last, also where they could not be used.
    seen: Vec<Stamp>,
    config: Arc<ServerConfig>,
}

/// What changes when a file is replaced or written: its number, length and times; nothing where it is gone.
type Stamp = Option<(u64, u64, i64, i64)>;

impl ServerTls {
    /// Reads certificate and key, and the authority of callers where they need certificates.
    ///
    /// # Errors
    /// A file is missing or wrong, or key and certificate are not a pair.
    pub fn read(certificate: &Path, key: &Path, authority: Option<&Path>) -> Result<Self> {
        let files = Files {
            certificate: certificate.to_path_buf(),
            key: key.to_path_buf(),
            authority: authority.map(Path::to_path_buf),
        };
        let current = Current { seen: files.stamps(), config: files.config()? };
        Ok(Self { files: Arc::new(files), current: Arc::new(Mutex::new(current)) })
    }

    /// The configuration of a connection that begins now.
    pub fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.files.stamps();
        if now != current.seen {
            current.seen = now;
            match self.files.config() {
                Ok(config) => {
                    tracing::info!("certificates read again: new connections use the new ones");
                    current.config = config;
                }
                Err(error) => {
                    tracing::warn!(
                        "new certificates cannot be used, the old ones stay in use: {}",
                        in_words(error.as_ref())
                    );
                }
            }
        }
        Arc::clone(&current.config)
    }
}

impl Files {
    fn stamps(&self) -> Vec<Stamp> {
        let stamp = |path: &PathBuf| {
            let data = fs::metadata(path).ok()?;
            Some((data.ino(), data.len(), data.mtime(), data.mtime_nsec()))
        };
        [&self.certificate, &self.key].into_iter().chain(&self.authority).map(stamp).collect()
    }

    fn config(&self) -> Result<Arc<ServerConfig>> {
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| anyhow!("no private key (PEM) in {}: {error}", self.key.display()))?;
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?;
        let builder = match &self.authority {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(authority)? {
                    roots.add(certificate).with_context(|| {
                        format!("{} holds no authority's certificate", authority.display())
                    })?;
                }
                let provider = Arc::new(default_provider());
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (certificate, key_file) = (self.certificate.display(), self.key.display());
        let mut config = builder
            .with_single_cert(chain, key)
            .with_context(|| format!("{certificate} and {key_file} cannot be used together"))?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let found = read().map_err(|error| anyhow!("cannot read {}: {error}", path.display()))?;
    anyhow::ensure!(!found.is_empty(), "no certificate (PEM) in {}", path.display());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_files_are_read_again_and_broken_ones_are_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let made = crate::door::certs::testing(folder.path());
        let (certificate, key) = (made.join("coordinator.pem"), made.join("coordinator.key"));
        let tls = ServerTls::read(&certificate, &key, Some(&made.join("ca.pem"))).unwrap();
        let first = tls.config();
        assert!(Arc::ptr_eq(&first, &tls.config()));

        fs::write(&certificate, "no certificate").unwrap();
        assert!(Arc::ptr_eq(&first, &tls.config()));
        fs::remove_file(&certificate).unwrap();
        assert!(Arc::ptr_eq(&first, &tls.config()));

        crate::door::certs::renew_for_testing(&made);
        let second = tls.config();
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&second, &tls.config()));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let made = crate::door::certs::testing(folder.path());
        let read = |certificate, key| {
            let error =
                ServerTls::read(&made.join(certificate), &made.join(key), None).unwrap_err();
            format!("{error:#}")
        };
        assert!(read("coordinator.pem", "worker.key").contains("cannot be used together"));
        assert!(read("coordinator.key", "coordinator.key").contains("no certificate (PEM) in"));
        assert!(read("coordinator.pem", "coordinator.pem").contains("no private key (PEM) in"));
    }
}
