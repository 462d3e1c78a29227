//! A map that holds its newest entries only: an exchange that runs for weeks must not grow.

use std::collections::{BTreeMap, VecDeque};

/// How many are held.
const MOST: usize = 10_000;

/// Values by name, oldest out.
#[derive(Debug)]
pub(crate) struct Recent<V> {
    values: BTreeMap<String, V>,
    order: VecDeque<String>,
    ever: u64,
}

impl<V> Default for Recent<V> {
    fn default() -> Recent<V> {
        Recent { values: BTreeMap::new(), order: VecDeque::new(), ever: 0 }
    }
}

impl<V> Recent<V> {
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        self.values.get(name)
    }

    pub(crate) fn insert(&mut self, name: String, value: V) {
        self.ever += 1;
        if self.values.insert(name.clone(), value).is_some() {
            return;
        }
        self.order.push_back(name);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }

    /// How many there have been, held or not.
    pub(crate) fn ever(&self) -> u64 {
        self.ever
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_and_are_still_counted() {
        let mut recent = Recent::default();
        for n in 0..=MOST {
            recent.insert(n.to_string(), n);
        }
        recent.insert("1".to_owned(), 7);
        assert_eq!((recent.get("0"), recent.get("1")), (None, Some(&7)));
        assert_eq!((recent.values.len(), recent.order.len()), (MOST, MOST));
        assert_eq!(recent.ever(), MOST as u64 + 2);
    }
}
