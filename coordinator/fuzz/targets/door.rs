//! Certificates, keys and join tokens, PEM or not.

#![no_main]

use coordinator::door::DoorSettings;
use fuzz::{folder, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = folder();
    let mut pieces = pieces(data);
    let mut file = |name: &str| {
        let content = pieces.next().filter(|content| !content.is_empty())?;
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("it can be written");
        Some(path)
    };
    let settings = DoorSettings {
        tls_cert: file("certificate.pem"),
        tls_key: file("key.pem"),
        tls_ca: file("authority.pem"),
        join_token_file: file("token"),
        insecure: false,
    };
    if let Ok(door) = settings.open() {
        let address = ([10, 0, 0, 1], 29400).into();
        let is_locked = settings.tls_cert.is_some() && settings.join_token_file.is_some();
        assert_eq!(door.check(address).is_ok(), is_locked);
    }
});
