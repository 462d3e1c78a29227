//! The newest value of every entry, by (table, key), with a hash that every change updates.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::payload::{Change, Delta};

/// An entry as it is given back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Name of the table.
    pub table: String,
    /// The key, as the owner encodes it.
    pub key: Vec<u8>,
    /// The value, as the owner encodes it.
    pub value: Vec<u8>,
}

/// All entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Map {
    tables: BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>,
    len: u64,
    /// Sum of the entries' hashes: independent of the order in which they came.
    hash: u128,
}

impl Map {
    /// Applies the changes in their order.
    pub fn apply(&mut self, delta: &Delta<'_>) {
        for change in &delta.changes {
            self.change(*change);
        }
    }

    /// Puts or deletes one entry. Deleting an entry that does not exist changes nothing.
    pub fn change(&mut self, change: Change<'_>) {
        let Change { table, key, value } = change;
        if !self.tables.contains_key(table) {
            self.tables.insert(table.to_owned(), BTreeMap::new());
        }
        let Some(entries) = self.tables.get_mut(table) else { return };
        let old = match value {
            Some(value) => entries.insert(key.to_vec(), value.to_vec()),
            None => entries.remove(key),
        };
        if let Some(old) = old {
            self.hash = self.hash.wrapping_sub(entry_hash(table, key, &old));
            self.len = self.len.saturating_sub(1);
        }
        if let Some(value) = value {
            self.hash = self.hash.wrapping_add(entry_hash(table, key, value));
            self.len = self.len.saturating_add(1);
        }
        if entries.is_empty() {
            self.tables.remove(table);
        }
    }

    /// The value of an entry.
    #[must_use]
    pub fn get(&self, table: &str, key: &[u8]) -> Option<&[u8]> {
        self.tables.get(table)?.get(key).map(Vec::as_slice)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries, by table and key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8], &[u8])> {
        self.tables.iter().flat_map(|(table, entries)| {
            let of = |(key, value)| -> (&str, &[u8], &[u8]) { (table, key, value) };
            entries.iter().map(move |(key, value): (&Vec<u8>, &Vec<u8>)| {
                of((key.as_slice(), value.as_slice()))
            })
        })
    }

    /// All entries, by table and key.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let entry = |(table, key, value): (&str, &[u8], &[u8])| Entry {
            table: table.to_owned(),
            key: key.to_vec(),
            value: value.to_vec(),
        };
        self.iter().map(entry).collect()
    }

    /// The hash as 32 hexadecimal digits: the sum modulo 2^128 of the first 16 bytes, little-endian, of
    /// each entry's SHA-256 over table, key and value with their lengths.
    #[must_use]
    pub fn hash(&self) -> String {
        format!("{:032x}", self.hash)
    }

    /// The same hash, computed over all entries again.
    #[must_use]
    pub fn recount(&self) -> String {
        let each = |(table, key, value): (&str, &[u8], &[u8])| entry_hash(table, key, value);
        let sum = self.iter().map(each).fold(0_u128, u128::wrapping_add);
        format!("{sum:032x}")
    }

    pub(crate) fn hash_number(&self) -> u128 {
        self.hash
    }
}

fn entry_hash(table: &str, key: &[u8], value: &[u8]) -> u128 {
    let mut hash = Sha256::new();
    for part in [table.as_bytes(), key, value] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes))
}
