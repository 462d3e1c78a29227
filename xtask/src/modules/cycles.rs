//! Cycles between module files: found, and compared with the list of those that are allowed for now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::references::Graph;

/// A crate's folder and the files of one cycle, as in `("crates/sim", &["order.rs", "queue.rs"])`.
pub type Allowed = (&'static str, &'static [&'static str]);

impl Graph {
    /// The strongly connected components of more than one file, each sorted, sorted (Tarjan).
    pub fn cycles(&self) -> Vec<Vec<usize>> {
        let mut tarjan = Tarjan { next: self.next(), ..Tarjan::default() };
        for file in 0..self.files.len() {
            if !tarjan.index.contains_key(&file) {
                tarjan.visit(file);
            }
        }
        let mut found = tarjan.found;
        for component in &mut found {
            component.sort_by_key(|file| &self.files[*file]);
        }
        found.sort_by_key(|component| self.names(component));
        found
    }

    pub fn names(&self, files: &[usize]) -> Vec<&str> {
        files.iter().map(|file| self.files[*file].as_str()).collect()
    }

    fn next(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from, to) in self.edges.keys() {
            next.entry(*from).or_default().push(*to);
        }
        next
    }

    /// The shortest path of references that ends where it begins and is not wholly inside one of `allowed`.
    fn shortest(&self, component: &[usize], allowed: &[&BTreeSet<&str>]) -> Vec<usize> {
        let mut best: Vec<usize> = Vec::new();
        let next = self.next();
        for (from, to) in self.edges.keys() {
            if !component.contains(from) || !component.contains(to) {
                continue;
            }
            let Some(mut path) = way(&next, *to, *from) else { continue };
            path.rotate_right(1);
            let names = self.names(&path);
            let known = |set: &&BTreeSet<&str>| names.iter().all(|name| set.contains(name));
            if !allowed.iter().any(known) && (best.is_empty() || path.len() < best.len()) {
                best = path;
            }
        }
        best
    }

    /// A cycle as text, a line for each reference.
    fn told(&self, cycle: &[usize]) -> String {
        let mut lines = String::new();
        for (at, from) in cycle.iter().enumerate() {
            let to = cycle[(at + 1) % cycle.len()];
            if let Some(place) = self.edges.get(&(*from, to)) {
                let (from, to) = (&self.files[*from], &self.files[to]);
                lines
                    .push_str(&format!("\n    {from}:{}: `{}` is in {to}", place.line, place.path));
            }
        }
        lines
    }
}

/// The files of the shortest path between two files, both included.
fn way(next: &BTreeMap<usize, Vec<usize>>, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut came_from = BTreeMap::from([(from, from)]);
    let mut queue = VecDeque::from([from]);
    while let Some(file) = queue.pop_front() {
        if file == to {
            let mut path = vec![to];
            let mut at = to;
            while at != from {
                at = came_from[&at];
                path.push(at);
            }
            path.reverse();
            return Some(path);
        }
        for after in next.get(&file).into_iter().flatten() {
            if !came_from.contains_key(after) {
                came_from.insert(*after, file);
                queue.push_back(*after);
            }
        }
    }
    None
}

#[derive(Default)]
struct Tarjan {
    next: BTreeMap<usize, Vec<usize>>,
    index: BTreeMap<usize, usize>,
    stack: Vec<usize>,
    found: Vec<Vec<usize>>,
}

impl Tarjan {
    fn visit(&mut self, file: usize) -> usize {
        let index = self.index.len();
        let mut low = index;
        self.index.insert(file, index);
        self.stack.push(file);
        for after in self.next.get(&file).cloned().unwrap_or_default() {
            match self.index.get(&after) {
                None => low = low.min(self.visit(after)),
                Some(seen) if self.stack.contains(&after) => low = low.min(*seen),
                Some(_) => {}
            }
        }
        if low == index {
            let at = self.stack.iter().position(|on| *on == file).unwrap_or_default();
            let component = self.stack.split_off(at);
            if component.len() > 1 {
                self.found.push(component);
            }
        }
        low
    }
}

/// What is wrong with a crate's cycles: those that are not allowed, and entries of the list that are no longer needed.
pub fn compare(folder: &str, graphs: &[Graph], allowed: &[Allowed]) -> Vec<String> {
    let entries: Vec<BTreeSet<&str>> = allowed
        .iter()
        .filter(|(of, _)| *of == folder)
        .map(|(_, files)| files.iter().copied().collect())
        .collect();
    let mut wrong = Vec::new();
    let mut left: Vec<Vec<BTreeSet<&str>>> = vec![Vec::new(); entries.len()];
    for graph in graphs {
        for component in graph.cycles() {
            let names: BTreeSet<&str> = graph.names(&component).into_iter().collect();
            match entries.iter().position(|entry| names.is_subset(entry)) {
                Some(at) => left[at].push(names),
                None => {
                    let known: Vec<&BTreeSet<&str>> = entries.iter().collect();
                    wrong.push(format!(
                        "{folder} has a new cycle of modules among {}:{}",
                        listed(&names),
                        graph.told(&graph.shortest(&component, &known))
                    ));
                    // The list is wrong about the others as well; this error is the one to act on.
                    for (at, entry) in entries.iter().enumerate() {
                        if !entry.is_disjoint(&names) {
                            left[at].push(entry.clone());
                        }
                    }
                }
            }
        }
    }
    for (entry, left) in entries.iter().zip(left) {
        if left.is_empty() {
            wrong.push(format!(
                "{folder}: {} is no longer a cycle: take it off CYCLES in xtask/src/allowed.rs",
                listed(entry)
            ));
        } else if !left.contains(entry) {
            let left: Vec<String> = left.iter().map(listed).collect();
            wrong.push(format!(
                "{folder}: of the cycle {} only {} is left: shrink its entry of CYCLES in xtask/src/allowed.rs",
                listed(entry),
                left.join(" and ")
            ));
        }
    }
    wrong
}

fn listed(files: &BTreeSet<&str>) -> String {
    files.iter().copied().collect::<Vec<_>>().join(", ")
}
