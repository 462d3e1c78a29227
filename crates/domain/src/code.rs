//! Stable names for counters: denials, skips, reasons, figures.

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// A stable name of up to 40 printable ASCII characters, compared and ordered by its text.
///
/// In the program codes are literals. Only [`Deserialize`](serde::Deserialize) interns new ones, into a
/// process-wide table of at most [`Code::MOST`] names that is never emptied.
#[derive(Clone, Copy)]
pub struct Code(&'static str);

/// Names read from outside, each leaked once.
static INTERNED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// A text that is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Empty, too long, or with characters that a code cannot have.
    #[error("{0:?} is not a code: 1 to 40 printable ASCII characters without spaces")]
    Text(String),
    /// The table is full: the input contains made-up names.
    #[error("the code {0:?} is one too many: this process keeps at most {most} names read from outside", most = Code::MOST)]
    TooMany(String),
}

impl Code {
    /// The most characters of a code.
    pub const LONGEST: usize = 40;
    /// The most names that are taken up from outside.
    pub const MOST: usize = 4_096;

    /// For constants: a text that is no code does not compile.
    pub const fn literal(name: &'static str) -> Code {
        assert!(is_code(name), "a code has 1 to 40 printable ASCII characters");
        Code(name)
    }

    /// The code of a text from outside.
    ///
    /// # Errors
    /// The text is no code, or the table of names is full.
    pub fn intern(text: &str) -> Result<Code, CodeError> {
        let shown = || text.chars().take(60).collect::<String>();
        if !is_code(text) {
            return Err(CodeError::Text(shown()));
        }
        let mut table = INTERNED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(known) = table.get(text) {
            return Ok(Code(known));
        }
        if table.len() >= Code::MOST {
            return Err(CodeError::TooMany(shown()));
        }
        let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
        table.insert(kept);
        Ok(Code(kept))
    }

    /// The text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

const fn is_code(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.is_empty() || bytes.len() > Code::LONGEST {
        return false;
    }
    let mut i = 0;
    while i < bytes.len() {
        if !bytes[i].is_ascii_graphic() {
            return false;
        }
        i += 1;
    }
    true
}

impl From<&'static str> for Code {
    /// For literals in the program: a text that is no code becomes `bad_code`.
    fn from(name: &'static str) -> Code {
        debug_assert!(is_code(name), "{name:?} is no code");
        if is_code(name) { Code(name) } else { Code("bad_code") }
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Code) -> bool {
        core::ptr::eq(self.0, other.0) || self.0 == other.0
    }
}
impl Eq for Code {}
impl PartialEq<str> for Code {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}
impl PartialEq<&str> for Code {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}
impl PartialOrd for Code {
    fn partial_cmp(&self, other: &Code) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Code {
    fn cmp(&self, other: &Code) -> core::cmp::Ordering {
        self.0.cmp(other.0)
    }
}
impl core::hash::Hash for Code {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl core::borrow::Borrow<str> for Code {
    fn borrow(&self) -> &str {
        self.0
    }
}
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}
impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0)
    }
}
impl<'de> serde::Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Code, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Code::intern(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_compared_and_ordered_by_their_text() {
        let read: Code = serde_json::from_str("\"thin\"").unwrap();
        assert_eq!(read, Code::literal("thin"));
        assert!(Code::literal("a") < Code::literal("b"));
        let again: Code = serde_json::from_str("\"thin\"").unwrap();
        assert!(core::ptr::eq(read.as_str(), again.as_str()));
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let long = format!("{:?}", "x".repeat(41));
        for bad in ["\"\"", "\"two words\"", "\"\\u00e9\"", "\"line\\n\"", long.as_str()] {
            assert!(serde_json::from_str::<Code>(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<Code>(&format!("{:?}", "x".repeat(40))).is_ok());
    }
}
