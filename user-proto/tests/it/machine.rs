//! The protocol in machine-readable form: `protocol.json`, which is generated from the declarations
//! of the crate, and the Wireshark dissector, which is generated from `protocol.json`.

use serde_json::{Map, Value, json};
use user_proto::{
    Common, ErrorClass, ErrorCode, ErrorOutcome, FieldKind, FieldLayout, Hashing, Message,
    RefreshToken, RequestMessage, Retrier, limits,
};

use crate::contract::{Contract, document};
use crate::files;

pub(crate) const JSON: &str = "vectors/protocol.json";
pub(crate) const DISSECTOR: &str = "wireshark/user_service.lua";
const SCHEMA: &str = "vectors/protocol.schema.json";
const TEMPLATE: &str = include_str!("dissector.lua");

/// Returns the content of `protocol.json`.
pub(crate) fn protocol() -> Value {
    macro_rules! requests {
        ($($name:ident)*) => { [$(request::<user_proto::$name>()),*] };
    }
    macro_rules! replies {
        ($($name:ident)*) => { [$(message::<user_proto::$name>()),*] };
    }
    let requests: Vec<Value> = user_proto::for_each_request!(requests).into();
    let replies: Vec<Map<String, Value>> = user_proto::for_each_reply!(replies).into();
    json!({
        "about": "The protocol of the user service, generated from user-proto. PROTOCOL.md is the \
            specification.",
        "version": 1,
        "kinds": kinds(),
        "requests": requests,
        "replies": replies,
        "common": FieldList(Common::FIELDS).json(),
        "errors": ErrorCode::ALL.iter().map(|code| error(*code)).collect::<Vec<_>>(),
        "classes": classes(),
        "limits": {
            "min_length": limits::MIN_LENGTH,
            "max_length": limits::MAX_LENGTH,
            "max_instant": limits::MAX_INSTANT,
            "max_error_message": limits::MAX_ERROR_MESSAGE,
            "max_in_flight": limits::DEFAULT_MAX_IN_FLIGHT,
            "max_hashing": limits::DEFAULT_MAX_HASHING,
            "idle_timeout_ms": u64::from(limits::DEFAULT_IDLE_TIMEOUT) * 1000,
            "ping_after_ms": u64::from(limits::PING_AFTER) * 1000,
            "deadline_ms": limits::DEFAULT_DEADLINE_MS,
            "max_deadline_ms": limits::MAX_DEADLINE_MS,
            "max_wait_ms": limits::MAX_WAIT_MS,
        },
    })
}

fn kinds() -> Value {
    let all = [
        FieldKind::Text,
        FieldKind::Secret,
        FieldKind::Bytes,
        FieldKind::Address,
        FieldKind::Uuid,
        FieldKind::Instant,
        FieldKind::InstantMillis,
        FieldKind::Seconds,
        FieldKind::Millis,
        FieldKind::Number,
        FieldKind::Byte,
        FieldKind::Code,
        FieldKind::Key,
        FieldKind::Flag,
        FieldKind::List(&[]),
    ];
    let kinds: Map<String, Value> =
        all.iter().map(|kind| (kind.name().to_owned(), kind.size().into())).collect();
    kinds.into()
}

fn request<M: RequestMessage>() -> Value {
    let retry = match (M::SAFE, M::TYPE == RefreshToken::TYPE) {
        (true, true) => "safe_within_30_s",
        (true, false) => "safe",
        (false, _) => "once",
    };
    let hashes = match M::HASHING {
        Hashing::Never => json!(false),
        Hashing::Always => json!(true),
        Hashing::If(fields) => json!({ "if_present": fields }),
    };
    let mut object = message::<M>();
    object.insert("reply".to_owned(), M::Reply::NAME.into());
    object.insert("retry".to_owned(), retry.into());
    object.insert("changes".to_owned(), M::CHANGES.into());
    object.insert("idempotent".to_owned(), M::SAFE.into());
    object.insert("hashes".to_owned(), hashes);
    object.into()
}

fn message<M: Message>() -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("type".to_owned(), format!("{:02x}", M::TYPE).into());
    object.insert("name".to_owned(), M::NAME.into());
    object.insert("fields".to_owned(), FieldList(M::FIELDS).json());
    object
}

/// The fields of a message or of a row.
struct FieldList(&'static [FieldLayout]);

impl FieldList {
    fn json(&self) -> Value {
        self.0.iter().map(Self::field).collect()
    }

    fn field(field: &FieldLayout) -> Value {
        let mut object = json!({
            "name": field.name,
            "kind": field.kind.name(),
            "required": field.tag.is_none(),
        });
        if let Some(tag) = field.tag {
            object["tag"] = format!("{tag:02x}").into();
        }
        if let FieldKind::List(rows) = field.kind {
            object["rows"] = FieldList(rows).json();
        }
        object
    }
}

fn outcome(code: ErrorCode) -> &'static str {
    match code.outcome() {
        ErrorOutcome::Refused => "refused",
        ErrorOutcome::NotDone => "not_done",
        ErrorOutcome::Unknown => "unknown",
    }
}

fn retrier(code: ErrorCode) -> &'static str {
    match code.retrier() {
        Retrier::Nobody => "nobody",
        Retrier::EndUser => "end_user",
        Retrier::Client => "client",
        Retrier::ClientIfRepeatable => "client_if_repeatable",
    }
}

fn error(code: ErrorCode) -> Value {
    json!({
        "code": files::code_text(code),
        "name": code.name(),
        "meaning": code.meaning(),
        "class": format!("{:02x}", code.0 >> 8),
        "outcome": outcome(code),
        "http_status": code.http_status(),
        "retried_by": retrier(code),
    })
}

/// Returns how a client handles an unknown code of each class.
fn classes() -> Value {
    let class = |high: u16| {
        let code = ErrorCode(high << 8 | 0xFE);
        json!({
            "class": if high == 0 { "other".to_owned() } else { format!("{high:02x}") },
            "outcome": outcome(code),
            "http_status": code.http_status(),
            "retried_by": retrier(code),
        })
    };
    assert_eq!(ErrorCode(0x07FE).class(), ErrorClass::Unknown);
    (1..=6).chain([0]).map(class).collect()
}

/// Returns the dissector: a template with the tables of `protocol`.
pub(crate) fn dissector(protocol: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let fields = |list: &Value| {
        let field = |field: &Value| {
            let rows = field.get("rows").map(|rows| format!(", rows = {}", lua_fields(rows)));
            let tag = field.get("tag").map(|tag| format!(", tag = 0x{}", text(tag)));
            format!(
                "{{ name = \"{}\", kind = \"{}\"{}{} }}",
                text(&field["name"]),
                text(&field["kind"]),
                tag.unwrap_or_default(),
                rows.unwrap_or_default()
            )
        };
        list.as_array().unwrap().iter().map(field).collect::<Vec<_>>()
    };
    let mut messages = String::new();
    let all = [&protocol["requests"], &protocol["replies"]];
    for message in all.into_iter().flat_map(|list| list.as_array().unwrap()) {
        messages += &format!(
            "    [0x{}] = {{ name = \"{}\", fields = {{\n",
            text(&message["type"]),
            text(&message["name"])
        );
        for field in fields(&message["fields"]) {
            messages += &format!("        {field},\n");
        }
        messages += "    } },\n";
    }
    let common: String =
        fields(&protocol["common"]).iter().map(|field| format!("    {field},\n")).collect();
    let codes: String = protocol["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| format!("    [0x{}] = \"{}\",\n", text(&error["code"]), text(&error["name"])))
        .collect();
    TEMPLATE
        .replace("    -- MESSAGES\n", &messages)
        .replace("    -- COMMON\n", &common)
        .replace("    -- CODES\n", &codes)
}

/// Returns the fields of a row as a Lua table.
fn lua_fields(list: &Value) -> String {
    let fields = list.as_array().unwrap().iter().map(|field| {
        let tag = field.get("tag").map(|tag| format!(", tag = 0x{}", tag.as_str().unwrap()));
        format!(
            "{{ name = \"{}\", kind = \"{}\"{} }}",
            field["name"].as_str().unwrap(),
            field["kind"].as_str().unwrap(),
            tag.unwrap_or_default()
        )
    });
    format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
}

/// Formats `protocol.json`, with one message, field or error on each line.
fn rendered(protocol: &Value) -> String {
    let parts: Vec<(&str, String)> = protocol
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            let text = match value {
                Value::Array(items) => files::list(items),
                other => other.to_string(),
            };
            (name.as_str(), text)
        })
        .collect();
    files::render(&parts)
}

/// Writes both files.
pub(crate) fn bless() {
    let protocol = protocol();
    std::fs::write(files::path(JSON), rendered(&protocol)).unwrap();
    std::fs::write(files::path(DISSECTOR), dissector(&protocol)).unwrap();
}

#[test]
fn the_files_are_as_generated_from_the_table() {
    let read = |name| std::fs::read_to_string(files::path(name)).unwrap();
    let hint = "is out of date: run cargo test -p user-proto --test it -- --ignored bless";
    assert!(read(JSON) == rendered(&protocol()), "{JSON} {hint}");
    assert!(read(DISSECTOR) == dissector(&files::load(JSON)), "{DISSECTOR} {hint}");
}

#[test]
fn protocol_json_and_protocol_md_declare_the_same_messages() {
    let protocol: Value = files::load(JSON);
    let contract = Contract::read(&document());
    let mut count = 0;
    for message in ["requests", "replies"].iter().flat_map(|key| protocol[key].as_array().unwrap())
    {
        let kind = u8::from_str_radix(message["type"].as_str().unwrap(), 16).unwrap();
        let section = &contract.messages[&kind];
        assert_eq!(message["name"], section.name.as_str());
        same_fields(&section.name, &message["fields"], &section.fields);
        count += 1;
    }
    assert_eq!(count, contract.messages.len());
    same_fields("the common tags", &protocol["common"], &contract.common);
}

fn same_fields(name: &str, declared: &Value, written: &[crate::contract::Field]) {
    let declared = declared.as_array().unwrap();
    assert_eq!(declared.len(), written.len(), "{name}");
    for (declared, written) in declared.iter().zip(written) {
        let tag = written.tag.map(|tag| Value::from(format!("{tag:02x}")));
        assert_eq!(declared["name"], written.name.as_str(), "{name}");
        assert_eq!(declared["kind"], written.kind.as_str(), "{name}");
        assert_eq!(declared["required"], written.tag.is_none(), "{name}");
        assert_eq!(declared.get("tag"), tag.as_ref(), "{name}");
        if !written.rows.is_empty() {
            same_fields(name, &declared["rows"], &written.rows);
        }
    }
}

#[test]
fn protocol_json_matches_its_schema_and_the_schema_rejects_mistakes() {
    let schema: Value = files::load(SCHEMA);
    let protocol: Value = files::load(JSON);
    assert_eq!(violation(&schema, &schema, &protocol, "$"), None);
    for (pointer, value) in [
        ("/requests/0/retry", json!("sometimes")),
        ("/requests/0/type", json!(1)),
        ("/requests/3/hashes", json!("yes")),
        ("/replies/0/fields/0/kind", json!("varint")),
        ("/errors/0/http_status", json!("500")),
        ("/limits/max_length", json!(-1)),
        ("/common", json!({})),
    ] {
        let mut wrong = protocol.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert!(violation(&schema, &schema, &wrong, "$").is_some(), "{pointer}");
    }
    let mut missing = protocol.clone();
    missing["requests"][0].as_object_mut().unwrap().remove("changes");
    assert!(violation(&schema, &schema, &missing, "$").is_some());
    missing = protocol;
    missing["requests"][0]["unknown"] = json!(1);
    assert!(violation(&schema, &schema, &missing, "$").is_some());
}

/// Checks a value against the keywords of JSON Schema that the schema uses, and returns the place
/// of the first violation. Panics on another keyword.
fn violation(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let failed = |keyword: &str| Some(format!("{at}: {keyword}"));
    for (keyword, rule) in schema.as_object().unwrap() {
        let found = match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" | "$defs" => None,
            "$ref" => {
                let pointer = rule.as_str().unwrap().trim_start_matches('#');
                violation(root, root.pointer(pointer).unwrap(), value, at)
            }
            "type" => {
                let is = match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "null" => value.is_null(),
                    other => panic!("type {other}"),
                };
                if is { None } else { failed(keyword) }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => failed(keyword),
            "enum" => None,
            "minimum" if value.as_i64() < rule.as_i64() => failed(keyword),
            "minimum" => None,
            "anyOf" => {
                let matches = |option: &Value| violation(root, option, value, at).is_none();
                if rule.as_array().unwrap().iter().any(matches) { None } else { failed(keyword) }
            }
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .find(|name| value.get(name.as_str().unwrap()).is_none())
                .and_then(|name| failed(&format!("lacks {name}"))),
            "properties" => value.as_object().and_then(|object| {
                object.iter().find_map(|(name, value)| {
                    violation(root, rule.get(name)?, value, &format!("{at}.{name}"))
                })
            }),
            "additionalProperties" => value.as_object().and_then(|object| {
                let known = schema["properties"].as_object();
                object
                    .iter()
                    .filter(|(name, _)| known.is_none_or(|k| !k.contains_key(*name)))
                    .find_map(|(name, value)| match rule {
                        Value::Bool(_) => failed(&format!("unknown {name}")),
                        rule => violation(root, rule, value, &format!("{at}.{name}")),
                    })
            }),
            "items" => value.as_array().and_then(|items| {
                items.iter().find_map(|item| violation(root, rule, item, &format!("{at}[]")))
            }),
            other => panic!("the keyword {other}"),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
