//! Reference prices: the newer service ("PolyBolt") and the older one (RTDS).
//!
//! `full_accuracy_value` is what counts; `value` is a rounded float and used only where nothing else is
//! sent. Gaps in the numbering and dropped messages lead to a new subscription, whose snapshot fills them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::link::{Backoff, Incoming, Link};
use crate::{Credentials, Http, ServerClock, wire};

/// How the price services are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PricesConfig {
    /// How often to send a ping, in milliseconds.
    pub ping_ms: u64,
    /// A connection without a message for so long is reopened (milliseconds).
    pub dead_ms: u64,
    /// The first pause before connecting again, in milliseconds; it doubles.
    pub retry_first_ms: u64,
    /// The longest such pause, in milliseconds.
    pub retry_most_ms: u64,
    /// The least distance between two subscribe frames, in milliseconds.
    pub spacing_ms: u64,
}

impl Default for PricesConfig {
    fn default() -> PricesConfig {
        PricesConfig {
            ping_ms: 5_000,
            dead_ms: 75_000,
            retry_first_ms: 1_000,
            retry_most_ms: 30_000,
            spacing_ms: 110,
        }
    }
}

/// One subscription of the newer service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceSubscription {
    /// `price.crypto`, `price.crypto.twap`, `price.equity`, `price.equity.twap`.
    pub channel: String,
    /// `btcusd`, `aapl`, …
    pub symbol: String,
    /// Averaging window of the `twap` channels, in seconds; 60 is the only one.
    #[serde(default)]
    pub window_seconds: Option<u32>,
    /// `chainlink` or `pyth`; the service chooses when absent.
    #[serde(default)]
    pub provider: Option<String>,
}

/// A reference price, or what happened to the connection.
#[derive(Debug, Clone, PartialEq)]
pub enum PriceItem {
    /// A price.
    Price {
        /// Local time.
        received_at: Time,
        /// The service's time of the price.
        at: Time,
        /// Channel or topic.
        channel: String,
        /// Symbol.
        symbol: String,
        /// Source of the price as stated by the service.
        source: String,
        /// US dollars.
        value: Decimal,
        /// Averaging window in seconds.
        window_seconds: Option<u32>,
        /// Whether it belongs to the history sent at the beginning.
        history: bool,
    },
    /// Connected and subscribing.
    Connected {
        /// Local time.
        at: Time,
    },
    /// Gone until the next [`PriceItem::Connected`].
    Disconnected {
        /// Local time.
        at: Time,
        /// Why.
        reason: String,
    },
    /// The service refused something.
    Refused {
        /// Local time.
        at: Time,
        /// Its code.
        code: String,
        /// About which channel.
        channel: String,
    },
}

/// A running price channel. Dropping it closes the connection.
pub struct PriceFeed {
    _tasks: JoinSet<()>,
}

/// A topic of the older service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rtds {
    /// `crypto_prices`, `crypto_prices_chainlink`, `crypto_prices_twap_sixty`, `equity_prices`, …
    pub topic: String,
    /// Only this symbol, `btcusdt` or `btc/usd`; all when absent.
    #[serde(default)]
    pub symbol: Option<String>,
}

impl PriceFeed {
    /// The newer service; it wants API credentials. At most 64 subscriptions on a connection.
    pub fn polybolt(
        config: PricesConfig,
        http: Http,
        url: &str,
        credentials: Credentials,
        subscriptions: Vec<PriceSubscription>,
        clock: ServerClock,
    ) -> Result<(PriceFeed, mpsc::Receiver<PriceItem>), crate::ApiError> {
        if subscriptions.len() > 64 {
            return Err(crate::ApiError::Misconfigured(format!(
                "{} price subscriptions; one connection takes 64",
                subscriptions.len()
            )));
        }
        // Each subscription has its own sequence numbers: two equal ones would show false sequence gaps.
        for (i, one) in subscriptions.iter().enumerate() {
            if subscriptions[i + 1..].iter().any(|other| one.is_like(other)) {
                return Err(crate::ApiError::Misconfigured(format!(
                    "two price subscriptions of {} {} cannot be distinguished; name a different provider for each",
                    one.channel, one.symbol
                )));
            }
        }
        Ok(Session::start(
            config,
            http,
            url,
            Service::Polybolt { credentials, subscriptions },
            clock,
        ))
    }

    /// The older service, without credentials.
    pub fn rtds(
        config: PricesConfig,
        http: Http,
        url: &str,
        topics: Vec<Rtds>,
        clock: ServerClock,
    ) -> (PriceFeed, mpsc::Receiver<PriceItem>) {
        Session::start(config, http, url, Service::Rtds { topics }, clock)
    }
}

enum Service {
    Polybolt { credentials: Credentials, subscriptions: Vec<PriceSubscription> },
    Rtds { topics: Vec<Rtds> },
}

struct Session {
    config: PricesConfig,
    http: Http,
    url: Arc<str>,
    service: Service,
    clock: ServerClock,
    items: mpsc::Sender<PriceItem>,
}

enum End {
    Lost(String),
    /// The service asked for a pause before reconnecting.
    Policy(String),
}

/// Apart from the places of the market and user sockets.
const PRICES_PLACE: u64 = 2 << 32;

impl Session {
    fn start(
        config: PricesConfig,
        http: Http,
        url: &str,
        service: Service,
        clock: ServerClock,
    ) -> (PriceFeed, mpsc::Receiver<PriceItem>) {
        let (items, out) = mpsc::channel(8_192);
        let mut tasks = JoinSet::new();
        let session = Session { config, http, url: url.into(), service, clock, items };
        tasks.spawn(session.run());
        (PriceFeed { _tasks: tasks }, out)
    }

    async fn run(self) {
        let millis = Duration::from_millis;
        let first = millis(self.config.retry_first_ms.max(1));
        let chance = self.http.chance(PRICES_PLACE);
        let mut backoff = Backoff::new(first, millis(self.config.retry_most_ms.max(1)), chance);
        while !self.items.is_closed() {
            match Link::open(&self.http, &self.url).await {
                Err(error) => tracing::warn!(%error, "price socket: cannot connect"),
                Ok(link) => {
                    let since = Instant::now();
                    let (reason, long) = match self.session(link).await {
                        End::Lost(reason) => (reason, false),
                        End::Policy(reason) => (reason, true),
                    };
                    tracing::warn!(%reason, "price socket: connection lost");
                    let at = self.clock.local();
                    if self.items.send(PriceItem::Disconnected { at, reason }).await.is_err() {
                        return;
                    }
                    if long {
                        tokio::time::sleep(millis(self.config.retry_most_ms)).await;
                    } else if since.elapsed() > Duration::from_secs(60) {
                        backoff.reset();
                    }
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn session(&self, mut link: Link) -> End {
        let millis = Duration::from_millis;
        if self.items.send(PriceItem::Connected { at: self.clock.local() }).await.is_err() {
            return End::Lost("the receiver is dropped".into());
        }
        // Frames still to be sent, spaced.
        let mut waiting: std::collections::VecDeque<String> = self.opening().into();
        let mut last: BTreeMap<Stream, u64> = BTreeMap::new();
        let mut spacing = tokio::time::interval(millis(self.config.spacing_ms.max(1)));
        spacing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ping = tokio::time::interval(millis(self.config.ping_ms.max(1)));
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_sign = Instant::now();
        loop {
            tokio::select! {
                biased;
                _ = spacing.tick(), if !waiting.is_empty() => {
                    if let Some(frame) = waiting.pop_front()
                        && link.send(frame).await.is_err()
                    {
                        return End::Lost("closed while subscribing".into());
                    }
                }
                _ = ping.tick() => {
                    if last_sign.elapsed() > millis(self.config.dead_ms) {
                        return End::Lost(format!("no message for {} ms", self.config.dead_ms));
                    }
                    let frame = match self.service {
                        Service::Polybolt { .. } => "{\"op\":\"ping\"}",
                        Service::Rtds { .. } => "PING",
                    };
                    if link.send(frame.into()).await.is_err() {
                        return End::Lost("closed while pinging".into());
                    }
                }
                news = link.next() => {
                    last_sign = Instant::now();
                    match news {
                        Incoming::Ping => {}
                        Incoming::Closed { code: 4001, reason } => {
                            return End::Policy(format!("the credentials were refused: {reason}"));
                        }
                        Incoming::Closed { code: 4008, reason } => {
                            return End::Policy(format!("closed by policy: {reason}"));
                        }
                        Incoming::Closed { code, reason } => return End::Lost(format!("closed with {code} {reason}")),
                        Incoming::Message(bytes) => {
                            let now = self.clock.local();
                            let read = match self.service {
                                Service::Polybolt { .. } => polybolt(&bytes, now, &mut last),
                                Service::Rtds { .. } => rtds(&bytes, now),
                            };
                            for item in read.items {
                                if self.items.send(item).await.is_err() {
                                    return End::Lost("the receiver is dropped".into());
                                }
                            }
                            if let Some(gap) = read.gap
                                && let Service::Polybolt { subscriptions, .. } = &self.service
                            {
                                for subscription in subscriptions.iter().filter(|s| s.brings(&gap)) {
                                    tracing::warn!(channel = %gap.channel, symbol = %gap.symbol, source = %gap.source, "price socket: messages are missing; subscribing again");
                                    let again = polybolt_frame("subscribe", subscription);
                                    if !waiting.contains(&again) {
                                        waiting.push_back(polybolt_frame("unsubscribe", subscription));
                                        waiting.push_back(again);
                                    }
                                }
                                last.remove(&gap);
                            }
                        }
                    }
                }
            }
        }
    }

    fn opening(&self) -> Vec<String> {
        match &self.service {
            Service::Polybolt { credentials, subscriptions } => {
                let auth = serde_json::json!({
                    "op": "auth",
                    "rid": "a1",
                    "auth": {
                        "apiKey": credentials.key,
                        "secret": credentials.secret.expose(),
                        "passphrase": credentials.passphrase.expose(),
                    },
                });
                let mut frames = vec![auth.to_string()];
                frames.extend(subscriptions.iter().map(|s| polybolt_frame("subscribe", s)));
                frames
            }
            // One topic a frame: a bad one poisons its whole frame. No blanks in the filter: they silently
            // kill the feed.
            Service::Rtds { topics } => topics
                .iter()
                .map(|topic| {
                    let mut subscription =
                        serde_json::json!({ "topic": topic.topic, "type": "update" });
                    if let Some(symbol) = &topic.symbol {
                        subscription["filters"] =
                            serde_json::json!({ "symbol": symbol }).to_string().into();
                    }
                    serde_json::json!({ "action": "subscribe", "subscriptions": [subscription] })
                        .to_string()
                })
                .collect(),
        }
    }
}

fn polybolt_frame(op: &str, subscription: &PriceSubscription) -> String {
    let mut filter = serde_json::json!({ "symbol": subscription.symbol });
    if let Some(window) = subscription.window_seconds {
        filter["window_seconds"] = window.into();
    }
    if let Some(provider) = &subscription.provider {
        filter["provider"] = provider.as_str().into();
    }
    serde_json::json!({
        "op": op,
        "rid": format!("{}-{}", subscription.channel, subscription.symbol),
        "subscriptions": [{ "channel": subscription.channel, "filter": filter }],
    })
    .to_string()
}

/// What the newer service numbers on its own: what one subscription brings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stream {
    channel: String,
    symbol: String,
    source: String,
    window_seconds: Option<u32>,
}

impl PriceSubscription {
    /// Whether frames of this stream belong to it. Fields that a frame lacks are not compared.
    fn brings(&self, stream: &Stream) -> bool {
        let window = (self.window_seconds, stream.window_seconds);
        let provider = self.provider.as_deref().unwrap_or_default();
        (&self.channel, &self.symbol) == (&stream.channel, &stream.symbol)
            && (window.0.is_none() || window.1.is_none() || window.0 == window.1)
            && (provider.is_empty()
                || stream.source.is_empty()
                || provider.eq_ignore_ascii_case(&stream.source))
    }

    /// Whether frames of the two cannot be distinguished.
    fn is_like(&self, other: &PriceSubscription) -> bool {
        self.brings(&Stream {
            channel: other.channel.clone(),
            symbol: other.symbol.clone(),
            source: other.provider.clone().unwrap_or_default(),
            window_seconds: other.window_seconds,
        })
    }
}

/// A decoded frame of a price service.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Read {
    pub items: Vec<PriceItem>,
    /// A subscription whose messages are not complete.
    pub gap: Option<Stream>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload {
    #[serde(deserialize_with = "wire::text")]
    symbol: String,
    #[serde(deserialize_with = "wire::text")]
    source: String,
    #[serde(deserialize_with = "wire::opt")]
    value: Option<Decimal>,
    #[serde(deserialize_with = "wire::text")]
    full_accuracy_value: String,
    #[serde(deserialize_with = "wire::opt_time")]
    timestamp: Option<Time>,
    #[serde(deserialize_with = "wire::opt_int")]
    window_seconds: Option<u32>,
    #[serde(deserialize_with = "wire::vec")]
    data: Vec<Point>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Point {
    #[serde(deserialize_with = "wire::opt")]
    value: Option<Decimal>,
    #[serde(deserialize_with = "wire::text")]
    full_accuracy_value: String,
    #[serde(deserialize_with = "wire::opt_time")]
    timestamp: Option<Time>,
}

/// `wei`: the accurate value is an integer times 10^18.
fn accurate(full: &str, rounded: Option<Decimal>, wei: bool) -> Option<Decimal> {
    if full.is_empty() {
        return rounded;
    }
    let value = wire::decimal(full)?;
    let (sign, digits) = full.strip_prefix('-').map_or(("", full), |rest| ("-", rest));
    // An exponent would be cut apart below: only digits are read.
    if wei && !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    if wei && !full.contains('.') {
        // More digits than a decimal holds: shift the point in the text.
        let padded = format!("{digits:0>19}");
        let (whole, fraction) = padded.split_at(padded.len() - 18);
        return wire::decimal(&format!("{sign}{whole}.{fraction}"));
    }
    Some(value)
}

fn prices(payload: Payload, channel: &str, wei: bool, received_at: Time) -> Vec<PriceItem> {
    let Payload { symbol, source, value, full_accuracy_value, timestamp, window_seconds, data } =
        payload;
    let item = |value: Decimal, at: Time, history: bool| PriceItem::Price {
        received_at,
        at,
        channel: channel.to_owned(),
        symbol: symbol.clone(),
        source: source.clone(),
        value,
        window_seconds,
        history,
    };
    let mut items: Vec<PriceItem> = data
        .iter()
        .filter_map(|point| {
            Some(item(
                accurate(&point.full_accuracy_value, point.value, wei)?,
                point.timestamp?,
                true,
            ))
        })
        .collect();
    if let (Some(value), Some(at)) = (accurate(&full_accuracy_value, value, wei), timestamp) {
        items.push(item(value, at, false));
    }
    items
}

/// A frame of the newer service.
pub(crate) fn polybolt(frame: &[u8], now: Time, last: &mut BTreeMap<Stream, u64>) -> Read {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Frame {
        op: String,
        code: String,
        channel: String,
        seq: Option<u64>,
        snapshot: bool,
        dropped: Option<u64>,
        payload: Option<Payload>,
    }
    let Ok(frame) = serde_json::from_slice::<Frame>(frame) else {
        tracing::warn!(frame = %String::from_utf8_lossy(&frame[..frame.len().min(200)]), "price socket: malformed message");
        return Read::default();
    };
    if frame.op == "error" {
        return Read {
            items: vec![PriceItem::Refused { at: now, code: frame.code, channel: frame.channel }],
            gap: None,
        };
    }
    let Some(payload) = frame.payload else { return Read::default() };
    let key = Stream {
        channel: frame.channel.clone(),
        symbol: payload.symbol.clone(),
        source: payload.source.clone(),
        window_seconds: payload.window_seconds,
    };
    let mut gap = frame.dropped.is_some_and(|n| n > 0);
    if let Some(seq) = frame.seq {
        let before = last.insert(key.clone(), seq);
        gap |= !frame.snapshot && before.is_some_and(|before| before.checked_add(1) != Some(seq));
    }
    Read { items: prices(payload, &frame.channel, false, now), gap: gap.then_some(key) }
}

/// A frame of the older service.
pub(crate) fn rtds(frame: &[u8], now: Time) -> Read {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Frame {
        topic: String,
        payload: Option<Payload>,
    }
    if frame.is_empty() || frame == b"PONG" {
        return Read::default();
    }
    let Ok(frame) = serde_json::from_slice::<Frame>(frame) else {
        tracing::warn!(frame = %String::from_utf8_lossy(&frame[..frame.len().min(200)]), "price socket: malformed message");
        return Read::default();
    };
    // Snapshots of the Chainlink topics are labelled `crypto_prices`: their symbols identify them.
    let slash = frame.payload.as_ref().is_some_and(|payload| payload.symbol.contains('/'));
    let wei = slash || frame.topic.contains("chainlink") || frame.topic.contains("twap");
    let items =
        frame.payload.map(|payload| prices(payload, &frame.topic, wei, now)).unwrap_or_default();
    Read { items, gap: None }
}

/// A decoded frame of either service, for tests of recorded frames.
#[cfg(test)]
pub(crate) fn read_price_frame(frame: &[u8]) -> Vec<PriceItem> {
    let now = Time::from_secs(0);
    let items = polybolt(frame, now, &mut BTreeMap::new()).items;
    if items.is_empty() { rtds(frame, now).items } else { items }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accurate_values_keep_every_digit() {
        for (full, wei, expected) in [
            ("84290.833784311415570432", false, "84290.833784311415570432"),
            ("84290833784311415570432", true, "84290.833784311415570432"),
            ("5", true, "0.000000000000000005"),
            ("61035.86000000", false, "61035.86"),
        ] {
            assert_eq!(accurate(full, None, wei), Some(expected.parse().unwrap()), "{full}");
        }
        assert_eq!(accurate("", Some(Decimal::TWO), false), Some(Decimal::TWO));
        assert_eq!(accurate("x", None, false), None);
        for exponent in ["1e20", "1E20", "+5", "1.5e2"] {
            assert_eq!(accurate(exponent, None, true), None, "{exponent}");
        }
    }

    fn subscription(window_seconds: Option<u32>, provider: &str) -> PriceSubscription {
        PriceSubscription {
            channel: "price.crypto".into(),
            symbol: "btcusd".into(),
            window_seconds,
            provider: Some(provider.to_owned()).filter(|name| !name.is_empty()),
        }
    }

    #[test]
    fn two_providers_of_one_symbol_are_numbered_apart() {
        let mut last = BTreeMap::new();
        let mut gaps = Vec::new();
        for (source, seq) in
            [("pyth", 1), ("chainlink", 70), ("pyth", 2), ("chainlink", 71), ("pyth", 4)]
        {
            let frame = format!(
                r#"{{"v":1,"channel":"price.crypto","seq":{seq},"ts":1,"payload":{{"full_accuracy_value":"1.5","source":"{source}","symbol":"btcusd","timestamp":1791355667000}}}}"#
            );
            gaps.extend(polybolt(frame.as_bytes(), Time::from_secs(0), &mut last).gap);
        }
        let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
        for (provider, brings) in [("pyth", true), ("chainlink", false), ("", true)] {
            assert_eq!(subscription(None, provider).brings(gap), brings, "{provider}");
        }
    }

    #[test]
    fn subscriptions_that_cannot_be_distinguished_are_detected() {
        for (one, other, alike) in [
            ((None, "pyth"), (None, "chainlink"), false),
            ((None, "pyth"), (None, "pyth"), true),
            ((None, "pyth"), (None, ""), true),
            ((Some(60), "pyth"), (Some(30), "pyth"), false),
            ((Some(60), ""), (None, "pyth"), true),
        ] {
            let [one, other] = [one, other].map(|(window, name)| subscription(window, name));
            assert_eq!((one.is_like(&other), other.is_like(&one)), (alike, alike));
        }
    }

    #[test]
    fn a_missing_number_asks_for_a_new_subscription() {
        let frame = |seq: u64| {
            format!(
                r#"{{"v":1,"channel":"price.crypto","seq":{seq},"ts":1,"payload":{{"full_accuracy_value":"1.5","source":"chainlink","symbol":"btcusd","timestamp":1791355667000,"value":1.5}}}}"#
            )
        };
        let mut last = BTreeMap::new();
        for (seq, gap) in [(2, false), (3, false), (5, true), (6, false)] {
            let read = polybolt(frame(seq).as_bytes(), Time::from_secs(0), &mut last);
            assert_eq!(read.gap.is_some(), gap, "{seq}");
            assert_eq!(read.items.len(), 1);
        }
    }
}
