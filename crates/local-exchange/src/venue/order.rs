//! Orders and trades as the venue keeps them.

use alloy::primitives::Address;
use polydesk_domain::{
    OrderHash, Outcome, Price, Shares, Side, Tick, Tif, Time, Token, TradeStatus, Usdc,
};
use uuid::Uuid;

/// The status of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Held back by the taker delay: cannot be cancelled.
    Delayed,
    /// On the book.
    Live,
    /// Executed, wholly or (FAK) as far as it went.
    Matched,
    /// Cancelled, with the venue's free text if it did so itself.
    Canceled(String),
    /// Removed by the venue: insufficient funds, market paused.
    Invalid,
    /// The market was resolved.
    MarketResolved,
}

impl Status {
    /// Whether the status is final.
    pub fn ended(&self) -> bool {
        !matches!(self, Status::Delayed | Status::Live)
    }

    /// Its name at the venue.
    pub fn word(&self) -> String {
        match self {
            Status::Delayed => "DELAYED".to_owned(),
            Status::Live => "LIVE".to_owned(),
            Status::Matched => "MATCHED".to_owned(),
            Status::Canceled(reason) if reason.is_empty() => "CANCELED".to_owned(),
            Status::Canceled(reason) => format!("CANCELED_{reason}"),
            Status::Invalid => "INVALID".to_owned(),
            Status::MarketResolved => "CANCELED_MARKET_RESOLVED".to_owned(),
        }
    }
}

/// An accepted order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The venue's id: the EIP-712 digest.
    pub id: OrderHash,
    /// API key that sent it.
    pub key: Uuid,
    /// EOA of that key.
    pub signer: Address,
    /// Wallet that funds it.
    pub wallet: Address,
    /// The token that is bought or sold.
    pub token: Token,
    /// Which way.
    pub side: Side,
    /// Limit price, in ten-thousandths of a dollar.
    pub limit: Price,
    /// Time in force.
    pub tif: Tif,
    /// Post-only.
    pub post_only: bool,
    /// `makerAmount` in millionths.
    pub maker_amount: u64,
    /// `takerAmount` in millionths.
    pub taker_amount: u64,
    /// When it arrived.
    pub created: Time,
    /// Status.
    pub status: Status,
    /// Shares matched.
    pub matched: Shares,
    /// pUSD they cost or brought, without fees.
    pub matched_money: Usdc,
    /// pUSD a buy may still spend.
    pub money: Usdc,
    /// Shares that can still match.
    pub open: Shares,
    /// Its trades.
    pub trades: Vec<Uuid>,
    /// Tick size when it was accepted.
    pub(crate) tick: Tick,
    pub(crate) reserved_cash: Usdc,
    pub(crate) reserved_shares: Shares,
}

impl Order {
    /// The limit as a multiple of the tick size: amounts of immediate orders can mean a price between two
    /// ticks, and the worse one is equivalent.
    pub(crate) fn limit_on_tick(&self) -> Price {
        let (units, tick) = (self.limit.units(), self.tick.units());
        let units = match self.side {
            Side::Buy => units - units % tick,
            Side::Sell => units.next_multiple_of(tick),
        };
        Price::new(units).unwrap_or(self.limit)
    }

    /// The ladder of bids and the price at which it rests.
    pub(crate) fn place(&self) -> (Outcome, Price) {
        super::book::place(self.token.outcome(), self.side, self.limit)
    }
    /// The stated expiration.
    pub fn expires(&self) -> Option<Time> {
        match self.tif {
            Tif::Gtd { expires } => Some(expires),
            _ => None,
        }
    }
    /// Whether the user channel states its size in pUSD.
    pub fn sized_in_money(&self) -> bool {
        self.side == Side::Buy && !self.tif.rests()
    }
    /// `original_size` in millionths of a share.
    pub fn original(&self) -> Shares {
        Shares::new(match self.side {
            Side::Buy => self.taker_amount,
            Side::Sell => self.maker_amount,
        })
    }
}

/// How a maker's part of a trade settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Shares against pUSD.
    Transfer,
    /// Two buyers pay for a complete set.
    Mint,
    /// Two sellers give one up.
    Merge,
}

/// One maker order's part of a trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MakerFill {
    /// The resting order.
    pub order: OrderHash,
    /// API key of its sender.
    pub key: Uuid,
    /// EOA of its sender.
    pub signer: Address,
    /// Its funds.
    pub wallet: Address,
    /// Its token.
    pub token: Token,
    /// Its side.
    pub side: Side,
    /// Its price, in its own token.
    pub price: Price,
    /// Shares.
    pub shares: Shares,
    /// What the taker pays or gets for them.
    pub taker_money: Usdc,
    /// What the maker pays or gets.
    pub maker_money: Usdc,
    /// The taker's fee.
    pub fee: Usdc,
    /// How it settles.
    pub how: How,
}

/// One taker order with the maker orders it matched at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// The venue's id.
    pub id: Uuid,
    /// Position in the history of trades.
    pub number: u64,
    /// The taker order.
    pub order: OrderHash,
    /// API key of the taker.
    pub key: Uuid,
    /// EOA of the taker.
    pub signer: Address,
    /// The taker's funds.
    pub wallet: Address,
    /// The taker's token.
    pub token: Token,
    /// The taker's side.
    pub side: Side,
    /// The makers.
    pub legs: Vec<MakerFill>,
    /// Settlement status.
    pub status: TradeStatus,
    /// When it was made.
    pub matched_at: Time,
    /// When its status last changed.
    pub changed_at: Time,
    /// Transaction, once there is one.
    pub transaction: Option<[u8; 32]>,
    /// Whether balances have moved.
    pub(crate) applied: bool,
}

impl Trade {
    /// Shares of the taker.
    pub fn shares(&self) -> Shares {
        self.legs.iter().map(|leg| leg.shares).sum()
    }
    /// pUSD of the taker, without the fee.
    pub fn money(&self) -> Usdc {
        self.legs.iter().map(|leg| leg.taker_money).sum()
    }
    /// The taker's fee.
    pub fn fee(&self) -> Usdc {
        self.legs.iter().map(|leg| leg.fee).sum()
    }
    /// What a maker's part cost or brought the taker a share.
    pub fn price_of(&self, leg: &MakerFill) -> Price {
        if leg.token == self.token { leg.price } else { leg.price.complement() }
    }
    /// Whether an EOA's orders are in it.
    pub fn concerns(&self, signer: &Address) -> bool {
        self.signer == *signer || self.legs.iter().any(|leg| leg.signer == *signer)
    }
    /// The status as named by the venue.
    pub fn word(&self) -> &'static str {
        match self.status {
            TradeStatus::Matched => "MATCHED",
            TradeStatus::Mined => "MINED",
            TradeStatus::Retrying => "RETRYING",
            TradeStatus::Confirmed => "CONFIRMED",
            TradeStatus::Failed => "FAILED",
        }
    }
}
