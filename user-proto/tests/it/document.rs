//! PROTOCOL.md matches the crate: its tables are compared with the declarations, and its hex dumps
//! with the vectors.

use serde_json::Value;
use user_proto::{
    Common, ErrorCode, FieldKind, FieldLayout, Hashing, Message, Reply, Request, RequestMessage,
};

use crate::contract::{Contract, Field, Meaning, Part, cells, document, number};
use crate::files::{self, Direction, Valid, from_hex, path};

/// Start of the code block of a hex dump, followed by the name of its vector.
const FENCE: &str = "```hex ";

/// Number of bytes in one line of a dump.
const WIDTH: usize = 16;

/// Returns the document with every dump regenerated.
fn with_dumps(document: &str, vectors: &[Valid]) -> String {
    let contract = Contract::read(document);
    let mut out = String::new();
    let mut in_dump = false;
    for line in document.lines() {
        if let Some(name) = line.strip_prefix(FENCE) {
            let vector = vectors.iter().find(|vector| vector.name == name);
            let vector = vector.unwrap_or_else(|| {
                panic!("PROTOCOL.md names the vector {name}, which does not exist")
            });
            out += &format!("{line}\n{}", dump(&contract, vector));
            in_dump = true;
        } else if !in_dump || line == "```" {
            in_dump = false;
            out += &format!("{line}\n");
        }
    }
    out
}

/// Formats a frame as a dump, with one line for each part.
fn dump(contract: &Contract, vector: &Valid) -> String {
    let bytes = from_hex(&vector.hex);
    let mut out = lines(&bytes[..4], &format!("length {}", bytes.len() - 4));
    out += &lines(&bytes[4..5], &format!("type {}", vector.message));
    out += &lines(&bytes[5..9], &format!("request id {}", vector.id));
    for Part { at, meaning } in contract.parts(&bytes, vector.direction) {
        let bytes = &bytes[at];
        out += &match meaning {
            Meaning::Tag(tag) => lines(
                bytes,
                &format!("tag 0x{tag:02X}, {} bytes", u16::from_be_bytes([bytes[1], bytes[2]])),
            ),
            Meaning::Length { name, size } => lines(bytes, &format!("{name}, {size} bytes")),
            Meaning::Count { name, count } => lines(bytes, &format!("{name}, {count} rows")),
            Meaning::Row { number, size } => lines(bytes, &format!("row {number}, {size} bytes")),
            Meaning::Skipped => lines(bytes, "unknown, skipped"),
            Meaning::Value { name, value: Value::String(text), .. } if text.as_bytes() == bytes => {
                quoted(bytes, &name)
            }
            Meaning::Value { name, value, .. } => {
                lines(bytes, &format!("{name} {}", value.to_string().trim_matches('"')))
            }
        };
    }
    out
}

/// Formats the bytes of text, with the text next to them.
fn quoted(bytes: &[u8], name: &str) -> String {
    let line = |(index, line): (usize, &[u8])| {
        let name = if index == 0 { format!("{name} ") } else { String::new() };
        lines(line, &format!("{name}{:?}", String::from_utf8_lossy(line)))
    };
    bytes.chunks(WIDTH).enumerate().map(line).collect()
}

fn lines(bytes: &[u8], comment: &str) -> String {
    let mut out = String::new();
    for (index, line) in bytes.chunks(WIDTH).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let line = format!("{:<47}  {}", hex.join(" "), if index == 0 { comment } else { "" });
        out += line.trim_end();
        out.push('\n');
    }
    out
}

/// Regenerates the dumps in the document.
pub(crate) fn bless(vectors: &[Valid]) {
    std::fs::write(path("PROTOCOL.md"), with_dumps(&document(), vectors)).unwrap();
}

#[test]
fn the_dumps_match_the_vectors() {
    let document = document();
    assert!(
        with_dumps(&document, &files::valid().vectors) == document,
        "a dump in PROTOCOL.md differs from its vector"
    );
}

#[test]
fn every_message_has_a_section_with_a_dump() {
    let document = document();
    let contract = Contract::read(&document);
    let rows: Vec<_> = Request::ALL.iter().chain(Reply::ALL).collect();
    assert_eq!(contract.messages.len(), rows.len(), "PROTOCOL.md has one section for each message");
    let vectors = files::valid().vectors;
    for (kind, name) in rows {
        let layout = contract
            .messages
            .get(kind)
            .unwrap_or_else(|| panic!("PROTOCOL.md has no section for {name}"));
        assert_eq!(layout.name, *name, "the name of {kind:#04x}");
        let of_message = vectors.iter().filter(|vector| vector.message == *name);
        let full = of_message.clone().map(|vector| vector.fields.len()).max();
        let names: Vec<_> = of_message.filter(|vector| Some(vector.fields.len()) == full).collect();
        let shown =
            names.iter().any(|vector| document.contains(&format!("{FENCE}{}\n", vector.name)));
        assert!(shown, "PROTOCOL.md has no dump of a {name} with all its fields");
    }
}

/// Returns the rows of the table that starts with these cells.
fn table<'a>(document: &'a str, head: &[&str]) -> Vec<Vec<&'a str>> {
    let mut lines = document
        .lines()
        .skip_while(|line| cells(line).is_none_or(|cells| !cells.starts_with(head)));
    assert!(lines.next().is_some(), "PROTOCOL.md has a table with the head {head:?}");
    lines.skip(1).map_while(cells).collect()
}

#[test]
fn the_registry_of_error_codes_matches_the_crate() {
    let document = document();
    let rows = table(&document, &["code", "name", "meaning"]);
    let written: Vec<_> = rows.iter().map(|row| (row[0].to_owned(), row[1], row[2])).collect();
    let codes: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|code| (files::code_text(*code), code.name(), code.meaning()))
        .collect();
    assert_eq!(written, codes);
}

#[test]
fn the_registry_of_types_matches_the_crate() {
    let document = document();
    let rows = table(&document, &["request", "name", "reply", "name"]);
    let requests: Vec<_> = rows.iter().filter_map(|row| Some((number(row[0])?, row[1]))).collect();
    assert_eq!(requests, Request::ALL);
    let replies: Vec<_> = rows.iter().map(|row| (number(row[2]).unwrap(), row[3])).collect();
    let mut all = Reply::ALL.to_vec();
    all.sort_unstable();
    let mut written = replies;
    written.sort_unstable();
    assert_eq!(written, all);

    let safe: Vec<_> = rows.iter().filter(|row| row[4] == "safe").map(|row| row[1]).collect();
    macro_rules! safe {
        ($($name:ident)*) => { [$(user_proto::$name::SAFE.then_some(stringify!($name))),*] };
    }
    let expected: Vec<_> = user_proto::for_each_request!(safe).into_iter().flatten().collect();
    assert_eq!(safe, expected);

    macro_rules! effects {
        ($($name:ident)*) => {
            [$((
                stringify!($name).to_owned(),
                if user_proto::$name::CHANGES { "yes" } else { "no" }.to_owned(),
                hashing(user_proto::$name::HASHING),
            )),*]
        };
    }
    let written: Vec<_> = rows
        .iter()
        .filter(|row| row[1] != "-")
        .map(|row| (row[1].to_owned(), row[5].to_owned(), row[6].to_owned()))
        .collect();
    assert_eq!(written, user_proto::for_each_request!(effects));
}

/// Describes when a request hashes, as in the table of messages.
fn hashing(hashing: Hashing) -> String {
    match hashing {
        Hashing::Never => "no".to_owned(),
        Hashing::Always => "yes".to_owned(),
        Hashing::If(fields) => {
            // The cell has lost its outer backticks.
            let fields: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
            format!("if {} is present", fields.join(" or "))
        }
    }
}

#[test]
fn the_table_of_http_statuses_matches_the_crate() {
    let document = document();
    let rows = table(&document, &["code", "HTTP status"]);
    let status_of = |cell: &str| {
        let row = rows.iter().find(|row| row[0].contains(cell));
        row.map(|row| row[1].parse::<u16>().unwrap())
    };
    for code in ErrorCode::ALL {
        let class = format!("{:02x}", code.0 >> 8);
        let own = status_of(&format!("{:04X}", code.0));
        let expected = own.or_else(|| status_of(&format!("class `{class}")));
        assert_eq!(expected, Some(code.http_status()), "{code:?}");
    }
    for (class, cell) in [
        (3, "unknown of class `03"),
        (4, "unknown of class `04"),
        (5, "unknown of class `05"),
        (6, "unknown of class `06"),
        (0x7F, "unknown class"),
    ] {
        let code = ErrorCode(class << 8 | 0xFE);
        assert_eq!(status_of(cell), Some(code.http_status()), "{cell}");
    }
}

/// Compares a table of fields with a declaration.
fn assert_same(name: &str, written: &[Field], declared: &[FieldLayout]) {
    let row = |field: &Field| (field.name.clone(), field.kind.clone(), field.tag);
    let layout = |field: &FieldLayout| (field.name.into(), field.kind.name().into(), field.tag);
    let written_rows: Vec<(String, String, Option<u8>)> = written.iter().map(row).collect();
    let declared_rows: Vec<(String, String, Option<u8>)> = declared.iter().map(layout).collect();
    assert_eq!(written_rows, declared_rows, "{name}");
    for (written, declared) in written.iter().zip(declared) {
        let fields = if let FieldKind::List(fields) = declared.kind { fields } else { &[] };
        assert_same(&format!("{name}, rows of {}", declared.name), &written.rows, fields);
    }
}

#[test]
fn the_tables_of_fields_match_the_crate() {
    let contract = Contract::read(&document());
    macro_rules! layouts {
        ($($name:ident)*) => { [$((user_proto::$name::TYPE, user_proto::$name::FIELDS)),*] };
    }
    let requests = user_proto::for_each_request!(layouts);
    for (kind, fields) in requests.into_iter().chain(user_proto::for_each_reply!(layouts)) {
        let section = &contract.messages[&kind];
        assert_same(&section.name, &section.fields, fields);
    }
    assert_same("the common tags", &contract.common, Common::FIELDS);
}

#[test]
fn the_registry_of_tags_matches_the_sections() {
    let document = document();
    let contract = Contract::read(&document);
    let tags = |message: &str, fields: &[Field]| -> Vec<(u8, String, String)> {
        let row = |field: &Field| Some((field.tag?, message.to_owned(), field.name.clone()));
        fields.iter().filter_map(row).collect()
    };
    let mut expected = tags("any request", &contract.common);
    for layout in contract.messages.values() {
        expected.extend(tags(&layout.name, &layout.fields));
        for field in &layout.fields {
            expected.extend(tags(&format!("{}, rows", layout.name), &field.rows));
        }
    }
    let rows = table(&document, &["tag", "message", "name"]);
    let row = |row: &Vec<&str>| (number(row[0]).unwrap(), row[1].to_owned(), row[2].to_owned());
    let mut written: Vec<_> = rows.iter().map(row).collect();
    expected.sort_unstable();
    written.sort_unstable();
    assert_eq!(written, expected);
}

#[test]
fn the_tags_of_replies_are_odd() {
    let contract = Contract::read(&document());
    for vector in
        files::valid().vectors.iter().filter(|vector| vector.direction == Direction::Reply)
    {
        let layout = &contract.messages[&from_hex(&vector.kind)[0]];
        let fields =
            layout.fields.iter().flat_map(|field| std::iter::once(field).chain(&field.rows));
        let mut tags = fields.filter_map(|field| field.tag);
        assert!(tags.all(|tag| tag % 2 == 1), "{}", layout.name);
    }
}
