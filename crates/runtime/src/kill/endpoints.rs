//! Where cancels may go: the venue, or a rehearsal that is wholly on loopback.

use polydesk_polymarket_api::Endpoints;

/// Where a set of URLs leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The venue's own hosts.
    Venue,
    /// A local exchange: a rehearsal.
    Loopback,
}

/// Endpoints that are neither the venue's nor all on loopback.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{key} is {url:?}; credentials go to the venue ({pinned}) or, in a rehearsal, to loopback only, and never to both at once: correct the section venue"
)]
pub struct NotPinned {
    key: &'static str,
    url: String,
    pinned: String,
}

/// Judges URLs with their keys in the configuration, each beside the venue's own URL.
///
/// # Errors
/// One is elsewhere, or some are on loopback and others are not.
pub fn place(urls: &[(&'static str, &str, &str)]) -> Result<Place, NotPinned> {
    let mut found = None;
    for (key, url, pinned) in urls {
        let place = match (url == pinned, is_loopback(url)) {
            (true, _) => Place::Venue,
            (false, true) => Place::Loopback,
            _ => return Err(wrong(key, url, pinned)),
        };
        if *found.get_or_insert(place) != place {
            return Err(wrong(key, url, pinned));
        }
    }
    Ok(found.unwrap_or(Place::Venue))
}

/// Judges the URLs of a configuration's section `venue`.
///
/// # Errors
/// As [`place`].
pub fn of_venue(venue: &polydesk_settings::VenueSettings) -> Result<Place, NotPinned> {
    let pinned = Endpoints::default();
    place(&[
        ("venue.clob", &venue.clob, &pinned.clob),
        ("venue.gamma", &venue.gamma, &pinned.gamma),
        ("venue.ws_market", &venue.ws_market, &pinned.ws_market),
    ])
}

fn wrong(key: &'static str, url: &str, pinned: &str) -> NotPinned {
    NotPinned { key, url: url.to_owned(), pinned: pinned.to_owned() }
}

fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    // A user name before the host can look like a host.
    let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let host = uri.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    plain && (host == "localhost" || address.is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_venue_or_only_loopback() {
        let pinned = "https://clob.polymarket.com";
        let cases = [
            (["https://clob.polymarket.com", "https://clob.polymarket.com"], Some(Place::Venue)),
            (["http://127.0.0.1:9", "ws://localhost:1/ws"], Some(Place::Loopback)),
            (["http://[::1]:9", "http://127.0.0.2"], Some(Place::Loopback)),
            (["https://clob.polymarket.com", "http://127.0.0.1:9"], None),
            (["https://clob.polymarket.com.evil.example", "https://clob.polymarket.com"], None),
            (["http://127.0.0.1@evil.example/", "http://127.0.0.1"], None),
            (["http://localhost.evil.example", "http://127.0.0.1"], None),
            (["http://10.0.0.1", "http://10.0.0.1"], None),
            (["127.0.0.1", "no url at all"], None),
        ];
        for (urls, want) in cases {
            let urls = urls.map(|url| ("venue.clob", url, pinned));
            assert_eq!(place(&urls).ok(), want, "{urls:?}");
        }
    }
}
