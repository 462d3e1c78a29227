//! A journal on a disk in memory, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use polydesk_journal::{
    ASK_TABLE, Change, Class, Delta, Entry, Job, Journal, MemDisk, Options, Payload, RecoverError,
    Recovered, Row, RunFacts, Seq, StopFacts, recover,
};

/// Small segments, so that every mechanism runs.
pub fn options() -> Options {
    Options {
        segment_bytes: 8 << 10,
        reserve_bytes: 8 << 10,
        buffer_bytes: 64 << 10,
        compact_bytes: 32 << 10,
        ..Options::default()
    }
}

pub fn facts(at_ms: i64) -> RunFacts {
    RunFacts {
        at_ms,
        program: "test 1".to_owned(),
        config: "c0".to_owned(),
        wallet: "0xw".to_owned(),
        mode: "paper".to_owned(),
        lease_epoch: 0,
        boot: "boot-1".to_owned(),
    }
}

pub const NOON: i64 = 1_795_900_000_000;

/// A journal whose jobs are executed at once.
pub struct Run {
    pub disk: MemDisk,
    pub journal: Journal,
    pub found: Recovered,
    pub now: Duration,
}

impl Run {
    pub fn start(disk: &MemDisk) -> Run {
        Run::begin(disk, &options(), &facts(NOON)).unwrap()
    }

    pub fn begin(disk: &MemDisk, options: &Options, facts: &RunFacts) -> Result<Run, RecoverError> {
        let (journal, found) = recover(disk, options, facts)?;
        Ok(Run { disk: disk.clone(), journal, found, now: Duration::ZERO })
    }

    pub fn append(&mut self, payload: &Payload<'_>) -> Seq {
        self.journal.append(payload, Class::Fact).unwrap()
    }

    pub fn put(&mut self, table: &str, key: &str, value: &str) -> Seq {
        self.delta(table, key, Some(value.as_bytes()))
    }

    pub fn delete(&mut self, table: &str, key: &str) -> Seq {
        self.delta(table, key, None)
    }

    pub fn delta(&mut self, table: &str, key: &str, value: Option<&[u8]>) -> Seq {
        let change = Change { table, key: key.as_bytes(), value };
        let cause = self.journal.appended();
        let delta = Delta { cause, commands: [7; 32], changes: vec![change] };
        self.append(&Payload::Delta(&delta))
    }

    pub fn row(&mut self, n: u32, at_ms: i64, body: &str) -> Seq {
        let cause = self.journal.appended();
        self.append(&Payload::Record(Row { cause, n, at_ms, body: body.as_bytes() }))
    }

    pub fn job(&mut self) -> Option<Job> {
        self.journal.poll(self.now)
    }

    pub fn act(&mut self, job: &Job) {
        let result = job.op.run(&self.disk);
        self.journal.done(self.now, job.id, result);
    }

    /// Executes everything that is due now.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let Some(job) = self.job() else { return };
            self.act(&job);
        }
        panic!("the journal never comes to rest");
    }

    /// Lets time pass, from one thing that is due to the next.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.settle();
        while let Some(wake) = self.journal.next_wake().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.settle();
            if self.journal.next_wake().is_some_and(|next| next <= self.now) {
                // Something waits for what is under way.
                self.now += Duration::from_millis(1);
            }
        }
        self.now = until;
        self.settle();
    }

    /// Writes and syncs everything that was appended.
    pub fn sync(&mut self) {
        self.journal.want_sync(self.journal.appended());
        self.settle();
    }

    pub fn stop(&mut self) {
        self.append(&Payload::Stop(&StopFacts {
            at_ms: NOON,
            open_orders: 0,
            state_hash: "h".to_owned(),
        }));
        self.sync();
        self.journal.compact();
        self.sync();
        self.sync();
    }

    pub fn entries(&mut self) -> Model {
        let (_, map) = self.journal.entries();
        model(map.entries())
    }
}

/// What the entries should be.
pub type Model = BTreeMap<(String, Vec<u8>), Vec<u8>>;

pub fn model(entries: Vec<Entry>) -> Model {
    let ours = entries.into_iter().filter(|entry| entry.table != ASK_TABLE);
    ours.map(|entry| ((entry.table, entry.key), entry.value)).collect()
}

pub fn text(model: &Model) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    model
        .iter()
        .map(|((table, key), value)| format!("{table}/{}={}", text(key), text(value)))
        .collect()
}

/// How many cases a property tries: `POLYDESK_CASES` scales it, in hundredths.
pub fn cases(usual: u64) -> u64 {
    let scale = std::env::var("POLYDESK_CASES").ok().and_then(|text| text.parse::<u64>().ok());
    (usual * scale.unwrap_or(100) / 100).max(1)
}
