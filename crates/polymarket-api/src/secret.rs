//! Text that must not be seen: it cannot be printed, compared in a log or serialised, and is wiped when dropped.

use core::fmt;

use zeroize::Zeroizing;

/// A secret text: an API secret, a passphrase, a password.
///
/// There is no `Display` and no `Serialize`; `Debug` prints a placeholder.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }
    /// The text itself, to be handed on at once and never kept.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        // The library's own message would quote the value.
        String::deserialize(from)
            .map(Secret::new)
            .map_err(|_| serde::de::Error::custom("a secret must be text"))
    }
}
