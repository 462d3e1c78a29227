//! Random appends, crashes and recoveries against a map that cannot be wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use polydesk_journal::{Draw, Durable, Fault, MemDisk, Options, Seq, read_state};

use crate::harness::{Model, NOON, Run, cases, facts, model, options};

/// What the entries were after each record.
#[derive(Default)]
struct History(BTreeMap<Seq, Model>);

impl History {
    fn at(&self, seq: Seq) -> Model {
        self.0.range(..=seq).next_back().map(|(_, model)| model.clone()).unwrap_or_default()
    }
}

struct Case {
    draw: Draw,
    options: Options,
    history: History,
    model: Model,
    /// Rows appended, by record.
    rows: BTreeMap<Seq, String>,
    at_ms: i64,
}

impl Case {
    fn new(seed: u64) -> Case {
        let durable = if seed.is_multiple_of(2) { Durable::Process } else { Durable::Power };
        let options = Options { durable, ..options() };
        let (history, model) = (History::default(), Model::new());
        Case { draw: Draw(seed), options, history, model, rows: BTreeMap::new(), at_ms: NOON }
    }

    fn change(&mut self, run: &mut Run) {
        let key = format!("{}", self.draw.below(12));
        let table = ["orders", "lots", "wire"][self.draw.below(3) as usize];
        let at = (table.to_owned(), key.clone().into_bytes());
        let seq = if self.draw.below(4) == 0 {
            self.model.remove(&at);
            run.delete(table, &key)
        } else {
            let value = format!("{}", self.draw.number()).repeat(self.draw.below(20) as usize);
            self.model.insert(at, value.clone().into_bytes());
            run.put(table, &key, &value)
        };
        self.history.0.insert(seq, self.model.clone());
    }

    fn row(&mut self, run: &mut Run) {
        // Forty days at most: a month begins now and then.
        self.at_ms += self.draw.below(5) as i64 * 86_400_000;
        let body = format!("row {}", self.draw.number());
        let seq = run.row(0, self.at_ms, &body);
        self.rows.insert(seq, body);
    }

    /// Until the disk is gone: what was reported as written and synced then.
    fn live(&mut self, run: &mut Run, steps: u64) -> [Seq; 2] {
        for _ in 0..steps {
            match self.draw.below(10) {
                0..5 => self.change(run),
                5 => self.row(run),
                6 => run.journal.compact(),
                7 => run.now += Duration::from_millis(self.draw.below(400)),
                8 => run.journal.want_sync(run.journal.appended()),
                _ => {}
            }
            for _ in 0..self.draw.below(8) {
                let Some(job) = run.job() else { break };
                run.act(&job);
            }
            if run.journal.failure().is_some() {
                break;
            }
        }
        [run.journal.written(), run.journal.synced()]
    }
}

fn same(found: &Model, expected: &Model, seed: u64, at: Seq) {
    let differs = |one: &Model, other: &Model| {
        one.iter().find(|(key, value)| other.get(*key) != Some(value)).map(|(key, _)| key.clone())
    };
    let (more, less) = (differs(found, expected), differs(expected, found));
    assert_eq!((more, less), (None, None), "seed {seed}: {} entries at {at}", found.len());
}

fn check(seed: u64) {
    let mut case = Case::new(seed);
    let mut disk = MemDisk::new();
    let (mut at_least, mut durable) = (Seq::ZERO, Seq::ZERO);
    let mut runs = 0;
    for round in 0..6 {
        let crash = 1 + case.draw.below(120);
        let torn = case.draw.below(3) == 0;
        let fault = if torn { Fault::Torn(case.draw.below(300) as usize) } else { Fault::Crash };
        disk.fault(crash, fault);
        let (mut written, mut synced) = (at_least, durable);
        let facts = facts(NOON + round * 1_000);
        let read = read_state(&disk, &case.options).unwrap();
        let found = read.last;
        assert!(found >= at_least, "seed {seed}: {found} of {at_least} records");
        same(&model(read.entries), &case.history.at(found), seed, found);
        // What was lost is not there any more.
        case.model = case.history.at(found);
        case.history.0.retain(|seq, _| *seq <= found);
        case.rows.retain(|seq, _| *seq <= found);
        match Run::begin(&disk, &case.options, &facts) {
            Ok(mut run) => {
                assert_eq!(run.found.last, found);
                same(&model(std::mem::take(&mut run.found.entries)), &case.model, seed, found);
                assert!(run.found.run > runs, "seed {seed}");
                runs = run.found.run;
                let steps = 20 + case.draw.below(200);
                [written, synced] = case.live(&mut run, steps);
                let (seq, map) = run.journal.entries();
                assert_eq!(map.hash(), map.recount(), "seed {seed}");
                same(&model(map.entries()), &case.history.at(seq), seed, seq);
                written = written.max(found);
                synced = synced.max(found);
            }
            // Killed while it recovered.
            Err(error) => assert!(disk.ops() >= crash, "seed {seed}: {error}"),
        }
        // What a killed process wrote can still be lost with the power.
        durable = synced;
        (disk, at_least) = match case.draw.below(2) {
            0 => (disk.after_kill(), written),
            _ => {
                let keep = case.draw.below(256) as u8;
                (disk.after_power_loss(case.draw.number(), keep), synced)
            }
        };
    }
    let mut run = Run::begin(&disk, &case.options, &facts(NOON)).unwrap();
    case.rows.retain(|seq, _| *seq <= run.found.last);
    run.sync();
    let rows = polydesk_journal::read_log(&disk).unwrap().map(|row| row.unwrap());
    let mut logged: BTreeMap<Seq, String> = BTreeMap::new();
    let mut last = Seq::ZERO;
    for row in rows {
        assert!(row.seq > last, "seed {seed}: rows out of order");
        last = row.seq;
        logged.insert(row.seq, String::from_utf8(row.body).unwrap());
    }
    assert_eq!(logged, case.rows, "seed {seed}");
}

#[test]
fn what_is_recovered_is_a_prefix_that_has_everything_that_was_reported() {
    for seed in 0..cases(600) {
        check(seed);
    }
}
