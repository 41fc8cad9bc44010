//! What each module of a crate defines, imports and names.

use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};

/// A module's path: the crate's name, then the names of the modules.
pub type ModulePath = Vec<String>;

/// One `use`.
pub struct Import {
    pub path: Vec<String>,
    /// The name it has here; none for `*`.
    pub name: Option<String>,
    pub public: bool,
}

#[derive(Default)]
pub struct Module {
    /// Relative to the workspace.
    pub file: String,
    pub children: BTreeSet<String>,
    pub defined: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Paths of two names or more outside of `use`.
    pub paths: BTreeSet<Vec<String>>,
    /// Every name outside of `use`.
    pub names: BTreeSet<String>,
}

#[derive(Default)]
pub struct Workspace {
    pub modules: BTreeMap<ModulePath, Module>,
    /// Every file that a module declares, tests among them.
    pub files: BTreeSet<String>,
}

impl Workspace {
    /// Reads the crate `name` whose root is `file`; `read` gives the text of a file, or nothing where there is none.
    pub fn add(&mut self, name: &str, file: &str, read: &dyn Fn(&str) -> Option<String>) {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        self.files.insert(file.to_owned());
        let text = read(file).unwrap_or_else(|| panic!("no file {file}"));
        let items = syn::parse_file(&text).unwrap_or_else(|e| panic!("{file}: {e}")).items;
        self.module(vec![name.to_owned()], file, &folder, items, false, read);
    }

    /// `folder` holds the files of the children.
    fn module(
        &mut self,
        path: ModulePath,
        file: &str,
        folder: &str,
        items: Vec<syn::Item>,
        test: bool,
        read: &dyn Fn(&str) -> Option<String>,
    ) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items {
            let syn::Item::Mod(child) = item else {
                if !is_test(attributes(&item)) {
                    module.defined.extend(defined(&item));
                    module.visit_item(&item);
                }
                continue;
            };
            let name = child.ident.to_string();
            let test = test || is_test(&child.attrs);
            let path: ModulePath = path.iter().cloned().chain([name.clone()]).collect();
            let below = format!("{folder}/{name}");
            if let Some((_, items)) = child.content {
                self.module(path, file, &below, items, test, read);
            } else {
                let (child_file, below, text) = find(&child.attrs, file, &below, read);
                self.files.insert(child_file.clone());
                let items = syn::parse_file(&text).unwrap_or_else(|e| panic!("{child_file}: {e}")).items;
                self.module(path, &child_file, &below, items, test, read);
            }
            if !test {
                module.children.insert(name);
            }
        }
        if !test {
            self.modules.insert(path, module);
        }
    }
}

/// The file of a module declared in `parent`, the folder of its children, and its text.
fn find(
    attributes: &[syn::Attribute],
    parent: &str,
    below: &str,
    read: &dyn Fn(&str) -> Option<String>,
) -> (String, String, String) {
    let named = attributes.iter().find(|a| a.path().is_ident("path")).and_then(|a| match &a.meta {
        syn::Meta::NameValue(syn::MetaNameValue {
            value: syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }),
            ..
        }) => Some(name.value()),
        _ => None,
    });
    let beside = parent.rsplit_once('/').map_or("", |(folder, _)| folder);
    let places = match named {
        Some(name) => vec![format!("{beside}/{name}")],
        None => vec![format!("{below}.rs"), format!("{below}/mod.rs")],
    };
    for place in &places {
        if let Some(text) = read(place) {
            return (place.clone(), below.to_owned(), text);
        }
    }
    panic!("{parent} declares a module, and there is no {places:?}")
}

/// Whether `#[cfg(…)]` leaves the item out of everything but tests.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().filter(|a| a.path().is_ident("cfg")).any(|a| match &a.meta {
        syn::Meta::List(list) => {
            let text = list.tokens.to_string();
            text == "test" || (text.starts_with("all") && text.contains("test") && !text.contains("not"))
        }
        _ => false,
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(i) => &i.attrs,
        syn::Item::Enum(i) => &i.attrs,
        syn::Item::Fn(i) => &i.attrs,
        syn::Item::Impl(i) => &i.attrs,
        syn::Item::Macro(i) => &i.attrs,
        syn::Item::Static(i) => &i.attrs,
        syn::Item::Struct(i) => &i.attrs,
        syn::Item::Trait(i) => &i.attrs,
        syn::Item::Type(i) => &i.attrs,
        syn::Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// The name that an item gives to its module.
fn defined(item: &syn::Item) -> Option<String> {
    let name = match item {
        syn::Item::Const(i) => &i.ident,
        syn::Item::Enum(i) => &i.ident,
        syn::Item::Fn(i) => &i.sig.ident,
        syn::Item::Macro(i) => i.ident.as_ref()?,
        syn::Item::Static(i) => &i.ident,
        syn::Item::Struct(i) => &i.ident,
        syn::Item::Trait(i) => &i.ident,
        syn::Item::Type(i) => &i.ident,
        syn::Item::Union(i) => &i.ident,
        _ => return None,
    };
    Some(name.to_string())
}

impl Module {
    fn import(&mut self, prefix: &[String], tree: &syn::UseTree, public: bool) {
        let with = |name: &syn::Ident| prefix.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        let mut add = |path: Vec<String>, name: Option<String>| {
            self.imports.push(Import { path, name, public });
        };
        match tree {
            syn::UseTree::Path(path) => self.import(&with(&path.ident), &path.tree, public),
            syn::UseTree::Name(name) if name.ident == "self" => {
                add(prefix.to_vec(), prefix.last().cloned());
            }
            syn::UseTree::Name(name) => add(with(&name.ident), Some(name.ident.to_string())),
            syn::UseTree::Rename(name) if name.ident == "self" => {
                add(prefix.to_vec(), Some(name.rename.to_string()));
            }
            syn::UseTree::Rename(name) => add(with(&name.ident), Some(name.rename.to_string())),
            syn::UseTree::Glob(_) => add(prefix.to_vec(), None),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(prefix, tree, public));
            }
        }
    }

    /// Names and paths of the tokens of a macro.
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        use proc_macro2::TokenTree;
        let (mut path, mut colons) = (Vec::new(), 0);
        let end = |module: &mut Self, path: &mut Vec<String>| {
            if path.len() > 1 {
                module.paths.insert(std::mem::take(path));
            }
            path.clear();
        };
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        end(self, &mut path);
                    }
                    path.push(name.to_string());
                    self.names.insert(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => colons += 1,
                TokenTree::Group(group) => {
                    end(self, &mut path);
                    colons = 0;
                    self.tokens(group.stream());
                }
                _ => {
                    end(self, &mut path);
                    colons = 0;
                }
            }
        }
        end(self, &mut path);
    }
}

impl<'a> Visit<'a> for Module {
    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.import(&[], &item.tree, !matches!(item.vis, syn::Visibility::Inherited));
    }

    fn visit_item_fn(&mut self, item: &'a syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_attribute(&mut self, _: &'a syn::Attribute) {}

    fn visit_vis_restricted(&mut self, _: &'a syn::VisRestricted) {}

    fn visit_ident(&mut self, name: &'a syn::Ident) {
        self.names.insert(name.to_string());
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        if path.segments.len() > 1 {
            self.paths.insert(path.segments.iter().map(|s| s.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'a syn::Macro) {
        self.visit_path(&item.path);
        self.tokens(item.tokens.clone());
    }
}
