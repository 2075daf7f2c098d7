//! Executes the steps of the server.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::cases::{ExpectRequest, Quiet, Reply, ReplyContent, Serve, Step};
use super::server::{Server, encode_frame};
use super::values::{Fields, Layout, from_hex};
use super::world::{Command, Received, State, World};

/// Time limit for a step that waits and does not name one.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// The steps of a case, with the names that they have given so far.
pub(super) struct Script<'a> {
    world: &'a World,
    server: &'a Server,
    connections: HashMap<&'a str, usize>,
    requests: HashMap<&'a str, Vec<usize>>,
    /// End of the last step.
    since: Instant,
}

impl<'a> Script<'a> {
    pub(super) fn new(world: &'a Arc<World>, server: &'a Server) -> Self {
        Self {
            world,
            server,
            connections: HashMap::new(),
            requests: HashMap::new(),
            since: Instant::now(),
        }
    }

    /// Executes steps one after another.
    ///
    /// # Errors
    /// A text, if the client does not do what a step expects.
    pub(super) async fn run(&mut self, steps: &'a [Step]) -> Result<(), String> {
        self.since = Instant::now();
        for (index, step) in steps.iter().enumerate() {
            let result = self.step(step).await;
            result.map_err(|error| format!("step {} of the server: {error}", index + 1))?;
            self.since = Instant::now();
        }
        self.world.trace("server has done all its steps".to_owned());
        Ok(())
    }

    async fn step(&mut self, step: &'a Step) -> Result<(), String> {
        match step {
            Step::Accept(step) => {
                let accepted = timeout(DEFAULT_WAIT, self.server.accept(step)).await;
                let connection =
                    accepted.map_err(|_| within("expected a connection", DEFAULT_WAIT))??;
                self.connections.insert(&step.accept, connection);
            }
            Step::Expect(step) => self.expect(step).await?,
            Step::Reply(step) => self.reply(step)?,
            Step::Send(step) => {
                let bytes = from_hex(&step.send).ok_or("the case is wrong: not hex")?;
                self.world.trace(format!("server sends {}", step.send));
                self.send(self.connection(&step.on)?, bytes, None);
            }
            Step::Quiet(step) => self.quiet(step).await?,
            Step::Serve(step) => self.serve(step).await?,
            Step::Wait(step) => sleep(Duration::from_millis(step.wait_ms)).await,
            Step::Stall(step) => self.command(&step.stall, Command::Stall)?,
            Step::Close(step) => self.command(&step.on, Command::Close(step.close))?,
            Step::Closed(step) => {
                let connection = self.connection(&step.closed)?;
                let limit = step.within_ms.map_or(DEFAULT_WAIT, Duration::from_millis);
                let closed = self
                    .world
                    .wait_for(|state| state.connections.get(connection)?.closed.then_some(()));
                let expected = "expected the client to close the connection";
                timeout(limit, closed).await.map_err(|_| within(expected, limit))?;
            }
            Step::Refuse(step) => self.server.refuse(step.refuse).await,
            Step::Listen(step) => self.server.listen(step.listen)?,
            Step::Mark(step) => self.world.reach(&step.mark),
            Step::Ended(step) => {
                let limit = step.within_ms.map_or(DEFAULT_WAIT, Duration::from_millis);
                let expected = format!("expected the end of `{}`", step.ended);
                let reached = timeout(limit, self.world.reached(&step.ended)).await;
                reached.map_err(|_| within(&expected, limit))?;
            }
        }
        Ok(())
    }

    /// Returns the number of the connection that has this name, or on which the request with this
    /// name arrived.
    fn connection(&self, name: &str) -> Result<usize, String> {
        if let Some(connection) = self.connections.get(name) {
            return Ok(*connection);
        }
        let unknown = || format!("the case is wrong: nothing has the name `{name}`");
        self.request(name).map(|request| request.connection).ok_or_else(unknown)
    }

    /// Returns the request with this name, or the first one of several.
    fn request(&self, name: &str) -> Option<Received> {
        let first = self.requests.get(name)?.first()?;
        self.world.lock().requests.get(*first).cloned()
    }

    fn command(&self, name: &str, command: Command) -> Result<(), String> {
        let connection = self.connection(name)?;
        self.world.lock().command(connection, command);
        Ok(())
    }

    fn send(&self, connection: usize, bytes: Vec<u8>, pieces: Option<usize>) {
        let command = Command::Write(bytes, pieces.unwrap_or(usize::MAX));
        self.world.lock().command(connection, command);
    }

    async fn expect(&mut self, step: &'a ExpectRequest) -> Result<(), String> {
        let on = step.on.as_deref().map(|name| self.connection(name)).transpose()?;
        let not_on = step.not_on.as_deref().map(|name| self.connection(name)).transpose()?;
        let key = |request: &Received| request.common.get("idempotency_key").cloned();
        let same_key = match &step.same_key_as {
            None => None,
            Some(name) => self.request(name).as_ref().map(key),
        };
        let suits = |request: &Received| {
            !request.taken
                && same_key.as_ref().is_none_or(|same| *same == key(request))
                && request.name == step.expect
                && on.is_none_or(|on| on == request.connection)
                && not_on.is_none_or(|other| other != request.connection)
                && contains(&request.fields, &step.fields)
                && contains(&request.common, &step.common)
        };
        let find = |state: &mut State| {
            let found: Vec<usize> = (0..state.requests.len())
                .filter(|index| state.requests.get(*index).is_some_and(suits))
                .take(step.count)
                .collect();
            (found.len() == step.count).then(|| {
                for index in &found {
                    if let Some(request) = state.requests.get_mut(*index) {
                        request.taken = true;
                    }
                }
                found
            })
        };
        let limit = step.within_ms.map_or(DEFAULT_WAIT, Duration::from_millis);
        let until = self.since + limit;
        let waited = tokio::time::timeout_at(until, self.world.wait_for(find)).await;
        let Ok(found) = waited else { return Err(self.missing(step, limit, &suits)) };
        let at = |index: &usize| self.world.lock().requests.get(*index).map(|request| request.at);
        if let (Some(ms), Some(at)) = (step.not_before_ms, found.first().and_then(at)) {
            let after = at.saturating_duration_since(self.since).as_millis();
            if after < u128::from(ms) {
                return Err(format!(
                    "expected {} after {ms} ms at the earliest, received it after {after} ms",
                    step.expect
                ));
            }
        }
        if let Some(name) = &step.name {
            self.requests.insert(name, found);
        }
        Ok(())
    }

    /// Describes what was received instead of the requests that a step expects.
    fn missing(
        &self,
        step: &ExpectRequest,
        limit: Duration,
        suits: &dyn Fn(&Received) -> bool,
    ) -> String {
        let state = self.world.lock();
        let mut text = format!("expected {}", step.expect);
        if step.count > 1 {
            text = format!("expected {} of {}", step.count, step.expect);
        }
        for (name, conditions) in [("fields", &step.fields), ("common tags", &step.common)] {
            if !conditions.is_empty() {
                text += &format!(" with the {name} {}", Value::Object(conditions.clone()));
            }
        }
        if let Some(other) = &step.not_on {
            text += &format!(" on another connection than that of `{other}`");
        }
        let suitable = state.requests.iter().filter(|request| suits(request)).count();
        let mut others: Vec<String> = state
            .requests
            .iter()
            .filter(|request| !request.taken && request.name != "Ping" && !suits(request))
            .map(|request| format!("{} on connection {}", request.name, request.connection + 1))
            .collect();
        if suitable > 0 {
            others.insert(0, format!("{suitable} of {}", step.expect));
        }
        others.truncate(5);
        let received = if others.is_empty() { "nothing".to_owned() } else { others.join(", ") };
        format!("{}, received {received}", within(&text, limit))
    }

    fn reply(&self, step: &Reply) -> Result<(), String> {
        let (kind, mut body) = match &step.reply {
            ReplyContent::Message(name) => {
                let (layout, body) = message(name, &step.fields)?;
                (layout.kind, body)
            }
            ReplyContent::Raw(raw) => {
                let kind = from_hex(&raw.kind).and_then(|kind| kind.first().copied());
                kind.zip(from_hex(&raw.body)).ok_or("the case is wrong: not hex")?
            }
        };
        if let Some(tail) = &step.tail {
            body.extend(from_hex(tail).ok_or("the case is wrong: not hex")?);
        }
        if let Some(length) = step.pad_to {
            // Type and id before the body; tag and length before the value.
            let value = length.saturating_sub(5 + 3 + body.len());
            let size = u16::try_from(value).map_err(|_| "the case is wrong: too long")?;
            body.push(0xfd);
            body.extend_from_slice(&size.to_be_bytes());
            body.resize(body.len() + value, 0);
        }
        let what = match &step.reply {
            ReplyContent::Message(name) => name.clone(),
            ReplyContent::Raw(raw) => format!("a frame of type {}", raw.kind),
        };
        let code = step.fields.get("code").and_then(Value::as_str);
        let what = code.map_or(what.clone(), |code| format!("{what} {code}"));
        let Some(to) = &step.to else {
            let on = step.on.as_deref().ok_or("the case is wrong: a reply to nothing")?;
            let id = step.id.unwrap_or_default();
            self.world.trace(format!("server sends {what} with id {id}"));
            self.send(self.connection(on)?, encode_frame(kind, id, &body), step.pieces);
            return Ok(());
        };
        let requests = self
            .requests
            .get(to.as_str())
            .ok_or_else(|| format!("the case is wrong: no request has the name `{to}`"))?;
        let mut frames: HashMap<usize, Vec<u8>> = HashMap::new();
        self.world.trace(format!("server replies {what} to `{to}`"));
        self.world.change(|state| {
            for index in requests {
                let Some(request) = state.requests.get(*index).cloned() else { continue };
                state.answered(request.connection, request.id);
                let frame = encode_frame(kind, step.id.unwrap_or(request.id), &body);
                frames.entry(request.connection).or_default().extend(frame);
            }
        });
        for (connection, bytes) in frames {
            self.send(connection, bytes, step.pieces);
        }
        Ok(())
    }

    /// Treats every request of one type in the same way, for some time or until a call has ended.
    async fn serve(&self, step: &Serve) -> Result<(), String> {
        let end = async {
            match (&step.until, step.for_ms) {
                (Some(name), ms) => {
                    let limit = ms.map_or(DEFAULT_WAIT, Duration::from_millis);
                    let reached = timeout(limit, self.world.reached(name)).await;
                    reached.map_err(|_| within(&format!("expected the end of `{name}`"), limit))
                }
                (None, ms) => {
                    sleep(Duration::from_millis(ms.unwrap_or_default())).await;
                    Ok(())
                }
            }
        };
        tokio::select! {
            result = self.serve_all(step) => result,
            result = end => result,
        }
    }

    /// Treats every request of one type in the same way; returns only if the case is wrong.
    async fn serve_all(&self, step: &Serve) -> Result<(), String> {
        let reply = match &step.fields {
            None => None,
            Some(fields) => {
                let (layout, body) =
                    message(step.reply.as_deref().unwrap_or("ErrorReply"), fields)?;
                Some((layout, body))
            }
        };
        let limit = match (&step.until, step.for_ms) {
            (Some(name), _) => format!("until `{name}` has ended"),
            (None, ms) => format!("for {} ms", ms.unwrap_or_default()),
        };
        self.world.trace(format!("server answers every {} {limit}", step.serve));
        loop {
            let next = self.world.wait_for(|state| {
                let suits = |request: &&mut Received| !request.taken && request.name == step.serve;
                let request = state.requests.iter_mut().find(suits)?;
                request.taken = true;
                Some(request.clone())
            });
            let request = next.await;
            if let Some((layout, body)) = &reply {
                self.world.change(|state| state.answered(request.connection, request.id));
                let frame = encode_frame(layout.kind, request.id, body);
                self.send(request.connection, frame, None);
            }
            if let Some(close) = step.close {
                self.world.lock().command(request.connection, Command::Close(close));
            }
        }
    }

    async fn quiet(&self, step: &Quiet) -> Result<(), String> {
        let time = Duration::from_millis(step.quiet_ms);
        let except = step.except.as_deref().map(|name| self.connection(name)).transpose()?;
        let from = self.world.lock().requests.len();
        let counts = |request: &&Received| {
            request.name != "Ping" && except.is_none_or(|except| except != request.connection)
        };
        let request =
            self.world.wait_for(|state| state.requests.get(from..)?.iter().find(counts).cloned());
        let began = Instant::now();
        match timeout(time, request).await {
            Err(_) => Ok(()),
            // It arrived in time, and this task ran late.
            Ok(request) if request.at.saturating_duration_since(began) >= time => Ok(()),
            Ok(request) => Err(format!(
                "expected no request for {} ms, received {} on connection {} after {} ms",
                time.as_millis(),
                request.name,
                request.connection + 1,
                request.at.saturating_duration_since(self.since).as_millis(),
            )),
        }
    }
}

/// Encodes the body of a message.
fn message(name: &str, fields: &Fields) -> Result<(Layout, Vec<u8>), String> {
    let layout = Layout::named(name)
        .ok_or_else(|| format!("the case is wrong: there is no message {name}"))?;
    let body = layout.encode(fields).map_err(|error| format!("the case is wrong: {error}"))?;
    Ok((layout, body))
}

fn within(expected: &str, limit: Duration) -> String {
    format!("{expected} within {} ms", limit.as_millis())
}

/// Returns `true` if `fields` has all the values of `expected`. An expected null is a missing
/// field, `{"present": true}` is any value, and an object with `min` or `max` is a range of
/// numbers.
pub(super) fn contains(fields: &Fields, expected: &Fields) -> bool {
    expected.iter().all(|(name, expected)| {
        let value = fields.get(name).unwrap_or(&Value::Null);
        if expected.get("present").is_some() {
            return !value.is_null();
        }
        let limit = |limit: &str| expected.get(limit).and_then(Value::as_u64);
        match (value.as_u64(), limit("min"), limit("max")) {
            (_, None, None) => value == expected,
            (Some(number), min, max) => {
                (min.unwrap_or(0)..=max.unwrap_or(u64::MAX)).contains(&number)
            }
            (None, ..) => false,
        }
    })
}
