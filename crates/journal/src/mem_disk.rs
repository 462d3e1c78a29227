//! A disk in memory that knows written bytes from synced ones, for tests: it loses what a real one may lose.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, Space};

/// Bytes that reach the disk together.
const SECTOR: usize = 512;

/// A disk in memory. Clones share the files.
///
/// Every operation that changes something has a number, beginning with 1; faults name it.
#[derive(Debug, Clone, Default)]
pub struct MemDisk {
    files: Arc<Mutex<Files>>,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This operation and all later ones fail, without effect: the process was killed before it.
    Crash,
    /// This operation and all later ones fail; a write has put only this many of its bytes: it was killed
    /// within it.
    Torn(usize),
    /// This operation fails with this kind, without effect.
    Error(io::ErrorKind),
    /// All operations from this one on fail with this kind, except those that only read.
    Errors(io::ErrorKind),
}

#[derive(Debug, Default)]
struct Files {
    nodes: BTreeMap<u64, Node>,
    live: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    /// Changes of names that no sync of their folder covers, in order.
    pending: Vec<(String, Option<u64>)>,
    next: u64,
    ops: u64,
    faults: BTreeMap<u64, Fault>,
    stop: Option<io::ErrorKind>,
    refused: Option<(String, io::ErrorKind)>,
    capacity: Option<u64>,
    log: Vec<String>,
}

#[derive(Debug, Default, Clone)]
struct Node {
    live: Vec<u8>,
    synced: Vec<u8>,
}

impl MemDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> MemDisk {
        MemDisk::default()
    }

    /// Lets an operation go wrong.
    pub fn fault(&self, op: u64, fault: Fault) {
        self.lock().faults.insert(op, fault);
    }

    /// Bytes that the disk holds at most; allocated ones count. Nothing is limited at first.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// How many operations there were.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.lock().ops
    }

    /// The operations in order, as in `write 00000000000000000001.seg at 32: 48 bytes`.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    /// Lets every change of files whose names begin like this fail, until `None`.
    pub fn refuse(&self, names: &str, kind: Option<io::ErrorKind>) {
        self.lock().refused = kind.map(|kind| (names.to_owned(), kind));
    }

    /// The disk as the next process finds it after this one was killed: everything that was written. What
    /// was not synced can still be lost with the power.
    #[must_use]
    pub fn after_kill(&self) -> MemDisk {
        let files = self.lock();
        let next = Files {
            nodes: files.nodes.clone(),
            live: files.live.clone(),
            durable: files.durable.clone(),
            pending: files.pending.clone(),
            next: files.next,
            ..Files::default()
        };
        MemDisk { files: Arc::new(Mutex::new(next)) }
    }

    /// The disk after the power was lost: everything that was synced, and of the rest what `seed` draws,
    /// sector by sector; of the changes of names a beginning.
    ///
    /// `keep` is the chance of a sector in 256ths: 0 keeps what was synced and nothing else.
    #[must_use]
    pub fn after_power_loss(&self, seed: u64, keep: u8) -> MemDisk {
        let files = self.lock();
        let mut draw = Draw(seed);
        let mut names = files.durable.clone();
        let kept = if keep == 0 { 0 } else { draw.below(files.pending.len() as u64 + 1) };
        for (name, node) in files.pending.iter().take(kept as usize) {
            match node {
                Some(node) => names.insert(name.clone(), *node),
                None => names.remove(name),
            };
        }
        let mut next = Files::default();
        for (name, node) in &names {
            let node = files.nodes.get(node).cloned().unwrap_or_default();
            let bytes = node.drawn(&mut draw, keep);
            next.insert(name, Node { live: bytes.clone(), synced: bytes });
        }
        MemDisk { files: Arc::new(Mutex::new(next)) }
    }

    /// Changes a file's bytes behind everybody's back.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut files = self.lock();
        let Some(node) = files.live.get(name).copied() else { return };
        if let Some(node) = files.nodes.get_mut(&node) {
            change(&mut node.live);
            node.synced.clone_from(&node.live);
        }
    }

    /// Puts a file, synced.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        self.lock().insert(name, Node { live: bytes.clone(), synced: bytes });
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        // A panic in between leaves a state that a test may still look at.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn drawn(&self, draw: &mut Draw, keep: u8) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        if self.live.len() != bytes.len() && draw.hits(keep) {
            // Somewhere on the way to the new length, or there.
            let [least, most] =
                [bytes.len().min(self.live.len()), bytes.len().max(self.live.len())];
            let len = least as u64 + draw.below((most - least) as u64 + 1);
            let whole = draw.hits(128);
            bytes.resize(if whole { self.live.len() } else { len as usize }, 0);
        }
        for (number, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            let from = number * SECTOR;
            let Some(live) = self.live.get(from..self.live.len().min(from + sector.len())) else {
                continue;
            };
            if *sector != *live && draw.hits(keep) {
                sector[..live.len()].copy_from_slice(live);
            }
        }
        bytes
    }
}

impl Files {
    fn insert(&mut self, name: &str, node: Node) {
        self.next += 1;
        self.nodes.insert(self.next, node);
        self.live.insert(name.to_owned(), self.next);
        self.durable.insert(name.to_owned(), self.next);
    }

    /// Counts an operation that changes something; `Ok(Some(n))`: only `n` bytes of it take effect.
    fn begin(&mut self, what: String) -> io::Result<Option<usize>> {
        if let Some(kind) = self.stop {
            return Err(io::Error::new(kind, "the disk is gone"));
        }
        self.ops += 1;
        if let Some((names, kind)) = &self.refused
            && what.split_once(' ').is_some_and(|(_, name)| name.starts_with(names.as_str()))
        {
            return Err(io::Error::new(*kind, "an error on demand"));
        }
        self.log.push(what);
        match self.faults.get(&self.ops).copied() {
            None => Ok(None),
            Some(Fault::Crash) => Err(self.end(io::ErrorKind::Interrupted)),
            Some(Fault::Torn(bytes)) => {
                self.end(io::ErrorKind::Interrupted);
                Ok(Some(bytes))
            }
            Some(Fault::Error(kind)) => Err(io::Error::new(kind, "an error on demand")),
            Some(Fault::Errors(kind)) => Err(self.end(kind)),
        }
    }

    fn end(&mut self, kind: io::ErrorKind) -> io::Error {
        self.stop = Some(kind);
        io::Error::new(kind, "the disk is gone")
    }

    fn node(&mut self, name: &str) -> io::Result<&mut Node> {
        let node = self.live.get(name).ok_or_else(|| missing(name))?;
        self.nodes.get_mut(node).ok_or_else(|| missing(name))
    }

    fn name(&mut self, name: &str, node: Option<u64>) {
        match node {
            Some(node) => self.live.insert(name.to_owned(), node),
            None => self.live.remove(name),
        };
        self.pending.push((name.to_owned(), node));
    }

    fn used(&self) -> u64 {
        let len = |node| self.nodes.get(node).map_or(0, |node: &Node| node.live.len() as u64);
        self.live.values().map(len).sum()
    }

    fn has_room(&self, more: u64) -> io::Result<()> {
        match self.capacity {
            Some(most) if more > 0 && self.used().saturating_add(more) > most => {
                Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"))
            }
            _ => Ok(()),
        }
    }
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{name} does not exist"))
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl Disk for MemDisk {
    fn list(&self, folder: &str) -> io::Result<Vec<(String, u64)>> {
        let files = self.lock();
        let of = |(name, node): (&String, &u64)| {
            let len = files.nodes.get(node).map_or(0, |node| node.live.len() as u64);
            let file = name.rsplit('/').next().unwrap_or_default().to_owned();
            (folder_of(name) == folder).then_some((file, len))
        };
        Ok(files.live.iter().filter_map(of).collect())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.lock().node(name).map(|node| node.live.clone())
    }

    fn create(&self, name: &str, len: u64) -> io::Result<()> {
        let mut files = self.lock();
        let torn = files.begin(format!("create {name}: {len} bytes"))?;
        files.has_room(len)?;
        files.next += 1;
        let node = files.next;
        // Zeros of an allocation are the file system's business: they need no sync, the length does.
        files.nodes.insert(node, Node { live: vec![0; len as usize], synced: Vec::new() });
        files.name(name, Some(node));
        torn.map_or(Ok(()), |_| Err(files.end(io::ErrorKind::Interrupted)))
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.lock();
        let torn = files.begin(format!("write {name} at {offset}: {} bytes", bytes.len()))?;
        let from = offset as usize;
        let taken = &bytes[..torn.unwrap_or(bytes.len()).min(bytes.len())];
        let grows = (from + taken.len()).saturating_sub(files.node(name)?.live.len());
        files.has_room(grows as u64)?;
        let live = &mut files.node(name)?.live;
        live.resize(live.len() + grows, 0);
        live[from..from + taken.len()].copy_from_slice(taken);
        torn.map_or(Ok(()), |_| Err(files.end(io::ErrorKind::Interrupted)))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut files = self.lock();
        files.begin(format!("sync {name}"))?;
        let node = files.node(name)?;
        node.synced.clone_from(&node.live);
        Ok(())
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        let mut files = self.lock();
        files.begin(format!("truncate {name} to {len}"))?;
        // As a file system does: a length beyond the end adds zeros.
        files.node(name)?.live.resize(len as usize, 0);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.lock();
        files.begin(format!("rename {from} to {to}"))?;
        let node = files.live.get(from).copied().ok_or_else(|| missing(from))?;
        // One change: a file is never under neither name.
        files.name(to, Some(node));
        files.name(from, None);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut files = self.lock();
        files.begin(format!("remove {name}"))?;
        if files.live.contains_key(name) {
            files.name(name, None);
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut files = self.lock();
        files.begin(format!("sync folder {folder:?}"))?;
        let pending = std::mem::take(&mut files.pending);
        for (name, node) in pending {
            if folder_of(&name) != folder {
                files.pending.push((name, node));
                continue;
            }
            match node {
                Some(node) => files.durable.insert(name, node),
                None => files.durable.remove(&name),
            };
        }
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let files = self.lock();
        let total = files.capacity.unwrap_or(1 << 40);
        Ok(Space { free: total.saturating_sub(files.used()), total })
    }
}

/// Chance from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Draw(pub u64);

impl Draw {
    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound; 0 for the bound 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.number().checked_rem(bound).unwrap_or(0)
    }

    /// True with a chance in 256ths.
    pub fn hits(&mut self, chance: u8) -> bool {
        self.number() & 0xff < u64::from(chance)
    }
}
