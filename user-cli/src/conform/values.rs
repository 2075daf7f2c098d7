//! Messages by name and with fields as JSON, in the notation of the test vectors.

use serde_json::{Map, Value, json};
use user_proto::{FieldKind, FieldLayout, FieldValue, FieldView, Message, Request};
use uuid::Uuid;

/// Fields of a message by name.
pub(crate) type Fields = Map<String, Value>;

/// Declaration of a message.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) kind: u8,
    pub(crate) name: &'static str,
    fields: &'static [FieldLayout],
}

impl Layout {
    fn of<M: Message>() -> Self {
        Self { kind: M::TYPE, name: M::NAME, fields: M::FIELDS }
    }

    /// Returns the declaration of the request or reply with this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        macro_rules! layouts {
            ($($name:ident)*) => { [$(Self::of::<user_proto::$name>()),*] };
        }
        let requests = user_proto::for_each_request!(layouts);
        let replies = user_proto::for_each_reply!(layouts);
        requests.into_iter().chain(replies).find(|layout| layout.name == name)
    }

    /// Encodes the body of a message of this type, without common tags.
    ///
    /// # Errors
    /// A text that names the field with a missing, unknown or unsuitable value.
    pub(crate) fn encode(&self, values: &Fields) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        encode_fields(self.fields, values, &mut out)
            .map_err(|error| format!("{}: {error}", self.name))?;
        Ok(out)
    }
}

/// Returns `true` if a request hashes a password.
pub(crate) fn hashes(request: &Request<'_>) -> bool {
    macro_rules! hashes {
        ($($name:ident)*) => {
            match request { $(Request::$name(message) => user_proto::RequestMessage::hashes(message),)* }
        };
    }
    user_proto::for_each_request!(hashes)
}

fn encode_fields(fields: &[FieldLayout], values: &Fields, out: &mut Vec<u8>) -> Result<(), String> {
    let known = |name: &String| fields.iter().any(|field| field.name == name);
    if let Some(name) = values.keys().find(|name| !known(name)) {
        return Err(format!("there is no field `{name}`"));
    }
    for field in fields {
        let value = match (values.get(field.name), field.tag) {
            (Some(Value::Null) | None, Some(_)) => continue,
            (Some(value), _) => value,
            (None, None) => return Err(format!("the field `{}` is missing", field.name)),
        };
        let bytes = encode_value(field.kind, value)
            .ok_or_else(|| format!("{value} is not a value of `{}`", field.name))?;
        if let Some(tag) = field.tag {
            out.push(tag);
        }
        let is_list = matches!(field.kind, FieldKind::List(_));
        if field.tag.is_some() || (field.kind.size().is_none() && !is_list) {
            let length = u16::try_from(bytes.len())
                .map_err(|_| format!("the value of `{}` is too long", field.name))?;
            out.extend_from_slice(&length.to_be_bytes());
        }
        out.extend_from_slice(&bytes);
    }
    Ok(())
}

fn encode_value(kind: FieldKind, value: &Value) -> Option<Vec<u8>> {
    let number = |size: usize| Some(value.as_u64()?.to_be_bytes().get(8 - size..)?.to_vec());
    match kind {
        FieldKind::Text | FieldKind::Address => Some(value.as_str()?.as_bytes().to_vec()),
        FieldKind::Secret => match value.as_str() {
            Some(text) => Some(text.as_bytes().to_vec()),
            None => from_hex(value.get("hex")?.as_str()?),
        },
        FieldKind::Bytes | FieldKind::Key | FieldKind::Code => from_hex(value.as_str()?),
        FieldKind::Uuid => Some(Uuid::parse_str(value.as_str()?).ok()?.as_bytes().to_vec()),
        FieldKind::Instant | FieldKind::InstantMillis => number(8),
        FieldKind::Seconds | FieldKind::Millis | FieldKind::Number => number(4),
        FieldKind::Byte => number(1),
        FieldKind::Flag => value.as_bool()?.then(Vec::new),
        FieldKind::List(rows) => {
            let values = value.as_array()?;
            let mut out = u16::try_from(values.len()).ok()?.to_be_bytes().to_vec();
            for value in values {
                let mut row = Vec::new();
                encode_fields(rows, value.as_object()?, &mut row).ok()?;
                out.extend_from_slice(&u16::try_from(row.len()).ok()?.to_be_bytes());
                out.extend_from_slice(&row);
            }
            Some(out)
        }
    }
}

/// Returns the fields of a message by name.
pub(crate) fn decode(view: impl FnOnce(&mut dyn FnMut(FieldView<'_>))) -> Fields {
    let mut fields = Fields::new();
    view(&mut |field| {
        fields.insert(field.name.to_owned(), decode_value(field.value));
    });
    fields
}

fn decode_value(value: FieldValue<'_>) -> Value {
    match value {
        FieldValue::Text(text) => text.into(),
        FieldValue::Secret(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => json!({ "hex": to_hex(bytes) }),
        },
        FieldValue::Bytes(bytes) | FieldValue::Key(bytes) => to_hex(bytes).into(),
        FieldValue::Uuid(id) => id.to_string().into(),
        FieldValue::Instant(number)
        | FieldValue::InstantMillis(number)
        | FieldValue::Number(number) => number.into(),
        FieldValue::Byte(number) => number.into(),
        FieldValue::Code(code) => format!("{:04x}", code.0).into(),
        FieldValue::Flag => true.into(),
        FieldValue::List(list) => {
            let row = |index| Value::Object(decode(|see| list.view(index, see)));
            (0..list.len()).map(row).collect()
        }
    }
}

/// Parses hexadecimal digits; returns `None` if the text contains anything else, except spaces.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| *c != ' ').collect();
    if digits.len() % 2 == 1 {
        return None;
    }
    let byte = |pair: &[char]| {
        let mut byte = 0;
        for digit in pair {
            byte = byte << 4 | u8::try_from(digit.to_digit(16)?).ok()?;
        }
        Some(byte)
    };
    digits.chunks(2).map(byte).collect()
}

/// Formats bytes as hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
