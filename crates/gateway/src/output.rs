//! What the gateway hands over.

use polydesk_domain::{
    AccountEvent, Cause, ClientOrderId, ControlEvent, Event, OrderHash, OrderUpdate, OwnTrade,
    Time, TokenId,
};

/// One thing that follows from an answer, a message or a pass of reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The engine takes this event.
    Event(AccountEvent),
    /// Something of ours may have been missed or could not be read: the engine trades again only after a later pass.
    NotReconciled(String),
    /// The same, of something that happened at this earlier time.
    Past(Time, AccountEvent),
    /// The runtime reads or cancels this, on its own lanes.
    Ask(Ask),
    /// The books have everything that moved up to this block. It comes after the events that made it so.
    Agreed(u64),
}

/// A read or a cancel that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// The order by its id.
    Order(OrderHash),
    /// The trades since the order could first leave.
    Trades(OrderHash),
    /// A cancel by id; also of an order that may not exist.
    Cancel(OrderHash),
    /// The market of a token that is not listed, so that its rows can be read.
    Market(TokenId),
    /// Shares and pUSD on the chain, by two endpoints at one block.
    Chain,
}

impl Output {
    /// An update of an order.
    pub fn order(id: ClientOrderId, update: OrderUpdate) -> Output {
        Output::Event(AccountEvent::Order { id, update })
    }

    /// A fill, or a later stage of it.
    pub fn trade(trade: OwnTrade) -> Output {
        Output::Event(AccountEvent::Trade(trade))
    }

    /// The event of the inbox that it becomes; an [`Ask`] and [`Output::Agreed`] become
    /// none.
    pub fn event(self) -> Option<Event> {
        match self {
            Output::Event(event) | Output::Past(_, event) => Some(event.into()),
            Output::NotReconciled(detail) => {
                let cause = Cause::NotReconciled;
                Some(ControlEvent::Blocker { cause, on: true, detail }.into())
            }
            Output::Ask(_) | Output::Agreed(_) => None,
        }
    }
}
