//! The flags of a locked coordinator, and how they become a connection.
//!
//! Workers and the coordinator's commands call it. Files are read at each connection, so that certificates and token can
//! be replaced while a run goes on.

use std::path::{Path, PathBuf};

use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};
use tonic::{Request, Status};

use super::buffered;
use super::error::AccessError;
use super::token::JoinToken;
use crate::address::{self, AddressError, HostPort};
use crate::status::ServiceError;
use crate::tls_alert;

/// Bytes of an answer that come as one frame of HTTP/2: a block of samples or a piece of a file, 256 KiB and a little. In
/// frames of the usual 16 KiB each takes a call of the system on either side, and under TLS two.
const LARGEST_FRAME: u32 = (256 + 16) << 10;

/// A connection whose calls all carry the join token, if there is one.
pub type Line = InterceptedService<Channel, Key>;

/// How a coordinator is reached that does not let everybody in.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Access {
    /// Certificates (PEM) of the authority that signed the coordinator's; its address is https://… then
    #[arg(long, env = "CONCENTRIC_TLS_CA", value_name = "FILE", help_heading = "Access")]
    pub tls_ca: Option<PathBuf>,
    /// Own certificate (PEM), for a coordinator that asks for one
    #[arg(long, env = "CONCENTRIC_TLS_CERT", value_name = "FILE", help_heading = "Access")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, env = "CONCENTRIC_TLS_KEY", value_name = "FILE", help_heading = "Access")]
    pub tls_key: Option<PathBuf>,
    /// File that holds the coordinator's join token [env: CONCENTRIC_JOIN_TOKEN holds the token itself]
    #[arg(long, env = "CONCENTRIC_JOIN_TOKEN_FILE", value_name = "FILE", help_heading = "Access")]
    pub join_token_file: Option<PathBuf>,
}

impl Access {
    /// The scheme of an address that was given without one.
    pub fn scheme(&self) -> &'static str {
        if self.tls_ca.is_some() { "https" } else { "http" }
    }

    /// Connects to the coordinator at an endpoint.
    ///
    /// # Errors
    /// [`ServiceError::Unauthenticated`] where trying again does not help: a file is missing or wrong, or the
    /// coordinator's certificate is not to be trusted. Else [`ServiceError::Unreachable`].
    pub async fn connect(&self, endpoint: Endpoint) -> Result<Line, ServiceError> {
        let key = Key(JoinToken::given(self.join_token_file.as_deref())?);
        let endpoint = self.secure(endpoint.max_frame_size(LARGEST_FRAME))?;
        let connected = match self.tls_ca {
            None => endpoint.connect().await,
            Some(_) => {
                let limit = endpoint.get_connect_timeout();
                let endpoint = limit.map_or(endpoint.clone(), |limit| {
                    // The second half is for TLS, which many may want at once of the coordinator.
                    endpoint.connect_timeout(2 * limit)
                });
                endpoint.connect_with_connector(buffered::connector(limit)).await
            }
        };
        let channel = connected.map_err(|error| failure(&error))?;
        Ok(InterceptedService::new(channel, key))
    }

    /// Where a coordinator is, of `HOST:PORT` or a URL; without a scheme it is that of these flags.
    ///
    /// # Errors
    /// The text is no such address, or does not fit the flags.
    pub fn coordinator(&self, text: &str) -> Result<Uri, AccessError> {
        let refused = |why: &str| {
            AccessError(format!(
                "`{text}` {why}: give the coordinator's address as HOST:PORT, http://HOST:PORT or https://HOST:PORT, an \
                 IPv6 address in brackets"
            ))
        };
        let (scheme, rest) = text.split_once("://").unwrap_or((self.scheme(), text));
        if !["http", "https"].contains(&scheme) {
            return Err(refused("begins otherwise"));
        }
        let place = rest.strip_suffix('/').unwrap_or(rest).parse();
        let HostPort { host, port } =
            place.map_err(|error: AddressError| refused(&error.to_string()))?;
        let port = port.ok_or_else(|| refused("has no port"))?;
        let uri = format!("{scheme}://{}", address::join(&host, port)).parse();
        let uri = uri.map_err(|_| refused("cannot be an address"))?;
        self.check(&uri)?;
        Ok(uri)
    }

    /// Whether an address fits the flags.
    ///
    /// # Errors
    /// It is encrypted, and nothing says whom to trust; or the other way round.
    pub fn check(&self, address: &Uri) -> Result<(), AccessError> {
        match (address.scheme_str() == Some("https"), &self.tls_ca) {
            (true, None) => Err(AccessError(format!(
                "{address} needs --tls-ca FILE: the certificate of the authority that signed the coordinator's"
            ))),
            (false, Some(_)) => Err(AccessError(format!(
                "--tls-ca is given, but {address} is not encrypted: give --coordinator https://HOST:PORT"
            ))),
            _ if self.tls_cert.is_some() != self.tls_key.is_some() => Err(AccessError(
                "--tls-cert and --tls-key belong together: give both or none".to_string(),
            )),
            _ => Ok(()),
        }
    }

    fn secure(&self, endpoint: Endpoint) -> Result<Endpoint, AccessError> {
        self.check(endpoint.uri())?;
        let Some(authority) = &self.tls_ca else { return Ok(endpoint) };
        let mut tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(authority)?));
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        endpoint.tls_config(tls).map_err(|error| {
            let cause = tls_alert::innermost(&error);
            AccessError(format!(
                "the certificates given by --tls-ca, --tls-cert and --tls-key cannot be used: {cause}"
            ))
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, AccessError> {
    std::fs::read(path)
        .map_err(|error| AccessError(format!("cannot read {}: {error}", path.display())))
}

/// What a connection's calls carry.
#[derive(Clone, Debug, Default)]
pub struct Key(Option<JoinToken>);

impl Interceptor for Key {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            token.put_on(request.metadata_mut());
        }
        Ok(request)
    }
}

fn failure(error: &tonic::transport::Error) -> ServiceError {
    let cause = tls_alert::innermost(error);
    match tls_alert::tls_error(error) {
        Some(rustls::Error::InvalidCertificate(why)) => ServiceError::Unauthenticated(format!(
            "the coordinator's certificate is not to be trusted ({why}): give its authority's with --tls-ca, and reach \
             it by a name that its certificate holds"
        )),
        _ => tls_alert::alert(error)
            .map_or(ServiceError::Unreachable(cause), ServiceError::Unauthenticated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_and_certificates_belong_together() {
        let path = || Some(PathBuf::from("/x"));
        let check = |access: Access, address: &'static str, expected: &str| {
            let result = access.check(&Uri::from_static(address));
            let message = result.err().map(|error| error.0).unwrap_or_default();
            assert!(message.contains(expected) && message.is_empty() == expected.is_empty());
        };
        let trusting = || Access { tls_ca: path(), ..Access::default() };
        check(Access::default(), "http://h:1", "");
        check(Access::default(), "https://h:1", "needs --tls-ca");
        check(trusting(), "https://h:1", "");
        check(trusting(), "http://h:1", "not encrypted");
        check(Access { tls_cert: path(), ..trusting() }, "https://h:1", "belong together");
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let access = Access { tls_ca: Some("/nowhere/ca.pem".into()), ..Access::default() };
        let error = access.connect(Endpoint::from_static("https://127.0.0.1:9")).await.unwrap_err();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
