//! Where a key may come from: the environment, a private file, or an encrypted keystore.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Key, KeyError};
use polydesk_polymarket_api::Secret;

/// Where the private key is.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// An environment variable with 64 hex digits.
    Env(String),
    /// A file with 64 hex digits that belongs to this user (or root) and that no other user may read or write
    /// (mode 0600 or stricter).
    File(PathBuf),
    /// An Ethereum JSON keystore (version 3), encrypted.
    Keystore {
        /// The file.
        path: PathBuf,
        /// Its password.
        password: PasswordSource,
    },
}

/// Where the password of a keystore is.
#[derive(Debug, Clone)]
pub enum PasswordSource {
    /// An environment variable.
    Env(String),
    /// Asked for on the terminal, without echo.
    Prompt,
    /// Already known.
    Given(Secret),
}

/// Why there is no key. It names the place, never the content.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// The variable is not set, or not text.
    #[error(
        "the environment variable {0} is not set to text; set it to the private key, or configure a keystore"
    )]
    Env(String),
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error("{path} has mode {mode:04o}: others could read the key; run `chmod 600 {path}`", path = path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file belongs to another user, who can read and replace it.
    #[error("{path} belongs to user {owner}, and this program runs as user {us}; run `chown {us} {path}`", path = path.display())]
    Owner {
        /// Which file.
        path: PathBuf,
        /// Whose it is (user id).
        owner: u32,
        /// Who we are (user id).
        us: u32,
    },
    /// The file is a link.
    #[error("{path} is a link: name the file itself, so that nothing else can take its place", path = .0.display())]
    Link(PathBuf),
    /// The content is no key.
    #[error("{place} holds no key")]
    Key {
        /// Where it was read.
        place: String,
        /// Why.
        source: KeyError,
    },
    /// Wrong password or not a keystore.
    #[error("cannot open the keystore {path}: wrong password, or not an Ethereum JSON keystore", path = path.display())]
    Keystore {
        /// Which file.
        path: PathBuf,
    },
    /// No terminal to ask on.
    #[error(
        "cannot ask for the keystore's password: no terminal; put it into an environment variable instead"
    )]
    Prompt,
}

impl KeySource {
    /// Reads the key. Intermediate copies are wiped.
    pub fn load(&self) -> Result<Key, KeySourceError> {
        match self {
            KeySource::Env(name) => {
                let text = env(name)?;
                Key::from_hex(text.expose()).map_err(|source| KeySourceError::Key {
                    place: format!("the variable {name}"),
                    source,
                })
            }
            KeySource::File(path) => {
                let mut text = zeroize::Zeroizing::new(String::with_capacity(128));
                // A key is short: whatever else the file is, it is not read whole.
                private(path)?
                    .take(4_096)
                    .read_to_string(&mut text)
                    .map_err(|source| KeySourceError::Read { path: path.clone(), source })?;
                Key::from_hex(&text).map_err(|source| KeySourceError::Key {
                    place: path.display().to_string(),
                    source,
                })
            }
            KeySource::Keystore { path, password } => {
                let file = private(path)?;
                let password = password.load()?;
                let wrong = || KeySourceError::Keystore { path: path.clone() };
                let signer = alloy::signers::local::LocalSigner::decrypt_keystore(
                    checked(path, &file),
                    password.expose(),
                )
                .map_err(|_| wrong())?;
                let bytes = zeroize::Zeroizing::new(signer.to_bytes().0);
                Key::from_bytes(&bytes).map_err(|_| wrong())
            }
        }
    }
}

impl PasswordSource {
    fn load(&self) -> Result<Secret, KeySourceError> {
        match self {
            PasswordSource::Env(name) => env(name),
            PasswordSource::Prompt => rpassword::prompt_password("Keystore password: ")
                .map(Secret::new)
                .map_err(|_| KeySourceError::Prompt),
            PasswordSource::Given(password) => Ok(password.clone()),
        }
    }
}

fn env(name: &str) -> Result<Secret, KeySourceError> {
    std::env::var(name).map(Secret::new).map_err(|_| KeySourceError::Env(name.to_owned()))
}

/// Where the library finds the very file that was checked, not whatever stands at its path by now.
fn checked(path: &Path, file: &File) -> PathBuf {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let _ = path;
        PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
    }
    #[cfg(not(target_os = "linux"))]
    {
        // Another file there would have to open with the same password.
        let _ = file;
        path.to_owned()
    }
}

/// Reads a secret of one line from a private file: the same rules as for a key.
///
/// # Errors
/// The file cannot be read, or others could read or replace it.
pub fn read_private(path: &Path) -> Result<Secret, KeySourceError> {
    let mut text = zeroize::Zeroizing::new(String::with_capacity(128));
    private(&path.to_owned())?
        .take(4_096)
        .read_to_string(&mut text)
        .map_err(|source| KeySourceError::Read { path: path.to_owned(), source })?;
    Ok(Secret::new(text.trim()))
}

/// Opens a file that only its owner may read or write, and whose owner is this user (or root). A link is refused: who may
/// change where it points decides which key signs. What is checked is the handle that is read.
fn private(path: &PathBuf) -> Result<File, KeySourceError> {
    let unread = |source| KeySourceError::Read { path: path.clone(), source };
    if std::fs::symlink_metadata(path).map_err(unread)?.file_type().is_symlink() {
        return Err(KeySourceError::Link(path.clone()));
    }
    let file = File::open(path).map_err(unread)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let about = file.metadata().map_err(unread)?;
        let mode = about.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeySourceError::Open { path: path.clone(), mode });
        }
        let us = rustix::process::geteuid().as_raw();
        if about.uid() != us && about.uid() != 0 {
            return Err(KeySourceError::Owner { path: path.clone(), owner: about.uid(), us });
        }
    }
    Ok(file)
}
