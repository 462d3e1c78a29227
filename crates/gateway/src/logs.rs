//! Exact amounts of fills out of `OrderFilled` logs of a transaction. Logs are given; nothing is read here.
//!
//! Both generations of the exchange emit the same event: the two contracts of V2 with token ids, ExchangeV3 with
//! position ids. There is one log per order of a match, the taker's too.

use std::collections::BTreeMap;

use polydesk_domain::{
    AccountEvent, Basis, Fill, Finding, OrderHash, OwnTrade, Shares, Side, Time, TokenId, TradeId,
    TradeStatus, Universe, Usdc,
};

use crate::gateway::Gateway;
use crate::output::{Ask, Output};
use crate::states::DUST;

/// keccak256 of `OrderFilled(bytes32,address,address,uint8,uint256,uint256,uint256,uint256,bytes32,bytes32)`.
pub const ORDER_FILLED: [u8; 32] = [
    0xd5, 0x43, 0xad, 0xfd, 0x94, 0x57, 0x73, 0xf1, 0xa6, 0x2f, 0x74, 0xf0, 0xee, 0x55, 0xa5, 0xe3,
    0xb9, 0xb1, 0xa2, 0x82, 0x62, 0x98, 0x0b, 0xa9, 0x0b, 0x1a, 0x89, 0xf2, 0xea, 0x84, 0xd8, 0xee,
];

/// Blocks on top of a transaction before its logs count: a reorganisation can take them back.
pub const DEPTH: u64 = 3;

/// More logs of one transaction are not believed; the sum of so many cannot overflow.
const MOST_LOGS: usize = 10_000;

/// The contracts whose logs count.
pub const EXCHANGES: [[u8; 20]; 3] = [
    // CTF Exchange V2.
    [
        0xe1, 0x11, 0x18, 0x00, 0x00, 0xd2, 0x66, 0x3c, 0x00, 0x91, 0xe4, 0xf4, 0x00, 0x23, 0x75,
        0x45, 0xb8, 0x7b, 0x99, 0x6b,
    ],
    // Neg-Risk CTF Exchange V2.
    [
        0xe2, 0x22, 0x2d, 0x27, 0x9d, 0x74, 0x40, 0x50, 0xd2, 0x8e, 0x00, 0x52, 0x00, 0x10, 0x52,
        0x00, 0x00, 0x31, 0x0f, 0x59,
    ],
    // ExchangeV3.
    [
        0xe3, 0x33, 0x37, 0x00, 0xca, 0x9d, 0x93, 0x00, 0x3f, 0x00, 0xf0, 0xf7, 0x1f, 0x85, 0x15,
        0x00, 0x5f, 0x6c, 0x00, 0xaa,
    ],
];

/// One log of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The contract that emitted it.
    pub address: [u8; 20],
    /// The event, then its indexed fields.
    pub topics: Vec<[u8; 32]>,
    /// Its other fields, 32 bytes each.
    pub data: Vec<u8>,
    /// A reorganisation took it back.
    pub removed: bool,
}

/// What one order got and gave in one match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilledLog {
    /// The order.
    pub order: OrderHash,
    /// Whose order it is.
    pub maker: [u8; 20],
    /// Side of the order.
    pub side: Side,
    /// Its token or position.
    pub token: TokenId,
    /// Shares that changed hands.
    pub shares: Shares,
    /// pUSD that changed hands for them, before the fee.
    pub notional: Usdc,
    /// Fee on top, in pUSD.
    pub fee: Usdc,
}

/// A log that names the event and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an OrderFilled log cannot be read: {0}")]
pub struct LogError(&'static str);

impl FilledLog {
    /// Reads a log; `None` for other events, other contracts, and logs that were taken back.
    ///
    /// # Errors
    /// The log is of this event and has other fields, or an amount is beyond what an order can have.
    pub fn read(log: &Log) -> Result<Option<FilledLog>, LogError> {
        let ours = log.topics.first() == Some(&ORDER_FILLED) && EXCHANGES.contains(&log.address);
        if !ours || log.removed {
            return Ok(None);
        }
        let [_, order, maker, _taker] = log.topics.as_slice() else {
            return Err(LogError("it has 4 topics"));
        };
        let words: Vec<&[u8]> = log.data.chunks_exact(32).collect();
        let [side, token, given, got, fee, _builder, _metadata] = words.as_slice() else {
            return Err(LogError("its data are 7 words of 32 bytes"));
        };
        if log.data.len() != 7 * 32 {
            return Err(LogError("its data are 7 words of 32 bytes"));
        }
        let side = match number(side)? {
            0 => Side::Buy,
            1 => Side::Sell,
            _ => return Err(LogError("side is 0 for a buy and 1 for a sell")),
        };
        let (given, got, fee) = (number(given)?, number(got)?, number(fee)?);
        let (shares, money) = match side {
            Side::Buy => (got, given),
            Side::Sell => (given, got),
        };
        let mut id = [0; 32];
        id.copy_from_slice(token);
        let mut address = [0; 20];
        address.copy_from_slice(&maker[12..]);
        let shares = Shares::new(shares);
        if shares > Shares::SANE_MAX {
            return Err(LogError("its shares are beyond what an order can have"));
        }
        Ok(Some(FilledLog {
            order: OrderHash::from_bytes(*order),
            maker: address,
            side,
            token: TokenId::from_bytes(id),
            shares,
            notional: micros(money)?,
            fee: micros(fee)?,
        }))
    }
}

fn number(word: &[u8]) -> Result<u64, LogError> {
    let (high, low) = word.split_at(24);
    if high.iter().any(|byte| *byte != 0) {
        return Err(LogError("an amount is beyond 64 bits"));
    }
    Ok(low.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn micros(amount: u64) -> Result<Usdc, LogError> {
    let sane = i64::try_from(amount).ok().filter(|_| amount <= Shares::SANE_MAX.micros());
    sane.map(Usdc::new).ok_or(LogError("its pUSD are beyond what an order can have"))
}

/// Amounts of one order in one transaction, summed.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    shares: Shares,
    notional: Usdc,
    fee: Usdc,
}

impl Gateway {
    /// Settled amounts out of the logs of one final transaction (`0x` and 64 hex digits), `depth` blocks deep. They
    /// replace the estimates once per (trade, order); several trades of one order are corrected as a sum.
    pub fn settled(
        &mut self,
        ids: &Universe,
        transaction: &str,
        logs: &[Log],
        depth: u64,
        at: Time,
    ) -> Vec<Output> {
        let mut out = Vec::new();
        if depth < DEPTH {
            return out;
        }
        if logs.len() > MOST_LOGS {
            let text =
                format!("transaction {transaction} has {} logs; {MOST_LOGS} are read", logs.len());
            return vec![Output::NotReconciled(text)];
        }
        let mut sums: BTreeMap<OrderHash, Sum> = BTreeMap::new();
        for log in logs {
            let filled = match FilledLog::read(log) {
                Ok(Some(filled)) => filled,
                Ok(None) => continue,
                Err(error) => {
                    // A part of the sum would be missing: no amount of this transaction is exact.
                    let text = format!("transaction {transaction}: {error}");
                    return vec![Output::NotReconciled(text)];
                }
            };
            let Some(order) = self.orders.get(&filled.order) else { continue };
            if (order.facts.token, order.facts.side) != (filled.token, filled.side) {
                let text = format!(
                    "transaction {transaction} fills order {} in another token or on another side",
                    filled.order
                );
                out.push(Output::NotReconciled(text));
                continue;
            }
            let sum = sums.entry(filled.order).or_default();
            sum.shares += filled.shares;
            sum.notional += filled.notional;
            sum.fee += filled.fee;
        }
        for (hash, sum) in sums {
            self.correct(ids, (&hash, transaction), sum, at, &mut out);
        }
        out
    }

    fn correct(
        &mut self,
        ids: &Universe,
        (hash, transaction): (&OrderHash, &str),
        sum: Sum,
        at: Time,
        out: &mut Vec<Output>,
    ) {
        let Some(order) = self.orders.get_mut(hash) else { return };
        let Some(token) = ids.token(&order.facts.token) else { return };
        let (id, side) = (order.id, order.facts.side);
        let mut left = sum;
        let mut open: Vec<TradeId> = Vec::new();
        let mut expected = Shares::ZERO;
        for (trade, fill) in &order.fills {
            let here = fill.transaction.as_deref() == Some(transaction);
            if !here || fill.status == TradeStatus::Failed {
                continue;
            }
            if fill.fill.basis == Basis::Settled {
                // Corrected before: only the rest belongs to the others.
                let Some(shares) = left.shares.checked_sub(fill.fill.shares) else { return };
                left = Sum {
                    shares,
                    notional: left.notional - fill.fill.notional,
                    fee: left.fee - fill.fill.fee,
                };
            } else {
                open.push(*trade);
                expected += fill.shares;
            }
        }
        if open.is_empty() {
            return;
        }
        let off = left.shares.saturating_sub(expected).max(expected.saturating_sub(left.shares));
        if off > DUST || left.notional < Usdc::ZERO || left.fee < Usdc::ZERO {
            // A trade of this transaction is not known here, or one is here that it does not have.
            out.push(Output::Ask(Ask::Trades(*hash)));
            if left.notional < Usdc::ZERO || left.fee < Usdc::ZERO {
                let detail = format!("transaction {transaction} moved less than order {id} has");
                out.push(Output::Event(AccountEvent::Finding(Finding::Freeze { token, detail })));
            }
            return;
        }
        order.updated_at = order.updated_at.max(at);
        let count = open.len();
        for (index, trade) in open.into_iter().enumerate() {
            let Some(known) = order.fills.get_mut(&trade) else { continue };
            let part = if index + 1 == count {
                left
            } else {
                let shares = known.shares.min(left.shares);
                let (part, whole) = (shares.micros(), left.shares.micros().max(1));
                Sum {
                    shares,
                    notional: left.notional.scale_floor(part, whole),
                    fee: left.fee.scale_floor(part, whole),
                }
            };
            left = Sum {
                shares: left.shares.saturating_sub(part.shares),
                notional: left.notional - part.notional,
                fee: left.fee - part.fee,
            };
            let Sum { shares, notional, fee } = part;
            let level = known.fill.level;
            known.fill = Fill { shares, notional, fee, level, basis: Basis::Settled };
            let (role, status, fill) = (known.role, known.status, known.fill);
            out.push(Output::trade(OwnTrade { trade, order: id, token, side, role, fill, status }));
        }
    }
}
