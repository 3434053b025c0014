//! What TLS has found wrong with a connection, read from the errors that it comes wrapped in.
//!
//! [`crate::access`] asks where a connection fails, [`crate::status`] where a call does. Knows nothing of either.

/// TLS's alerts of whom the other side does not accept, as rustls names them (RFC 8446, section 6.2).
const ABOUT_CERTIFICATES: [&str; 10] = [
    "AccessDenied",
    "BadCertificate",
    "CertificateExpired",
    "CertificateRequired",
    "CertificateRevoked",
    "CertificateUnknown",
    "DecryptError",
    "HandshakeFailure",
    "UnknownCA",
    "UnsupportedCertificate",
];

/// The coordinator's word that it does not accept this side's certificate, for the user, if an error is that. Under TLS
/// 1.3 it comes after the handshake, with the first answer; HTTP/2 then hands on rustls's error as its text alone.
pub fn alert(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let said = match tls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) => format!("{alert:?}"),
        Some(_) => return None,
        None => alert_in(&innermost(error))?.to_string(),
    };
    // Others break a connection that was permitted, and do not tell that the next one will not be.
    if !ABOUT_CERTIFICATES.contains(&said.as_str()) {
        return None;
    }
    Some(format!(
        "the coordinator ended the TLS handshake ({said}): give a valid certificate of its authority with --tls-cert \
         and --tls-key"
    ))
}

/// What TLS found wrong, if it was that: it travels inside an I/O error, which does not name it as its source.
pub fn tls_error<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    chain(error).find_map(|error| match error.downcast_ref::<std::io::Error>() {
        Some(error) => error.get_ref()?.downcast_ref(),
        None => error.downcast_ref(),
    })
}

/// What an error comes from in the end.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
}

/// The name of the alert in rustls's words about one.
fn alert_in(words: &str) -> Option<&str> {
    let (_, after) = words.split_once("received fatal alert: ")?;
    let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
    (end > 0).then(|| &after[..end])
}

fn chain<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_known_by_its_words_where_nothing_else_is_left() {
        use rustls::AlertDescription::CertificateExpired;
        let words = rustls::Error::AlertReceived(CertificateExpired).to_string();
        assert_eq!(alert_in(&words), Some("CertificateExpired"));
        let io = std::io::Error::new(std::io::ErrorKind::InvalidData, words);
        let refused = alert(&io).unwrap();
        assert!(refused.contains("(CertificateExpired): give a valid certificate"), "{refused}");
        let broken = rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac);
        for words in ["broken pipe".to_string(), broken.to_string()] {
            let other = std::io::Error::new(std::io::ErrorKind::BrokenPipe, words);
            assert_eq!(alert(&other), None);
        }
    }
}
