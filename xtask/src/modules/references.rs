//! The graph of a crate's module files: who names items of whom, and in which line first.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::paths::Target;
use super::tree::{Modules, attributes, for_tests, leaves, plain, re_exports};

/// Files and the references between them.
pub struct Graph {
    pub files: Vec<String>,
    /// From the file that names to the file that defines, with the first place.
    pub edges: BTreeMap<(usize, usize), Place>,
}

/// Where a file names an item of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    /// The path as written.
    pub path: String,
}

impl Graph {
    pub fn new(modules: &Modules) -> Graph {
        let mut edges = BTreeMap::new();
        // `use` declarations first: where a file has one, it is the place to show.
        for uses in [true, false] {
            for (number, module) in modules.modules.iter().enumerate() {
                let mut reader =
                    Reader { modules, module: number, file: module.file, uses, edges: &mut edges };
                for item in &module.items {
                    reader.visit_item(item);
                }
            }
        }
        Graph { files: modules.files.clone(), edges }
    }
}

struct Reader<'a> {
    modules: &'a Modules,
    module: usize,
    file: usize,
    /// Whether this pass reads `use` declarations or everything else.
    uses: bool,
    edges: &'a mut BTreeMap<(usize, usize), Place>,
}

impl Reader<'_> {
    fn add(
        &mut self,
        path: &[String],
        line: usize,
        wanted: impl Fn(&Target) -> bool,
        shown: String,
    ) {
        for target in self.modules.targets(self.module, path) {
            let to = self.modules.file_of(target);
            if to != self.file && wanted(&target) {
                let place = Place { line, path: shown.clone() };
                self.edges.entry((self.file, to)).or_insert(place);
            }
        }
    }

    /// A path outside of `use`: alone, a name can only be an item, for a variable may be called like a module.
    fn add_path(&mut self, path: &[String], line: usize) {
        let alone = path.len() == 1;
        let wanted = |target: &Target| !alone || matches!(target, Target::Item(_));
        self.add(path, line, wanted, path.join("::"));
    }

    /// Paths in the tokens of a macro call. In the rules of a macro only those that are the same wherever it is called.
    fn read_tokens(&mut self, tokens: TokenStream, rooted_only: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        let mut after_dot = false;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => {
                    self.read_tokens(group.stream(), rooted_only);
                    after_dot = false;
                    at += 1;
                }
                TokenTree::Ident(first) => {
                    let line = first.span().start().line;
                    let mut path = vec![plain(first)];
                    at += 1;
                    while is_separator(&tokens[at..]) {
                        match tokens.get(at + 2) {
                            Some(TokenTree::Ident(next)) => path.push(plain(next)),
                            _ => break,
                        }
                        at += 3;
                    }
                    let rooted = ["crate", "self", "super"].contains(&path[0].as_str());
                    if !after_dot && (rooted || !rooted_only) && path != ["self"] {
                        self.add_path(&path, line);
                    }
                    after_dot = false;
                }
                TokenTree::Punct(mark) => {
                    // A field or a method, but not the end of a range.
                    after_dot = mark.as_char() == '.' && !after_dot;
                    // A path of another crate for certain.
                    if is_separator(&tokens[at..]) {
                        after_dot = true;
                        at += 1;
                    }
                    at += 1;
                }
                TokenTree::Literal(_) => {
                    after_dot = false;
                    at += 1;
                }
            }
        }
    }

    /// Paths in strings of attributes, as in `#[serde(with = "crate::wire::text")]`.
    fn read_strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) if group.delimiter() != Delimiter::None => {
                    self.read_strings(group.stream());
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let Some(text) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'))
                    else {
                        continue;
                    };
                    if let Ok(path) = syn::parse_str::<syn::Path>(text)
                        && path.leading_colon.is_none()
                        && path.segments.len() > 1
                    {
                        self.add_path(&segments(&path), literal.span().start().line);
                    }
                }
                _ => {}
            }
        }
    }
}

fn is_separator(tokens: &[TokenTree]) -> bool {
    let colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    colon(tokens.first()) && colon(tokens.get(1))
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| plain(&segment.ident)).collect()
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    /// Modules of functions are too rare to be read; all others are modules of their own.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // A re-export serves other files: they are the ones that name the item.
        if !self.uses || re_exports(item) {
            return;
        }
        for leaf in leaves(item) {
            let star = if leaf.binds.is_none() { "::*" } else { "" };
            let shown = format!("use {}{star}", leaf.path.join("::"));
            self.add(&leaf.path, leaf.line, |_| true, shown);
        }
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if item.ident.is_none() {
            return visit::visit_item_macro(self, item);
        }
        if !self.uses {
            self.read_tokens(item.mac.tokens.clone(), true);
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        if !self.uses {
            self.read_tokens(call.tokens.clone(), false);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if !self.uses
            && path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            self.add_path(&segments(path), first.ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let (false, syn::Meta::List(list)) = (self.uses, &attribute.meta) {
            self.read_strings(list.tokens.clone());
        }
    }

    /// `pub(super)` and `pub(in path)` use nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Const(item) => &item.attrs,
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            syn::ImplItem::Macro(item) => &item.attrs,
            _ => return,
        };
        if !for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast syn::TraitItem) {
        let attributes = match item {
            syn::TraitItem::Const(item) => &item.attrs,
            syn::TraitItem::Fn(item) => &item.attrs,
            syn::TraitItem::Type(item) => &item.attrs,
            syn::TraitItem::Macro(item) => &item.attrs,
            _ => return,
        };
        if !for_tests(attributes) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !for_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !for_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if !for_tests(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }
}
