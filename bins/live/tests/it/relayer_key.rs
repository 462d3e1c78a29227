//! Where the relayer's credentials come from.

use std::os::unix::fs::PermissionsExt as _;

use polydesk_account::relayer_key::{read, write};
use polydesk_polymarket_api::{Credentials, Secret};

#[test]
fn a_file_has_one_of_two_kinds_of_credentials_and_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let builder = r#"{"key":"01234567-89ab-cdef-0123-456789abcdef","secret":"c2VjcmV0LWNhbmFyeQ==","passphrase":"canary-p"}"#;
    let address = format!("0x{}", "a1".repeat(20));
    let relayer = format!(r#"{{"relayer_api_key":"canary-r","address":"{address}"}}"#);
    let cases = [
        (builder, 0o600, "RelayerAuth::Builder(hidden)"),
        (&relayer, 0o400, "RelayerAuth::ApiKey(hidden)"),
        (builder, 0o640, "has mode 0640; it must be its owner's alone: chmod 600"),
        (builder, 0o604, "has mode 0604"),
        ("", 0o600, "it must be JSON with either"),
        (r#"{"key":"canary-k"}"#, 0o600, "it must be JSON with either"),
        (r#"{"key":"canary","secret":"!","passphrase":""}"#, 0o600, "cannot be used"),
        (r#"{"relayer_api_key":"canary-r","address":"0x1"}"#, 0o600, "0x and 40 hex digits"),
    ];
    for (text, mode, words) in cases {
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let shown = match read(&path) {
            Ok(auth) => format!("{auth:?}"),
            Err(error) => error.to_string(),
        };
        assert!(shown.contains(words), "{text} {mode:o}: {shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
    let missing = read(&folder.path().join("none")).unwrap_err().to_string();
    assert!(missing.contains("cannot be read"), "{missing}");
    let folder_itself = read(folder.path()).unwrap_err().to_string();
    assert!(folder_itself.contains("plain file"), "{folder_itself}");
}

#[test]
fn a_made_key_is_read_back_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relayer-key");
    let made = |key: &str| Credentials {
        key: key.to_owned(),
        secret: Secret::new("c2VjcmV0"),
        passphrase: Secret::new("p"),
    };
    write(&path, &made("01234567-89ab-cdef-0123-456789abcdef")).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(write(&path, &made("second")).is_err());
    assert!(std::fs::read_to_string(&path).unwrap().contains("01234567-89ab"));
    read(&path).unwrap();
}
