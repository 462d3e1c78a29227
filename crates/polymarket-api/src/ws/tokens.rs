//! From the decimal text of a token id to the dense token, without turning it into a number.

use polydesk_domain::{Token, TokenId};

/// An open-addressing table over the text of token ids. Lookups compare the whole text.
#[derive(Debug, Clone, Default)]
pub struct TokenTable {
    /// Hash of the text and number of the entry plus one; zero is empty.
    slots: Vec<(u32, u32)>,
    entries: Vec<Entry>,
    live: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    text: Box<[u8]>,
    id: TokenId,
    token: Token,
    live: bool,
}

impl TokenTable {
    /// Nothing yet.
    pub fn new() -> TokenTable {
        TokenTable::default()
    }

    /// Adds a token. Adding it again replaces the dense one.
    pub fn insert(&mut self, id: TokenId, token: Token) {
        let text = id.decimal();
        if let Some(index) = self.find(text.as_bytes()) {
            let entry = &mut self.entries[index];
            self.live += usize::from(!entry.live);
            (entry.token, entry.live) = (token, true);
            return;
        }
        if (self.entries.len() + 1) * 2 > self.slots.len() {
            // Who follows markets that end and begin would keep all of them for ever.
            if !self.slots.is_empty() && self.live * 2 <= self.entries.len() {
                self.compact();
            } else {
                self.grow();
            }
        }
        self.entries.push(Entry { text: text.as_bytes().into(), id, token, live: true });
        self.live += 1;
        let index = self.entries.len() - 1;
        self.place(index);
    }

    /// Forgets a token.
    pub fn remove(&mut self, id: &TokenId) {
        if let Some(index) = self.find(id.decimal().as_bytes())
            && self.entries[index].live
        {
            self.entries[index].live = false;
            self.live -= 1;
        }
    }

    /// The dense token of a decimal id.
    #[inline]
    pub fn get(&self, text: &[u8]) -> Option<Token> {
        self.find(text)
            .map(|index| &self.entries[index])
            .filter(|entry| entry.live)
            .map(|entry| entry.token)
    }

    /// How many tokens it knows.
    pub fn len(&self) -> usize {
        self.live
    }
    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }
    /// All tokens, in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&TokenId, Token)> {
        self.entries.iter().filter(|entry| entry.live).map(|entry| (&entry.id, entry.token))
    }

    /// The token whose id stands at `at`, with its closing quote, and the place after that. Ids of other
    /// lengths than nearly all have are not looked for.
    #[inline]
    pub(super) fn scan(&self, frame: &[u8], at: usize) -> Option<(Token, usize)> {
        let rest = frame.get(at..)?;
        // What is found equals an id, so nothing in it needs looking at.
        for len in [77, 76, 78, 75] {
            if rest.get(len) == Some(&b'"')
                && let Some(token) = self.get(&rest[..len])
            {
                return Some((token, at + len + 1));
            }
        }
        None
    }

    #[inline]
    fn find(&self, text: &[u8]) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let hash = hash(text);
        let mut at = hash as usize & mask;
        loop {
            match self.slots[at] {
                (_, 0) => return None,
                // The text is compared only where it is nearly sure to be equal.
                (held, index) if held == (hash >> 32) as u32 => {
                    let index = index as usize - 1;
                    if equal(&self.entries[index].text, text) {
                        return Some(index);
                    }
                }
                _ => {}
            }
            at = (at + 1) & mask;
        }
    }

    fn place(&mut self, index: usize) {
        let mask = self.slots.len() - 1;
        let hash = hash(&self.entries[index].text);
        let mut at = hash as usize & mask;
        while self.slots[at].1 != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = ((hash >> 32) as u32, index as u32 + 1);
    }

    /// Drops what is forgotten.
    fn compact(&mut self) {
        self.entries.retain(|entry| entry.live);
        self.slots.fill((0, 0));
        (0..self.entries.len()).for_each(|index| self.place(index));
    }

    fn grow(&mut self) {
        self.slots = vec![(0, 0); (self.slots.len() * 2).max(64)];
        (0..self.entries.len()).for_each(|index| self.place(index));
    }
}

/// Nearly all ids have 76 to 78 digits: these are compared without asking for the length byte by byte.
#[inline]
fn equal(held: &[u8], text: &[u8]) -> bool {
    match (held.split_first_chunk::<76>(), text.split_first_chunk::<76>()) {
        (Some((held, held_end)), Some((text, text_end))) => held == text && held_end == text_end,
        _ => held == text,
    }
}

/// First and last eight digits and the length distinguish ids; equality is checked on the whole text.
#[inline]
fn hash(text: &[u8]) -> u64 {
    let part = |bytes: &[u8]| bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let (first, last) = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (part(text), 0),
    };
    let mixed =
        (first ^ last.rotate_left(32) ^ text.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ mixed >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tokens_that_come_and_go_for_ever_take_no_more_room() {
        let mut table = TokenTable::new();
        let id = |n: u64| TokenId::from(n * 7_919);
        for n in 0..50_000u64 {
            table.insert(id(n), Token(n as u32));
            if n >= 40 {
                table.remove(&id(n - 40));
            }
            assert_eq!(table.get(id(n).to_string().as_bytes()), Some(Token(n as u32)));
        }
        assert_eq!(table.len(), 40);
        let of = |n: u64| table.get(id(n).to_string().as_bytes());
        assert!((49_960..50_000).all(|n| of(n) == Some(Token(n as u32))));
        assert_eq!((of(49_959), of(0)), (None, None));
        assert!(table.entries.len() <= 128 && table.slots.len() <= 256, "{}", table.entries.len());
    }

    proptest! {
        #[test]
        fn every_id_is_found_and_no_other(ids in proptest::collection::btree_set(any::<[u8; 32]>(), 1..200), small in 0u64..500) {
            let mut table = TokenTable::new();
            let ids: Vec<TokenId> = ids.into_iter().map(TokenId::from_bytes).collect();
            for (i, id) in ids.iter().enumerate() {
                table.insert(*id, Token(i as u32));
                table.insert(TokenId::from(i as u64), Token(1_000 + i as u32));
            }
            for (i, id) in ids.iter().enumerate() {
                prop_assert_eq!(table.get(id.to_string().as_bytes()), Some(Token(i as u32)));
            }
            let expected = ((small as usize) < ids.len()).then_some(Token(1_000 + small as u32));
            prop_assert_eq!(table.get(small.to_string().as_bytes()), expected);
            table.remove(&ids[0]);
            prop_assert_eq!(table.get(ids[0].to_string().as_bytes()), None);
            prop_assert_eq!(table.len(), ids.len() * 2 - 1);
        }
    }
}
