//! Checks of an order before matching, in the venue's sequence and with its error texts.

use alloy::primitives::{Address, B256, U256};
use polydesk_domain::{
    OrderHash, Price, ProtocolVersion, Rounding, Shares, Side, Size, Span, Tick, Tif, Time, Token,
    Usdc, immediate_amounts, resting_amounts,
};
use uuid::Uuid;

use super::order::{Order, Status};
use super::{Caller, Venue, VenueMode};
use crate::text;
use crate::typed::{Contract, OrderMessage, SignatureError, recover_order};
use crate::wallets::WalletKind;

/// Time in force, as named by the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderType {
    /// GTC.
    Gtc,
    /// GTD.
    Gtd,
    /// FOK.
    Fok,
    /// FAK.
    Fak,
}

/// An order as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The signed message.
    pub message: OrderMessage,
    /// Signature bytes.
    pub signature: Vec<u8>,
    /// The stated owner: an API key.
    pub owner: String,
    /// Time in force.
    pub order_type: OrderType,
    /// Unix seconds; 0 for none.
    pub expiration: i64,
    /// Post-only.
    pub post_only: bool,
}

/// A refusal with the venue's error text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {text}")]
pub struct Refusal {
    /// HTTP status of a single order.
    pub status: u16,
    /// The venue's error text.
    pub text: String,
    /// Kills name their order.
    pub order: Option<OrderHash>,
    /// Whether a batch is refused as a whole.
    pub whole: bool,
}

impl Refusal {
    pub(crate) fn new(status: u16, text: impl Into<String>) -> Refusal {
        Refusal { status, text: text.into(), order: None, whole: false }
    }
    pub(crate) fn bad(text: impl Into<String>) -> Refusal {
        Refusal::new(400, text)
    }
    fn whole(text: impl Into<String>) -> Refusal {
        Refusal { whole: true, ..Refusal::bad(text) }
    }
}

/// The immediate result of a placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// As it is now.
    pub order: Order,
    /// `live`, `matched` or `delayed`.
    pub status: &'static str,
    /// Trades made now.
    pub trades: Vec<Uuid>,
    /// Shares matched now.
    pub shares: Shares,
    /// pUSD for them.
    pub money: Usdc,
}

/// An order without a signature, for the house account and for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderSpec {
    /// The token that is bought or sold.
    pub token: Token,
    /// Which way.
    pub side: Side,
    /// Limit.
    pub price: Price,
    /// How much.
    pub size: Size,
    /// How long.
    pub tif: Tif,
    /// Post-only.
    pub post_only: bool,
}

impl OrderSpec {
    /// A GTC limit order.
    pub fn limit(token: Token, side: Side, price: Price, shares: Shares) -> OrderSpec {
        let size = Size::Shares(shares);
        OrderSpec { token, side, price, size, tif: Tif::Gtc, post_only: false }
    }
}

impl Venue {
    /// Takes a signed order, with every check.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn submit(&mut self, caller: &Caller, sent: &Submission) -> Result<Placed, Refusal> {
        let order = self.examine(caller, sent)?;
        let placed = self.enter(order);
        self.ledger.check();
        placed
    }

    /// Checks a signed order as before matching; nothing is booked.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn look_at(&mut self, caller: &Caller, sent: &Submission) -> Result<(), Refusal> {
        self.examine(caller, sent).map(drop)
    }

    /// Accepts an order without a signature for an account: the house account, a scenario, a test.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn place_as(
        &mut self,
        key: Uuid,
        wallet: Address,
        spec: &OrderSpec,
    ) -> Result<Placed, Refusal> {
        let (caller, _) = self.caller(&key).ok_or_else(|| Refusal::new(401, "Invalid API key"))?;
        let market = self.market(spec.token.market());
        let amounts = match (spec.tif.rests(), spec.size) {
            (true, Size::Shares(shares)) => {
                resting_amounts(spec.side, spec.price, shares, market.tick)
            }
            _ => immediate_amounts(spec.side, spec.price, spec.size, market.tick, Rounding::Venue),
        };
        let amounts = amounts.map_err(|error| Refusal::bad(error.to_string()))?;
        let expiration = match spec.tif {
            Tif::Gtd { expires } => expires.millis() / 1_000,
            _ => 0,
        };
        let sent = Submission {
            message: OrderMessage {
                salt: U256::from(self.chance.below(1 << 53)),
                maker: wallet,
                signer: caller.signer,
                token: U256::from_be_bytes(*self.universe.token_id(spec.token).bytes()),
                maker_amount: amounts.maker,
                taker_amount: amounts.taker,
                side: spec.side as u8,
                signature_type: 0,
                timestamp: U256::from(self.now.millis().max(0) as u64),
                metadata: B256::ZERO,
                builder: B256::ZERO,
            },
            signature: Vec::new(),
            owner: caller.key.to_string(),
            order_type: match spec.tif {
                Tif::Gtc => OrderType::Gtc,
                Tif::Gtd { .. } => OrderType::Gtd,
                Tif::Fok => OrderType::Fok,
                Tif::Fak => OrderType::Fak,
            },
            expiration,
            post_only: spec.post_only,
        };
        let contract = self.contract(spec.token);
        let id = OrderHash::from_bytes(sent.message.digest(contract, self.chain).0);
        let order = self.draft(&caller, &sent, spec.token, id)?;
        let placed = self.enter(order);
        self.ledger.check();
        placed
    }

    /// The contract that settles a token's orders.
    pub fn contract(&self, token: Token) -> Contract {
        let market = self.market(token.market());
        match (&market.version, &market.neg_risk) {
            (ProtocolVersion::V2, _) => Contract::V3,
            (_, Some(_)) => Contract::NegRisk,
            (_, None) => Contract::Normal,
        }
    }

    /// Checks the permissions of the sender and the signature.
    fn examine(&mut self, caller: &Caller, sent: &Submission) -> Result<Order, Refusal> {
        let message = &sent.message;
        let standing = self.signers.get(&caller.signer).cloned().unwrap_or_default();
        if standing.banned {
            let text = format!("'{}' address banned", caller.signer);
            return Err(Refusal::whole(text));
        }
        self.takes(sent.post_only)?;
        if sent.owner != caller.key.to_string() {
            return Err(Refusal::whole("the order owner has to be the owner of the API KEY"));
        }
        let id = polydesk_domain::TokenId::from_bytes(message.token.to_be_bytes());
        let token = self
            .universe
            .token(&id)
            .ok_or_else(|| Refusal::new(404, "No orderbook exists for the requested token id"))?;
        if standing.closed_only && message.side == 0 {
            let text = format!("'{}' address in closed only mode", caller.signer);
            return Err(Refusal::whole(text));
        }
        let session = self.session(&caller.signer);
        // Keys are scoped: a key for combo quotes must not reach the book.
        if session.is_some_and(|session| !session.trades()) {
            return Err(Refusal::whole("the session key has no scope for the CLOB"));
        }
        let session = session.map(|session| session.of);
        self.check_wallet(caller, message, session)?;
        let contract = self.contract(token);
        self.check_signature(caller, sent, contract, session)?;
        let hash = OrderHash::from_bytes(message.digest(contract, self.chain).0);
        self.draft(caller, sent, token, hash)
    }

    fn takes(&self, post_only: bool) -> Result<(), Refusal> {
        match self.mode {
            VenueMode::Normal => Ok(()),
            VenueMode::PostOnly { .. } if post_only => Ok(()),
            VenueMode::PostOnly { .. } => Err(Refusal::new(
                503,
                "post-only mode: only post-only orders and cancels are allowed",
            )),
            VenueMode::Restart => Err(Refusal::new(425, "the matching engine is restarting")),
            VenueMode::CancelOnly => Err(Refusal::new(
                503,
                "Trading is currently cancel-only. New orders are not accepted, but cancels are \
                 allowed.",
            )),
            VenueMode::Disabled => Err(Refusal::new(
                503,
                "Trading is currently disabled. Check polymarket.com for updates",
            )),
        }
    }

    fn check_wallet(
        &mut self,
        caller: &Caller,
        message: &OrderMessage,
        session: Option<Address>,
    ) -> Result<(), Refusal> {
        let owner = session.unwrap_or(caller.signer);
        let fits = |kind: &WalletKind| {
            kind.signature_type() == message.signature_type && kind.address(owner) == message.maker
        };
        let kind = WalletKind::ALL.into_iter().find(fits);
        let signer = if message.signature_type == 3 { message.maker } else { caller.signer };
        if message.signer != signer || (message.signature_type == 3 && kind.is_none()) {
            return Err(Refusal::whole(
                "the order signer address has to be the address of the API KEY",
            ));
        }
        let flow = || Refusal::bad("maker address not allowed, please use the deposit wallet flow");
        let kind = kind.ok_or_else(flow)?;
        if self.ledger.wallet(&message.maker).is_none() {
            if !self.rules.open_wallets {
                return Err(flow());
            }
            self.open_wallet(owner, kind);
        }
        Ok(())
    }

    fn check_signature(
        &self,
        caller: &Caller,
        sent: &Submission,
        contract: Contract,
        session: Option<Address>,
    ) -> Result<(), Refusal> {
        let plain = self.rules.plain_deposit_signatures;
        let by = |contract| {
            recover_order(&sent.message, contract, self.chain, &sent.signature, plain).and_then(
                |signed| match (signed.by == caller.signer, signed.session, session) {
                    (true, None, None) | (true, Some(_), Some(_)) => Ok(()),
                    _ => Err(SignatureError::Recovery),
                },
            )
        };
        let Err(error) = by(contract) else { return Ok(()) };
        let other_version = |other: &Contract| {
            (*other == Contract::V3) != (contract == Contract::V3) && by(*other).is_ok()
        };
        if Contract::ALL.iter().any(other_version) {
            return Err(Refusal::bad("order_version_mismatch"));
        }
        Err(Refusal::bad(format!("invalid signature: {error}")))
    }

    /// Checks amounts, tick size, sizes, expiration and duplicates.
    fn draft(
        &self,
        caller: &Caller,
        sent: &Submission,
        token: Token,
        id: OrderHash,
    ) -> Result<Order, Refusal> {
        let message = &sent.message;
        let market = self.market(token.market());
        let (maker, taker) = (message.maker_amount, message.taker_amount);
        let most = Shares::SANE_MAX.micros();
        if maker == 0 || taker == 0 || maker > most || taker > most || message.side > 1 {
            return Err(Refusal::bad("Invalid order payload"));
        }
        let side = if message.side == 0 { Side::Buy } else { Side::Sell };
        let tif = self.lifetime(sent)?;
        let invalid = |rule: String| Refusal::bad(format!("order {id} is invalid. {rule}"));
        let limit = if tif.rests() {
            resting_limit(side, maker, taker, market.tick).map_err(|price| {
                let tick = market.tick;
                invalid(format!("Price ({price}) breaks minimum tick size rule: {tick}"))
            })?
        } else {
            immediate_limit(side, maker, taker).ok_or_else(|| {
                let price = implied(side, maker, taker);
                invalid(format!("Price ({price}) breaks minimum tick size rule: {}", market.tick))
            })?
        };
        check_accuracy(side, tif, maker, taker, market.tick)?;
        let shares = Shares::new(if side == Side::Buy { taker } else { maker });
        if shares < market.min_size && (tif.rests() || self.rules.minimum_binds_immediate) {
            return Err(invalid(format!(
                "Size ({}) lower than the minimum: {}",
                text::shares(shares),
                text::shares(market.min_size)
            )));
        }
        let money = Usdc::new(
            i64::try_from(if side == Side::Buy { maker } else { taker }).unwrap_or(i64::MAX),
        );
        if !tif.rests() && money < LEAST_MARKETABLE {
            return Err(too_small(side, money));
        }
        if self.orders.contains_key(&id) {
            return Err(invalid("Duplicated.".to_owned()));
        }
        let listed = &self.listed[token.market().index()];
        if !listed.accepting || listed.frozen {
            return Err(Refusal::bad("the market is not yet ready to process new orders"));
        }
        Ok(Order {
            id,
            key: caller.key,
            signer: caller.signer,
            wallet: message.maker,
            token,
            side,
            limit,
            tif,
            post_only: sent.post_only,
            maker_amount: maker,
            taker_amount: taker,
            created: self.now,
            status: Status::Live,
            matched: Shares::ZERO,
            matched_money: Usdc::ZERO,
            money: if side == Side::Buy { money } else { Usdc::ZERO },
            open: shares,
            trades: Vec::new(),
            tick: market.tick,
            reserved_cash: Usdc::ZERO,
            reserved_shares: Shares::ZERO,
        })
    }

    fn lifetime(&self, sent: &Submission) -> Result<Tif, Refusal> {
        let expires = Time::from_secs(sent.expiration);
        let tif = match sent.order_type {
            OrderType::Gtd if expires < self.now + Span::secs(180) => {
                return Err(Refusal::bad("invalid expiration"));
            }
            OrderType::Gtd => return Ok(Tif::Gtd { expires }),
            _ if sent.expiration != 0 => return Err(Refusal::bad("invalid expiration")),
            OrderType::Gtc => Tif::Gtc,
            OrderType::Fok => Tif::Fok,
            OrderType::Fak => Tif::Fak,
        };
        if sent.post_only && !tif.rests() {
            return Err(Refusal::bad("invalid post-only order: only GTC and GTD can be post-only"));
        }
        Ok(tif)
    }
}

/// A marketable buy and any FOK or FAK is worth at least this.
pub(super) const LEAST_MARKETABLE: Usdc = Usdc::whole(1);

pub(super) fn too_small(side: Side, money: Usdc) -> Refusal {
    let side = if side == Side::Buy { "BUY" } else { "SELL" };
    Refusal::bad(format!(
        "invalid amount for a marketable {side} order (${}), min size: $1",
        text::money(money)
    ))
}

/// pUSD and shares of an order.
fn money_and_shares(side: Side, maker: u64, taker: u64) -> (u128, u128) {
    let (money, shares) = if side == Side::Buy { (maker, taker) } else { (taker, maker) };
    (u128::from(money), u128::from(shares))
}

/// The price that two amounts mean, with up to nine decimals.
fn implied(side: Side, maker: u64, taker: u64) -> String {
    let (money, shares) = money_and_shares(side, maker, taker);
    text::average(Usdc::new(money as i64), Shares::new(shares as u64))
}

/// The multiple of the tick size that gives exactly these amounts, rounded to the micro-dollar.
fn resting_limit(side: Side, maker: u64, taker: u64, tick: Tick) -> Result<Price, String> {
    let (money, shares) = money_and_shares(side, maker, taker);
    let nearest = (money * 10_000 + shares / 2) / shares;
    let price = u16::try_from(nearest).ok().and_then(Price::new);
    let exact = |price: &Price| {
        (u128::from(price.units()) * shares).abs_diff(money * 10_000) < 10_000
            && price.tradable(tick)
    };
    price.filter(exact).ok_or_else(|| implied(side, maker, taker))
}

/// The worst price at which an immediate order may trade: what its amounts mean, never better for
/// the others.
fn immediate_limit(side: Side, maker: u64, taker: u64) -> Option<Price> {
    let (money, shares) = money_and_shares(side, maker, taker);
    let units = match side {
        Side::Buy => money * 10_000 / shares,
        Side::Sell => (money * 10_000).div_ceil(shares),
    };
    u16::try_from(units).ok().filter(|units| (1..=9_999).contains(units)).and_then(Price::new)
}

/// Decimals of the two amounts, by the venue's table.
fn check_accuracy(side: Side, tif: Tif, maker: u64, taker: u64, tick: Tick) -> Result<(), Refusal> {
    let fits = |amount: u64, decimals: u32| amount.is_multiple_of(10u64.pow(6 - decimals));
    let (kind, maker_decimals, taker_decimals) = match (tif.rests(), side) {
        (false, _) => ("market", 2, 4),
        (true, Side::Buy) => ("limit", tick.decimals().2, 2),
        (true, Side::Sell) => ("limit", 2, tick.decimals().2),
    };
    if fits(maker, maker_decimals) && fits(taker, taker_decimals) {
        return Ok(());
    }
    let side = if side == Side::Buy { "buy" } else { "sell" };
    Err(Refusal::bad(format!(
        "invalid amounts, the {kind} {side} orders maker amount supports a max accuracy of \
         {maker_decimals} decimals, taker amount a max of {taker_decimals} decimals"
    )))
}
