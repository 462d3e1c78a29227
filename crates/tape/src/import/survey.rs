//! Looks at a recording without metadata and drafts the overlay that is missing.
//!
//! Tokens are paired where the recording states it (both under one `market`) or where the changes of
//! one mirror the changes of the other; ticks are only suggested, fees never.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use polydesk_domain::{Price, Side, Tick, Time, TokenId};

use super::fact::Fact;

/// Venue times within which a mirrored change is looked for.
const WINDOW: usize = 64;

#[derive(Default)]
struct Seen {
    rows: u64,
    changes: u64,
    /// Which of the six ticks all prices fit.
    fits: [bool; 6],
}

/// Condition where stated, the tokens, and the percentage of changes mirrored.
type Pair = (Option<String>, [TokenId; 2], u64);
type Shape = (Side, Price, u64);

/// Observations of tokens without market facts.
#[derive(Default)]
pub(crate) struct Survey {
    order: Vec<TokenId>,
    tokens: BTreeMap<TokenId, Seen>,
    recent: BTreeMap<Time, Vec<(Shape, TokenId)>>,
    mirrored: BTreeMap<[TokenId; 2], u64>,
    stated: Vec<(String, [TokenId; 2])>,
}

impl Survey {
    /// The recording states that these are one market.
    pub fn pair(&mut self, condition: &str, tokens: [TokenId; 2]) {
        self.stated.push((condition.to_owned(), tokens));
    }

    pub fn see(&mut self, venue: Time, fact: &Fact) {
        let (token, price) = match fact {
            Fact::Level { token, price, .. } | Fact::Print { token, price, .. } => {
                (*token, Some(*price))
            }
            Fact::Best { token, .. } | Fact::Snapshot { token, .. } => (*token, None),
            _ => return,
        };
        if !self.tokens.contains_key(&token) {
            self.order.push(token);
        }
        let seen =
            self.tokens.entry(token).or_insert_with(|| Seen { fits: [true; 6], ..Seen::default() });
        seen.rows += 1;
        if let Some(price) = price {
            for (fits, tick) in seen.fits.iter_mut().zip(Tick::ALL) {
                *fits &= price.units().is_multiple_of(tick.units());
            }
        }
        if let Fact::Level { token, side, price, size, .. } = fact {
            seen.changes += 1;
            self.mirror(venue, *token, (*side, *price, size.micros()));
        }
    }

    fn mirror(&mut self, venue: Time, token: TokenId, shape: Shape) {
        let wanted = (shape.0.other(), shape.1.complement(), shape.2);
        let recent = self.recent.entry(venue).or_default();
        for (other, owner) in recent.iter() {
            if *other == wanted && *owner != token {
                *self.mirrored.entry(ordered(token, *owner)).or_default() += 1;
            }
        }
        recent.push((shape, token));
        if self.recent.len() > WINDOW {
            self.recent.pop_first();
        }
    }

    /// The pairs, each with its condition id if stated and the share of changes mirrored, in the
    /// order in which their first token appeared; then the tokens left alone.
    fn pairs(&self) -> (Vec<Pair>, Vec<TokenId>) {
        let mut taken: Vec<TokenId> = Vec::new();
        let mut pairs = Vec::new();
        for (condition, tokens) in &self.stated {
            taken.extend(tokens);
            pairs.push((Some(condition.clone()), *tokens, 0));
        }
        let mut candidates: Vec<(u64, [TokenId; 2])> =
            self.mirrored.iter().map(|(pair, count)| (*count, *pair)).collect();
        candidates.sort_by_key(|(count, pair)| (core::cmp::Reverse(*count), *pair));
        for (count, pair) in candidates {
            let changes = |token: &TokenId| self.tokens.get(token).map_or(0, |seen| seen.changes);
            let most = changes(&pair[0]).max(changes(&pair[1]));
            // Chance meetings of equal sizes are rare: a pair mirrors most of its changes.
            if pair.iter().any(|token| taken.contains(token)) || count * 2 < most {
                continue;
            }
            taken.extend(pair);
            let place = |token: &TokenId| self.order.iter().position(|known| known == token);
            let [one, two] = pair;
            let pair = if place(&one) <= place(&two) { [one, two] } else { [two, one] };
            pairs.push((None, pair, count * 100 / most.max(1)));
        }
        pairs.sort_by_key(|(_, pair, _)| self.order.iter().position(|token| *token == pair[0]));
        let alone = self.order.iter().filter(|token| !taken.contains(token)).copied().collect();
        (pairs, alone)
    }

    /// The draft.
    pub fn draft(&self) -> String {
        let mut text = String::from(
            "# Draft of an overlay: state what is true, name a source for what is assumed.\n\n\
             [recording]\n\
             name = \"\"      # short name of the tape\n\
             source = \"\"    # where the files come from\n\
             licence = \"\"   # under which they may be passed on\n\n\
             [defaults]\n\
             min_size = \"5\" # check: the venue's min_order_size\n\
             # fee = [{ rate = \"0.04\", exponent = 1, rebate = \"0.25\" }]\n\
             # Without a fee the markets are not traded.\n\n\
             [defaults.assumed]\n\
             min_size = \"not checked: suggested by the draft\"\n",
        );
        let (pairs, alone) = self.pairs();
        for (condition, pair, share) in pairs {
            let tick = self.suggested_tick(&pair);
            let rows: u64 =
                pair.iter().filter_map(|token| self.tokens.get(token)).map(|seen| seen.rows).sum();
            // Writing into a string cannot fail.
            let _ = writeln!(text, "\n[[market]]         # {rows} rows");
            match condition {
                Some(condition) => {
                    let _ = writeln!(text, "condition = \"{condition}\"");
                }
                None => {
                    let _ =
                        writeln!(text, "# paired because {share} % of the changes are mirrored");
                }
            }
            let _ = writeln!(text, "tokens = [\n    \"{}\",\n    \"{}\",\n]", pair[0], pair[1]);
            let _ =
                writeln!(text, "tick = \"{tick}\"      # the coarsest that fits all prices seen");
            let _ = writeln!(text, "question = \"\"");
            let _ = writeln!(text, "[market.assumed]");
            let _ = writeln!(text, "tick = \"not checked: suggested by the draft\"");
            let _ = writeln!(text, "outcomes = \"the token seen first is taken as outcome 0\"");
        }
        for token in alone {
            let _ = writeln!(text, "\n# no partner was found for token {token}");
        }
        text
    }

    fn suggested_tick(&self, pair: &[TokenId; 2]) -> Tick {
        let fits = |index: usize| {
            pair.iter().filter_map(|token| self.tokens.get(token)).all(|seen| seen.fits[index])
        };
        // Ten cents is a fit by chance where few prices were seen: one cent is the usual tick.
        (0..5).rev().find(|index| fits(*index)).map_or(Tick::TenThousandth, |i| Tick::ALL[i])
    }
}

fn ordered(one: TokenId, two: TokenId) -> [TokenId; 2] {
    if one <= two { [one, two] } else { [two, one] }
}
