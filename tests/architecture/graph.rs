//! Which file uses which.

use crate::modules::{Module, ModulePath, Workspace};
use std::collections::{BTreeMap, BTreeSet};

/// One file that uses another.
pub struct Edge {
    pub from: ModulePath,
    pub to: ModulePath,
    /// What is used, as it is written.
    pub what: String,
    /// Only named to be used by others from here (`pub use`).
    pub re_export: bool,
}

#[derive(Default)]
pub struct Graph {
    pub edges: Vec<Edge>,
    /// The file of each module.
    pub files: BTreeMap<ModulePath, String>,
}

impl Graph {
    pub fn of(workspace: &Workspace) -> Self {
        let mut graph = Graph::default();
        for (path, module) in &workspace.modules {
            graph.files.insert(path.clone(), module.file.clone());
            let mut add = |to: ModulePath, what: String, re_export: bool| {
                graph.edges.push(Edge { from: path.clone(), to, what, re_export });
            };
            for import in &module.imports {
                let what = import.path.join("::");
                if let Some(name) = &import.name {
                    let re_export = import.public && !module.names.contains(name);
                    if let Some(to) = workspace.definer(path, &import.path, 0) {
                        add(to, what, re_export);
                    }
                    continue;
                }
                let Some(from) = workspace.module_at(path, &import.path, 0) else { continue };
                let used = |name: &&String| !module.defined.contains(*name);
                for name in module.names.iter().filter(used) {
                    if let Some(to) = workspace.provider(&from, name, 0) {
                        add(to, format!("{what}::{name}"), false);
                    }
                }
                if import.public {
                    add(from, format!("{what}::*"), true);
                }
            }
            for used in &module.paths {
                if let Some(to) = workspace.definer(path, used, 0) {
                    add(to, used.join("::"), false);
                }
            }
        }
        graph
    }

    /// The uses between the files of a circle, as lines.
    pub fn inside(&self, circle: &BTreeSet<String>) -> Vec<String> {
        let of = |path: &ModulePath| &self.files[path];
        let mut lines: Vec<String> = (self.edges.iter())
            .filter(|e| !e.re_export && of(&e.from) != of(&e.to))
            .filter(|e| circle.contains(of(&e.from)) && circle.contains(of(&e.to)))
            .map(|e| format!("  {} uses {} for {}", of(&e.from), of(&e.to), e.what))
            .collect();
        lines.sort();
        lines.dedup();
        lines
    }
}

/// Re-exports of re-exports are followed this far.
const DEPTH: usize = 16;

impl Workspace {
    /// The module that defines what `path`, as written in the module `here`, names; none for what is not of this
    /// workspace and for names of modules.
    fn definer(&self, here: &[String], path: &[String], depth: usize) -> Option<ModulePath> {
        let (mut module, rest) = self.start(here, path, depth)?;
        for (index, name) in rest.iter().enumerate() {
            let current = self.modules.get(&module)?;
            if !current.children.contains(name) {
                return match self.import_named(current, name) {
                    Some(import) if depth < DEPTH => {
                        let path: Vec<String> = import.iter().chain(&rest[index + 1..]).cloned().collect();
                        self.definer(&module, &path, depth + 1)
                    }
                    _ => self.provider(&module, name, depth).or(Some(module)),
                };
            }
            module.push(name.clone());
        }
        None
    }

    /// The module that `path` names.
    fn module_at(&self, here: &[String], path: &[String], depth: usize) -> Option<ModulePath> {
        let (mut module, rest) = self.start(here, path, depth)?;
        for (index, name) in rest.iter().enumerate() {
            let current = self.modules.get(&module)?;
            if !current.children.contains(name) {
                let import = self.import_named(current, name).filter(|_| depth < DEPTH)?;
                let path: Vec<String> = import.iter().chain(&rest[index + 1..]).cloned().collect();
                return self.module_at(&module, &path, depth + 1);
            }
            module.push(name.clone());
        }
        Some(module)
    }

    /// The module that `name` comes from when it is looked for in `module`.
    fn provider(&self, module: &[String], name: &str, depth: usize) -> Option<ModulePath> {
        let current = self.modules.get(module)?;
        if current.defined.contains(name) {
            return Some(module.to_vec());
        }
        if depth == DEPTH {
            return None;
        }
        if let Some(import) = self.import_named(current, name) {
            return self.definer(module, import, depth + 1);
        }
        let globs = current.imports.iter().filter(|i| i.name.is_none());
        globs
            .filter_map(|glob| self.module_at(module, &glob.path, depth + 1))
            .filter(|from| from != module)
            .find_map(|from| self.provider(&from, name, depth + 1))
    }

    fn import_named<'a>(&self, module: &'a Module, name: &str) -> Option<&'a [String]> {
        let found = module.imports.iter().find(|i| i.name.as_deref() == Some(name))?;
        Some(&found.path)
    }

    /// The module where the search for `path` begins, and the names that are left.
    fn start<'a>(
        &self,
        here: &[String],
        path: &'a [String],
        depth: usize,
    ) -> Option<(ModulePath, &'a [String])> {
        let (first, mut rest) = path.split_first()?;
        let mut module = here.to_vec();
        match first.as_str() {
            "crate" => module.truncate(1),
            "self" => {}
            "super" => {
                module.pop();
                while let Some(("super", more)) = rest.split_first().map(|(f, r)| (f.as_str(), r)) {
                    module.pop();
                    rest = more;
                }
            }
            name => {
                let current = self.modules.get(here)?;
                if current.children.contains(name) {
                    module.push(name.to_owned());
                } else if let Some(import) = self.import_named(current, name) {
                    // A crate or a module that goes by another name here; an item's own paths end at the item.
                    if depth == DEPTH || import == path {
                        return None;
                    }
                    module = self.module_at(here, import, depth + 1)?;
                } else if self.modules.contains_key(std::slice::from_ref(first)) {
                    module = vec![first.clone()];
                } else {
                    return None;
                }
            }
        }
        Some((module, rest))
    }
}

/// The sets of files that use each other, directly or through others of the set.
pub fn circles(graph: &Graph) -> BTreeSet<BTreeSet<String>> {
    let mut uses: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for edge in graph.edges.iter().filter(|e| !e.re_export) {
        let (from, to) = (&graph.files[&edge.from], &graph.files[&edge.to]);
        if from != to {
            uses.entry(from).or_default().insert(to);
        }
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        uses.keys().map(|from| (*from, reach(&uses, from))).collect();
    let mut found = BTreeSet::new();
    for (from, reached_from) in &reached {
        let back = |to: &&&str| reached.get(**to).is_some_and(|r| r.contains(from));
        let circle: BTreeSet<String> = reached_from.iter().filter(back).map(|f| (*f).to_owned()).collect();
        if !circle.is_empty() {
            found.insert(circle);
        }
    }
    found
}

/// All that is used from `from` on; `from` itself only where a way leads back to it.
fn reach<'a>(uses: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for to in uses.get(next).into_iter().flatten() {
            if reached.insert(*to) {
                open.push(to);
            }
        }
    }
    reached
}
