//! Keys and sections that were removed, with their replacement and the reason.

/// A key, or a section with all its keys.
struct Moved {
    old: &'static str,
    /// The new name; `None` if there is no replacement.
    new: Option<&'static str>,
    why: &'static str,
}

const MOVED: &[Moved] = &[
    Moved {
        old: "risk.max_data_age_secs",
        new: Some("feed.max_proof_age_secs"),
        why: "it is the age of the last proof that a book is current, and the runtime watches it",
    },
    Moved {
        old: "exchange.sets",
        new: Some("exchange.conversions"),
        why: "splits, merges and redemptions are conversions",
    },
    Moved {
        old: "exchange.matching.batch_most",
        new: None,
        why: "a request carries at most 15 orders, as at the venue: take the line out",
    },
];

/// The fix for a removed key.
pub(crate) fn fix(key: &str) -> Option<String> {
    MOVED.iter().find_map(|moved| {
        let rest = key.strip_prefix(moved.old)?;
        if !(rest.is_empty() || rest.starts_with('.')) {
            return None;
        }
        Some(match moved.new {
            Some(new) => format!("write {new}{rest} instead: {}", moved.why),
            None => moved.why.to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_moved() {
        let section = fix("exchange.sets.delay").unwrap();
        assert!(section.starts_with("write exchange.conversions.delay instead: "), "{section}");
        for key in ["exchange.settlement.mined", "exchange.setsdelay", "risk.max_data_age"] {
            assert_eq!(fix(key), None, "{key}");
        }
    }
}
