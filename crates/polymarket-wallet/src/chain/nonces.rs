//! Nonces of one address: handed out in order, each to one transaction, never twice.

use std::collections::BTreeSet;

/// Which nonces are free. It belongs to the only sender of its address: a second program that sends with
/// the same key takes nonces away, which shows as `nonce too low` and is recovered from.
#[derive(Debug, Default)]
pub(super) struct Nonces {
    /// Everything below is used up, as far as known; `None` before the chain was asked.
    floor: Option<u64>,
    /// Handed out and not yet known to be used up.
    out: BTreeSet<u64>,
}

impl Nonces {
    /// Whether the chain must be asked first.
    pub(super) fn unknown(&self) -> bool {
        self.floor.is_none()
    }

    /// Takes the chain's next nonce; it can only raise the known one.
    pub(super) fn chain_says(&mut self, next: u64) {
        self.floor = Some(self.floor.map_or(next, |floor| floor.max(next)));
    }

    /// The lowest unused nonce. It is used first, because a missing nonce blocks every higher one.
    pub(super) fn take(&mut self) -> Option<u64> {
        let mut nonce = self.floor?;
        while self.out.contains(&nonce) {
            nonce = nonce.checked_add(1)?;
        }
        self.out.insert(nonce);
        Some(nonce)
    }

    /// An earlier process has handed it out.
    pub(super) fn hold(&mut self, nonce: u64) {
        self.out.insert(nonce);
    }

    /// Its transaction is in a block.
    pub(super) fn used(&mut self, nonce: u64) {
        self.out.remove(&nonce);
        self.chain_says(nonce.saturating_add(1));
    }

    /// Its transaction surely reached no node: it is free again.
    pub(super) fn give_back(&mut self, nonce: u64) {
        self.out.remove(&nonce);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nonce_is_handed_out_once_and_gaps_first() {
        let mut nonces = Nonces::default();
        assert_eq!(nonces.take(), None);
        nonces.chain_says(7);
        assert_eq!([nonces.take(), nonces.take(), nonces.take()], [Some(7), Some(8), Some(9)]);
        // 8 reached no node: it is the next one, before 10.
        nonces.give_back(8);
        nonces.used(7);
        assert_eq!([nonces.take(), nonces.take()], [Some(8), Some(10)]);
        // Somebody else used 11 and 12.
        nonces.chain_says(13);
        assert_eq!(nonces.take(), Some(13));
        // The chain never takes anything back.
        nonces.chain_says(5);
        assert_eq!(nonces.take(), Some(14));
    }
}
