//! The file `credentials` in the data folder: what reads and cancels for an account, and signs no order.
//!
//! It is written when the credentials are derived first; kill thread and `desk kill` need neither key nor password.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use polydesk_polymarket_api::{Credentials, CredentialsError, L2Auth, Secret, SignatureType};
use serde::{Deserialize, Serialize};

/// Name of the file.
pub const FILE: &str = "credentials";
/// The version of its fields.
const VERSION: u32 = 1;
/// The most bytes of it.
const LARGEST: u64 = 16 << 10;

/// What the file holds.
#[derive(Clone)]
pub struct AccountCredentials {
    /// The signing address, `0x` and 40 hex digits.
    pub address: String,
    /// The wallet that holds the money.
    pub funder: String,
    /// Its kind.
    pub wallet: SignatureType,
    /// API key, secret and passphrase.
    pub api: Credentials,
}

impl fmt::Debug for AccountCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountCredentials")
            .field("address", &self.address)
            .field("funder", &self.funder)
            .field("wallet", &self.wallet)
            .finish_non_exhaustive()
    }
}

impl AccountCredentials {
    /// For requests of the client.
    ///
    /// # Errors
    /// The secret, the key or the passphrase cannot be one.
    pub fn auth(&self) -> Result<L2Auth, CredentialsError> {
        L2Auth::new(self.address.clone(), self.api.clone())
    }
}

/// Why the file cannot be used. No message holds a byte of it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is none.
    #[error(
        "{} is not there: `live` writes it when it derives credentials first; start `live` once, or name its data folder with --data", path.display()
    )]
    Missing {
        /// Its path.
        path: PathBuf,
    },
    /// Not a file of its owner alone.
    #[error("{} {rule}: {fix}", path.display())]
    Unsafe {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        rule: String,
        /// What to do.
        fix: &'static str,
    },
    /// Its content.
    #[error(
        "{} {rule}: remove the file and start `live`, which derives the credentials again", path.display()
    )]
    Content {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        rule: String,
    },
    /// The operating system.
    #[error("{} cannot be {act}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// Read or written.
        act: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<T> {
    v: u32,
    address: String,
    funder: String,
    signature_type: u8,
    api_key: String,
    secret: T,
    passphrase: T,
}

/// Reads the file of a data folder.
///
/// # Errors
/// See [`FileError`].
pub fn read(data: &Path) -> Result<AccountCredentials, FileError> {
    let path = data.join(FILE);
    let bytes = read_private(&path)?;
    let wrong = |rule: &str| FileError::Content { path: path.clone(), rule: rule.to_owned() };
    // The library's own message can quote what it read.
    let stored: Stored<Secret> = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(&format!("is torn or was edited (line {})", error.line())))?;
    if stored.v != VERSION {
        return Err(wrong(&format!("has version {}, which this program does not know", stored.v)));
    }
    let addresses = [("address", &stored.address), ("funder", &stored.funder)];
    if let Some((name, _)) = addresses.into_iter().find(|(_, text)| !is_address(text)) {
        return Err(wrong(&format!("has a field {name} that is no address")));
    }
    let wallet = match stored.signature_type {
        0 => SignatureType::Eoa,
        1 => SignatureType::Proxy,
        2 => SignatureType::Safe,
        3 => SignatureType::Deposit,
        _ => return Err(wrong("has a signature_type that is none of 0 to 3")),
    };
    let api =
        Credentials { key: stored.api_key, secret: stored.secret, passphrase: stored.passphrase };
    let read = AccountCredentials { address: stored.address, funder: stored.funder, wallet, api };
    read.auth().map_err(|error| wrong(&format!("cannot be used ({error})")))?;
    Ok(read)
}

fn read_private(path: &Path) -> Result<Vec<u8>, FileError> {
    let io = |source: io::Error| FileError::Io { path: path.to_owned(), act: "read", source };
    let not_ours = |rule: String, fix| FileError::Unsafe { path: path.to_owned(), rule, fix };
    let mut file = match open_plain(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(FileError::Missing { path: path.to_owned() });
        }
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            let fix = "put the file itself there";
            return Err(not_ours("is a symbolic link".to_owned(), fix));
        }
        Err(error) => return Err(io(error)),
    };
    let facts = file.metadata().map_err(io)?;
    let (mode, owner) = (facts.permissions().mode() & 0o7777, rustix::process::geteuid().as_raw());
    if !facts.is_file() {
        return Err(not_ours("is no plain file".to_owned(), "put a file there"));
    }
    if facts.uid() != owner {
        let rule = format!("belongs to user {}, and this program runs as {owner}", facts.uid());
        return Err(not_ours(rule, "run it as the owner, or chown the file"));
    }
    if mode & 0o077 != 0 {
        let rule = format!("can be read or written by others (mode {mode:04o})");
        return Err(not_ours(rule, "chmod 600 it, and revoke the API key if others had access"));
    }
    let mut bytes = Vec::new();
    (&mut file).take(LARGEST + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > LARGEST {
        let rule = format!("is larger than {LARGEST} bytes");
        return Err(FileError::Content { path: path.to_owned(), rule });
    }
    Ok(bytes)
}

/// Opens a file without following a link and without waiting for the writer of a pipe.
fn open_plain(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Writes the file, in one piece: another process reads the old one or the new one.
///
/// # Errors
/// Those of the operating system.
pub fn write(data: &Path, credentials: &AccountCredentials) -> Result<(), FileError> {
    let path = data.join(FILE);
    let temporary = data.join(format!("{FILE}.tmp"));
    let stored = Stored {
        v: VERSION,
        address: credentials.address.clone(),
        funder: credentials.funder.clone(),
        signature_type: credentials.wallet.number(),
        api_key: credentials.api.key.clone(),
        secret: credentials.api.secret.expose(),
        passphrase: credentials.api.passphrase.expose(),
    };
    let written = write_at(&temporary, &stored).and_then(|()| {
        std::fs::rename(&temporary, &path)?;
        File::open(data)?.sync_all()
    });
    written.map_err(|source| FileError::Io { path, act: "written", source })
}

fn write_at(path: &Path, stored: &Stored<&str>) -> io::Result<()> {
    // One that an earlier attempt left has perhaps another mode.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&serde_json::to_vec(stored)?)?;
    file.sync_all()
}

fn is_address(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> AccountCredentials {
        AccountCredentials {
            address: format!("0x{}", "a1".repeat(20)),
            funder: format!("0x{}", "B2".repeat(20)),
            wallet: SignatureType::Deposit,
            api: Credentials {
                key: "01234567-89ab-cdef-0123-456789abcdef".to_owned(),
                secret: Secret::new("c2VjcmV0LWNhbmFyeQ=="),
                passphrase: Secret::new("passphrase-canary"),
            },
        }
    }

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_written_is_read_back_and_the_file_is_its_owners_alone() {
        let data = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            write(data.path(), &example()).unwrap();
            let read = read(data.path()).unwrap();
            assert_eq!((read.address, read.funder), (example().address, example().funder));
            assert_eq!((read.wallet, read.api.key), (SignatureType::Deposit, example().api.key));
            assert_eq!(read.api.secret.expose(), example().api.secret.expose());
            assert_eq!(read.api.passphrase.expose(), example().api.passphrase.expose());
            let facts = data.path().join(FILE).metadata().unwrap();
            assert_eq!(facts.permissions().mode() & 0o7777, 0o600);
        }
        assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_fix_and_without_a_secret() {
        type Change = fn(&Path);
        fn replace(path: &Path, from: &str, to: &str) {
            let text = std::fs::read_to_string(path).unwrap();
            assert!(text.contains(from), "{text}");
            std::fs::write(path, text.replace(from, to)).unwrap();
        }
        let cases: &[(&str, Change, &str)] = &[
            ("missing", |path| std::fs::remove_file(path).unwrap(), "start `live` once"),
            ("open to a group", |path| mode(path, 0o640), "chmod 600"),
            ("open to all", |path| mode(path, 0o604), "chmod 600"),
            (
                "a link",
                |path| {
                    let target = path.with_file_name("target");
                    std::fs::rename(path, &target).unwrap();
                    std::os::unix::fs::symlink(target, path).unwrap();
                },
                "symbolic link",
            ),
            (
                "a folder",
                |path| {
                    std::fs::remove_file(path).unwrap();
                    std::fs::create_dir(path).unwrap();
                },
                "no plain file",
            ),
            ("empty", |path| std::fs::write(path, "").unwrap(), "torn"),
            (
                "torn",
                |path| {
                    let text = std::fs::read_to_string(path).unwrap();
                    std::fs::write(path, &text[..text.len() - 9]).unwrap();
                },
                "torn",
            ),
            ("another type", |path| replace(path, "\"passphrase-canary\"", "7"), "torn or was"),
            ("a new field", |path| replace(path, "{\"v\"", "{\"secret-canary\":1,\"v\""), "torn"),
            ("a new version", |path| replace(path, "\"v\":1", "\"v\":2"), "version 2"),
            (
                "a wallet",
                |path| replace(path, "\"signature_type\":3", "\"signature_type\":9"),
                "0 to 3",
            ),
            ("an address", |path| replace(path, "0xa1", "0xzz"), "no address"),
            ("a key", |path| replace(path, "01234567-", "0123456-"), "uuid"),
            ("large", |path| std::fs::write(path, vec![b' '; 20_000]).unwrap(), "larger"),
        ];
        for (case, change, want) in cases {
            let data = tempfile::tempdir().unwrap();
            write(data.path(), &example()).unwrap();
            change(&data.path().join(FILE));
            let error = read(data.path()).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(want), "{case}: {text}");
            assert!(!text.contains("canary") && !text.contains("c2Vjcm"), "{case}: {text}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let text = format!("{:?}", example());
        assert!(!text.contains("canary") && !text.contains("c2Vjcm"), "{text}");
        assert!(!text.contains("01234567"), "{text}");
    }
}
