//! From a path in the source to the files that define what it names, through re-exports and globs.

use std::collections::BTreeSet;

use super::tree::{Modules, Name};

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A module, by number.
    Module(usize),
    /// An item, by the number of its file.
    Item(usize),
}

struct Search<'a> {
    all: &'a Modules,
    /// Whether a word that an item macro was called with counts as an item.
    macro_words: bool,
    /// Look-ups under way: re-exports may go round in circles.
    open: BTreeSet<(usize, String)>,
}

impl Modules {
    /// What `path` names in the scope of `module`; nothing for paths of other crates.
    ///
    /// `Enum::Variant` and `Type::function` name the type.
    pub fn targets(&self, module: usize, path: &[String]) -> BTreeSet<Target> {
        let search = |macro_words| {
            Search { all: self, macro_words, open: BTreeSet::new() }.resolve(module, path)
        };
        let found = search(false);
        if found.is_empty() { search(true) } else { found }
    }

    /// The number of the file that holds a target.
    pub fn file_of(&self, target: Target) -> usize {
        match target {
            Target::Module(module) => self.modules[module].file,
            Target::Item(file) => file,
        }
    }
}

impl Search<'_> {
    fn resolve(&mut self, module: usize, path: &[String]) -> BTreeSet<Target> {
        let mut at = module;
        let mut rest = path;
        while let [first, more @ ..] = rest {
            match first.as_str() {
                "crate" | "$crate" => at = 0,
                "self" => {}
                "super" => match self.all.modules[at].parent {
                    Some(parent) => at = parent,
                    None => return BTreeSet::new(),
                },
                _ => break,
            }
            rest = more;
        }
        self.walk(at, rest)
    }

    fn walk(&mut self, module: usize, path: &[String]) -> BTreeSet<Target> {
        let [first, rest @ ..] = path else { return BTreeSet::from([Target::Module(module)]) };
        let found = self.look_up(module, first);
        if rest.is_empty() {
            return found;
        }
        let inner: Vec<usize> = found
            .iter()
            .filter_map(|target| match target {
                Target::Module(inner) => Some(*inner),
                Target::Item(_) => None,
            })
            .collect();
        if inner.is_empty() {
            return found;
        }
        inner.into_iter().flat_map(|inner| self.walk(inner, rest)).collect()
    }

    fn look_up(&mut self, module: usize, name: &str) -> BTreeSet<Target> {
        let key = (module, name.to_owned());
        if !self.open.insert(key.clone()) {
            return BTreeSet::new();
        }
        let found = self.look_up_once(module, name);
        self.open.remove(&key);
        found
    }

    fn look_up_once(&mut self, module: usize, name: &str) -> BTreeSet<Target> {
        let all = self.all;
        let here = &all.modules[module];
        if let Some(names) = here.names.get(name) {
            return names
                .iter()
                .flat_map(|name| match name {
                    Name::Module(inner) => BTreeSet::from([Target::Module(*inner)]),
                    Name::Item => BTreeSet::from([Target::Item(here.file)]),
                    Name::Import(path) => self.resolve(module, path),
                })
                .collect();
        }
        if self.macro_words && here.macro_words.contains(name) {
            return BTreeSet::from([Target::Item(here.file)]);
        }
        let mut found = BTreeSet::new();
        for glob in &here.globs {
            for target in self.resolve(module, glob) {
                if let Target::Module(inner) = target {
                    found.extend(self.look_up(inner, name));
                }
            }
        }
        found
    }
}
