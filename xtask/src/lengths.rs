//! Functions that are too long to be read at once, compared with the list of those that are allowed for now.

use syn::visit::{self, Visit};

use crate::modules::Modules;

/// Lines from `fn` to the closing brace, both included.
pub const MOST: usize = 120;

/// A function's name as in `crates/execution/src/gate.rs Gate::check`, and how long it may be for now.
pub type Allowed = (&'static str, usize);

/// A function of more than [`MOST`] lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Long {
    /// File and name, as in [`Allowed`].
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

/// The long functions of a crate, without those of tests, sorted by name; `folder` begins their names.
pub fn long_functions(folder: &str, modules: &Modules) -> Vec<Long> {
    let mut found = Vec::new();
    for module in &modules.modules {
        let file = format!("{folder}/{}", modules.files[module.file]);
        let mut reader = Reader { file, owner: None, found: &mut found };
        for item in &module.items {
            reader.visit_item(item);
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

/// What is wrong with the long functions: new ones, longer ones, and entries of the list that are no longer needed.
pub fn compare(found: &[Long], allowed: &[Allowed]) -> Vec<String> {
    let mut wrong = Vec::new();
    for long in found {
        match allowed.iter().find(|(name, _)| *name == long.name) {
            None => wrong.push(format!(
                "{} (line {}) has {} lines; a function has at most {MOST}",
                long.name, long.line, long.lines
            )),
            Some((_, most)) if long.lines > *most => wrong.push(format!(
                "{} (line {}) has grown from {most} to {} lines; it may only shrink",
                long.name, long.line, long.lines
            )),
            Some(_) => {}
        }
    }
    for (name, _) in allowed {
        if !found.iter().any(|long| long.name == *name) {
            wrong.push(format!(
                "{name} is no longer too long: take it off LONG_FUNCTIONS in xtask/src/allowed.rs"
            ));
        }
    }
    wrong
}

struct Reader<'a> {
    file: String,
    /// The type or trait around the function.
    owner: Option<String>,
    found: &'a mut Vec<Long>,
}

impl Reader<'_> {
    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.fn_token.span.start().line;
        let last = block.brace_token.span.close().end().line;
        let lines = last + 1 - first;
        if lines > MOST {
            let owner = self.owner.iter().map(|owner| format!("{owner}::")).collect::<String>();
            let name = format!("{} {owner}{}", self.file, signature.ident);
            self.found.push(Long { name, line: first, lines });
        }
    }

    fn inside(&mut self, owner: String, read: impl FnOnce(&mut Self)) {
        let before = self.owner.replace(owner);
        read(self);
        self.owner = before;
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !crate::modules::for_tests(&item.attrs) {
            self.measure(&item.sig, &item.block);
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        self.inside(owner.unwrap_or_else(|| "impl".to_owned()), |reader| {
            visit::visit_item_impl(reader, item);
        });
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.inside(item.ident.to_string(), |reader| visit::visit_item_trait(reader, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !crate::modules::for_tests(&item.attrs) {
            self.measure(&item.sig, &item.block);
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function whose body has this many lines between its braces.
    fn function(head: &str, lines: usize) -> String {
        format!(
            "/// What it does.\n/// At length.\n{head} {{\n{}}}\n",
            "    step();\n".repeat(lines)
        )
    }

    fn found(text: &str) -> Vec<(String, usize, usize)> {
        let modules = Modules::read("lib.rs", &|_| Some(text.to_owned())).expect("it parses");
        let found = long_functions("crates/x/src", &modules);
        found.into_iter().map(|long| (long.name, long.line, long.lines)).collect()
    }

    #[test]
    fn counts_from_fn_to_the_closing_brace_without_the_doc_comment() {
        assert_eq!(found(&function("pub async fn run()", MOST - 2)), []);
        assert_eq!(
            found(&function("pub async fn run()", MOST - 1)),
            [("crates/x/src/lib.rs run".to_owned(), 3, MOST + 1)]
        );
    }

    #[test]
    fn methods_are_named_with_their_type_and_tests_do_not_count() {
        let long = |head: &str| function(head, MOST);
        let text = format!(
            "impl<T> Sim<T> {{ {} }} trait Seam {{ {} }} {} #[cfg(test)] mod tests {{ {} }}",
            long("fn accept(&self)"),
            long("fn step(&self)"),
            long("#[test]\nfn replays()"),
            long("fn helper()"),
        );
        let names: Vec<String> = found(&text).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["crates/x/src/lib.rs Seam::step", "crates/x/src/lib.rs Sim::accept"]);
    }

    #[test]
    fn the_list_may_only_shrink() {
        let long = |name: &str, lines| Long { name: name.to_owned(), line: 7, lines };
        let found = [long("a", 130), long("b", 140), long("c", 150)];
        assert_eq!(
            compare(&found, &[("a", 131), ("b", 139), ("d", 200)]),
            [
                "b (line 7) has grown from 139 to 140 lines; it may only shrink",
                "c (line 7) has 150 lines; a function has at most 120",
                "d is no longer too long: take it off LONG_FUNCTIONS in xtask/src/allowed.rs",
            ]
        );
    }
}
