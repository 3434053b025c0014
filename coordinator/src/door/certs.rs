//! `coordinator certs`: a private authority, certificates and a join token for one cluster.
//!
//! `main` calls it, and tests. Private keys and the token are readable by their owner alone.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use common::access::Access;
use common::address;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use ring::rand::{SecureRandom, SystemRandom};
use time::{Duration, OffsetDateTime};

/// Clocks differ: a new certificate is valid a little earlier.
const LEEWAY: Duration = Duration::minutes(5);
const TOKEN: &str = "join-token";
/// What an authority calls itself in its certificate.
pub const AUTHORITY: &str = "Concentric cluster authority";
/// Random bytes of a token, which has two characters for each.
const TOKEN_BYTES: usize = 32;

/// The command line.
#[derive(Clone, Debug, clap::Args)]
pub struct CertsPlan {
    /// Folder to make them in
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Name or address at which workers reach the coordinator, beside localhost, 127.0.0.1, ::1, `coordinator` and this
    /// machine's name; may be given several times
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,
    /// Days that certificates are valid
    #[arg(long, default_value_t = 365, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// Make new certificates from the authority in DIR, which everybody trusts already; token and authority stay
    #[arg(long)]
    pub renew: bool,
    /// Leave those that are in DIR already as they are
    #[arg(long, conflicts_with = "renew")]
    pub if_missing: bool,
}

/// Makes them, and returns what to do next.
///
/// # Errors
/// The folder holds some already, a name cannot be in a certificate, or a file cannot be written.
pub fn command(plan: &CertsPlan) -> Result<String> {
    let folder = &plan.folder;
    let token = folder.join(TOKEN);
    // It is made last.
    if plan.if_missing && token.exists() {
        return Ok(format!("certificates and join token are in {} already", folder.display()));
    }
    let until = OffsetDateTime::now_utc() + Duration::days(plan.days.into());
    let authority =
        if plan.renew { read_authority(folder)? } else { make_authority(folder, until)? };
    let mut names = own_names();
    for name in &plan.names {
        names.push(address::host(name).with_context(|| format!("--name `{name}`"))?);
    }
    names.dedup();
    let both = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let files = [
        // Also a caller: of itself, by the workers that it starts.
        ("coordinator", leaf(&authority, "coordinator", &names, &both, until)?),
        ("worker", leaf(&authority, "worker", &[], &both[1..], until)?),
    ];
    for (name, Pair { certificate, key }) in files {
        replace(&folder.join(format!("{name}.pem")), &certificate, 0o644)?;
        replace(&folder.join(format!("{name}.key")), &key, 0o600)?;
    }
    if !plan.renew || !token.exists() {
        replace(&token, &format!("{}\n", random_token()?), 0o600)?;
    }
    Ok(next_steps(folder, &names, plan))
}

/// A worker's way in, with the files that were made in `folder`.
pub fn worker_access(folder: &Path) -> Access {
    Access {
        tls_ca: Some(folder.join("ca.pem")),
        tls_cert: Some(folder.join("worker.pem")),
        tls_key: Some(folder.join("worker.key")),
        join_token_file: Some(folder.join(TOKEN)),
    }
}

struct Pair {
    certificate: String,
    key: String,
}

fn make_authority(folder: &Path, until: OffsetDateTime) -> Result<Issuer<'static, KeyPair>> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for name in ["ca.pem", "ca.key", "coordinator.pem", "worker.pem", TOKEN] {
        if folder.join(name).exists() {
            bail!(
                "{} exists already: --renew makes new certificates from its authority, or give another folder",
                folder.join(name).display()
            );
        }
    }
    let key = KeyPair::generate()?;
    // It outlives what it signs, so that --renew needs no new one everywhere.
    let params = authority_params(until + Duration::days(3650));
    let certificate = params.self_signed(&key)?;
    create(&folder.join("ca.key"), &key.serialize_pem(), 0o600)?;
    create(&folder.join("ca.pem"), &certificate.pem(), 0o644)?;
    Ok(Issuer::new(params, key))
}

fn read_authority(folder: &Path) -> Result<Issuer<'static, KeyPair>> {
    let path = folder.join("ca.key");
    let text = fs::read_to_string(&path).with_context(|| {
        format!("cannot read {}: --renew needs the key of the authority", path.display())
    })?;
    let key = KeyPair::from_pem(&text)
        .map_err(|error| anyhow!("{} holds no private key: {error}", path.display()))?;
    // Only name and key of an authority go into what it signs.
    Ok(Issuer::new(authority_params(OffsetDateTime::now_utc()), key))
}

fn authority_params(until: OffsetDateTime) -> CertificateParams {
    let mut params = params(AUTHORITY, until);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(name: &str, until: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = OffsetDateTime::now_utc() - LEEWAY;
    params.not_after = until;
    params
}

fn leaf(
    authority: &Issuer<'static, KeyPair>,
    name: &str,
    names: &[String],
    usages: &[ExtendedKeyUsagePurpose],
    until: OffsetDateTime,
) -> Result<Pair> {
    let key = KeyPair::generate()?;
    let mut params = params(name, until);
    params.subject_alt_names = CertificateParams::new(names)
        .map_err(|error| {
            anyhow!("a --name cannot be in a certificate ({error}): give host names or addresses")
        })?
        .subject_alt_names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = usages.to_vec();
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, authority)?;
    Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn own_names() -> Vec<String> {
    let mut names: Vec<String> =
        ["localhost", "127.0.0.1", "::1", "coordinator"].map(String::from).into();
    names.extend(crate::machine::name());
    names
}

fn random_token() -> Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow!("the system has no random numbers"))?;
    Ok(common::hexadecimal(&bytes))
}

fn create(path: &Path, content: &str, mode: u32) -> Result<()> {
    let written = File::options().write(true).create_new(true).mode(mode).open(path);
    written
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Puts a file in place at once: a coordinator may read it at any moment.
fn replace(path: &Path, content: &str, mode: u32) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    create(&unfinished, content, mode)?;
    fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))
}

fn next_steps(folder: &Path, names: &[String], plan: &CertsPlan) -> String {
    let (dir, days) = (folder.display(), plan.days);
    let host = match plan.names.first().map(|name| address::host(name)) {
        Some(Ok(host)) => address::bracketed(&host),
        _ => "HOST".to_string(),
    };
    let names = names.join(", ");
    if plan.renew {
        return format!(
            "new certificates in {dir}, valid for {days} days, for {names}\n\
             copy them over the old ones: running coordinators and workers use them at their next connection"
        );
    }
    format!(
        "authority, certificates and join token are in {dir}, valid for {days} days, for {names}\n\
         on the coordinator's machine:\n  \
         coordinator --listen 0.0.0.0:29400 --tls-cert {dir}/coordinator.pem --tls-key {dir}/coordinator.key \
         --tls-ca {dir}/ca.pem --join-token-file {dir}/join-token\n\
         on each worker's, with ca.pem, worker.pem, worker.key and join-token copied there:\n  \
         worker --coordinator https://{host}:29400 --tls-ca {dir}/ca.pem --tls-cert {dir}/worker.pem \
         --tls-key {dir}/worker.key --join-token-file {dir}/join-token\n\
         keep {dir}/ca.key away from all of them: it makes new certificates (--renew)"
    )
}

/// A fresh set for a test, in `folder`, which is returned.
#[cfg(test)]
pub fn testing(folder: &Path) -> PathBuf {
    let made = folder.join("certs");
    make(&made, false);
    made
}

/// New certificates in the place of those of [`testing`].
#[cfg(test)]
pub fn renew_for_testing(made: &Path) {
    make(made, true);
}

#[cfg(test)]
fn make(folder: &Path, renew: bool) {
    let folder = folder.to_path_buf();
    command(&CertsPlan { folder, names: Vec::new(), days: 1, renew, if_missing: false }).unwrap();
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_set_does_not_replace_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let made = testing(folder.path());
        let read = |name: &str| fs::read_to_string(made.join(name)).unwrap();
        let files = ["ca.pem", "ca.key", "join-token", "coordinator.pem", "worker.key"];
        let before = files.map(read);
        let again = |if_missing| {
            let folder = made.clone();
            command(&CertsPlan { folder, names: Vec::new(), days: 1, renew: false, if_missing })
        };
        let message = again(false).unwrap_err().to_string();
        assert!(message.contains("--renew"), "{message}");
        assert!(again(true).unwrap().contains("already"));
        assert_eq!(files.map(read), before);
        renew_for_testing(&made);
        let after = files.map(read);
        assert_eq!(after[..3], before[..3]);
        assert!(after[3] != before[3] && after[4] != before[4]);
    }

    #[test]
    fn secrets_are_their_owners() {
        let folder = tempfile::tempdir().unwrap();
        let made = testing(folder.path());
        for name in ["ca.key", "coordinator.key", "worker.key", "join-token"] {
            let mode = fs::metadata(made.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        common::access::JoinToken::read(&made.join("join-token")).unwrap();
    }

    #[test]
    fn an_ipv6_address_is_a_name_with_and_without_brackets() {
        for name in ["fd00::7", "[fd00::7]"] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().join("certs");
            let names = vec![name.to_string()];
            let plan = CertsPlan { folder, names, days: 1, renew: false, if_missing: false };
            let printed = command(&plan).unwrap();
            assert!(printed.contains("worker --coordinator https://[fd00::7]:29400"), "{printed}");
            assert!(printed.contains(", fd00::7\n"), "{printed}");
        }
        let folder = tempfile::tempdir().unwrap().path().join("certs");
        let names = vec!["host:29400".to_string()];
        let plan = CertsPlan { folder, names, days: 1, renew: false, if_missing: false };
        let error = format!("{:#}", command(&plan).unwrap_err());
        assert!(error.contains("--name `host:29400`: has a port"), "{error}");
    }
}
