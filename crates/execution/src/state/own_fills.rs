//! The fills of one order. Most orders have one or none and are kept for a day: a sorted list takes a tenth of a tree.

use std::fmt;

use polydesk_domain::{Fill, Time, TradeId, TradeStatus};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// One fill of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnFill {
    /// Where its settlement is.
    pub status: TradeStatus,
    /// The amounts as booked.
    pub fill: Fill,
    /// When it became known.
    pub at: Time,
    /// It does not fit the order and is booked to `external`.
    pub external: bool,
}

/// Fills by the venue's trade, in the order of their ids. Serialised as a map.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fills(Vec<(TradeId, OwnFill)>);

impl Fills {
    fn place(&self, trade: TradeId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&trade, |(id, _)| *id)
    }
    /// The fill of a trade.
    pub fn get(&self, trade: &TradeId) -> Option<&OwnFill> {
        self.place(*trade).ok().map(|place| &self.0[place].1)
    }
    pub(crate) fn get_mut(&mut self, trade: &TradeId) -> Option<&mut OwnFill> {
        self.place(*trade).ok().map(|place| &mut self.0[place].1)
    }
    /// Puts a fill, in place of another of the same trade.
    pub(crate) fn insert(&mut self, trade: TradeId, fill: OwnFill) {
        match self.place(trade) {
            Ok(place) => self.0[place].1 = fill,
            Err(place) => {
                if self.0.len() == self.0.capacity() {
                    self.0.reserve_exact(1 + self.0.len() / 2);
                }
                self.0.insert(place, (trade, fill));
            }
        }
    }
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&TradeId, &OwnFill)> {
        self.0.iter().map(|(id, fill)| (id, fill))
    }
    /// All of them without their trades.
    pub fn values(&self) -> impl Iterator<Item = &OwnFill> {
        self.0.iter().map(|(_, fill)| fill)
    }
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut OwnFill> {
        self.0.iter_mut().map(|(_, fill)| fill)
    }
}

impl Serialize for Fills {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Fills {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Fills, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Fills;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("fills by their trade")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Fills, A::Error> {
                let mut fills = Fills::default();
                while let Some((trade, fill)) = from.next_entry()? {
                    if fills.get(&trade).is_some() {
                        return Err(A::Error::custom(format!("trade {trade} stands twice")));
                    }
                    fills.insert(trade, fill);
                }
                Ok(fills)
            }
        }
        from.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use polydesk_domain::{Basis, Shares, Usdc};

    use super::*;

    fn fill(shares: u64) -> OwnFill {
        let fill = Fill {
            shares: Shares::whole(shares),
            notional: Usdc::whole(1),
            fee: Usdc::ZERO,
            level: None,
            basis: Basis::Settled,
        };
        OwnFill { status: TradeStatus::Matched, fill, at: Time::from_secs(1), external: false }
    }

    #[test]
    fn fills_are_a_map_in_order_of_their_trades_also_in_json() {
        let mut fills = Fills::default();
        for (trade, shares) in [(7, 1), (3, 2), (9, 3), (3, 4)] {
            fills.insert(TradeId(trade), fill(shares));
        }
        let seen: Vec<_> = fills.iter().map(|(id, fill)| (id.0, fill.fill.shares)).collect();
        assert_eq!(seen, [(3, 4), (7, 1), (9, 3)].map(|(id, n)| (id, Shares::whole(n))));
        assert_eq!(fills.get(&TradeId(8)), None);
        let text = serde_json::to_string(&fills).unwrap();
        assert!(text.starts_with("{\"3\":{"), "{text}");
        assert_eq!(serde_json::from_str::<Fills>(&text).unwrap(), fills);
        let twice = text.replacen("\"7\"", "\"3\"", 1);
        let error = serde_json::from_str::<Fills>(&twice).unwrap_err().to_string();
        assert!(error.contains("trade 3 stands twice"), "{error}");
    }
}
