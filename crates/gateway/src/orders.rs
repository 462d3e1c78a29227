//! Which order hash belongs to which order of the engine, what was asked, and what is proven of it.
//!
//! An entry is written before its order can leave and lives until the order is over, settled and a day old: the venue
//! knows nothing but hashes, and a message of an old order must find its name.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    ClientOrderId, ConditionId, Fill, OrderHash, Price, Role, Shares, Side, Size, Span, Tif, Time,
    TokenId, TradeId, TradeStatus,
};
use polydesk_polymarket_api::SignedOrder;
use serde::{Deserialize, Serialize};

/// What an order asked for, and the numbers that were signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderFacts {
    /// Outcome token.
    pub token: TokenId,
    /// Its market.
    pub condition: ConditionId,
    /// Buy or sell of it.
    pub side: Side,
    /// Limit.
    pub price: Price,
    /// Shares; pUSD of an immediate buy.
    pub size: Size,
    /// Time in force.
    pub tif: Tif,
    /// Refused rather than taking.
    pub post_only: bool,
    /// Signed, in millionths: pUSD of a buy, shares of a sell; 0 for external orders.
    pub maker_amount: u64,
    /// Signed, in millionths: shares of a buy, pUSD of a sell; 0 for external orders.
    pub taker_amount: u64,
    /// Signed; 0 for external orders.
    pub salt: u64,
    /// Signed, Unix milliseconds; 0 for external orders.
    pub timestamp_ms: u64,
}

impl OrderFacts {
    /// Of an order that was signed for a market.
    pub fn of(order: &SignedOrder, condition: ConditionId) -> OrderFacts {
        let (args, amounts, stamp) = (order.args(), order.amounts(), order.stamp());
        OrderFacts {
            token: args.token,
            condition,
            side: args.side,
            price: args.price,
            size: args.size,
            tif: args.tif,
            post_only: args.post_only,
            maker_amount: amounts.maker,
            taker_amount: amounts.taker,
            salt: stamp.salt.get(),
            timestamp_ms: stamp.timestamp_ms,
        }
    }

    /// Shares at which the order is complete: those of the size, or the least that a buy sized in pUSD brings.
    pub fn shares(&self) -> Shares {
        match self.size {
            Size::Shares(shares) => shares,
            Size::Spend(_) => Shares::new(self.taker_amount),
        }
    }
}

/// How an order ended, as it was reported to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderEnd {
    /// Completely matched.
    Filled,
    /// Out of the book.
    Cancelled,
    /// Out of the book because its time was over.
    Expired,
    /// Refused without effect.
    Rejected,
    /// It never reached the venue.
    Absent,
}

/// One fill of an order as the venue reported it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireFill {
    /// The latest stage of its settlement.
    pub status: TradeStatus,
    /// The amounts as the engine has them.
    pub fill: Fill,
    /// Shares as the venue first reported them; settled amounts can differ.
    pub shares: Shares,
    /// pUSD per share as the venue first wrote it.
    pub price: String,
    /// Maker or taker.
    pub role: Role,
    /// When it matched.
    pub matched_at: Time,
    /// The latest transaction, `0x` and 64 hex digits; a retry changes it.
    pub transaction: Option<String>,
}

impl WireFill {
    /// Whether its settlement is over, one way or the other.
    pub fn is_final(&self) -> bool {
        matches!(self.status, TradeStatus::Confirmed | TradeStatus::Failed)
    }
}

/// One order of our wallet: a row of the journal's table `wire`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireOrder {
    /// The engine's id.
    pub id: ClientOrderId,
    /// What was asked.
    pub facts: OrderFacts,
    /// When it was signed: from then on it could leave. Of an external order: when it was found.
    pub bound_at: Time,
    /// When its first byte left, as far as known.
    pub sent_at: Option<Time>,
    /// It was withheld after it was journaled: nothing left.
    pub withdrawn: bool,
    /// Our last act on it: it was sent, or a cancel was.
    pub acted_at: Time,
    /// When anything last became known of it.
    pub updated_at: Time,
    /// A source showed that the venue has or had it.
    pub acknowledged: bool,
    /// How it ended.
    pub ended: Option<OrderEnd>,
    /// It was reported alive after its end; a second report re-opens it.
    pub doubtful: bool,
    /// Since when it is proven to be out of the book, its fills not known yet.
    pub out_of_book: Option<Time>,
    /// When a cancel last left.
    pub cancel_at: Option<Time>,
    /// How many cancels left since it became unknown.
    pub cancels: u32,
    /// When a cancel was last answered with "not found".
    pub not_found_at: Option<Time>,
    /// The first complete round of reads that did not see it, since anything last showed it.
    pub unseen_since: Option<Time>,
    /// Rounds in which sources contradicted each other.
    pub contradictions: u32,
    /// Shares of an order that this bot did not place which had matched before the wallet was taken up: its holdings
    /// have them already, and every report counts from there.
    #[serde(default, skip_serializing_if = "none")]
    pub before: Shares,
    /// The most shares that were reported as matched.
    pub matched: Shares,
    /// By the venue's trade.
    pub fills: BTreeMap<TradeId, WireFill>,
    /// Fills under this hash that cannot be of this order, and the external order each was given to.
    pub strays: BTreeMap<TradeId, ClientOrderId>,
}

fn none(shares: &Shares) -> bool {
    shares.is_zero()
}

impl WireOrder {
    fn new(id: ClientOrderId, facts: OrderFacts, at: Time) -> WireOrder {
        WireOrder {
            id,
            facts,
            bound_at: at,
            sent_at: None,
            withdrawn: false,
            acted_at: at,
            updated_at: at,
            acknowledged: false,
            ended: None,
            doubtful: false,
            out_of_book: None,
            cancel_at: None,
            cancels: 0,
            not_found_at: None,
            unseen_since: None,
            contradictions: 0,
            before: Shares::ZERO,
            matched: Shares::ZERO,
            fills: BTreeMap::new(),
            strays: BTreeMap::new(),
        }
    }

    /// Shares of all reported fills, failed ones too: the venue counts them as matched for ever.
    pub fn filled(&self) -> Shares {
        self.fills.values().map(|fill| fill.shares).sum()
    }

    /// Whether it is over, no fill of it is missing, and all of them are final.
    pub fn settled(&self) -> bool {
        let over = self.ended.is_some() || self.withdrawn;
        over && self.matched <= self.filled() && self.fills.values().all(WireFill::is_final)
    }
}

/// Why a hash cannot be given to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The hash belongs to another order.
    #[error(
        "order hash {hash} belongs to order {owner} and cannot be given to {id}: sign with another salt"
    )]
    Hash {
        /// The hash.
        hash: OrderHash,
        /// The order that has it.
        owner: ClientOrderId,
        /// The order it was to be given to.
        id: ClientOrderId,
    },
    /// The order has another hash.
    #[error("order {id} has the hash {hash} already: an order is signed once")]
    Id {
        /// The order.
        id: ClientOrderId,
        /// Its hash.
        hash: OrderHash,
    },
}

/// A row of the table `wire` that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("table wire, key {key}: {detail}")]
pub struct WireRowError {
    /// The key, cut to 100 characters.
    pub key: String,
    /// What is wrong.
    pub detail: String,
}

/// One changed row of the table `wire`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireRow {
    /// The order hash as text.
    pub key: Vec<u8>,
    /// JSON of the [`WireOrder`]; `None`: the row is gone.
    pub value: Option<Vec<u8>>,
}

impl WireRow {
    /// The row of an order that was just signed: durable before the order can leave.
    pub fn signed(id: ClientOrderId, hash: OrderHash, facts: OrderFacts, at: Time) -> WireRow {
        row(&hash, Some(&WireOrder::new(id, facts, at)))
    }

    /// The table of the journal.
    pub const TABLE: &str = "wire";
}

fn row(hash: &OrderHash, order: Option<&WireOrder>) -> WireRow {
    WireRow {
        key: hash.to_string().into_bytes(),
        // Names, integers and texts only: writing them cannot fail, and an empty value is refused when read.
        value: order.map(|order| serde_json::to_vec(order).unwrap_or_default()),
    }
}

/// All orders of our wallet that matter, by their hash.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    all: BTreeMap<OrderHash, WireOrder>,
    by_id: BTreeMap<ClientOrderId, OrderHash>,
    changed: BTreeSet<OrderHash>,
}

impl Orders {
    /// How long an entry is kept after its order is over and settled.
    pub const KEPT: Span = Span::secs(86_400);

    /// Reads the rows of the table.
    ///
    /// # Errors
    /// A row that is none, or two rows with one order.
    pub fn load<'a>(
        rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Orders, WireRowError> {
        let mut orders = Orders::default();
        for (key, value) in rows {
            let text = String::from_utf8_lossy(key);
            let bad =
                |detail: String| WireRowError { key: text.chars().take(100).collect(), detail };
            let hash: OrderHash = text.parse().map_err(|e| bad(format!("{e}")))?;
            let order: WireOrder = serde_json::from_slice(value).map_err(|e| bad(e.to_string()))?;
            if let Some(other) = orders.by_id.insert(order.id, hash) {
                return Err(bad(format!("order {} stands also under {other}", order.id)));
            }
            orders.all.insert(hash, order);
        }
        Ok(orders)
    }

    /// The rows that changed since the last call, for the journal.
    pub fn take_changed(&mut self) -> Vec<WireRow> {
        let changed = core::mem::take(&mut self.changed);
        changed.into_iter().map(|hash| row(&hash, self.all.get(&hash))).collect()
    }

    /// Takes up a signed order, before it can leave.
    ///
    /// # Errors
    /// Hash or order are taken. The same again is no error and changes nothing.
    pub fn bind(
        &mut self,
        id: ClientOrderId,
        hash: OrderHash,
        facts: OrderFacts,
        at: Time,
    ) -> Result<(), BindError> {
        if let Some(known) = self.all.get(&hash) {
            return if known.id == id {
                Ok(())
            } else {
                Err(BindError::Hash { hash, owner: known.id, id })
            };
        }
        if let Some(known) = self.by_id.get(&id) {
            return Err(BindError::Id { id, hash: *known });
        }
        self.all.insert(hash, WireOrder::new(id, facts, at));
        self.by_id.insert(id, hash);
        self.changed.insert(hash);
        Ok(())
    }

    /// An order by its hash.
    pub fn get(&self, hash: &OrderHash) -> Option<&WireOrder> {
        self.all.get(hash)
    }

    /// The hash of one of the engine's orders.
    pub fn hash(&self, id: ClientOrderId) -> Option<OrderHash> {
        self.by_id.get(&id).copied()
    }

    /// An order to be changed: its row counts as changed.
    pub(crate) fn get_mut(&mut self, hash: &OrderHash) -> Option<&mut WireOrder> {
        let order = self.all.get_mut(hash)?;
        self.changed.insert(*hash);
        Some(order)
    }

    /// All of them, by their hash.
    pub fn iter(&self) -> impl Iterator<Item = (&OrderHash, &WireOrder)> {
        self.all.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Forgets what is over, settled and older than [`Orders::KEPT`]. Returns how many.
    pub fn forget(&mut self, now: Time) -> usize {
        let old = |order: &WireOrder| order.settled() && order.updated_at.until(now) > Orders::KEPT;
        let gone: Vec<OrderHash> =
            self.all.iter().filter(|(_, order)| old(order)).map(|(hash, _)| *hash).collect();
        for hash in &gone {
            if let Some(order) = self.all.remove(hash) {
                self.by_id.remove(&order.id);
                self.changed.insert(*hash);
            }
        }
        gone.len()
    }
}
