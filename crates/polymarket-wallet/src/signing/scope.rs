//! A signer that signs little: orders of one account, within bounds of its own that nothing outside can loosen.

use std::collections::VecDeque;

use polydesk_domain::{Shares, Side, Usdc};
use polydesk_polymarket_api::{OrderArgs, SignError, SignOrders, SignedOrder};

use super::{OrderSigner, OrderStamps};

/// What the signer agrees to, in every call. Chain, contracts and wallet are fixed in the [`OrderSigner`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// The most pUSD that one buy may cost before fees.
    pub max_buy: Usdc,
    /// The most shares that one sell may give.
    pub max_sell: Shares,
    /// The most orders within one second.
    pub orders_per_second: u32,
}

/// Signs orders within a [`Scope`].
pub struct ScopedSigner {
    signer: OrderSigner,
    stamps: OrderStamps,
    owner: String,
    scope: Scope,
    /// When orders of the last second were signed, Unix milliseconds.
    lately: VecDeque<u64>,
}

impl ScopedSigner {
    /// `owner` is the API key that the orders name.
    pub fn new(
        signer: OrderSigner,
        stamps: OrderStamps,
        owner: String,
        scope: Scope,
    ) -> ScopedSigner {
        ScopedSigner { signer, stamps, owner, scope, lately: VecDeque::new() }
    }

    fn within(&self, order: &SignedOrder) -> Result<(), SignError> {
        let (args, amounts) = (order.args(), order.amounts());
        let refused = |what: String| Err(SignError::Scope(what));
        match args.side {
            Side::Buy => {
                let most = u64::try_from(self.scope.max_buy.micros()).unwrap_or(0);
                if amounts.maker > most {
                    return refused(format!(
                        "it costs {} millionths of pUSD, at most {most} are signed",
                        amounts.maker
                    ));
                }
            }
            Side::Sell => {
                let most = self.scope.max_sell.micros();
                if amounts.maker > most {
                    return refused(format!(
                        "it gives {} millionths of shares, at most {most} are signed",
                        amounts.maker
                    ));
                }
            }
        }
        Ok(())
    }
}

impl SignOrders for ScopedSigner {
    fn sign_order(&mut self, args: &OrderArgs, now_ms: u64) -> Result<SignedOrder, SignError> {
        while self.lately.front().is_some_and(|at| at.saturating_add(1_000) <= now_ms) {
            self.lately.pop_front();
        }
        if self.lately.len() >= self.scope.orders_per_second as usize {
            let most = self.scope.orders_per_second;
            return Err(SignError::Scope(format!("more than {most} orders within a second")));
        }
        let order = self.signer.sign(args, self.stamps.next(now_ms), &self.owner)?;
        // Amounts follow from the arguments; what is beyond the bounds is dropped here and never returned.
        self.within(&order)?;
        self.lately.push_back(now_ms);
        Ok(order)
    }

    fn used_until(&mut self, last_ms: u64) {
        self.stamps.after(last_ms);
    }
}

#[cfg(test)]
mod tests {
    use polydesk_domain::{Price, Size, Tick, Tif, TokenId};
    use polydesk_polymarket_api::{Exchange, Refused};

    use super::*;
    use crate::signing::{Chain, Key, Wallet};

    fn signer() -> ScopedSigner {
        let key = Key::from_bytes(&[7; 32]).unwrap();
        let signer = OrderSigner::new(key, Wallet::Eoa, &Chain::polygon());
        let scope =
            Scope { max_buy: Usdc::whole(10), max_sell: Shares::whole(100), orders_per_second: 3 };
        ScopedSigner::new(signer, OrderStamps::seeded(1), "owner".to_owned(), scope)
    }

    fn order(side: Side, cents: u16, shares: u64) -> OrderArgs {
        OrderArgs {
            token: TokenId::from(42),
            side,
            price: Price::cents(cents),
            size: Size::Shares(Shares::whole(shares)),
            tif: Tif::Gtc,
            post_only: false,
            tick: Tick::Cent,
            exchange: Exchange::Normal,
        }
    }

    const NOW: u64 = 1_793_923_200_000;

    #[test]
    fn orders_beyond_its_bounds_are_not_signed() {
        let mut signer = signer();
        assert!(signer.sign_order(&order(Side::Buy, 50, 20), NOW).is_ok(), "ten dollars");
        let dear = signer.sign_order(&order(Side::Buy, 51, 20), NOW).unwrap_err();
        assert!(dear.to_string().contains("at most 10000000 are signed"), "{dear}");
        assert!(signer.sign_order(&order(Side::Sell, 99, 100), NOW).is_ok(), "a hundred shares");
        let large = signer.sign_order(&order(Side::Sell, 1, 101), NOW).unwrap_err();
        assert!(large.to_string().contains("at most 100000000 are signed"), "{large}");
        let bad =
            signer.sign_order(&OrderArgs { price: Price::ZERO, ..order(Side::Buy, 1, 5) }, NOW);
        assert!(matches!(bad, Err(SignError::Refused(Refused::Price { .. }))), "{bad:?}");
    }

    #[test]
    fn so_many_orders_within_a_second_and_no_more() {
        let mut signer = signer();
        let small = order(Side::Buy, 50, 10);
        let signed = |signer: &mut ScopedSigner, at| signer.sign_order(&small, at).is_ok();
        let seen = [NOW, NOW + 1, NOW + 999, NOW + 999, NOW + 1_000, NOW + 1_000]
            .map(|at| signed(&mut signer, at));
        assert_eq!(seen, [true, true, true, false, true, false]);
    }

    #[test]
    fn no_timestamp_of_an_earlier_process_is_used_again() {
        let mut signer = signer();
        signer.used_until(NOW + 500);
        let first = signer.sign_order(&order(Side::Buy, 50, 10), NOW).unwrap();
        let second = signer.sign_order(&order(Side::Buy, 50, 10), NOW).unwrap();
        assert_eq!(first.stamp().timestamp_ms, NOW + 501);
        assert_eq!(second.stamp().timestamp_ms, NOW + 502);
    }
}
