//! The join token: a shared secret that whoever calls the coordinator has to know.
//!
//! The coordinator compares it, workers and commands send it. It is never printed: neither by `Debug` nor in an error.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use subtle::ConstantTimeEq;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use super::error::AccessError;

/// The variable that holds a token where no file does.
pub const VARIABLE: &str = "CONCENTRIC_JOIN_TOKEN";
/// Characters that a token has at least; `coordinator certs` makes longer ones.
pub const SHORTEST: usize = 16;

const HEADER: &str = "authorization";
const SCHEME: &str = "Bearer ";

/// A checked join token, as it travels: `Bearer …`.
#[derive(Clone)]
pub struct JoinToken(MetadataValue<Ascii>);

impl JoinToken {
    /// The token of `file`, or else of the variable; none where neither is given.
    ///
    /// # Errors
    /// The file cannot be read or is empty, or the token is too short or not made of visible characters.
    pub fn given(file: Option<&Path>) -> Result<Option<Self>, AccessError> {
        if let Some(path) = file {
            return Self::read(path).map(Some);
        }
        match std::env::var(VARIABLE) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => Self::parse(&text, &format!("the variable {VARIABLE}")).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Reads a file; warns where everybody on the machine can.
    ///
    /// # Errors
    /// As [`JoinToken::given`].
    pub fn read(path: &Path) -> Result<Self, AccessError> {
        let file = path.display();
        let unreadable =
            |error| AccessError(format!("cannot read the join token from {file}: {error}"));
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o004 != 0 {
            tracing::warn!(
                "every user of this machine can read the join token in {file}: chmod 600 it"
            );
        }
        Self::parse(&text, &format!("the file {file}"))
    }

    /// Checks a token; `place` says where it comes from.
    ///
    /// # Errors
    /// It is empty, too short or not made of visible characters.
    pub fn parse(text: &str, place: &str) -> Result<Self, AccessError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AccessError(format!("{place} holds no join token, it is empty")));
        }
        if text.len() < SHORTEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AccessError(format!(
                "the join token of {place} cannot be used: it must have {SHORTEST} characters or more, letters, digits \
                 and signs without spaces; `coordinator certs DIR` makes one"
            )));
        }
        let mut value = MetadataValue::try_from(format!("{SCHEME}{text}"))
            .map_err(|_| AccessError(format!("the join token of {place} cannot be sent")))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// Puts it on a call.
    pub fn put_on(&self, metadata: &mut MetadataMap) {
        metadata.insert(HEADER, self.0.clone());
    }

    /// Whether a call carries it. Takes as long for a token that is nearly right as for one that is all wrong.
    pub fn is_on(&self, metadata: &MetadataMap) -> bool {
        let given = metadata.get(HEADER).map(MetadataValue::as_bytes).unwrap_or_default();
        self.0.as_bytes().ct_eq(given).into()
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    #[test]
    fn only_the_same_token_opens() {
        let token = JoinToken::parse(&format!(" {TOKEN}\n"), "a test").unwrap();
        let check = |header: Option<&str>, expected: bool| {
            let mut metadata = MetadataMap::new();
            if let Some(header) = header {
                metadata.insert(HEADER, header.parse().unwrap());
            }
            assert_eq!(token.is_on(&metadata), expected, "{header:?}");
        };
        check(None, false);
        check(Some(""), false);
        check(Some(TOKEN), false);
        check(Some("Bearer 0123456789abcdeF"), false);
        check(Some("Bearer 0123456789abcdef0"), false);
        check(Some("Bearer 0123456789abcdef"), true);
        let mut metadata = MetadataMap::new();
        token.put_on(&mut metadata);
        assert!(token.is_on(&metadata));
    }

    #[test]
    fn it_is_never_shown() {
        let token = JoinToken::parse(TOKEN, "a test").unwrap();
        let mut metadata = MetadataMap::new();
        token.put_on(&mut metadata);
        assert!(!format!("{token:?} {metadata:?}").contains(TOKEN));
        let error = JoinToken::parse("geheim geheim geheim", "a test").unwrap_err();
        assert!(!error.to_string().contains("geheim"), "{error}");
    }

    #[test]
    fn an_empty_or_short_one_is_refused() {
        let check = |text: &str, expected: &str| {
            let error = JoinToken::parse(text, "the file x").unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("the file x"), "{error}");
        };
        check("\n", "it is empty");
        check("0123456789abcde", "16 characters or more");
        assert!(JoinToken::read(Path::new("/nowhere/token")).is_err());
    }
}
