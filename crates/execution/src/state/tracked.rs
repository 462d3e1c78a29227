//! Tables that know which of their entries changed.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Entries by key. The only mutable access marks the key, so no change can be forgotten; the marked
/// entries are what a restart needs of an event.
///
/// Values are boxed: a tree of keys in rising order is half empty, and with values as large as an order the empty
/// half would be most of what a long run keeps.
#[derive(Debug, Clone)]
pub struct Tracked<K, V> {
    map: BTreeMap<K, Box<V>>,
    changed: Vec<K>,
    /// How many of the marks the sums made of this table have taken in.
    counted: usize,
}

impl<K, V> Default for Tracked<K, V> {
    fn default() -> Tracked<K, V> {
        Tracked { map: BTreeMap::new(), changed: Vec::new(), counted: 0 }
    }
}

impl<K: Ord + Clone, V> Tracked<K, V> {
    /// An entry.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key).map(Box::as_ref)
    }

    /// Whether there is an entry.
    pub fn contains_key(&self, key: &K) -> bool {
        self.map.contains_key(key)
    }

    /// An entry to be changed; marks it, so read with [`Tracked::get`] first where it may stay.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let entry = self.map.get_mut(key)?;
        mark(&mut self.changed, self.counted, key);
        Some(entry)
    }

    /// An entry to be changed, made if it is missing; marks it.
    pub fn entry(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        mark(&mut self.changed, self.counted, &key);
        self.map.entry(key).or_default()
    }

    /// Puts an entry; marks it.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        mark(&mut self.changed, self.counted, &key);
        self.map.insert(key, Box::new(value)).map(|before| *before)
    }

    /// Puts an entry where it differs from what is there.
    pub fn put(&mut self, key: K, value: V)
    where
        V: PartialEq,
    {
        if self.get(&key) != Some(&value) {
            self.insert(key, value);
        }
    }

    /// Takes an entry out; marks it where it was there.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let gone = self.map.remove(key)?;
        mark(&mut self.changed, self.counted, key);
        Some(*gone)
    }

    /// All entries by key.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.map.iter().map(|(key, value)| (key, value.as_ref()))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.map.keys()
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.map.values().map(Box::as_ref)
    }

    /// The entries from a key on, in order.
    pub fn range(&self, from: Bound<K>) -> impl Iterator<Item = (&K, &V)> {
        let entries = self.map.range((from, Bound::Unbounded));
        entries.map(|(key, value)| (key, value.as_ref()))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The keys marked since the last [`Tracked::clear_changes`], each once, in order.
    pub fn changes(&self) -> Vec<K> {
        let mut keys = self.changed.clone();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Forgets the marks. The sums made of this table must have taken them in.
    pub(super) fn clear_changes(&mut self) {
        self.changed.clear();
        self.counted = 0;
    }

    /// The marked keys that the sums made of this table have not taken in, some of them repeatedly.
    pub(super) fn uncounted(&self) -> &[K] {
        &self.changed[self.counted..]
    }

    /// The sums made of this table have taken in every mark so far.
    pub(super) fn count(&mut self) {
        self.counted = self.changed.len();
    }
}

fn mark<K: PartialEq + Clone>(changed: &mut Vec<K>, counted: usize, key: &K) {
    // One event changes one entry many times in a row. What was counted before it changed is marked again.
    if changed.len() == counted || changed.last() != Some(key) {
        changed.push(key.clone());
    }
}

/// A table with one entry.
#[derive(Debug, Clone, Default)]
pub struct Single<V> {
    value: V,
    changed: bool,
}

impl<V> Single<V> {
    /// With this value, not marked.
    pub fn new(value: V) -> Single<V> {
        Single { value, changed: false }
    }

    /// The value.
    pub fn get(&self) -> &V {
        &self.value
    }

    /// The value to be changed; marks it.
    pub fn get_mut(&mut self) -> &mut V {
        self.changed = true;
        &mut self.value
    }

    /// Sets the value where it differs.
    pub fn put(&mut self, value: V)
    where
        V: PartialEq,
    {
        if self.value != value {
            *self.get_mut() = value;
        }
    }

    /// Whether it is marked.
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Forgets the mark.
    pub fn clear_changes(&mut self) {
        self.changed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_change_an_entry_marks_its_key() {
        let mut table = Tracked::default();
        table.insert(1, "one");
        table.insert(2, "two");
        assert_eq!(table.changes(), [1, 2]);
        table.clear_changes();
        assert_eq!(table.get(&1), Some(&"one"));
        assert!(table.remove(&7).is_none() && table.get_mut(&7).is_none());
        table.put(1, "one");
        assert!(table.changes().is_empty());
        *table.get_mut(&2).unwrap() = "zwei";
        table.remove(&1);
        *table.entry(3) = "three";
        *table.get_mut(&2).unwrap() = "deux";
        assert_eq!(table.changes(), [1, 2, 3]);
    }

    #[test]
    fn an_entry_that_changes_after_it_was_counted_is_to_be_counted_again() {
        let mut table = Tracked::default();
        table.insert(1, "one");
        *table.get_mut(&1).unwrap() = "eins";
        assert_eq!(table.uncounted(), [1]);
        table.count();
        assert!(table.uncounted().is_empty());
        *table.get_mut(&1).unwrap() = "un";
        assert_eq!((table.uncounted(), table.changes()), (&[1][..], vec![1]));
        table.count();
        table.clear_changes();
        table.remove(&1);
        assert_eq!(table.uncounted(), [1]);
    }
}
