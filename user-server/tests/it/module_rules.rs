//! The walls between the rooms. The tables of ARCHITECTURE.md say who may use whom; the code has to
//! keep to them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use user_server::domain::Timestamp;

use crate::document::{read, rows_under, words};

type Names = BTreeSet<String>;

/// One source file: its room, where its modules lie, and its code without comments.
struct Source {
    room: String,
    path: String,
    module: Vec<String>,
    code: String,
}

#[test]
fn every_room_keeps_to_its_arrows() {
    let (arrows, sources) = (arrows(), sources());
    let rooms: Names = arrows.keys().cloned().collect();
    let mut broken = Vec::new();
    for source in &sources {
        let Some(allowed) = arrows.get(&source.room) else {
            broken.push(format!(
                "{}: the room `{}` has no row in ARCHITECTURE.md",
                source.path, source.room
            ));
            continue;
        };
        for used in used_rooms(source, &rooms).difference(allowed) {
            if *used != source.room {
                broken.push(format!("{}: `{}` may not use `{used}`", source.path, source.room));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn rooms_to_come_are_those_that_are_not_there() {
    let there: Names = sources().into_iter().map(|source| source.room).collect();
    for row in rows_under(&read("ARCHITECTURE.md"), "## The rooms") {
        for room in words(&row[0]) {
            let to_come = row[1].starts_with("to come");
            assert!(
                to_come != there.contains(&room),
                "mend what ARCHITECTURE.md and README.md say of `{room}`"
            );
        }
    }
}

#[test]
fn arrows_never_close_a_circle() {
    let mut left = arrows();
    let everything: Names = left.keys().cloned().collect();
    // Whoever uses nobody that is left can't be in a circle.
    while let Some(free) =
        left.iter().find(|(_, uses)| uses.is_empty()).map(|(room, _)| room.clone())
    {
        left.remove(&free);
        for uses in left.values_mut() {
            uses.remove(&free);
        }
    }
    assert!(left.is_empty(), "a circle among {:?} of {everything:?}", left.keys());
}

#[test]
fn what_belongs_to_one_room_is_named_nowhere_else() {
    let sources = sources();
    let homes = rows_under(&read("ARCHITECTURE.md"), "### What only some rooms may name");
    assert!(homes.len() >= 8, "{homes:?}");
    let mut broken = Vec::new();
    for (name, rooms) in homes.iter().map(|row| (words(&row[0]), words(&row[1]))) {
        let [name] = name.as_slice() else { panic!("one name a row: {name:?}") };
        for source in sources.iter().filter(|source| !rooms.contains(&source.room)) {
            if mentions(&source.code, name) {
                broken.push(format!("{}: `{}` may not name `{name}`", source.path, source.room));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_change_of_a_user_moves_its_version_on() {
    let text: String = sources()
        .iter()
        .filter(|source| source.room == "store")
        .map(|source| &*source.code)
        .collect();
    let statements: Vec<&str> = text.split("UPDATE users SET").skip(1).collect();
    assert!(statements.len() >= 5, "{} statements", statements.len());
    for statement in statements {
        let set = statement.split("WHERE").next().unwrap();
        let moved = set.contains("version = version + 1") && set.contains("changed_at = $");
        assert!(moved, "nodes would go on showing what was before: UPDATE users SET{set}");
    }
}

#[test]
fn the_latest_instant_is_that_of_the_wire() {
    assert_eq!(Timestamp::MAX_SECONDS, user_proto::limits::MAX_INSTANT);
}

#[test]
fn a_wall_sees_every_way_to_name_a_room() {
    let rooms: Names = ["otp", "store", "users", "mail"].map(str::to_owned).into();
    let seen = |path: &str, code: &str| -> Vec<String> {
        used_rooms(&Source::new(path, code), &rooms).into_iter().collect()
    };
    assert_eq!(seen("users/login.rs", "use crate::otp::Otp;"), ["otp"]);
    assert_eq!(seen("users/login.rs", "let x = crate::store::open();"), ["store"]);
    assert_eq!(
        seen("users/login.rs", "use crate::{\n    mail::Sender,\n    otp::{self, Otp},\n};"),
        ["mail", "otp"]
    );
    assert_eq!(seen("users/login.rs", "use super::super::store::Db;"), ["store"]);
    assert_eq!(seen("users/mod.rs", "use super::store::Db;"), ["store"]);
    assert_eq!(seen("users/login.rs", "use super::mail::Kind; // crate::store"), [""; 0]);
    assert_eq!(seen("main.rs", "use user_server::otp::Otp;"), ["otp"]);
    assert!(mentions("use sqlx::Row;", "sqlx") && !mentions("use sqlxy::Row; my_sqlx", "sqlx"));
    assert!(mentions("std::env::var(\"X\")", "std::env") && !mentions("env!(\"X\")", "std::env"));
}

/// Who may use whom, from the table of rooms. `all` stands for every other room.
fn arrows() -> BTreeMap<String, Names> {
    let rows = rows_under(&read("ARCHITECTURE.md"), "## The rooms");
    let rooms: Names = rows.iter().flat_map(|row| words(&row[0])).collect();
    assert!(rooms.len() > 10, "{rooms:?}");
    let mut arrows = BTreeMap::new();
    for row in &rows {
        for room in words(&row[0]) {
            let uses: Names = match row[2].as_str() {
                // The entry sees all; nobody sees the entry.
                "all" if room == "main" => {
                    rooms.iter().filter(|other| *other != "main").cloned().collect()
                }
                uses => words(uses).into_iter().filter(|name| name != "user_proto").collect(),
            };
            assert!(
                uses.is_subset(&rooms),
                "`{room}` uses a room that is not in the table: {uses:?}"
            );
            arrows.insert(room, uses);
        }
    }
    arrows
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                sources.push(Source::new(&name, &std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    // The root of the library only lists the rooms.
    sources.retain(|source| source.room != "lib");
    assert!(sources.len() > 40, "{} files", sources.len());
    sources
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let mut module: Vec<String> =
            path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        let room = module[0].clone();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        Self { room, path: path.to_owned(), module, code: without_comments(text) }
    }
}

/// Comments go; a `//` in a text, as in a URL, takes the rest of its line along, which names no
/// room.
fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The rooms that a file names: from the root, or by climbing to it.
fn used_rooms(source: &Source, rooms: &Names) -> Names {
    let climb = "super::".repeat(source.module.len());
    let roots = ["crate::", "user_server::", climb.as_str()];
    let mut used = Names::new();
    for root in roots {
        for (at, _) in source.code.match_indices(root) {
            let is_path_start =
                !source.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if is_path_start {
                used.extend(first_segments(&source.code[at + root.len()..]));
            }
        }
    }
    used.intersection(rooms).cloned().collect()
}

/// `a::b` gives `a`, and `{a::b, c::{d, e}}` gives `a` and `c`.
fn first_segments(path: &str) -> Names {
    let segment = |text: &str| -> String {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return [segment(path)].into() };
    let (mut depth, mut at_start, mut names) = (0, true, Names::new());
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            c if at_start && !c.is_whitespace() => {
                names.insert(segment(&group[index..]));
                at_start = false;
            }
            _ => {}
        }
    }
    names
}

/// Whether the code names this path as whole words.
fn mentions(code: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        !code[..at].ends_with(is_word) && !code[at + name.len()..].starts_with(is_word)
    })
}
