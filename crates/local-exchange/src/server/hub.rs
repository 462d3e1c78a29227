//! Socket connections: what each wants to hear, and the frames on their way to it.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::Address;
use polydesk_domain::{MarketKey, Span, Time, Token};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use crate::faults::{Faults, Passage};
use crate::venue::{Venue, VenueUpdate};
use crate::wire;

/// What a writer puts on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Out {
    Text(String),
    Pong(Vec<u8>),
    Close(u16, String),
    /// The connection ends without a word.
    Cut {
        /// By RST instead of FIN.
        reset: bool,
    },
}

/// Which stream a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// `/ws/market`.
    Market,
    /// `/ws/user`.
    User,
    /// PolyBolt.
    Polybolt,
    /// RTDS.
    Rtds,
}

/// What a connection asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wants {
    /// Nothing yet.
    Unsaid,
    /// Tokens, and whether the optional events as well.
    Market { tokens: BTreeSet<Token>, custom: bool },
    /// An EOA's update, of some markets or all.
    User { signer: Address, key: Uuid, markets: Option<BTreeSet<MarketKey>> },
    /// Price feeds; their subscriptions are kept by the feeds.
    Prices,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) channel: Channel,
    /// Counted from 1 among the connections of its channel.
    pub(crate) number: u64,
    pub(crate) wants: Wants,
    pub(crate) last_ping: Time,
    out: UnboundedSender<Out>,
}

/// A frame with the attributes that fault rules match on.
#[derive(Debug, Clone)]
pub(crate) struct Marked {
    pub(crate) event: String,
    pub(crate) tokens: Vec<Token>,
    pub(crate) text: String,
}

impl Marked {
    pub(crate) fn new(tokens: Vec<Token>, value: &Value) -> Marked {
        let event = value["event_type"].as_str().unwrap_or_default().to_owned();
        Marked { event, tokens, text: value.to_string() }
    }
}

/// A frame of the market channel that is on its way.
#[derive(Debug)]
struct Late {
    /// To which connection.
    to: u64,
    out: Out,
    tokens: Vec<Token>,
    made: Time,
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Hub {
    connections: BTreeMap<u64, Connection>,
    next: u64,
    opened: BTreeMap<Channel, u64>,
    late: BTreeMap<(Time, u64), Late>,
    /// When what the market channel last delivered of a token was made.
    shown: BTreeMap<Token, Time>,
    serial: u64,
    ping_timeout: Span,
    now: Time,
}

impl Hub {
    pub(crate) fn new(ping_timeout: Span, _seed: u64) -> Hub {
        Hub {
            connections: BTreeMap::new(),
            next: 0,
            opened: BTreeMap::new(),
            late: BTreeMap::new(),
            shown: BTreeMap::new(),
            serial: 0,
            ping_timeout,
            now: Time::MIN,
        }
    }

    /// A new connection; its id.
    pub(crate) fn open(&mut self, channel: Channel, out: UnboundedSender<Out>, now: Time) -> u64 {
        self.next += 1;
        let number = self.opened.entry(channel).or_default();
        *number += 1;
        let connection =
            Connection { channel, number: *number, wants: Wants::Unsaid, last_ping: now, out };
        self.connections.insert(self.next, connection);
        self.next
    }

    pub(crate) fn gone(&mut self, id: u64) {
        self.connections.remove(&id);
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Connection> {
        self.connections.get(&id)
    }

    /// Open connections of a channel: id and number.
    pub(crate) fn of(&self, channel: Channel) -> Vec<(u64, u64)> {
        let of_channel = self.connections.iter().filter(|(_, c)| c.channel == channel);
        of_channel.map(|(id, connection)| (*id, connection.number)).collect()
    }

    /// Whether a market socket's keep-alive counts.
    fn pings(channel: Channel) -> bool {
        matches!(channel, Channel::Market | Channel::User)
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        let late = self.late.keys().next().map(|(at, _)| *at);
        let silent = self
            .connections
            .values()
            .filter(|connection| Hub::pings(connection.channel))
            .map(|connection| connection.last_ping + self.ping_timeout)
            .min();
        late.into_iter().chain(silent).min()
    }

    /// Sends what is due and closes what was silent.
    pub(crate) fn advance(&mut self, now: Time) {
        self.now = now;
        while let Some(entry) = self.late.first_entry().filter(|entry| entry.key().0 <= now) {
            let Late { to, out, tokens, made } = entry.remove();
            self.put(to, out);
            self.show(&tokens, made);
        }
        let timeout = self.ping_timeout;
        let silent: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, c)| Hub::pings(c.channel) && c.last_ping + timeout <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            self.close(id, 1008, "no ping received");
        }
    }

    /// Puts something on a connection's wire.
    pub(crate) fn put(&mut self, id: u64, out: Out) {
        let closes = matches!(out, Out::Close(..) | Out::Cut { .. });
        if let Some(connection) = self.connections.get(&id) {
            // Its writer may have ended; its reader reports the end.
            let _ = connection.out.send(out);
        }
        if closes {
            self.gone(id);
        }
    }

    /// The same, at a later time: a frame of the market channel about these tokens.
    fn put_at(&mut self, at: Time, late: Late) {
        self.serial += 1;
        self.late.insert((at, self.serial), late);
    }

    /// When the newest frame that the market channel has delivered of a token was made.
    pub(crate) fn shown(&self, token: Token) -> Option<Time> {
        self.shown.get(&token).copied()
    }

    fn show(&mut self, tokens: &[Token], made: Time) {
        for token in tokens {
            let known = self.shown.entry(*token).or_insert(made);
            *known = (*known).max(made);
        }
    }

    pub(crate) fn close(&mut self, id: u64, code: u16, reason: &str) {
        self.put(id, Out::Close(code, reason.to_owned()));
    }

    /// Sends a frame after applying the fault rules.
    pub(crate) fn send(&mut self, id: u64, marked: &Marked, faults: &mut Faults, now: Time) {
        let Some(connection) = self.connections.get(&id) else { return };
        let (channel, number) = (connection.channel, connection.number);
        let tokens = match channel {
            Channel::Market => marked.tokens.clone(),
            _ => Vec::new(),
        };
        for passage in faults.pass(id, channel, number, marked, now) {
            match passage {
                Passage::Now(text) => {
                    self.put(id, Out::Text(text));
                    self.show(&tokens, now);
                }
                Passage::At(at, text) => {
                    let (out, tokens) = (Out::Text(text), tokens.clone());
                    self.put_at(at, Late { to: id, out, tokens, made: now });
                }
                Passage::Close(code, reason) => self.close(id, code, &reason),
                Passage::Cut { reset } => self.put(id, Out::Cut { reset }),
            }
        }
    }

    /// Gives one piece of update to everyone who wants it.
    pub(crate) fn publish(&mut self, venue: &Venue, faults: &mut Faults, update: &VenueUpdate) {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            let Some(connection) = self.connections.get(&id) else { continue };
            for marked in frames(venue, update, &connection.wants) {
                self.send(id, &marked, faults, venue.now());
            }
        }
    }
}

/// The frames of one piece of update for one connection.
fn frames(venue: &Venue, update: &VenueUpdate, wants: &Wants) -> Vec<Marked> {
    match wants {
        Wants::Market { tokens, custom } => market_frames(venue, update, tokens, *custom),
        Wants::User { signer, key, markets } => {
            user_frame(venue, update, signer, *key, markets.as_ref()).into_iter().collect()
        }
        Wants::Unsaid | Wants::Prices => Vec::new(),
    }
}

fn market_frames(
    venue: &Venue,
    update: &VenueUpdate,
    tokens: &BTreeSet<Token>,
    custom: bool,
) -> Vec<Marked> {
    let universe = venue.universe();
    let wanted = |token: &Token| tokens.contains(token);
    let both = |market: &MarketKey| {
        let tokens = polydesk_domain::Outcome::BOTH.map(|outcome| market.token(outcome));
        tokens.into_iter().filter(wanted).collect::<Vec<_>>()
    };
    let one = |token: Token, value: Value| vec![Marked::new(vec![token], &value)];
    match update {
        VenueUpdate::Levels { market, at, changes } => {
            let mine = changes.iter().filter(|change| wanted(&change.token));
            let frame = wire::levels_frame(mine, *at, universe);
            frame.map(|value| Marked::new(both(market), &value)).into_iter().collect()
        }
        VenueUpdate::Print { token, price, size, side, at } if wanted(token) => {
            one(*token, wire::print_frame(*token, *price, *size, *side, *at, universe))
        }
        VenueUpdate::Book(view) if wanted(&view.token) => one(view.token, wire::book_frame(view)),
        VenueUpdate::Tick { market, old, new, at } => {
            let frame = |token| {
                Marked::new(vec![token], &wire::tick_frame(token, *old, *new, *at, universe))
            };
            both(market).into_iter().map(frame).collect()
        }
        VenueUpdate::Top { token, bid, ask, at } if custom && wanted(token) => {
            one(*token, wire::top_frame(*token, *bid, *ask, *at, universe))
        }
        VenueUpdate::Listed { market, at } if custom => {
            let view = venue.market_view(*market);
            let frame = view.map(|view| Marked::new(Vec::new(), &wire::listed_frame(&view, *at)));
            frame.into_iter().collect()
        }
        VenueUpdate::Resolved { market, winner, at } if custom && !both(market).is_empty() => {
            let view = venue.market_view(*market);
            let frame = view
                .map(|view| Marked::new(both(market), &wire::resolved_frame(&view, *winner, *at)));
            frame.into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn user_frame(
    venue: &Venue,
    update: &VenueUpdate,
    signer: &Address,
    key: Uuid,
    markets: Option<&BTreeSet<MarketKey>>,
) -> Option<Marked> {
    let universe = venue.universe();
    let wanted = |token: Token| markets.is_none_or(|markets| markets.contains(&token.market()));
    match update {
        VenueUpdate::Order { what, order, at }
            if order.signer == *signer && wanted(order.token) =>
        {
            let value = wire::order_frame(*what, order, *at, universe);
            Some(Marked::new(vec![order.token], &value))
        }
        VenueUpdate::Trade { trade, at } if trade.concerns(signer) && wanted(trade.token) => {
            let value = wire::trade_frame(trade, signer, key, *at, universe);
            Some(Marked::new(vec![trade.token], &value))
        }
        _ => None,
    }
}
