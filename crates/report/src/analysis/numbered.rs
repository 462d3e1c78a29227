//! A run with its position and the index of its markets: the input of the statistics.

use crate::markets::Markets;
use crate::model::Run;

pub(crate) struct Numbered<'a> {
    /// The same market in two runs stays two markets.
    pub index: usize,
    pub run: &'a Run,
    pub markets: Markets<'a>,
}

impl<'a> Numbered<'a> {
    pub(crate) fn of(index: usize, run: &'a Run) -> Numbered<'a> {
        Numbered { index, run, markets: Markets::of(run) }
    }
}
