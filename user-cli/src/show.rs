//! Prints replies and frames.

use std::io;

use serde_json::Value;
use user_proto::client::Direction;
use user_proto::{FieldValue, Message};

use crate::{fields, format, hex, output};

/// Text around the fields of a reply. JSON output does not contain it.
#[derive(Default)]
pub(crate) struct Summary {
    pub(crate) headline: String,
    /// Command to run next; `None` prints none.
    pub(crate) next: Option<String>,
    /// True if secrets are printed; otherwise `secret_placeholder` is printed in their place.
    pub(crate) reveal_secrets: bool,
    pub(crate) secret_placeholder: &'static str,
}

impl Summary {
    pub(crate) fn new(headline: impl Into<String>) -> Self {
        Self { headline: headline.into(), ..Self::default() }
    }

    pub(crate) fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }
}

/// Prints a reply as one JSON object, with additional (key, value, text) entries.
pub(crate) fn json<M: Message>(reply: &M, extra: &[(&str, Value, String)]) -> io::Result<()> {
    let mut object = fields::json_object(|see| reply.view(see), true);
    object.insert("reply".to_owned(), M::NAME.into());
    object.extend(extra.iter().map(|(name, value, _)| ((*name).to_owned(), value.clone())));
    output::json(&object)
}

/// Prints a reply as aligned text, after additional (key, value, text) entries.
pub(crate) fn text<M: Message>(
    reply: &M,
    extra: &[(&str, Value, String)],
    summary: &Summary,
) -> io::Result<()> {
    let mut rows: Vec<_> =
        extra.iter().map(|(name, _, text)| (fields::label(name), text.clone())).collect();
    let mut tables = Vec::new();
    reply.view(&mut |field| {
        let value = match field.value {
            FieldValue::List(list) if list.is_empty() => return,
            FieldValue::List(list) => {
                return tables.push(fields::list(list, summary.reveal_secrets));
            }
            FieldValue::Secret(_) if !summary.reveal_secrets => {
                summary.secret_placeholder.to_owned()
            }
            _ => fields::text(&field, summary.reveal_secrets),
        };
        rows.push((fields::label(field.name), value));
    });
    output::line(&summary.headline)?;
    if !rows.is_empty() {
        output::line(&format::aligned(&rows))?;
    }
    for table in &tables {
        output::line(&format::columns(table))?;
    }
    match &summary.next {
        Some(next) => output::line(&format!("\nnext: {next}")),
        None => Ok(()),
    }
}

/// Prints a frame in hex on stderr, with an arrow for its direction.
pub(crate) fn frame(direction: Direction, frame: &[u8]) {
    let arrow = match direction {
        Direction::Sent => "-->",
        Direction::Received => "<--",
    };
    output::error_line(&format!("{arrow} {}", hex::encode(frame)));
}
