//! The name of this machine, for certificates and the ledger.

/// Its host name, where it has one.
pub fn name() -> Option<String> {
    let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
    Some(name).filter(|name| !name.is_empty())
}
