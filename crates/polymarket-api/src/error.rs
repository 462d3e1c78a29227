//! Errors that state what to do next.

use core::time::Duration;

use polydesk_domain::RejectReason;

/// What went wrong, by what the caller should do.
///
/// [`ApiError::Unknown`] may have taken effect, and after [`ApiError::Duplicate`] an earlier request has. For
/// every other error nothing happened, except for a cancel whose response was lost: it is reported as
/// unreachable, because it can be sent again without harm, and it may have cancelled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The venue refused. The same request will be refused again.
    #[error("refused: {text}")]
    Refused {
        /// Why, typed.
        why: Refusal,
        /// Why, in the venue's words (cut to 300 characters).
        text: String,
        /// The order, where the venue names it.
        order_id: Option<String>,
    },
    /// The venue has this very order already: an earlier request that looked lost was not. It may rest, be
    /// filled or be over: ask for it by its id, and never replace it before that.
    #[error("the venue has this order already: {0}")]
    Duplicate(String),
    /// Too many requests. Nothing took effect; safe to send again after the pause.
    #[error("throttled for {} ms by {by}", pause.as_millis())]
    Throttled {
        /// How long to wait at least.
        pause: Duration,
        /// The venue, or our own bucket.
        by: ThrottledBy,
    },
    /// The request may have taken effect and no proof either way came. Ask before acting.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// Nothing was sent, or what was sent may be sent again without harm (a read, a cancel).
    #[error("not reached: {0}")]
    Unreachable(String),
    /// The matching engine restarts (HTTP 425). Books may be empty or stale afterwards.
    #[error("the matching engine restarts; ask again in {} ms", pause.as_millis())]
    Restarting {
        /// When to ask again.
        pause: Duration,
    },
    /// Only cancels are taken.
    #[error("the venue is cancel-only")]
    CancelOnly,
    /// Only post-only orders and cancels are taken.
    #[error("the venue is post-only for {} s", pause.as_secs())]
    PostOnly {
        /// How long, by the venue.
        pause: Duration,
    },
    /// Trading is off; cancels may fail too.
    #[error("trading is disabled: {0}")]
    Disabled(String),
    /// Credentials, signature or account were not accepted.
    #[error("unauthorised: {0}")]
    Unauthorised(String),
    /// Not found.
    #[error("not found: {0}")]
    NotFound(String),
    /// Nothing was sent: the caller's own guard did not agree any more when the request was about to leave.
    #[error("{0} was withheld before its first byte")]
    Withheld(String),
    /// The request cannot be made: configuration or arguments are wrong.
    #[error("misconfigured: {0}")]
    Misconfigured(String),
    /// An answer to a request that may be repeated (a read, a cancel) could not be read.
    #[error("malformed answer to {to}: {error}; it began {excerpt:?}")]
    Malformed {
        /// Which request.
        to: String,
        /// The parser's error.
        error: String,
        /// The beginning of the answer.
        excerpt: String,
    },
    /// One row of a public list could not be read. The list goes on with the next row.
    #[error("row {row} of a page of {list} cannot be read: {error}; it began {excerpt:?}")]
    BadRow {
        /// Which request.
        list: String,
        /// Which row of its page, from 1.
        row: usize,
        /// The parser's error.
        error: String,
        /// The beginning of the row.
        excerpt: String,
    },
}

/// Who asked to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottledBy {
    /// HTTP 429.
    Venue,
    /// Our own limits, before anything was sent.
    Ourselves,
}

impl core::fmt::Display for ThrottledBy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            ThrottledBy::Venue => "the venue",
            ThrottledBy::Ourselves => "our own limits",
        })
    }
}

/// Why the venue refused, from its table of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The body is not understood: a defect of ours.
    Payload,
    /// `owner` is not the API key.
    Owner,
    /// The order's signer does not belong to the API key.
    Signer,
    /// The account must use its deposit wallet (type 3).
    NeedsDepositWallet,
    /// The address is banned.
    Banned,
    /// The address may only reduce.
    ClosedOnly,
    /// No multiple of the tick size: read the tick size again.
    Tick,
    /// Below the market's least size.
    BelowMinimum,
    /// A marketable buy below one dollar.
    BelowMarketableMinimum,
    /// Too many decimals.
    Accuracy,
    /// The same order exists. It is reported as [`ApiError::Duplicate`], never inside a refusal.
    Duplicate,
    /// A post-only order would have crossed.
    PostOnlyWouldCross,
    /// Funds or approvals are missing.
    Balance,
    /// The expiration is too near.
    Expiration,
    /// A timestamp was used before.
    Nonce,
    /// The order was cancelled on the chain.
    CanceledOnChain,
    /// A FOK that could not be filled.
    FokKilled,
    /// A FAK that met nothing.
    FakKilled,
    /// A sports market holds orders back.
    DelayedByMarket,
    /// The market does not take orders (yet, or any more).
    MarketNotReady,
    /// Signed for another protocol version.
    Version,
    /// The signature is wrong: exchange, domain or signature type.
    Signature,
    /// There is no book for the token.
    UnknownToken,
    /// More in one request than allowed.
    TooMany,
    /// An order id that is none.
    OrderId,
    /// One element of a batch was throttled.
    RateLimited,
    /// One element of a batch met the mode in which only post-only orders are taken.
    Restricted,
    /// Only cancels are taken. It is reported as [`ApiError::CancelOnly`], never inside a refusal.
    CancelOnly,
    /// Trading is off. It is reported as [`ApiError::Disabled`], never inside a refusal.
    Disabled,
    /// Words this client does not know.
    Other,
}

/// The venue's texts, matched as parts without case; the first that fits counts.
const TEXTS: &[(&str, Refusal)] = &[
    ("order owner has to be the owner of the api key", Refusal::Owner),
    ("order signer address has to be the address of the api key", Refusal::Signer),
    ("use the deposit wallet flow", Refusal::NeedsDepositWallet),
    ("address banned", Refusal::Banned),
    ("closed only mode", Refusal::ClosedOnly),
    ("breaks minimum tick size rule", Refusal::Tick),
    ("lower than the minimum", Refusal::BelowMinimum),
    ("invalid amount for a marketable buy", Refusal::BelowMarketableMinimum),
    ("max accuracy of", Refusal::Accuracy),
    ("duplicated", Refusal::Duplicate),
    ("post-only mode", Refusal::Restricted),
    ("cancel-only", Refusal::CancelOnly),
    ("trading is currently disabled", Refusal::Disabled),
    ("crosses the book", Refusal::PostOnlyWouldCross),
    ("order crosses book", Refusal::PostOnlyWouldCross),
    ("not enough balance", Refusal::Balance),
    ("insufficient balance", Refusal::Balance),
    ("the allowance is not enough", Refusal::Balance),
    ("invalid expiration", Refusal::Expiration),
    ("invalid nonce", Refusal::Nonce),
    ("canceled in the ctf exchange contract", Refusal::CanceledOnChain),
    ("fok orders are fully filled or killed", Refusal::FokKilled),
    ("fok orders are filled or killed", Refusal::FokKilled),
    ("no orders found to match with fak", Refusal::FakKilled),
    ("there are no matching orders", Refusal::FakKilled),
    ("order match delayed", Refusal::DelayedByMarket),
    ("not yet ready to process new orders", Refusal::MarketNotReady),
    ("market is closed", Refusal::MarketNotReady),
    ("order_version_mismatch", Refusal::Version),
    ("invalid order version", Refusal::Version),
    ("signature", Refusal::Signature),
    ("no orderbook exists", Refusal::UnknownToken),
    ("too many orders", Refusal::TooMany),
    ("rate limit exceeded", Refusal::RateLimited),
    ("invalid orderid", Refusal::OrderId),
    ("invalid order payload", Refusal::Payload),
    ("invalid order params payload", Refusal::Payload),
];

impl Refusal {
    /// Reads the venue's text.
    pub fn read(text: &str) -> Refusal {
        let text = text.to_ascii_lowercase();
        TEXTS.iter().find(|(part, _)| text.contains(part)).map_or(Refusal::Other, |(_, why)| *why)
    }

    /// The reason as the engine's type; `text` is kept for reasons that it does not have.
    pub fn reject_reason(self, text: &str) -> RejectReason {
        match self {
            Refusal::Tick => RejectReason::Tick,
            Refusal::BelowMinimum => RejectReason::BelowMinimum,
            Refusal::BelowMarketableMinimum => RejectReason::BelowMarketableMinimum,
            Refusal::Accuracy => RejectReason::Accuracy,
            Refusal::PostOnlyWouldCross => RejectReason::PostOnlyWouldCross,
            Refusal::Balance => RejectReason::Balance,
            Refusal::Expiration => RejectReason::Expiration,
            Refusal::FokKilled => RejectReason::FokKilled,
            Refusal::FakKilled => RejectReason::FakKilled,
            Refusal::Duplicate => RejectReason::Duplicate,
            Refusal::MarketNotReady | Refusal::DelayedByMarket => RejectReason::MarketClosed,
            Refusal::UnknownToken => RejectReason::UnknownToken,
            Refusal::Restricted | Refusal::CancelOnly | Refusal::Disabled => {
                RejectReason::Restricted
            }
            Refusal::RateLimited => RejectReason::RateLimited,
            _ => RejectReason::Other(text.chars().take(300).collect()),
        }
    }
}

/// The numbers that a refusal for lack of funds names, in millionths of pUSD or shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BalanceFigures {
    /// What the venue takes the wallet to have.
    pub balance: u128,
    /// What open orders hold of it.
    pub active: u128,
    /// What matched orders hold of it; the venue has been seen to count settled ones for ever.
    pub matched: u128,
    /// What the order needs.
    pub order: u128,
}

impl BalanceFigures {
    /// Reads the venue's text; `None` where it names no balance or no order amount.
    pub fn read(text: &str) -> Option<BalanceFigures> {
        let (_, figures) = text.split_once("->")?;
        let mut read = BalanceFigures::default();
        let (mut balance, mut order) = (false, false);
        for figure in figures.split(',') {
            let (name, number) = figure.split_once(':')?;
            let number = number.trim().parse().ok()?;
            match name.trim() {
                "balance" => (read.balance, balance) = (number, true),
                "sum of active orders" => read.active = number,
                "sum of matched orders" => read.matched = number,
                name if name.starts_with("order amount") => (read.order, order) = (number, true),
                _ => {}
            }
        }
        (balance && order).then_some(read)
    }
}

impl ApiError {
    /// The numbers of a refusal for lack of funds.
    pub fn balance_figures(&self) -> Option<BalanceFigures> {
        match self {
            ApiError::Refused { why: Refusal::Balance, text, .. } => BalanceFigures::read(text),
            _ => None,
        }
    }

    /// Whether the order (or whatever it was) may be there: by this request, or by an earlier one.
    pub fn may_have_taken_effect(&self) -> bool {
        matches!(self, ApiError::Unknown(_) | ApiError::Duplicate(_))
    }

    /// Whether asking again later can help, and when at the earliest.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            ApiError::Throttled { pause, .. }
            | ApiError::Restarting { pause }
            | ApiError::PostOnly { pause } => Some(*pause),
            ApiError::Unreachable(_) => Some(Duration::from_millis(250)),
            _ => None,
        }
    }

    /// The refusal that the venue's words stand for; `order_id` where it named one.
    pub fn refused(text: &str, order_id: Option<String>) -> ApiError {
        let (why, text) = (Refusal::read(text), text.chars().take(300).collect::<String>());
        match why {
            Refusal::Duplicate => ApiError::Duplicate(text),
            Refusal::CancelOnly => ApiError::CancelOnly,
            Refusal::Disabled => ApiError::Disabled(text),
            why => ApiError::Refused { why, text, order_id },
        }
    }
}

/// The effect of a processed request; it decides how a lost response is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it may be repeated.
    Read,
    /// The same again changes nothing more (cancels): it may be repeated.
    Repeatable,
    /// Once more would do it once more: a lost answer is unknown.
    Once,
}

/// Reads a refusal from an HTTP answer that is not 2xx. `json`: whether the content type is JSON.
pub(crate) fn from_answer(
    effect: Effect,
    status: u16,
    retry_after: Option<Duration>,
    body: &[u8],
    what: &str,
) -> ApiError {
    #[derive(Default, serde::Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "crate::wire::text")]
        error: String,
        #[serde(default, rename = "errorMsg", deserialize_with = "crate::wire::text")]
        error_msg: String,
        #[serde(default, rename = "error_msg", deserialize_with = "crate::wire::text")]
        error_snake: String,
        #[serde(default, deserialize_with = "crate::wire::text")]
        message: String,
        #[serde(default, deserialize_with = "crate::wire::text")]
        code: String,
        #[serde(default, rename = "orderID", deserialize_with = "crate::wire::text")]
        order_id: String,
        #[serde(default, deserialize_with = "crate::wire::opt_int")]
        retry_after_seconds: Option<u64>,
    }
    let json: Option<Body> = serde_json::from_slice(body).ok();
    let excerpt = || String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    // The reason has several names, and an answer may carry more than one of them.
    let text = json
        .iter()
        .flat_map(|body| [&body.error, &body.error_msg, &body.error_snake, &body.message])
        .find(|text| !text.is_empty())
        .cloned()
        .unwrap_or_else(excerpt);
    let code = json.as_ref().map_or("", |body| body.code.as_str());
    let pause = |default: u64| {
        retry_after
            .or(json.as_ref().and_then(|b| b.retry_after_seconds).map(Duration::from_secs))
            .unwrap_or(Duration::from_secs(default))
            // The pause that the venue asks for is capped.
            .min(Duration::from_secs(3600))
    };
    let lost = |text: String| match effect {
        Effect::Once => ApiError::Unknown(format!("{what}: HTTP {status}: {text}")),
        _ => ApiError::Unreachable(format!("{what}: HTTP {status}: {text}")),
    };
    match status {
        // A page instead of an answer comes from the edge, which proves nothing about what is behind it.
        429 if json.is_some() || effect != Effect::Once => {
            ApiError::Throttled { pause: pause(1), by: ThrottledBy::Venue }
        }
        425 => ApiError::Restarting { pause: pause(1) },
        401 => ApiError::Unauthorised(text),
        403 => ApiError::Unauthorised(format!("HTTP 403: {text}")),
        404 if json.is_some() && Refusal::read(&text) == Refusal::UnknownToken => match effect {
            Effect::Read => ApiError::NotFound(text),
            _ => ApiError::refused(&text, None),
        },
        404 if json.is_some() => ApiError::NotFound(text),
        503 if json.is_some() => {
            let words = text.to_ascii_lowercase();
            if words.contains("cancel-only") {
                ApiError::CancelOnly
            } else if words.contains("post-only mode") || code == "post_only_mode" {
                ApiError::PostOnly { pause: pause(120) }
            } else if words.contains("disabled") {
                ApiError::Disabled(text)
            } else {
                lost(text)
            }
        }
        400 | 405 | 409 | 413 | 415 | 422 if json.is_some() => {
            // "Delayed" is no refusal: the order may match shortly after.
            if effect == Effect::Once && Refusal::read(&text) == Refusal::DelayedByMarket {
                return lost(text);
            }
            let order_id = json.as_ref().map(|b| b.order_id.clone()).filter(|id| !id.is_empty());
            ApiError::refused(&text, order_id)
        }
        300..=399 => ApiError::Misconfigured(format!(
            "{what} was redirected (HTTP {status}): the base URL is wrong"
        )),
        _ => lost(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_venues_texts_are_typed() {
        let cases = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/wire/clob_error_bodies.json"
        ));
        let cases: std::collections::BTreeMap<String, serde_json::Value> =
            serde_json::from_str(cases).unwrap();
        let mut seen = String::new();
        for (name, body) in &cases {
            let status = name[..3].parse().unwrap();
            let error =
                from_answer(Effect::Once, status, None, body.to_string().as_bytes(), "POST /order");
            let kind = match error {
                ApiError::Refused { why, .. } => format!("refused {why:?}"),
                ApiError::PostOnly { pause } => format!("post-only {}", pause.as_secs()),
                ApiError::Unknown(_) => "unknown".into(),
                ApiError::Unauthorised(_) => "unauthorised".into(),
                ApiError::CancelOnly => "cancel-only".into(),
                ApiError::Disabled(_) => "disabled".into(),
                other => format!("{other:?}"),
            };
            seen += &format!("{name}: {kind}\n");
        }
        expect_test::expect![[r#"
            400_balance_errorMsg_key: refused Balance
            400_banned: refused Banned
            400_cancel_bad_id: refused OrderId
            400_cancel_too_many: refused TooMany
            400_closed_only: refused ClosedOnly
            400_fok_killed: refused FokKilled
            400_invalid_payload: refused Payload
            400_owner: refused Owner
            400_signer: refused Signer
            400_tick: refused Tick
            400_too_many: refused TooMany
            400_version: refused Version
            401: unauthorised
            500: unknown
            503_cancel_only: cancel-only
            503_disabled: disabled
            503_post_only_mode: post-only 79
        "#]]
        .assert_eq(&seen);
    }

    #[test]
    fn an_order_the_venue_has_already_is_not_gone() {
        let body = br#"{"error":"order 0xab is invalid. Duplicated."}"#;
        let error = from_answer(Effect::Once, 400, None, body, "POST /order");
        assert!(matches!(&error, ApiError::Duplicate(text) if text.contains("0xab")), "{error:?}");
        assert!(error.may_have_taken_effect());
        let body = br#"{"error":"No orderbook exists for the requested token id"}"#;
        let order = from_answer(Effect::Once, 404, None, body, "POST /order");
        assert!(matches!(order, ApiError::Refused { why: Refusal::UnknownToken, .. }), "{order:?}");
        let read = from_answer(Effect::Read, 404, None, body, "GET /book");
        assert!(matches!(read, ApiError::NotFound(_)), "{read:?}");
    }

    #[test]
    fn a_page_of_the_edge_proves_nothing_about_an_order() {
        let page = b"<html>error 1015</html>";
        for status in [429, 500, 502, 503, 504, 520, 524, 400, 404] {
            let order = from_answer(Effect::Once, status, None, page, "POST /order");
            assert!(order.may_have_taken_effect(), "{status}: {order:?}");
            let read = from_answer(Effect::Read, status, None, page, "GET /book");
            assert!(!read.may_have_taken_effect(), "{status}: {read:?}");
        }
    }

    #[test]
    fn the_venues_pause_is_capped() {
        let error = from_answer(Effect::Once, 429, Some(Duration::from_secs(u64::MAX)), b"{}", "x");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    }
}
