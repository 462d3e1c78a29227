//! The gateway's state: the orders of our wallet, and whose wallet it is.

use polydesk_domain::{
    AccountEvent, ClientOrderId, Code, ConditionId, ExternalOrder, OrderHash, OrderUpdate, Price,
    Shares, Side, Size, Tif, Time, Token, TokenId,
};

use crate::amounts::BuilderFees;
use crate::orders::{BindError, OrderEnd, OrderFacts, Orders};
use crate::output::Output;

/// Whose rows are ours.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The API key, as rows name their owner.
    pub owner: String,
    /// The address that holds the funds, `0x` and 40 hex digits; compared without case.
    pub wallet: String,
    /// What the builder code of our orders costs.
    pub builder: BuilderFees,
}

/// What the venue says becomes account events.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) account: Account,
    pub(crate) orders: Orders,
    /// Number of this run, for the ids of external orders.
    run: u32,
    /// External orders of this run.
    external: u32,
}

/// What is known of an order that no entry names.
pub(crate) struct Found {
    pub hash: OrderHash,
    pub id_token: TokenId,
    pub condition: ConditionId,
    pub token: Token,
    pub side: Side,
    pub price: Price,
    pub size: Shares,
    pub open: bool,
}

impl Gateway {
    /// Begins with the entries of the journal; `run` is this run's number.
    pub fn new(account: Account, run: u32, orders: Orders) -> Gateway {
        Gateway { account, orders, run, external: 0 }
    }

    /// The orders it knows.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// The orders, to take their changes for the journal and to forget old ones.
    pub fn orders_mut(&mut self) -> &mut Orders {
        &mut self.orders
    }

    /// An order was signed; its entry has to be durable before it leaves.
    ///
    /// # Errors
    /// Its hash or its id is taken: it must not be sent.
    pub fn bound(
        &mut self,
        id: ClientOrderId,
        hash: OrderHash,
        facts: OrderFacts,
        at: Time,
    ) -> Result<Vec<Output>, BindError> {
        self.orders.bind(id, hash, facts, at)?;
        Ok(vec![Output::order(id, OrderUpdate::Bound { hash })])
    }

    /// The first byte of an order left at `at`.
    pub fn sent(&mut self, hash: &OrderHash, at: Time) -> Vec<Output> {
        let Some(order) = self.orders.get_mut(hash) else {
            return vec![Output::NotReconciled(format!("order {hash} was sent and has no entry"))];
        };
        order.sent_at = Some(order.sent_at.map_or(at, |first| first.min(at)));
        order.acted_at = order.acted_at.max(at);
        vec![Output::order(order.id, OrderUpdate::Sent)]
    }

    /// An order was withheld before its first byte, and why: it never reaches the venue.
    pub fn withdrawn(&mut self, hash: &OrderHash, why: Code, at: Time) -> Vec<Output> {
        let Some(order) = self.orders.get_mut(hash) else { return Vec::new() };
        order.withdrawn = true;
        order.ended = Some(OrderEnd::Absent);
        order.updated_at = at;
        vec![Output::order(order.id, OrderUpdate::NotSent { why })]
    }

    /// A cancel by id left at `at`.
    pub fn cancel_sent(&mut self, hash: &OrderHash, at: Time) {
        if let Some(order) = self.orders.get_mut(hash) {
            order.cancel_at = Some(at);
            order.cancels = order.cancels.saturating_add(1);
            order.acted_at = order.acted_at.max(at);
        }
    }

    /// Takes up an order of our wallet that no entry names, and reports it.
    pub(crate) fn adopt(&mut self, found: &Found, at: Time, out: &mut Vec<Output>) {
        let Found { hash, id_token, condition, token, side, price, size, open } = *found;
        let id = self.external_id();
        let facts = OrderFacts {
            token: id_token,
            condition,
            side,
            price,
            size: Size::Shares(size),
            tif: Tif::Gtc,
            post_only: false,
            maker_amount: 0,
            taker_amount: 0,
            salt: 0,
            timestamp_ms: 0,
        };
        if self.orders.bind(id, hash, facts, at).is_ok() {
            let external = ExternalOrder { id, hash, token, side, price, size, open };
            out.push(Output::Event(AccountEvent::External(external)));
        }
    }

    /// This run's number.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// The next id of an external order of this run.
    pub(crate) fn external_id(&mut self) -> ClientOrderId {
        self.external = self.external.saturating_add(1);
        ClientOrderId::external(self.run, self.external)
    }
}
