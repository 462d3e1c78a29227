//! Cancels, with the venue's error texts.

use std::collections::BTreeMap;

use alloy::primitives::Address;
use polydesk_domain::{MarketKey, OrderHash, Token};

use super::intake::Refusal;
use super::order::Status;
use super::{Venue, VenueMode};

/// The result of a cancel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cancelled {
    /// Cancelled.
    pub canceled: Vec<OrderHash>,
    /// Not cancelled, with the venue's reason.
    pub not_canceled: BTreeMap<OrderHash, String>,
}

impl Venue {
    /// Whether cancels are accepted in the current mode.
    ///
    /// # Errors
    /// The engine restarts or trading is disabled.
    pub fn takes_cancels(&self) -> Result<(), Refusal> {
        match self.mode {
            VenueMode::Restart => Err(Refusal::new(425, "the matching engine is restarting")),
            VenueMode::Disabled => Err(Refusal::new(
                503,
                "Trading is currently disabled. Check polymarket.com for updates",
            )),
            _ => Ok(()),
        }
    }

    /// Cancels orders of an EOA.
    pub fn cancel(&mut self, signer: &Address, ids: &[OrderHash]) -> Cancelled {
        let mut done = Cancelled::default();
        for id in ids {
            match self.cancel_one(signer, id) {
                Ok(()) => done.canceled.push(*id),
                Err(reason) => {
                    done.not_canceled.insert(*id, reason.to_owned());
                }
            }
        }
        self.ledger.check();
        done
    }

    fn cancel_one(&mut self, signer: &Address, id: &OrderHash) -> Result<(), &'static str> {
        let order = self.orders.get(id).filter(|order| order.signer == *signer);
        let order = order.ok_or("Order not found")?;
        match &order.status {
            Status::Delayed => return Err("the order is delayed and cannot be canceled"),
            Status::Matched => return Err("Order already matched"),
            Status::Live => {}
            _ => return Err("the order is already canceled"),
        }
        if self.listed[order.token.market().index()].frozen {
            return Err("the order is pending and cannot be canceled");
        }
        if self.tape.is_some() {
            return self.tape_cancel(*id);
        }
        self.end(*id, Status::Canceled(String::new()));
        Ok(())
    }

    /// Cancels all open orders of an EOA, of one market and token if they are given.
    pub fn cancel_all(
        &mut self,
        signer: &Address,
        market: Option<MarketKey>,
        token: Option<Token>,
    ) -> Cancelled {
        let ids: Vec<_> = self
            .open_orders(signer)
            .filter(|order| market.is_none_or(|key| order.token.market() == key))
            .filter(|order| token.is_none_or(|token| order.token == token))
            .map(|order| order.id)
            .collect();
        self.cancel(signer, &ids)
    }

    /// Open orders of an EOA.
    pub fn open_orders(&self, signer: &Address) -> impl Iterator<Item = &super::Order> {
        let signer = *signer;
        self.orders.values().filter(move |order| order.signer == signer && !order.status.ended())
    }
}
