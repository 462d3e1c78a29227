//! The written record of conversions: what was signed for each, and what came of it.
//!
//! An entry is durable before anything signed for it leaves, so a later process finds every operation that may still
//! run. It has an outcome once the chain has decided, is booked once the engine has the outcome, and is forgotten a day
//! later. Nothing is sent or asked here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use polydesk_domain::{Cash, CashKind, Conversion, ConversionId, Shares, Span, Time, Usdc};
use polydesk_polymarket_api::ServerClock;
use polydesk_polymarket_wallet::chain::{Keep, Keeping, Leaving, RelayedCalls, SignedTransaction};
use polydesk_polymarket_wallet::signing::{B256, U256};
use polydesk_runtime::live::chain::{ChainStore, ConversionJob, Converted};
use serde::{Deserialize, Serialize};

/// A booked entry is kept for so long: what its gas has cost counts against the budget meanwhile.
const KEPT: Span = Span::secs(24 * 3_600);

/// What became of a conversion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// Its transaction moved this.
    Moved {
        /// The transaction.
        transaction: B256,
        /// Its block.
        block: u64,
        /// pUSD that came in; negative went.
        cash: Usdc,
        /// Shares of YES and NO that came (split) or went (merge, redeem).
        shares: [Shares; 2],
    },
    /// It moved nothing and never will.
    Failed {
        /// Why, for the operator.
        why: String,
    },
}

/// One conversion that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What was asked for.
    pub job: ConversionJob,
    /// Unix seconds at which it was begun.
    pub began: i64,
    /// The newest block then: what it moves is in later ones.
    pub from_block: u64,
    /// Everything signed for it, in the order in which it was signed.
    pub leaving: Vec<Leaving>,
    /// What came of it; `None` while it may still run.
    pub outcome: Option<Outcome>,
    /// Wei that its transaction cost.
    pub fee_wei: U256,
    /// The engine has booked the outcome.
    pub booked: bool,
}

impl Entry {
    /// Its signed versions, where the wallet is its own key.
    pub fn versions(&self) -> Vec<SignedTransaction> {
        let version = |leaving: &Leaving| match leaving {
            Leaving::Transaction(version) => Some(version.clone()),
            Leaving::Relayed(_) => None,
        };
        self.leaving.iter().filter_map(version).collect()
    }

    /// The newest submission: an earlier one was surely not taken.
    pub fn relayed(&self) -> Option<&RelayedCalls> {
        self.leaving.iter().rev().find_map(|leaving| match leaving {
            Leaving::Relayed(calls) => Some(calls),
            Leaving::Transaction(_) => None,
        })
    }

    /// The outcome as the engine books it.
    pub fn converted(&self) -> Converted {
        let (amount, shares) = match &self.outcome {
            None => return Converted::Unknown,
            Some(Outcome::Failed { .. }) => return Converted::Failed,
            Some(Outcome::Moved { cash, shares, .. }) => (*cash, *shares),
        };
        let kind = match self.job.action {
            Conversion::Split(_) => CashKind::Split,
            Conversion::Merge(_) => CashKind::Merge,
            Conversion::Redeem => CashKind::Redeem,
        };
        let (id, strategy) = (self.job.id, self.job.strategy);
        let (conversion, strategy) = (Some(id), Some(strategy));
        Converted::Moved(Cash { kind, conversion, strategy, market: None, amount, shares })
    }

    fn same_nonce(&self, leaving: &Leaving) -> bool {
        self.leaving.iter().any(|known| match (known, leaving) {
            (Leaving::Transaction(known), Leaving::Transaction(new)) => known.nonce == new.nonce,
            (Leaving::Relayed(known), Leaving::Relayed(new)) => {
                known.nonce == new.nonce && known.deadline == new.deadline
            }
            _ => false,
        })
    }
}

/// Every entry, in memory and in the journal.
pub struct Book {
    store: Arc<dyn ChainStore>,
    clock: ServerClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<ConversionId, Entry>,
    /// What is being signed now, and the newest block.
    current: Option<(ConversionJob, u64)>,
}

impl Book {
    /// The entries of earlier processes.
    ///
    /// # Errors
    /// An entry that cannot be read: what it stands for may still run, so nothing may be signed beside it.
    pub fn load(
        store: Arc<dyn ChainStore>,
        clock: ServerClock,
        rows: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<Book, String> {
        let mut state = State::default();
        for (key, value) in rows {
            let name = String::from_utf8_lossy(key).into_owned();
            let entry: Entry = serde_json::from_slice(value).map_err(|error| {
                format!(
                    "table chain of the journal, entry {name}: {error}; a conversion that cannot be read may still run: start with the program that wrote it"
                )
            })?;
            if name != key_of(entry.job.id) {
                return Err(format!(
                    "table chain of the journal: the entry {name} is of conversion {}; restore the journal",
                    entry.job.id
                ));
            }
            state.entries.insert(entry.job.id, entry);
        }
        Ok(Book { store, clock, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; if something did, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One entry.
    pub fn entry(&self, id: ConversionId) -> Option<Entry> {
        self.state().entries.get(&id).cloned()
    }

    /// Those that may still run, oldest first.
    pub fn open(&self) -> Vec<ConversionId> {
        let state = self.state();
        let open = state.entries.iter().filter(|(_, entry)| entry.outcome.is_none());
        open.map(|(id, _)| *id).collect()
    }

    /// What the conversions of the last day have cost.
    pub fn spent(&self) -> U256 {
        let state = self.state();
        state.entries.values().fold(U256::ZERO, |sum, entry| sum.saturating_add(entry.fee_wei))
    }

    /// The transactions whose movements belong to a conversion.
    pub fn transactions(&self) -> BTreeSet<B256> {
        let state = self.state();
        let of = |entry: &Entry| {
            let mut hashes: Vec<B256> = entry.versions().iter().map(|one| one.hash).collect();
            if let Some(Outcome::Moved { transaction, .. }) = &entry.outcome {
                hashes.push(*transaction);
            }
            hashes
        };
        state.entries.values().flat_map(of).collect()
    }

    /// What is signed from now on is for this.
    pub fn begin(&self, job: &ConversionJob, head: u64) {
        self.state().current = Some((job.clone(), head));
    }

    /// Nothing is signed for it any more.
    pub fn end(&self) {
        self.state().current = None;
    }

    /// Writes an outcome down. It is in the journal before the engine hears of it, so a booking never survives without
    /// it.
    ///
    /// # Errors
    /// The journal takes nothing more; the entry stays open.
    pub async fn decide(
        &self,
        id: ConversionId,
        outcome: Outcome,
        fee_wei: U256,
    ) -> Result<Entry, String> {
        let Some(mut entry) = self.entry(id) else {
            return Err(format!("conversion {id} has no entry"));
        };
        if entry.outcome.is_some() {
            return Ok(entry);
        }
        entry.outcome = Some(outcome);
        entry.fee_wei = fee_wei;
        self.write(&entry).await?;
        self.state().entries.insert(id, entry.clone());
        Ok(entry)
    }

    /// The engine still waits for these; it has every other outcome. What is booked for a day is forgotten, unless its
    /// block is one that movements are still read from (`since`).
    ///
    /// # Errors
    /// The journal takes nothing more.
    pub async fn pending(
        &self,
        pending: &BTreeSet<ConversionId>,
        since: Option<u64>,
    ) -> Result<(), String> {
        let now = self.clock.now();
        let decided: Vec<Entry> = {
            let state = self.state();
            let decided =
                |entry: &&Entry| entry.outcome.is_some() && !pending.contains(&entry.job.id);
            state.entries.values().filter(decided).cloned().collect()
        };
        for mut entry in decided {
            let old = Time::from_secs(entry.began).until(now) > KEPT;
            let passed = match &entry.outcome {
                Some(Outcome::Moved { block, .. }) => since.is_some_and(|since| *block <= since),
                _ => true,
            };
            if old && passed {
                self.store.write(key_of(entry.job.id).as_bytes(), None).await?;
                self.state().entries.remove(&entry.job.id);
            } else if !entry.booked {
                entry.booked = true;
                self.write(&entry).await?;
                self.state().entries.insert(entry.job.id, entry);
            }
        }
        Ok(())
    }

    async fn write(&self, entry: &Entry) -> Result<(), String> {
        let value = serde_json::to_vec(entry).map_err(|error| error.to_string())?;
        self.store.write(key_of(entry.job.id).as_bytes(), Some(&value)).await
    }

    async fn kept(&self, leaving: &Leaving) -> Result<(), String> {
        let entry = {
            let mut state = self.state();
            let open = |entry: &&Entry| entry.outcome.is_none() && entry.same_nonce(leaving);
            let mut entry = match (state.entries.values().find(open), &state.current) {
                (Some(owner), _) => owner.clone(),
                (None, Some((job, head))) => match state.entries.get(&job.id) {
                    Some(entry) => entry.clone(),
                    None => Entry {
                        job: job.clone(),
                        began: self.clock.now().nanos().div_euclid(1_000_000_000),
                        from_block: *head,
                        leaving: Vec::new(),
                        outcome: None,
                        fee_wei: U256::ZERO,
                        booked: false,
                    },
                },
                _ => return Err("it belongs to no conversion".to_owned()),
            };
            entry.leaving.push(leaving.clone());
            // Also when the write fails: what was handed to the journal may be on disk all the same.
            state.entries.insert(entry.job.id, entry.clone());
            entry
        };
        self.write(&entry).await
    }
}

impl Keep for Book {
    fn keep<'a>(&'a self, leaving: &'a Leaving) -> Keeping<'a> {
        Box::pin(self.kept(leaving))
    }
}

fn key_of(id: ConversionId) -> String {
    id.to_string()
}
