//! A run's markets by condition id: questions, and which markets resolve together.

use std::collections::BTreeMap;

use polydesk_domain::ConditionId;

use crate::model::{MarketFacts, Run};

/// What resolves together: results inside it depend on each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cluster {
    /// A neg-risk group: exactly one of its markets wins.
    Group(String),
    /// An event: one game decides all its markets.
    Event(String),
    /// A market for which neither is known.
    Market(ConditionId),
}

/// An index over [`Run::markets`], built once per run.
pub(crate) struct Markets<'a> {
    listed: &'a [MarketFacts],
    /// Positions in `listed`.
    places: BTreeMap<ConditionId, usize>,
}

impl<'a> Markets<'a> {
    pub(crate) fn of(run: &'a Run) -> Markets<'a> {
        let mut places = BTreeMap::new();
        for (place, facts) in run.markets.iter().enumerate() {
            places.entry(facts.condition).or_insert(place);
        }
        Markets { listed: &run.markets, places }
    }

    /// The facts of a market; `None` where it is not listed.
    pub(crate) fn get(&self, market: &ConditionId) -> Option<&'a MarketFacts> {
        self.places.get(market).and_then(|place| self.listed.get(*place))
    }

    /// The name shown for a market: its question, else its id.
    pub(crate) fn question(&self, market: &ConditionId) -> String {
        match self.get(market) {
            Some(facts) if !facts.question.is_empty() => facts.question.clone(),
            Some(_) => market.to_string(),
            None => format!("{market} (not listed)"),
        }
    }

    /// What the market resolves together with: its neg-risk group, else its event, else only itself.
    ///
    /// The legs of a basket are round trips of their own, and exactly one of them wins: taken as
    /// independent they would make a certain gain look random. The markets of one game all hang on it.
    pub(crate) fn cluster(&self, market: &ConditionId) -> Cluster {
        match self.get(market) {
            Some(facts) => match group(facts) {
                Some(group) => Cluster::Group(group.to_owned()),
                None if !facts.event.is_empty() => Cluster::Event(facts.event.clone()),
                None => Cluster::Market(*market),
            },
            None => Cluster::Market(*market),
        }
    }
}

/// The neg-risk group's name, if it is in one.
pub(crate) fn group(facts: &MarketFacts) -> Option<&str> {
    facts.group.as_deref().filter(|name| !name.is_empty())
}
