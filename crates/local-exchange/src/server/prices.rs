//! Price sockets: PolyBolt and the older RTDS, with prices that are seeded random walks.

use std::collections::{BTreeMap, VecDeque};

use polydesk_domain::{Span, Time};
use serde_json::{Value, json};

use super::hub::{Channel, Hub, Marked, Out, Wants};
use super::inner::Inner;
use crate::chance::SeededRandom;
use crate::faults::Faults;
use crate::{text, wire};

/// Prices come once a second.
const BEAT: Span = Span::secs(1);
/// How many a snapshot carries: about two minutes.
const HISTORY: usize = 120;
/// Subscriptions of one connection.
const SUBSCRIPTIONS_MOST: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Subscription {
    connection: u64,
    /// PolyBolt's channel or RTDS's topic.
    channel: String,
    symbol: String,
    bolt: bool,
    provider: &'static str,
    seq: u64,
}

/// A price in millionths and its recent past.
#[derive(Debug, Clone)]
struct PriceWalk {
    micros: i64,
    past: VecDeque<(Time, i64)>,
}

/// All subscriptions and prices.
#[derive(Debug)]
pub(crate) struct Feeds {
    chance: SeededRandom,
    subscriptions: Vec<Subscription>,
    walks: BTreeMap<String, PriceWalk>,
    next: Time,
}

impl Feeds {
    pub(crate) fn new(seed: u64, now: Time) -> Feeds {
        Feeds {
            chance: SeededRandom::new(seed, 3),
            subscriptions: Vec::new(),
            walks: BTreeMap::new(),
            next: now,
        }
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        (!self.subscriptions.is_empty()).then_some(self.next)
    }

    fn step(chance: &mut SeededRandom, micros: i64) -> i64 {
        let most = (micros / 10_000).max(1);
        micros + chance.below(2 * most as u64 + 1) as i64 - most
    }

    fn walk(&mut self, symbol: &str, now: Time) -> &mut PriceWalk {
        let chance = &mut self.chance;
        self.walks.entry(symbol.to_owned()).or_insert_with(|| {
            let mut micros = match symbol {
                s if s.starts_with("btc") => 84_000_000_000,
                s if s.starts_with("eth") => 3_100_000_000,
                _ => 300_000_000,
            };
            let mut past = VecDeque::new();
            for second in (1..=HISTORY as i64).rev() {
                micros = Feeds::step(chance, micros);
                past.push_back((now - Span::secs(second), micros));
            }
            PriceWalk { micros, past }
        })
    }

    /// Sends the prices of the seconds up to now.
    pub(crate) fn advance(&mut self, now: Time, hub: &mut Hub, faults: &mut Faults) {
        self.subscriptions.retain(|subscription| hub.get(subscription.connection).is_some());
        if self.subscriptions.is_empty() || self.next > now {
            return;
        }
        self.next = now + BEAT;
        for (_, walk) in self.walks.iter_mut() {
            walk.micros = Feeds::step(&mut self.chance, walk.micros);
            walk.past.push_back((now, walk.micros));
            if walk.past.len() > HISTORY {
                walk.past.pop_front();
            }
        }
        for subscription in &mut self.subscriptions {
            let Some(walk) = self.walks.get(&subscription.symbol) else { continue };
            subscription.seq += 1;
            let frame = update(subscription, now, walk.micros);
            let marked = Marked {
                event: subscription.channel.clone(),
                tokens: Vec::new(),
                text: frame.to_string(),
            };
            hub.send(subscription.connection, &marked, faults, now);
        }
    }

    /// Whether a symbol moved by hand.
    pub(crate) fn set(&mut self, symbol: &str, micros: i64, now: Time) {
        self.walk(symbol, now).micros = micros;
    }
}

fn point(at: Time, micros: i64) -> Value {
    let exact = text::micros(i128::from(micros));
    json!({ "timestamp": at.millis(), "value": wire::rounded(&exact), "full_accuracy_value": exact })
}

fn update(of: &Subscription, now: Time, micros: i64) -> Value {
    let mut payload = point(now, micros);
    payload["symbol"] = json!(of.symbol);
    if !of.bolt {
        return json!({
            "topic": of.channel, "type": "update", "timestamp": now.millis(), "payload": payload
        });
    }
    payload["source"] = json!(of.provider);
    if of.channel.ends_with(".twap") {
        payload["window_seconds"] = json!(60);
    }
    json!({ "v": 1, "channel": of.channel, "seq": of.seq, "ts": now.millis(), "payload": payload })
}

fn snapshot(of: &Subscription, now: Time, past: &VecDeque<(Time, i64)>) -> Value {
    let data: Vec<Value> = past.iter().map(|(at, micros)| point(*at, *micros)).collect();
    if !of.bolt {
        return json!({
            "topic": of.channel, "type": "subscribe", "timestamp": now.millis(),
            "payload": { "symbol": of.symbol, "data": data },
        });
    }
    let mut payload = json!({ "data": data, "source": of.provider, "symbol": of.symbol });
    if of.channel.ends_with(".twap") {
        payload["window_seconds"] = json!(60);
    }
    json!({ "v": 1, "channel": of.channel, "seq": of.seq, "ts": now.millis(), "snapshot": true,
            "payload": payload })
}

impl Inner {
    fn say(&mut self, id: u64, value: &Value) {
        self.hub.put(id, Out::Text(value.to_string()));
    }

    fn fail(&mut self, id: u64, code: &str, rid: &Value, channel: Option<&str>) {
        let mut value = json!({ "op": "error", "code": code, "rid": rid });
        if let Some(channel) = channel {
            value["channel"] = json!(channel);
        }
        self.say(id, &value);
    }

    pub(super) fn hear_polybolt(&mut self, id: u64, value: &Value) {
        let rid = &value["rid"];
        match value["op"].as_str() {
            Some("ping") if self.faults.mutes_pong(Channel::Polybolt) => {}
            Some("ping") => self.say(id, &json!({ "op": "pong" })),
            Some("auth") => {
                let auth = &value["auth"];
                let key = auth["apiKey"].as_str().and_then(|key| key.parse().ok());
                let sound = key.and_then(|key| self.venue.caller(&key)).is_some_and(|(_, own)| {
                    auth["secret"].as_str() == Some(own.secret.as_str())
                        && auth["passphrase"].as_str() == Some(own.passphrase.as_str())
                });
                if !sound {
                    self.fail(id, "auth_invalid", rid, None);
                    self.hub.close(id, 4_001, "auth failed");
                    return;
                }
                if let Some(connection) = self.hub.get_mut(id) {
                    connection.wants = Wants::Prices;
                }
                self.say(id, &json!({ "op": "authed", "rid": rid }));
            }
            Some("subscribe") => {
                let authed = self.hub.get(id).is_some_and(|c| c.wants == Wants::Prices);
                let wanted = value["subscriptions"].as_array().cloned().unwrap_or_default();
                for one in wanted {
                    let channel = one["channel"].as_str().unwrap_or_default();
                    let symbol = one["filter"]["symbol"].as_str().unwrap_or_default();
                    if !authed {
                        self.fail(id, "auth_required", rid, Some(channel));
                        continue;
                    }
                    let provider = match channel {
                        "price.crypto" | "price.crypto.twap" => "chainlink",
                        "price.equity" | "price.equity.twap" => "pyth",
                        _ => {
                            self.fail(id, "bad_channel", rid, Some(channel));
                            continue;
                        }
                    };
                    if symbol.is_empty() {
                        self.fail(id, "bad_filter", rid, Some(channel));
                        continue;
                    }
                    let said = json!({
                        "op": "subscribed", "channel": channel, "rid": rid, "provider": provider
                    });
                    if !self.price_subscribe(id, channel, symbol, true, provider, Some(&said)) {
                        self.fail(id, "sub_limit", rid, Some(channel));
                    }
                }
            }
            Some("unsubscribe") => {
                let gone = value["subscriptions"].as_array().cloned().unwrap_or_default();
                self.feeds.subscriptions.retain(|subscription| {
                    let named = gone.iter().any(|one| {
                        one["channel"].as_str() == Some(subscription.channel.as_str())
                            && one["filter"]["symbol"].as_str()
                                == Some(subscription.symbol.as_str())
                    });
                    subscription.connection != id || !named
                });
            }
            _ => self.fail(id, "bad_op", rid, None),
        }
    }

    pub(super) fn hear_rtds(&mut self, id: u64, value: &Value) {
        let wanted = value["subscriptions"].as_array().cloned().unwrap_or_default();
        let known = [
            "crypto_prices",
            "crypto_prices_chainlink",
            "crypto_prices_twap_thirty",
            "crypto_prices_twap_sixty",
            "equity_prices",
            "activity",
            "comments",
        ];
        // One unknown topic poisons the whole frame.
        if wanted.iter().any(|one| !one["topic"].as_str().is_some_and(|t| known.contains(&t))) {
            let error = json!({ "statusCode": 401, "body": { "message": "unauthorized" } });
            return self.say(id, &error);
        }
        for one in wanted {
            let topic = one["topic"].as_str().unwrap_or_default().to_owned();
            if value["action"].as_str() == Some("unsubscribe") {
                self.feeds.subscriptions.retain(|s| s.connection != id || s.channel != topic);
                continue;
            }
            let filters = one["filters"].as_str().unwrap_or_default();
            // Whitespace in the filter silently kills the feed.
            if filters.contains(char::is_whitespace) {
                continue;
            }
            let parsed = serde_json::from_str::<Value>(filters).unwrap_or(Value::Null);
            let usual = match topic.as_str() {
                "equity_prices" => "aapl",
                "crypto_prices" => "btcusdt",
                _ => "btc/usd",
            };
            let symbol = parsed["symbol"].as_str().unwrap_or(usual);
            if topic != "activity" && topic != "comments" {
                self.price_subscribe(id, &topic, symbol, false, "", None);
            }
        }
    }

    fn price_subscribe(
        &mut self,
        id: u64,
        channel: &str,
        symbol: &str,
        bolt: bool,
        provider: &'static str,
        said: Option<&Value>,
    ) -> bool {
        let mine = self.feeds.subscriptions.iter().filter(|s| s.connection == id).count();
        if bolt && mine >= SUBSCRIPTIONS_MOST {
            return false;
        }
        let now = self.venue.now();
        if let Some(said) = said {
            self.say(id, said);
        }
        if self.feeds.subscriptions.is_empty() {
            self.feeds.next = now + BEAT;
        }
        let past = self.feeds.walk(symbol, now).past.clone();
        let subscription = Subscription {
            connection: id,
            channel: channel.to_owned(),
            symbol: symbol.to_owned(),
            bolt,
            provider,
            seq: 1,
        };
        let frame = snapshot(&subscription, now, &past);
        self.say(id, &frame);
        self.feeds.subscriptions.push(subscription);
        true
    }
}
