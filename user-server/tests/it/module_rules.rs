//! Rules of the structure. The tables of ARCHITECTURE.md say which modules may use which; the code
//! has to keep to them, and no dependency between modules or files may form a cycle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use user_server::domain::Timestamp;

use crate::document::{read, rows_under, words};

type Names = BTreeSet<String>;
/// Module paths, from the root of a crate.
type Modules = BTreeSet<Vec<String>>;

/// The heading of the table of modules in ARCHITECTURE.md.
pub const MODULES: &str = "## Modules";

/// One source file of a crate: its module, and its code without comments.
struct Source {
    /// The module path from the root of the crate. Empty for the root itself.
    module: Vec<String>,
    path: String,
    code: String,
}

#[test]
fn every_module_uses_only_what_the_table_allows() {
    let (allowed, sources) = (allowed_uses(), server_sources());
    let modules: Names = allowed.keys().cloned().collect();
    let mut violations = Vec::new();
    for source in &sources {
        let module = source.top_level();
        let Some(allowed) = allowed.get(module) else {
            violations.push(format!("{}: `{module}` has no row in ARCHITECTURE.md", source.path));
            continue;
        };
        for used in used_modules(source, &modules).difference(allowed) {
            if used != module {
                violations.push(format!("{}: `{module}` may not use `{used}`", source.path));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn the_table_lists_the_modules_that_exist() {
    let sources = server_sources();
    let present: BTreeSet<&str> = sources.iter().map(Source::top_level).collect();
    let listed: Names = allowed_uses().into_keys().collect();
    assert_eq!(present, listed.iter().map(String::as_str).collect());
}

#[test]
fn dependencies_between_modules_form_no_cycle() {
    let cycle = find_cycle(&allowed_uses());
    assert!(cycle.is_none(), "a cycle: {cycle:?}");
}

#[test]
fn dependencies_between_files_form_no_cycle() {
    for folder in ["user-proto/src", "user-server/src", "user-cli/src", "user-http/src"] {
        let sources = sources_of(folder);
        let modules: Modules = sources.iter().map(|source| source.module.clone()).collect();
        let name = |module: &[String]| module.join("::");
        let mut uses: BTreeMap<String, Names> = BTreeMap::new();
        for source in &sources {
            let used = used_files(source, &modules);
            // A module and the modules inside it belong together.
            let related = |other: &[String]| {
                other.starts_with(&source.module) || source.module.starts_with(other)
            };
            let others = used.iter().filter(|other| !related(other)).map(|other| name(other));
            uses.insert(name(&source.module), others.collect());
        }
        assert!(uses.values().map(Names::len).sum::<usize>() > 20, "{folder}: {uses:?}");
        let cycle = find_cycle(&uses);
        assert!(cycle.is_none(), "{folder}: a cycle of files: {cycle:?}");
    }
}

#[test]
fn a_restricted_name_is_used_only_where_the_table_allows() {
    let sources = server_sources();
    let heading = "### Names that only some modules may use";
    let restricted = rows_under(&read("ARCHITECTURE.md"), heading);
    assert!(restricted.len() >= 8, "{restricted:?}");
    let mut violations = Vec::new();
    for (name, modules) in restricted.iter().map(|row| (words(&row[0]), words(&row[1]))) {
        let [name] = name.as_slice() else { panic!("one name a row: {name:?}") };
        let elsewhere = |source: &&Source| !modules.iter().any(|m| m == source.top_level());
        for source in sources.iter().filter(elsewhere) {
            if mentions(&source.code, name) {
                violations.push(format!("{}: may not name `{name}`", source.path));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn a_public_type_name_is_defined_once_in_the_server() {
    let mut defined: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
    for source in server_sources() {
        for (name, public) in type_definitions(&source.code) {
            defined.entry(name).or_default().push((source.path.clone(), public));
        }
    }
    assert!(defined.len() > 150, "{} names", defined.len());
    defined.retain(|_, places| places.len() > 1);
    let public: Vec<_> =
        defined.iter().filter(|(_, places)| places.iter().any(|(_, public)| *public)).collect();
    assert!(public.is_empty(), "{public:#?}");
    assert!(defined.len() < 8, "{:#?}", defined.keys());
}

#[test]
fn every_change_of_a_user_increments_its_version() {
    let sources = server_sources();
    let store = sources.iter().filter(|source| source.top_level() == "store");
    let mut text: String = store.map(|source| source.code.as_str()).collect();
    let functions = postgres_migrations();
    text.extend(functions.iter().filter(|text| text.contains("FUNCTION")).map(String::as_str));
    let statements: Vec<&str> = text.split("UPDATE users SET").skip(1).collect();
    assert!(statements.len() >= 10, "{} statements", statements.len());
    for statement in statements {
        let set = statement.split("WHERE").next().unwrap();
        let is_time = |value| set.contains(&format!("changed_at = {value}"));
        let is_changed = ["$", "now", "(call ->> 'at')"].into_iter().any(is_time);
        let incremented = set.contains("version = version + 1") && is_changed;
        assert!(incremented, "nodes would keep returning old records: UPDATE users SET{set}");
    }
}

/// Returns the migrations of PostgreSQL, without comments, in their order.
fn postgres_migrations() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/postgres");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<PathBuf> = entries.collect();
    let text = |file: &PathBuf| std::fs::read_to_string(file).unwrap();
    let code = |line: &str| line.split("--").next().unwrap().to_owned();
    files.iter().map(|file| text(file).lines().map(code).collect::<Vec<_>>().join("\n")).collect()
}

/// Some engines that speak the protocol of PostgreSQL run one such statement in a transaction.
/// Migrations from before this rule stay as they are.
#[test]
fn a_migration_step_of_postgresql_has_one_statement() {
    let migrations = postgres_migrations();
    let first = migrations.iter().position(|text| text.contains("write_counters_v1")).unwrap();
    assert!(migrations.len() > first + 30, "{first}");
    for text in &migrations[first..] {
        // The parts between `$$` are bodies of functions.
        let outside: String = text.split("$$").step_by(2).collect();
        let statements = outside.split(';').filter(|statement| !statement.trim().is_empty());
        assert_eq!(statements.count(), 1, "{text}");
    }
}

/// PostgreSQL compares every row with every row of such a query once that no longer fits in
/// `work_mem`. `NOT EXISTS` becomes a join.
#[test]
fn no_statement_uses_not_in_with_a_query() {
    let sources = server_sources();
    let mut store = sources.iter().filter(|source| source.top_level() == "store");
    assert!(!store.any(|source| source.code.contains("NOT IN (SELECT")));
}

#[test]
fn the_latest_instant_is_the_same_in_the_service_and_on_the_wire() {
    assert_eq!(Timestamp::MAX_SECONDS, user_proto::limits::MAX_INSTANT);
}

#[test]
fn every_way_to_name_a_module_is_recognised() {
    let modules: Names = ["otp", "store", "users", "mail"].map(str::to_owned).into();
    let used = |path: &str, code: &str| -> Vec<String> {
        used_modules(&Source::new(path, code), &modules).into_iter().collect()
    };
    assert_eq!(used("users/login.rs", "use crate::otp::Otp;"), ["otp"]);
    assert_eq!(used("users/login.rs", "let x = crate::store::open();"), ["store"]);
    let group = "use crate::{\n    mail::Sender,\n    otp::{self, Otp},\n};";
    assert_eq!(used("users/login.rs", group), ["mail", "otp"]);
    assert_eq!(used("users/login.rs", "use super::super::store::Db;"), ["store"]);
    assert_eq!(used("users/mod.rs", "use super::store::Db;"), ["store"]);
    assert_eq!(used("users/login.rs", "use super::mail::Kind; // crate::store"), [""; 0]);
    assert_eq!(used("main.rs", "use user_server::otp::Otp;"), ["otp"]);
    assert!(mentions("use sqlx::Row;", "sqlx") && !mentions("use sqlxy::Row; my_sqlx", "sqlx"));
    assert!(mentions("std::env::var(\"X\")", "std::env") && !mentions("env!(\"X\")", "std::env"));
    let types = "pub struct A;\nenum B {}\npub(super) trait C: D {}\ntype E = F;\npub enum G<T> {}";
    let found: Vec<_> = type_definitions(types).collect();
    let names = ["A", "B", "C", "E", "G"].map(str::to_owned);
    assert_eq!(found, names.into_iter().zip([true, false, false, false, true]).collect::<Vec<_>>());
}

#[test]
fn a_cycle_of_files_is_recognised() {
    let sources = [
        Source::new("tcp/mod.rs", "mod a; mod b;"),
        Source::new("tcp/a.rs", "use super::b::{self, B};"),
        Source::new("tcp/b.rs", "fn f(x: crate::tcp::a::A) {}"),
    ];
    let modules: Modules = sources.iter().map(|source| source.module.clone()).collect();
    let used = |index: usize| -> Vec<String> {
        used_files(&sources[index], &modules).iter().map(|module| module.join("::")).collect()
    };
    assert_eq!((used(0), used(1), used(2)), (vec![], vec!["tcp::b".into()], vec!["tcp::a".into()]));
    let graph = |edges: &[(&str, &str)]| {
        let mut uses: BTreeMap<String, Names> = BTreeMap::new();
        for (from, to) in edges {
            uses.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        uses
    };
    assert_eq!(find_cycle(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    let cycle = find_cycle(&graph(&[("a", "b"), ("b", "c"), ("c", "b")]));
    assert_eq!(cycle, Some(["b", "c"].map(str::to_owned).into()));
}

/// Reads from the table which modules each module may use. `all` stands for every other module.
fn allowed_uses() -> BTreeMap<String, Names> {
    let rows = rows_under(&read("ARCHITECTURE.md"), MODULES);
    let modules: Names = rows.iter().flat_map(|row| words(&row[0])).collect();
    assert!(modules.len() > 10, "{modules:?}");
    let mut allowed = BTreeMap::new();
    for row in &rows {
        for module in words(&row[0]) {
            let uses: Names = match row[2].as_str() {
                // The entry point may use everything, and nothing may use the entry point.
                "all" if module == "main" => {
                    modules.iter().filter(|other| *other != "main").cloned().collect()
                }
                uses => words(uses).into_iter().filter(|name| name != "user_proto").collect(),
            };
            let unknown: Vec<_> = uses.difference(&modules).collect();
            assert!(unknown.is_empty(), "`{module}` uses modules that have no row: {unknown:?}");
            allowed.insert(module, uses);
        }
    }
    allowed
}

/// Returns the nodes of cycles, or `None` where there is no cycle.
fn find_cycle(uses: &BTreeMap<String, Names>) -> Option<Names> {
    let mut left = uses.clone();
    loop {
        // A node that uses no other node that is left is in no cycle, nor is one that none uses.
        let used: Names = left.values().flatten().cloned().collect();
        let free: Vec<String> = left
            .iter()
            .filter(|(name, uses)| {
                !uses.iter().any(|other| left.contains_key(other)) || !used.contains(*name)
            })
            .map(|(name, _)| name.clone())
            .collect();
        if free.is_empty() {
            return (!left.is_empty()).then(|| left.into_keys().collect());
        }
        for name in free {
            left.remove(&name);
        }
    }
}

/// The sources of the server, without the root of the library, which only lists the modules.
fn server_sources() -> Vec<Source> {
    let mut sources = sources_of("user-server/src");
    sources.retain(|source| source.path != "lib.rs");
    assert!(sources.len() > 40, "{} files", sources.len());
    sources
}

/// The sources of a crate, from a folder that is given from the root of the repository.
fn sources_of(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        Source::new(&name, &std::fs::read_to_string(path).unwrap())
    };
    rust_files(&root).iter().map(read).collect()
}

/// All Rust files below a folder.
pub fn rust_files(root: &Path) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![root.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let mut module: Vec<String> =
            path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        if module == ["lib"] {
            module.clear();
        }
        Self { path: path.to_owned(), module, code: without_comments(text) }
    }

    fn top_level(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }
}

/// Removes comments. A `//` inside a string, as in a URL, removes the rest of its line too, which
/// names no module.
fn without_comments(text: &str) -> String {
    let line = |line| str::split_once(line, "//").map_or(line, |(code, _)| code);
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The top-level modules that a file names.
fn used_modules(source: &Source, modules: &Names) -> Names {
    let own = source.top_level();
    let paths = absolute_paths(source);
    paths
        .into_iter()
        .filter_map(|path| path.into_iter().next())
        .filter(|used| modules.contains(used) && used != own)
        .collect()
}

/// The modules with a file of their own that a file names.
fn used_files(source: &Source, modules: &Modules) -> Modules {
    let file_of = |path: Vec<String>| {
        (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|m| modules.contains(m))
    };
    let mut used: Modules = absolute_paths(source).into_iter().filter_map(file_of).collect();
    used.remove(&source.module);
    used
}

/// Every path in a file that starts at the root of the crate or climbs with `super`, as segments
/// from the root of the crate.
fn absolute_paths(source: &Source) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for root in ["crate::", "user_server::", "super::", "self::"] {
        for (at, _) in source.code.match_indices(root) {
            let before = &source.code[..at];
            if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let mut rest = &source.code[at + root.len()..];
            let mut base = match root {
                "super::" => source.module[..source.module.len().saturating_sub(1)].to_vec(),
                "self::" => source.module.clone(),
                _ => Vec::new(),
            };
            while let Some(after) = rest.strip_prefix("super::") {
                base.pop();
                rest = after;
            }
            for tail in expand(rest) {
                paths.push([base.as_slice(), &tail].concat());
            }
        }
    }
    paths
}

/// Expands a path: `a::b` to `[a, b]`, and `a::{b, c::{d, self}}` to `[a, b]`, `[a, c, d]` and
/// `[a, c, self]`.
fn expand(path: &str) -> Vec<Vec<String>> {
    let mut segments = Vec::new();
    let mut rest = path;
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            let tails = items(group).into_iter().flat_map(|item| expand(item.trim_start()));
            return tails.map(|tail| [segments.as_slice(), &tail].concat()).collect();
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if end == 0 {
            return vec![segments];
        }
        segments.push(rest[..end].to_owned());
        match rest[end..].strip_prefix("::") {
            Some(next) => rest = next,
            None => return vec![segments],
        }
    }
}

/// The items of a group without its opening brace.
fn items(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                found.push(&group[start..index]);
                if c == '}' {
                    break;
                }
                start = index + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    found
}

/// The types that a file defines, each with `true` where it is public.
fn type_definitions(code: &str) -> impl Iterator<Item = (String, bool)> {
    code.lines().filter_map(|line| {
        // An associated type is indented.
        let (line, public) = match line.strip_prefix("pub ") {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let line = line
            .strip_prefix("pub(")
            .map_or(line, |rest| rest.split_once(") ").map_or(rest, |(_, definition)| definition));
        let kinds = ["struct ", "enum ", "trait ", "type "];
        let name = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
        Some((name[..end].to_owned(), public))
    })
}

/// Reports whether code names this path as whole words.
fn mentions(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        !code[..at].ends_with(is_word) && !code[at + name.len()..].starts_with(is_word)
    })
}
