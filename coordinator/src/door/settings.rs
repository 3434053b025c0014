//! The settings of the door, and when it may stand open.
//!
//! `main` opens it before anything else. These are settings of a machine, not of a run: they are neither saved with it
//! nor sent to workers.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use common::access::JoinToken;
use common::access::token::VARIABLE;
use serde::{Deserialize, Serialize};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::guests::Caller;
use super::tls::ServerTls;

/// Who may come in, as given.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct DoorSettings {
    /// Certificate chain (PEM) to serve TLS with
    #[arg(long, env = "CONCENTRIC_TLS_CERT", value_name = "FILE", help_heading = "Access")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, env = "CONCENTRIC_TLS_KEY", value_name = "FILE", help_heading = "Access")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Certificates (PEM) of the authority that callers' certificates must be signed by (mutual TLS)
    #[arg(long, env = "CONCENTRIC_TLS_CA", value_name = "FILE", help_heading = "Access")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
    /// File of the join token that every caller must know [env: CONCENTRIC_JOIN_TOKEN holds the token itself]
    #[arg(long, env = "CONCENTRIC_JOIN_TOKEN_FILE", value_name = "FILE", help_heading = "Access")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_token_file: Option<PathBuf>,
    /// Listen on other addresses than this machine's loopback without TLS and join token
    #[arg(long, env = "CONCENTRIC_INSECURE", num_args = 0..=1, default_missing_value = "true",
          default_value_t = false, value_name = "BOOL", action = clap::ArgAction::Set, help_heading = "Access")]
    pub insecure: bool,
}

impl DoorSettings {
    /// Reads the files.
    ///
    /// # Errors
    /// One is missing or wrong, or they do not belong together.
    pub fn open(&self) -> Result<Door> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(ServerTls::read(certificate, key, self.tls_ca.as_deref())?)
            }
            (None, None) if self.tls_ca.is_some() => bail!(
                "--tls-ca asks callers for certificates, which needs TLS: give --tls-cert and --tls-key, too"
            ),
            (None, None) => None,
            _ => bail!("--tls-cert and --tls-key belong together: give both or none"),
        };
        let token = JoinToken::given(self.join_token_file.as_deref())?;
        Ok(Door { settings: self.clone(), tls, token })
    }

    /// Variables that give these settings, or the token.
    pub fn variables() -> Vec<std::ffi::OsString> {
        let settings = <Self as clap::Args>::augment_args(clap::Command::new("settings"));
        let named = settings.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_owned()));
        named.chain([VARIABLE.into()]).collect()
    }
}

/// Who may come in.
#[derive(Clone, Debug, Default)]
pub struct Door {
    settings: DoorSettings,
    /// Certificates, where it is TLS.
    pub tls: Option<ServerTls>,
    token: Option<JoinToken>,
}

impl Door {
    /// Whether a listener at `address` may stand open like this; warns where it does so on the user's word.
    ///
    /// # Errors
    /// Others reach it, and it lacks TLS or token.
    pub fn check(&self, address: SocketAddr) -> Result<()> {
        let lacking = match (&self.tls, &self.token) {
            (Some(_), Some(_)) => return Ok(()),
            _ if address.ip().to_canonical().is_loopback() => return Ok(()),
            (None, Some(_)) => "without TLS",
            (Some(_), None) => "without a join token",
            (None, None) => "without TLS and join token",
        };
        if !self.settings.insecure {
            bail!(
                "--listen {address} is reached from other machines, {lacking}: whoever reaches it could read and disturb \
                 the run. `coordinator certs DIR` makes what is needed; give --tls-cert, --tls-key and \
                 --join-token-file, or --insecure if the network is trusted"
            );
        }
        tracing::warn!(%address, "INSECURE: listening {lacking} (--insecure): whoever reaches this address can read and disturb the run");
        Ok(())
    }

    /// How workers on this machine get in.
    ///
    /// # Errors
    /// They would not know whom to trust.
    pub fn access_of_workers(&self) -> Result<Vec<(&'static str, PathBuf)>> {
        let DoorSettings { tls_cert, tls_key, tls_ca, join_token_file, .. } = &self.settings;
        if self.tls.is_some() && tls_ca.is_none() {
            bail!(
                "--spawn with TLS needs --tls-ca FILE, the authority that signed --tls-cert: the workers that are started \
                 must know whom to trust"
            );
        }
        // A path is relative to where a worker starts, which is here; its variable must not name another file.
        let given = |name, path: &Option<PathBuf>| path.clone().map(|path| (name, path));
        Ok([
            given("CONCENTRIC_TLS_CA", tls_ca),
            given("CONCENTRIC_TLS_CERT", tls_cert),
            given("CONCENTRIC_TLS_KEY", tls_key),
            given("CONCENTRIC_JOIN_TOKEN_FILE", join_token_file),
        ]
        .into_iter()
        .flatten()
        .collect())
    }

    /// The scheme of its address.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// What checks each call before its handler.
    pub fn guard(&self) -> Guard {
        Guard { token: self.token.clone() }
    }
}

/// Checks each call before its handler.
#[derive(Clone, Debug)]
pub struct Guard {
    token: Option<JoinToken>,
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        if self.token.as_ref().is_some_and(|token| !token.is_on(request.metadata())) {
            return Err(Status::unauthenticated(
                "the join token is missing or wrong; give --join-token-file FILE, or the variable CONCENTRIC_JOIN_TOKEN, \
                 with the coordinator's token",
            ));
        }
        match request.extensions().get::<Caller>() {
            Some(caller) if !caller.permit() => {
                Err(Status::unavailable("this connection made way for another one: try again"))
            }
            _ => Ok(request),
        }
    }
}

/// Opens the door of a plan.
///
/// # Errors
/// As [`DoorSettings::open`].
pub fn open(settings: &DoorSettings) -> Result<Door> {
    settings.open().context("locking the coordinator's door")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(tls: bool, token: bool, insecure: bool) -> Door {
        let folder = tempfile::tempdir().unwrap();
        let made = crate::door::certs::testing(folder.path());
        let settings = DoorSettings {
            tls_cert: tls.then(|| made.join("coordinator.pem")),
            tls_key: tls.then(|| made.join("coordinator.key")),
            tls_ca: None,
            join_token_file: token.then(|| made.join("join-token")),
            insecure,
        };
        settings.open().unwrap()
    }

    #[test]
    fn only_a_locked_door_faces_others() {
        let check = |door: &Door, address: &str, expected: &str| {
            let message = door.check(address.parse().unwrap()).err().map(|it| it.to_string());
            let message = message.unwrap_or_default();
            assert_eq!(message.is_empty(), expected.is_empty(), "{address}: {message}");
            assert!(message.contains(expected), "{address}: {message}");
        };
        let open = door(false, false, false);
        for loopback in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            check(&open, loopback, "");
        }
        for facing in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            check(&open, facing, "without TLS and join token");
            check(&door(true, false, false), facing, "without a join token");
            check(&door(false, true, false), facing, "without TLS");
            check(&door(true, true, false), facing, "");
            check(&door(false, false, true), facing, "");
        }
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let check = |settings: DoorSettings, expected: &str| {
            let message = format!("{:#}", settings.open().unwrap_err());
            assert!(message.contains(expected), "{message}");
        };
        let path = || Some(PathBuf::from("/nowhere/x.pem"));
        check(DoorSettings { tls_cert: path(), ..Default::default() }, "belong together");
        check(DoorSettings { tls_ca: path(), ..Default::default() }, "--tls-cert and --tls-key");
        let both = DoorSettings { tls_cert: path(), tls_key: path(), ..Default::default() };
        check(both, "/nowhere/x.pem");
        check(DoorSettings { join_token_file: path(), ..Default::default() }, "/nowhere/x.pem");
    }
}
