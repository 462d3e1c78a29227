//! A run's markets by condition id: questions, and which markets resolve together.

use std::collections::BTreeMap;

use polydesk_domain::ConditionId;

use crate::model::{MarketFacts, Run};

/// An index over [`Run::markets`], built once per run.
pub(crate) struct Markets<'a> {
    listed: &'a [MarketFacts],
    /// Positions in `listed`; further ones for markets of round trips that are not listed.
    places: BTreeMap<ConditionId, usize>,
    /// First market of each neg-risk group.
    groups: BTreeMap<&'a str, usize>,
}

impl<'a> Markets<'a> {
    pub(crate) fn of(run: &'a Run) -> Markets<'a> {
        let (mut places, mut groups) = (BTreeMap::new(), BTreeMap::new());
        for (place, facts) in run.markets.iter().enumerate() {
            places.entry(facts.condition).or_insert(place);
            if let Some(group) = group(facts) {
                groups.entry(group).or_insert(place);
            }
        }
        let mut next = run.markets.len();
        for trip in &run.round_trips {
            places.entry(trip.market).or_insert_with(|| {
                next += 1;
                next - 1
            });
        }
        Markets { listed: &run.markets, places, groups }
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

    /// The position of the first market that resolves together with this one: the first of its neg-risk
    /// group, or itself.
    ///
    /// The legs of a basket are round trips of their own, and exactly one of them wins: taken as
    /// independent they would make a certain gain look random.
    pub(crate) fn cluster(&self, market: &ConditionId) -> usize {
        let first = self.get(market).and_then(group).and_then(|name| self.groups.get(name));
        first.or_else(|| self.places.get(market)).copied().unwrap_or(usize::MAX)
    }
}

/// The neg-risk group's name, if it is in one.
pub(crate) fn group(facts: &MarketFacts) -> Option<&str> {
    facts.group.as_deref().filter(|name| !name.is_empty())
}
