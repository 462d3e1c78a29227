//! The credentials of the relayer, for wallets that are contracts. They lie in a private file: a relayer key or a
//! builder key that was made on the website, or a builder key of the account that is made at first use. The API
//! credentials that place orders are not taken by the relayer.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use polydesk_polymarket_api::{Credentials, Secret};
use polydesk_polymarket_wallet::chain::RelayerAuth;
use polydesk_polymarket_wallet::signing::Address;
use serde::{Deserialize, Serialize};

/// Name of the file in the data folder.
pub const FILE: &str = "relayer-key";
/// More than any such file has.
const MOST_BYTES: u64 = 16 * 1024;

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum RelayerKeyError {
    /// The file cannot be read or written.
    #[error("the relayer key {} cannot be {act}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried.
        act: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// Others could read it.
    #[error("the relayer key {} has mode {mode:04o}; it must be its owner's alone: chmod 600 {}", path.display(), path.display())]
    Mode {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It has not what it must have.
    #[error("the relayer key {}: {rule}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What it must have, without anything of the file.
        rule: String,
    },
}

/// What the file has. Its texts are never shown.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, untagged)]
enum Stored {
    Builder { key: String, secret: String, passphrase: String },
    Relayer { relayer_api_key: String, address: String },
}

const FORMS: &str = "it must be JSON with either key, secret and passphrase (a builder key) or relayer_api_key and address; make one in the account's settings, or delete the file in the data folder and a new one is made";

/// The credentials in a file.
///
/// # Errors
/// See [`RelayerKeyError`].
pub fn read(path: &Path) -> Result<RelayerAuth, RelayerKeyError> {
    let io = |source| RelayerKeyError::Io { path: path.to_owned(), act: "read", source };
    let content =
        |rule: &str| RelayerKeyError::Content { path: path.to_owned(), rule: rule.into() };
    // Opening a pipe would wait for its writer.
    if !std::fs::symlink_metadata(path).map_err(io)?.is_file() {
        return Err(content("it must be a plain file, no link and no pipe"));
    }
    let file = File::open(path).map_err(io)?;
    let facts = file.metadata().map_err(io)?;
    let mode = facts.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(RelayerKeyError::Mode { path: path.to_owned(), mode });
    }
    if facts.len() > MOST_BYTES {
        return Err(content("it is larger than 16 KiB; it must hold nothing but the key"));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(io)?;
    // The parser's own words could repeat a secret.
    let stored: Stored = serde_json::from_slice(&bytes).map_err(|_| content(FORMS))?;
    match stored {
        Stored::Builder { key, secret, passphrase } => {
            let (secret, passphrase) = (Secret::new(secret), Secret::new(passphrase));
            let made = RelayerAuth::builder(Credentials { key, secret, passphrase });
            made.map_err(|error| content(&format!("its builder key cannot be used: {error}")))
        }
        Stored::Relayer { relayer_api_key, address } => {
            let address: Address =
                address.parse().map_err(|_| content("its address must be 0x and 40 hex digits"))?;
            if relayer_api_key.trim().is_empty() {
                return Err(content(
                    "its relayer_api_key is empty; it must be the key as the website shows it",
                ));
            }
            Ok(RelayerAuth::ApiKey { key: Secret::new(relayer_api_key), address })
        }
    }
}

/// Whether there is such a file.
///
/// # Errors
/// The operating system's.
pub fn exists(path: &Path) -> Result<bool, RelayerKeyError> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(RelayerKeyError::Io { path: path.to_owned(), act: "read", source }),
    }
}

/// Writes a builder key that was just made. The venue shows its secret only once, so it is on disk before it is used;
/// a file that is there already is kept.
///
/// # Errors
/// The operating system's.
pub fn write(path: &Path, made: &Credentials) -> Result<(), RelayerKeyError> {
    let stored = Stored::Builder {
        key: made.key.clone(),
        secret: made.secret.expose().to_owned(),
        passphrase: made.passphrase.expose().to_owned(),
    };
    let written = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(&serde_json::to_vec(&stored)?)?;
        file.sync_all()?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    written().map_err(|source| RelayerKeyError::Io {
        path: path.to_owned(),
        act: "written",
        source,
    })
}
