//! How the venue's JSON writes numbers, times and lists, and how they are read.
//!
//! The same field may be a string on one endpoint and a number on another; `""` and `null` mean absent.
//! A number never passes through `f64` arithmetic: its shortest decimal text is what counts.

use core::fmt;
use core::str::FromStr;

use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

/// A decimal that must be there.
pub fn num<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
    opt(from)?.ok_or_else(|| de::Error::custom("a number is missing"))
}

/// A decimal that may be absent.
pub fn opt<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Decimal>, D::Error> {
    from.deserialize_any(Scalar("a decimal")).and_then(|text: Option<String>| match text {
        None => Ok(None),
        Some(text) => decimal(&text).map(Some).ok_or_else(|| {
            de::Error::custom(format_args!(
                "{:?} is not a decimal",
                text.chars().take(60).collect::<String>()
            ))
        }),
    })
}

/// Text that some endpoints write as a number.
pub fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    from.deserialize_any(Scalar("text")).map(|text: Option<String>| text.unwrap_or_default())
}

/// An integer as text or number; absent when empty.
pub(crate) fn opt_int<'de, D: Deserializer<'de>, N: FromStr>(
    from: D,
) -> Result<Option<N>, D::Error> {
    match from.deserialize_any(Scalar("an integer"))? {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            de::Error::custom(format_args!(
                "{:?} is not an integer of this size",
                text.chars().take(60).collect::<String>()
            ))
        }),
    }
}

/// A time in any of the venue's forms; absent when empty or unreadable forms of "none".
pub fn opt_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Time>, D::Error> {
    match from.deserialize_any(Scalar("a time"))? {
        None => Ok(None),
        Some(text) => time(&text).map(Some).ok_or_else(|| {
            de::Error::custom(format_args!(
                "{:?} is not a time",
                text.chars().take(60).collect::<String>()
            ))
        }),
    }
}

/// The same where 0 stands for none.
pub(crate) fn known_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Time>, D::Error> {
    Ok(opt_time(from)?.filter(|time| time.nanos() != 0))
}

/// `true`, or absent and null as false.
pub(crate) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(from)?.unwrap_or(false))
}

/// A list that may be null, or text that contains a JSON list (Gamma's `outcomes`, `clobTokenIds`, …).
pub(crate) fn list<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    from.deserialize_any(TextList)
}

/// A map of texts; it and its values may be null.
pub(crate) fn text_map<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<std::collections::BTreeMap<String, String>, D::Error> {
    let map = Option::<std::collections::BTreeMap<String, Loose>>::deserialize(from)?;
    Ok(map.unwrap_or_default().into_iter().map(|(key, text)| (key, text.0)).collect())
}

/// A real list that may be null.
pub fn vec<'de, D: Deserializer<'de>, T: serde::Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

/// Plain or scientific notation; more digits than a decimal holds are rounded.
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    let text = text.strip_prefix('.').map_or_else(|| text.to_owned(), |rest| format!("0.{rest}"));
    text.parse().ok().or_else(|| Decimal::from_scientific(&text).ok())
}

/// Unix seconds or milliseconds (from 10^11 on), ISO 8601, or `2026-04-05 19:37:33+00`.
pub(crate) fn time(text: &str) -> Option<Time> {
    if let Ok(number) = text.parse::<i64>() {
        let magnitude = number.unsigned_abs();
        return match magnitude {
            0..100_000_000_000 => Some(Time::from_secs(number)),
            100_000_000_000..100_000_000_000_000 => Some(Time::from_millis(number)),
            _ => None,
        };
    }
    if let Some(time) = Time::parse(text) {
        return Some(time);
    }
    if text.len() == 10 {
        // A day stands for its beginning.
        return Time::parse(&format!("{text}T00:00:00Z"));
    }
    let (day, rest) = text.split_once([' ', 'T'])?;
    let (clock, offset) = rest.split_at(rest.find(['+', '-', 'Z'])?);
    let offset = match offset {
        "Z" | "+00" | "+0000" | "+00:00" => "Z".to_owned(),
        short if short.len() == 3 => format!("{short}:00"),
        other => other.to_owned(),
    };
    Time::parse(&format!("{day}T{clock}{offset}"))
}

/// The date of an HTTP header: `Wed, 21 Oct 2026 07:28:00 GMT`. The two older forms are not sent any more.
pub(crate) fn http_date(text: &str) -> Option<Time> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let [day, month, year, clock, "GMT"] = rest.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Time::parse(&format!("{year}-{month:02}-{day}T{clock}Z"))
}

/// Any scalar as its text; empty text and null as `None`.
struct Scalar(&'static str);

impl<'de> Visitor<'de> for Scalar {
    type Value = Option<String>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as text or number", self.0)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }
    fn visit_u128<E: de::Error>(self, number: u128) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        if number.is_finite() {
            Ok(Some(number.to_string()))
        } else {
            Err(E::custom("not a finite number"))
        }
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

struct TextList;

impl<'de> Visitor<'de> for TextList {
    type Value = Vec<String>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or text containing a JSON list")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let items: Vec<Loose> = serde_json::from_str(text).map_err(|_| {
            E::custom(format_args!(
                "{:?} is not a JSON list",
                text.chars().take(60).collect::<String>()
            ))
        })?;
        Ok(items.into_iter().map(|item| item.0).collect())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Loose>()? {
            items.push(item.0);
        }
        Ok(items)
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
}

/// Text or number, as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Loose(pub(crate) String);

impl<'de> serde::Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Loose, D::Error> {
        text(from).map(Loose)
    }
}

/// A decimal as a value of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Num(pub(crate) Decimal);

impl<'de> serde::Deserialize<'de> for Num {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Num, D::Error> {
        num(from).map(Num)
    }
}

/// Words of the venue, with room for new ones: an enum with its text, from text and from JSON.
#[macro_export]
#[doc(hidden)]
macro_rules! words {
    ($(#[$doc:meta])* $name:ident $prefix:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A word this client does not know, as it came.
            Unknown(String),
        }

        impl $name {
            /// The venue's word, without any prefix.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => $word,)*
                    $name::Unknown(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> $name {
                let bare = word.strip_prefix($prefix).unwrap_or(word);
                $(if bare.eq_ignore_ascii_case($word) { return $name::$variant; })*
                $name::Unknown(word.to_owned())
            }
        }

        impl Default for $name {
            fn default() -> $name {
                $name::Unknown(String::new())
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                $crate::parts::text(from).map(|word| $name::from(word.as_str()))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_in_many_forms() {
        let expected = Time::parse("2026-04-05T19:37:33Z");
        for text in [
            "1775417853",
            "1775417853000",
            "2026-04-05T19:37:33Z",
            "2026-04-05 19:37:33+00",
            "2026-04-05T19:37:33.000Z",
            "2026-04-05 21:37:33+02",
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert!(expected.is_some());
        for bad in ["tomorrow", "2026-13-01 00:00:00+00", "99999999999999999"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_keep_their_decimals() {
        #[derive(serde::Deserialize)]
        struct One {
            #[serde(default, deserialize_with = "opt")]
            n: Option<Decimal>,
        }
        for (json, expected) in [
            (r#"{"n":0.1}"#, Some("0.1")),
            (r#"{"n":"0.630"}"#, Some("0.630")),
            (r#"{"n":".48"}"#, Some("0.48")),
            (r#"{"n":""}"#, None),
            (r#"{"n":null}"#, None),
            ("{}", None),
            (r#"{"n":1e-7}"#, Some("0.0000001")),
            (r#"{"n":5}"#, Some("5")),
        ] {
            let expected = expected.map(|text| text.parse::<Decimal>().unwrap());
            let serde: One = serde_json::from_str(json).unwrap();
            let simd: One = simd_json::serde::from_slice(&mut json.as_bytes().to_vec()).unwrap();
            assert_eq!((serde.n, simd.n), (expected, expected), "{json}");
        }
        assert!(serde_json::from_str::<One>(r#"{"n":"NaN"}"#).is_err());
        assert!(serde_json::from_str::<One>(r#"{"n":[1]}"#).is_err());
    }
}
