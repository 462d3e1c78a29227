//! A run with the index of its markets: the input of the statistics.

use crate::markets::Markets;
use crate::model::Run;

pub(crate) struct Indexed<'a> {
    pub run: &'a Run,
    pub markets: Markets<'a>,
}

impl<'a> Indexed<'a> {
    pub(crate) fn of(run: &'a Run) -> Indexed<'a> {
        Indexed { run, markets: Markets::of(run) }
    }
}
