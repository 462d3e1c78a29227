//! Sorts arrivals by time in bounded memory: sorted runs on disk, merged at the end.
//!
//! The order is (time received, or the venue's where there is none; order of arrival): stable.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use std::path::PathBuf;

use polydesk_domain::{ConditionId, Price, Shares, Side, Time, TokenId};

use super::fact::{Arrival, Best, Fact};
use crate::TapeError;

/// Weight of what is kept in memory before a run is written.
const RUN_WEIGHT: usize = 48 * 1024 * 1024;

/// An external merge sort.
pub(crate) struct Sorter {
    buffer: Vec<Arrival>,
    weight: usize,
    most: usize,
    runs: Vec<File>,
}

fn key(arrival: &Arrival) -> Time {
    arrival.received.unwrap_or(arrival.venue)
}

fn failed(source: std::io::Error) -> TapeError {
    TapeError::Io { path: std::env::temp_dir(), action: "sorting through a temporary file", source }
}

impl Sorter {
    pub fn new() -> Sorter {
        Sorter::with_run_weight(RUN_WEIGHT)
    }

    pub fn with_run_weight(most: usize) -> Sorter {
        Sorter { buffer: Vec::new(), weight: 0, most, runs: Vec::new() }
    }

    pub fn push(&mut self, arrival: Arrival) -> Result<(), TapeError> {
        self.weight += 160;
        if let Fact::Snapshot { bids, asks, .. } = &arrival.fact {
            self.weight += 16 * (bids.len() + asks.len());
        }
        self.buffer.push(arrival);
        if self.weight >= self.most { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> Result<(), TapeError> {
        self.buffer.sort_by_key(key);
        let mut writer = BufWriter::with_capacity(256 * 1024, anonymous().map_err(failed)?);
        for arrival in &self.buffer {
            write(&mut writer, arrival).map_err(failed)?;
        }
        let mut file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        self.runs.push(file);
        self.buffer.clear();
        self.weight = 0;
        Ok(())
    }

    /// Hands everything over in order.
    pub fn drain(
        mut self,
        mut take: impl FnMut(Arrival) -> Result<(), TapeError>,
    ) -> Result<(), TapeError> {
        if self.runs.is_empty() {
            self.buffer.sort_by_key(key);
            return self.buffer.into_iter().try_for_each(take);
        }
        self.spill()?;
        let mut runs: Vec<_> =
            self.runs.into_iter().map(|file| BufReader::with_capacity(64 * 1024, file)).collect();
        let mut heads = Vec::new();
        let mut heap = BinaryHeap::new();
        for (index, run) in runs.iter_mut().enumerate() {
            let head = read(run).map_err(failed)?;
            if let Some(head) = &head {
                heap.push(core::cmp::Reverse((key(head), index)));
            }
            heads.push(head);
        }
        // Earlier runs hold earlier arrivals, so the run's number keeps the merge stable.
        while let Some(core::cmp::Reverse((_, index))) = heap.pop() {
            let next = read(&mut runs[index]).map_err(failed)?;
            if let Some(next) = &next {
                heap.push(core::cmp::Reverse((key(next), index)));
            }
            if let Some(arrival) = core::mem::replace(&mut heads[index], next) {
                take(arrival)?;
            }
        }
        Ok(())
    }
}

/// A file that is gone when it is closed, or at the latest when the machine cleans up.
fn anonymous() -> std::io::Result<File> {
    static COUNT: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);
    loop {
        let number = COUNT.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        let name = format!("polydesk-sort-{}-{number}", std::process::id());
        let path: PathBuf = std::env::temp_dir().join(name);
        match File::options().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => {
                // On systems that refuse to remove an open file it stays in the temporary folder.
                let _ = std::fs::remove_file(&path);
                return Ok(file);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        }
    }
}

fn write(to: &mut impl Write, arrival: &Arrival) -> std::io::Result<()> {
    let received = arrival.received.map_or(i64::MIN, Time::nanos);
    to.write_all(&received.to_le_bytes())?;
    to.write_all(&arrival.venue.nanos().to_le_bytes())?;
    let side = |side: Side| side as u8;
    match &arrival.fact {
        Fact::Level { token, side: way, price, size, top } => {
            to.write_all(&[0, side(*way)])?;
            to.write_all(token.bytes())?;
            put_level(to, *price, *size)?;
            put_best(to, *top)
        }
        Fact::Print { token, side: way, price, size } => {
            to.write_all(&[1, side(*way)])?;
            to.write_all(token.bytes())?;
            put_level(to, *price, *size)
        }
        Fact::Best { token, top } => {
            to.write_all(&[2, 0])?;
            to.write_all(token.bytes())?;
            put_best(to, Some(*top))
        }
        Fact::Snapshot { token, bids, asks } => {
            to.write_all(&[3, 0])?;
            to.write_all(token.bytes())?;
            for levels in [bids, asks] {
                to.write_all(&(levels.len() as u32).to_le_bytes())?;
                for (price, size) in levels {
                    put_level(to, *price, *size)?;
                }
            }
            Ok(())
        }
        Fact::Tick { token, units } => {
            to.write_all(&[4, 0])?;
            to.write_all(token.bytes())?;
            to.write_all(&units.to_le_bytes())
        }
        Fact::Closed { condition } => {
            to.write_all(&[5, 0])?;
            to.write_all(condition.bytes())
        }
        Fact::Resolved { condition, yes_micros } => {
            to.write_all(&[6, 0])?;
            to.write_all(condition.bytes())?;
            to.write_all(&yes_micros.to_le_bytes())
        }
        Fact::Interruption { token } => {
            to.write_all(&[7, u8::from(token.is_some())])?;
            to.write_all(token.unwrap_or_default().bytes())
        }
        Fact::Article { source, title, body } => {
            to.write_all(&[8, 0])?;
            for text in [source, title, body] {
                to.write_all(&(text.len() as u32).to_le_bytes())?;
                to.write_all(text.as_bytes())?;
            }
            Ok(())
        }
    }
}

fn put_level(to: &mut impl Write, price: Price, size: Shares) -> std::io::Result<()> {
    to.write_all(&price.units().to_le_bytes())?;
    to.write_all(&size.micros().to_le_bytes())
}

fn put_best(to: &mut impl Write, top: Option<Best>) -> std::io::Result<()> {
    let side = |price: Option<Price>| price.map_or(u16::MAX, Price::units);
    let (known, bid, ask) = match top {
        Some(top) => (1u8, side(top.bid), side(top.ask)),
        None => (0, 0, 0),
    };
    to.write_all(&[known])?;
    to.write_all(&bid.to_le_bytes())?;
    to.write_all(&ask.to_le_bytes())
}

struct Get<'a, R>(&'a mut R);

impl<R: Read> Get<'_, R> {
    fn array<const N: usize>(&mut self) -> std::io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }
    fn u16(&mut self) -> std::io::Result<u16> {
        self.array().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> std::io::Result<u32> {
        self.array().map(u32::from_le_bytes)
    }
    fn token(&mut self) -> std::io::Result<TokenId> {
        self.array().map(TokenId::from_bytes)
    }
    fn level(&mut self) -> std::io::Result<(Price, Shares)> {
        let price = self.u16()?;
        let size = u64::from_le_bytes(self.array()?);
        Ok((price_of(price)?, Shares::new(size)))
    }
    fn best(&mut self) -> std::io::Result<Option<Best>> {
        let [known] = self.array()?;
        let (bid, ask) = (self.u16()?, self.u16()?);
        if known == 0 {
            return Ok(None);
        }
        let side =
            |units: u16| if units == u16::MAX { Ok(None) } else { price_of(units).map(Some) };
        Ok(Some(Best { bid: side(bid)?, ask: side(ask)? }))
    }
    fn text(&mut self) -> std::io::Result<String> {
        let mut bytes = vec![0; self.u32()? as usize];
        self.0.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))
    }
    fn levels(&mut self) -> std::io::Result<Vec<(Price, Shares)>> {
        let count = self.u32()?;
        (0..count).map(|_| self.level()).collect()
    }
}

fn damaged(problem: String) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, problem)
}

fn price_of(units: u16) -> std::io::Result<Price> {
    Price::new(units).ok_or_else(|| damaged(format!("price {units}")))
}

fn read(from: &mut impl Read) -> std::io::Result<Option<Arrival>> {
    let mut first = [0; 8];
    match from.read(&mut first)? {
        0 => return Ok(None),
        n => from.read_exact(&mut first[n..])?,
    }
    let received = i64::from_le_bytes(first);
    let mut get = Get(from);
    let venue = Time::from_nanos(i64::from_le_bytes(get.array()?));
    let [kind, flag] = get.array()?;
    let side = if flag == 0 { Side::Buy } else { Side::Sell };
    let fact = match kind {
        0 => {
            let token = get.token()?;
            let (price, size) = get.level()?;
            Fact::Level { token, side, price, size, top: get.best()? }
        }
        1 => {
            let token = get.token()?;
            let (price, size) = get.level()?;
            Fact::Print { token, side, price, size }
        }
        2 => {
            let token = get.token()?;
            let top = get.best()?.ok_or_else(|| damaged("best prices are missing".to_owned()))?;
            Fact::Best { token, top }
        }
        3 => Fact::Snapshot { token: get.token()?, bids: get.levels()?, asks: get.levels()? },
        4 => Fact::Tick { token: get.token()?, units: get.u16()? },
        5 => Fact::Closed { condition: ConditionId::from_bytes(get.array()?) },
        6 => {
            let condition = ConditionId::from_bytes(get.array()?);
            Fact::Resolved { condition, yes_micros: get.u32()? }
        }
        7 => {
            let token = get.token()?;
            Fact::Interruption { token: (flag == 1).then_some(token) }
        }
        8 => Fact::Article { source: get.text()?, title: get.text()?, body: get.text()? },
        other => return Err(damaged(format!("record kind {other}"))),
    };
    let received = (received != i64::MIN).then_some(Time::from_nanos(received));
    Ok(Some(Arrival { received, venue, fact }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fact(kind: u8, n: u64) -> Fact {
        let token = TokenId::from(n);
        let price = Price::new((n % 10_001) as u16).unwrap_or(Price::ONE);
        let size = Shares::new(n);
        let top = Best { bid: Some(price), ask: None };
        match kind % 10 {
            0 => Fact::Level { token, side: Side::Sell, price, size, top: Some(top) },
            1 => Fact::Level { token, side: Side::Buy, price, size, top: None },
            2 => Fact::Print { token, side: Side::Sell, price, size },
            3 => Fact::Best { token, top },
            4 => Fact::Snapshot { token, bids: vec![(price, size)], asks: Vec::new() },
            5 => Fact::Tick { token, units: 10 },
            6 => Fact::Closed { condition: ConditionId::default() },
            7 => Fact::Resolved { condition: ConditionId::default(), yes_micros: 7 },
            8 => Fact::Interruption { token: n.is_multiple_of(2).then_some(token) },
            _ => Fact::Article { source: "ä".into(), title: n.to_string(), body: String::new() },
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn sorting_through_files_equals_a_stable_sort(
            rows in proptest::collection::vec((any::<u8>(), 0i64..20, any::<u64>(), any::<bool>()), 0..120),
            run in 300usize..4_000,
        ) {
            let mut arrivals = Vec::new();
            for (kind, at, n, received) in rows {
                let received = received.then_some(Time::from_secs(at));
                arrivals.push(Arrival { received, venue: Time::from_secs(at), fact: fact(kind, n) });
            }
            let mut sorter = Sorter::with_run_weight(run);
            for arrival in &arrivals {
                sorter.push(arrival.clone()).unwrap();
            }
            let mut sorted = Vec::new();
            sorter.drain(|arrival| { sorted.push(arrival); Ok(()) }).unwrap();
            arrivals.sort_by_key(key);
            prop_assert_eq!(sorted, arrivals);
        }
    }
}
