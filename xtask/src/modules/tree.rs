//! The modules of one crate: their files, the names each of them binds, and their items without tests.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Attribute, Item, ItemUse, Meta, UseTree, Visibility};

/// All modules of one target; the crate root is number 0.
pub struct Modules {
    /// Paths of the files, as they were asked for.
    pub files: Vec<String>,
    pub modules: Vec<Module>,
}

/// A module: a file of its own or `mod name { … }` inside one.
pub struct Module {
    /// Index into [`Modules::files`].
    pub file: usize,
    pub parent: Option<usize>,
    /// What each name of its scope stands for. One name can be a module and a function at once.
    pub names: BTreeMap<String, Vec<Name>>,
    /// Paths of `use path::*`, public or not.
    pub globs: Vec<Vec<String>>,
    /// Words that item macros were called with: some of them become items.
    pub macro_words: BTreeSet<String>,
    /// Its items, without those of tests.
    pub items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// Index into [`Modules::modules`].
    Module(usize),
    /// An item whose text is in this module.
    Item,
    /// A `use` of this path.
    Import(Vec<String>),
}

/// One name of a `use` declaration, its groups taken apart.
pub struct Leaf {
    pub path: Vec<String>,
    /// What it binds; a glob binds no name of its own.
    pub binds: Option<String>,
    pub line: usize,
}

impl Modules {
    /// Reads the crate whose root is `root`; `read` gives a file's text.
    pub fn read(root: &str, read: &dyn Fn(&str) -> Option<String>) -> Result<Modules, String> {
        let mut all = Modules { files: Vec::new(), modules: Vec::new() };
        let text = read(root).ok_or_else(|| format!("{root} cannot be read"))?;
        let folder = folder_of(root);
        all.add_file(root, &text, None, folder, read)?;
        Ok(all)
    }

    fn add_file(
        &mut self,
        file: &str,
        text: &str,
        parent: Option<usize>,
        children: String,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Result<usize, String> {
        let parsed = syn::parse_file(text)
            .map_err(|error| format!("{file}:{}: {error}", error.span().start().line))?;
        let at = match self.files.iter().position(|known| known == file) {
            Some(at) => at,
            None => {
                self.files.push(file.to_owned());
                self.files.len() - 1
            }
        };
        self.add_module(at, parsed.items, parent, children, read)
    }

    /// `children` is the folder in which the files of child modules stand.
    fn add_module(
        &mut self,
        file: usize,
        items: Vec<Item>,
        parent: Option<usize>,
        children: String,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Result<usize, String> {
        let number = self.modules.len();
        self.modules.push(Module {
            file,
            parent,
            names: BTreeMap::new(),
            globs: Vec::new(),
            macro_words: BTreeSet::new(),
            items: Vec::new(),
        });
        for item in items {
            if for_tests(attributes(&item)) {
                continue;
            }
            match item {
                Item::Mod(module) => {
                    let name = plain(&module.ident);
                    let child = match module.content {
                        Some((_, items)) => {
                            let inner = join(&children, &name);
                            self.add_module(file, items, Some(number), inner, read)?
                        }
                        None => {
                            let here = self.files[file].clone();
                            let given = path_attribute(&module.attrs);
                            let Some((path, text, inner)) =
                                module_file(&here, &children, &name, given, read)
                            else {
                                return Err(format!("{here}: no file for `mod {name};`"));
                            };
                            if only_tests(&path) {
                                continue;
                            }
                            self.add_file(&path, &text, Some(number), inner, read)?
                        }
                    };
                    self.modules[number].bind(name, Name::Module(child));
                }
                other => {
                    self.modules[number].add(&other);
                    self.modules[number].items.push(other);
                }
            }
        }
        Ok(number)
    }
}

impl Module {
    fn bind(&mut self, name: String, what: Name) {
        self.names.entry(name).or_default().push(what);
    }

    fn add(&mut self, item: &Item) {
        let ident = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::TraitAlias(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Use(item) => {
                for leaf in leaves(item) {
                    match leaf.binds {
                        Some(name) => self.bind(name, Name::Import(leaf.path)),
                        None => self.globs.push(leaf.path),
                    }
                }
                return;
            }
            Item::Macro(item) => match &item.ident {
                Some(ident) => ident,
                None => {
                    let words =
                        item.mac.tokens.clone().into_iter().filter_map(|token| match token {
                            proc_macro2::TokenTree::Ident(word) => Some(plain(&word)),
                            _ => None,
                        });
                    self.macro_words.extend(words);
                    return;
                }
            },
            _ => return,
        };
        self.bind(plain(ident), Name::Item);
    }
}

/// The names of a `use` declaration; none if the path is of another crate for certain (`use ::name`).
pub fn leaves(item: &ItemUse) -> Vec<Leaf> {
    let mut found = Vec::new();
    if item.leading_colon.is_none() {
        take_apart(&item.tree, &mut Vec::new(), &mut found);
    }
    found
}

fn take_apart(tree: &UseTree, before: &mut Vec<String>, found: &mut Vec<Leaf>) {
    match tree {
        UseTree::Path(tree) => {
            before.push(plain(&tree.ident));
            take_apart(&tree.tree, before, found);
            before.pop();
        }
        UseTree::Group(tree) => {
            for part in &tree.items {
                take_apart(part, before, found);
            }
        }
        UseTree::Name(tree) => found.push(leaf(before, &tree.ident, &tree.ident)),
        UseTree::Rename(tree) => found.push(leaf(before, &tree.ident, &tree.rename)),
        UseTree::Glob(tree) => found.push(Leaf {
            path: before.clone(),
            binds: None,
            line: tree.star_token.spans[0].start().line,
        }),
    }
}

fn leaf(before: &[String], name: &syn::Ident, binds: &syn::Ident) -> Leaf {
    let mut path = before.to_vec();
    let mut bound = plain(binds);
    // `use path::{self}` is `use path`.
    if name != "self" || path.is_empty() {
        path.push(plain(name));
    } else if binds == "self" {
        bound = path.last().cloned().unwrap_or_default();
    }
    Leaf { path, binds: Some(bound), line: name.span().start().line }
}

/// Whether a `use` hands its names on to other modules.
pub fn re_exports(item: &ItemUse) -> bool {
    !matches!(item.vis, Visibility::Inherited)
}

/// Whether an item exists in tests only: `#[test]`, `#[cfg(test)]`, `#[cfg(all(test, …))]`.
pub fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args::<Meta>().is_ok_and(|meta| needs_test(&meta))
        }
        _ => false,
    })
}

fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated)
            .is_ok_and(|parts| parts.iter().any(needs_test)),
        _ => false,
    }
}

/// Whether a file holds tests by its name alone.
fn only_tests(file: &str) -> bool {
    let mut parts = file.split('/').rev();
    parts.next() == Some("tests.rs") || parts.any(|folder| folder == "tests")
}

pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// An identifier without `r#`.
pub fn plain(ident: &syn::Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let Meta::NameValue(pair) = &attribute.meta else { return None };
        let syn::Expr::Lit(value) = &pair.value else { return None };
        match &value.lit {
            syn::Lit::Str(text) if pair.path.is_ident("path") => Some(text.value()),
            _ => None,
        }
    })
}

/// A module's file, its text, and the folder of its own children.
fn module_file(
    here: &str,
    children: &str,
    name: &str,
    given: Option<String>,
    read: &dyn Fn(&str) -> Option<String>,
) -> Option<(String, String, String)> {
    if let Some(given) = given {
        let path = join(&folder_of(here), &given);
        let text = read(&path)?;
        let inner = folder_of(&path);
        return Some((path, text, inner));
    }
    let inner = join(children, name);
    for path in [format!("{inner}.rs"), format!("{inner}/mod.rs")] {
        if let Some(text) = read(&path) {
            return Some((path, text, inner));
        }
    }
    None
}

fn folder_of(file: &str) -> String {
    file.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default()
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
