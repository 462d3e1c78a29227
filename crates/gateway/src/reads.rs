//! One pass of reads at venue and chain, and the account snapshot it gives.
//!
//! The order of the reads matters: open orders, single orders, trades, balances, open orders again. Each later read
//! contains the effects behind an absence in an earlier one.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    AccountSnapshot, Code, OrderHash, Shares, Span, Time, TokenId, Universe, Usdc,
};
use polydesk_polymarket_api::clob::{OpenOrder, OwnList, Trade};

/// What one pass read.
#[derive(Debug, Clone)]
pub struct Reads {
    /// The epoch of `not_reconciled` in which the pass began.
    pub epoch: u32,
    /// Open orders, read first.
    pub open: OwnList<OpenOrder>,
    /// Single orders; `None`: the venue does not know it. One that was not asked for or not answered is missing.
    pub single: BTreeMap<OrderHash, Option<OpenOrder>>,
    /// Trades from [`Reads::trades_since`] on.
    pub trades: OwnList<Trade>,
    /// The first time that the list of trades covers.
    pub trades_since: Time,
    /// pUSD as the venue has it cached: a hint.
    pub balance: Option<Usdc>,
    /// Open orders, read again at the end.
    pub open_again: OwnList<OpenOrder>,
    /// Shares and cash on the chain.
    pub chain: Option<ChainRead>,
}

/// Cash and shares of the wallet on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRead {
    /// Two endpoints answered alike for one block.
    pub agreed: bool,
    /// That block.
    pub block: u64,
    /// How old it was.
    pub age: Span,
    /// pUSD.
    pub cash: Usdc,
    /// Shares by token; a token that was asked for and is not held has zero.
    pub shares: BTreeMap<TokenId, Shares>,
    /// What moved since the last block at which books and chain agreed, without own fills and conversions, in the order
    /// of the chain.
    pub moves: Vec<ChainMove>,
    /// An operation of the wallet may still run: cash and shares may move at any time.
    pub unsettled: bool,
}

/// What one transaction moved that no order and no conversion of ours explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainMove {
    /// What it looks like.
    pub code: Code,
    /// Its block.
    pub block: u64,
    /// When that was made.
    pub at: Time,
    /// pUSD that came in; negative went.
    pub cash: Usdc,
    /// Millionths of shares that came in; negative went. Each token once.
    pub shares: Vec<(TokenId, i64)>,
}

impl ChainMove {
    /// Shares became what they pay, for instance by the venue's automatic redemption.
    pub const REDEMPTION: Code = Code::literal("redemption");

    /// As many shares of both outcomes became their face value. A redemption of equal holdings looks the same: it is one
    /// where the market is resolved.
    pub const MERGE: Code = Code::literal("merge_outside");

    /// Millionths of a token's shares.
    pub fn shares_of(&self, token: &TokenId) -> i64 {
        self.shares.iter().find(|(of, _)| of == token).map_or(0, |(_, micros)| *micros)
    }
}

impl ChainRead {
    /// The oldest block that says something about the present.
    pub const OLDEST: Span = Span::secs(30);

    /// Whether it proves what is there.
    pub fn proves(&self) -> bool {
        self.agreed && self.age.as_nanos() <= ChainRead::OLDEST.as_nanos()
    }
}

impl Reads {
    /// Whether absence from both lists of open orders means "not open". An unreadable id makes a list incomplete.
    pub fn open_complete(&self) -> bool {
        let whole = |list: &OwnList<OpenOrder>| {
            list.complete && list.iter().all(|row| row.hash().is_some())
        };
        whole(&self.open) && whole(&self.open_again)
    }

    /// Open orders by hash as the later list has them; those of the earlier one only where the later one is silent.
    pub fn listed(&self) -> BTreeMap<OrderHash, &OpenOrder> {
        let rows = self.open.iter().chain(self.open_again.iter());
        rows.filter_map(|row| row.hash().map(|hash| (hash, row))).collect()
    }

    /// The account snapshot, and why it is not complete, one sentence each. It is complete when both lists of orders
    /// name the same ones, every row is readable and listed, the trades are whole and the chain is proven.
    pub fn snapshot(&self, ids: &Universe, asked_at: Time) -> (AccountSnapshot, Vec<String>) {
        let mut gaps = Vec::new();
        if !self.open_complete() {
            gaps.push("the open orders were not read to their end".to_owned());
        }
        if !self.trades.complete {
            gaps.push("the trades were not read to their end".to_owned());
        }
        let names = |list: &OwnList<OpenOrder>| {
            list.iter().map(|row| row.id.clone()).collect::<BTreeSet<_>>()
        };
        if names(&self.open) != names(&self.open_again) {
            gaps.push("both lists of open orders differ".to_owned());
        }
        let mut open = BTreeMap::new();
        for row in self.open_again.iter() {
            match (row.hash(), row.sizes()) {
                (Some(hash), Some((_, matched))) => drop(open.insert(hash, matched)),
                _ => gaps.push(format!("open order {:?} cannot be read", cut(&row.id))),
            }
        }
        let proven = self.chain.as_ref().filter(|chain| chain.proves());
        if proven.is_none() {
            gaps.push("cash and shares on the chain are not proven".to_owned());
        }
        let mut shares = BTreeMap::new();
        for (id, held) in proven.iter().flat_map(|chain| &chain.shares) {
            match ids.token(id) {
                Some(token) => drop(shares.insert(token, *held)),
                None if held.is_zero() => {}
                None => gaps.push(format!("token {id} is held and not listed")),
            }
        }
        let snapshot = AccountSnapshot {
            epoch: self.epoch,
            asked_at,
            complete: gaps.is_empty(),
            cash: proven.map_or(Usdc::ZERO, |chain| chain.cash),
            shares,
            open,
        };
        (snapshot, gaps)
    }
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}
