//! The revocations that this node knows, in the order in which it learned of them, for clients that
//! verify tokens themselves. A client waits for entries after its cursor.
//!
//! Entries are numbered. Those of sessions and users are removed when all tokens that they concern
//! have expired; the latest revocation of everyone and the retired keys stay.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use uuid::Uuid;

use crate::domain::Subject;

/// Maximum number of entries of one page.
const MAX_ENTRIES: usize = 2_000;
/// Maximum size in bytes of the ids of one page, which then fits a frame.
const MAX_ID_BYTES: usize = 32_000;
/// Size of the cursor in bytes: the id of the run of the node, and the number of an entry.
const CURSOR: usize = 24;

/// Subject of an entry of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    Session(Uuid),
    /// User that was deleted.
    User(Uuid),
    /// All tokens that were issued at this Unix time, in seconds, or earlier.
    Everyone(u64),
    /// Name of a retired key.
    Key(Arc<str>),
}

/// Entries of the feed that follow a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationPage {
    pub entries: Vec<Revoked>,
    /// Cursor of the last entry.
    pub cursor: Vec<u8>,
    /// Set if more entries follow.
    pub more: bool,
}

/// The revocations that a node knows, and the clients that wait for more.
pub(super) struct RevocationFeed {
    /// Random id of this run of the node.
    run: Uuid,
    /// Number of the next entry, which changes only while `state` is locked.
    next: AtomicU64,
    state: Mutex<FeedState>,
    /// Number of entries that were returned in pages.
    returned: AtomicU64,
}

#[derive(Default)]
struct FeedState {
    log: FeedLog,
    /// Wakers of the waiting clients, by the numbers of their watches.
    wakers: HashMap<u64, Waker>,
    /// Number of the last watch.
    last_watch: u64,
}

impl RevocationFeed {
    pub(super) fn new() -> Self {
        Self {
            run: Uuid::new_v4(),
            next: AtomicU64::new(0),
            state: Mutex::default(),
            returned: AtomicU64::new(0),
        }
    }

    /// Changes the log, and notifies all waiting clients if entries were added.
    pub(super) fn update(&self, change: impl FnOnce(&mut FeedLog)) {
        let wakers = {
            let mut state = self.state();
            change(&mut state.log);
            let next = state.log.next();
            if self.next.swap(next, Ordering::Release) == next {
                return;
            }
            std::mem::take(&mut state.wakers)
        };
        wakers.into_values().for_each(Waker::wake);
    }

    /// Returns the number of the first entry that follows a cursor. Returns `None` if the cursor is
    /// empty, or if this run of the node did not issue it.
    pub(super) fn position(&self, cursor: &[u8]) -> Option<u64> {
        let cursor: &[u8; CURSOR] = cursor.try_into().ok()?;
        let (run, number) = cursor.split_first_chunk::<16>()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        (run == self.run.as_bytes() && number <= self.next.load(Ordering::Acquire))
            .then_some(number)
    }

    /// Returns the first page of the entries with this number or a later one.
    pub(super) fn page(&self, from: u64) -> RevocationPage {
        let (entries, end, more) = self.state().log.page(from);
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        self.returned.fetch_add(count, Ordering::Relaxed);
        let cursor = [self.run.as_bytes().as_slice(), &end.to_be_bytes()].concat();
        RevocationPage { entries, cursor, more }
    }

    pub(super) fn has_entries_from(&self, number: u64) -> bool {
        self.next.load(Ordering::Acquire) > number
    }

    /// Registers the waker of a client that waits for entries with the number `from` or a later
    /// one, under the number of its watch if it has one. It is removed when the client is notified
    /// of the next entry. Returns the number of the watch, or `None` if there are such entries.
    pub(super) fn register(&self, from: u64, watch: Option<u64>, waker: Waker) -> Option<u64> {
        let mut state = self.state();
        if state.log.next() > from {
            return None;
        }
        let watch = watch.unwrap_or_else(|| {
            state.last_watch += 1;
            state.last_watch
        });
        state.wakers.insert(watch, waker);
        Some(watch)
    }

    /// Removes the waker of a watch, if it is still registered.
    pub(super) fn deregister(&self, watch: u64) {
        self.state().wakers.remove(&watch);
    }

    /// Returns the number of waiting clients.
    pub(super) fn waiting(&self) -> usize {
        self.state().wakers.len()
    }

    /// Returns the number of entries that were returned in pages.
    pub(super) fn returned(&self) -> u64 {
        self.returned.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, FeedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The numbered entries of the feed.
#[derive(Default)]
pub(super) struct FeedLog {
    /// Number of the first element of `subjects`.
    first: u64,
    /// Subjects of consecutive entries. Those of `permanent` entries only occupy their numbers.
    subjects: VecDeque<Subject>,
    /// Entries that are never removed, with their numbers, in order.
    permanent: Vec<(u64, Revoked)>,
}

impl FeedLog {
    /// Returns the number of the next entry.
    fn next(&self) -> u64 {
        self.first + self.subjects.len() as u64
    }

    /// Appends a session or user.
    pub(super) fn push(&mut self, subject: Subject) {
        self.subjects.push_back(subject);
    }

    /// Appends the revocation of all tokens that were issued at this Unix time, in seconds, or
    /// earlier. It replaces an earlier one.
    pub(super) fn push_everyone(&mut self, until: u64) {
        self.permanent.retain(|(_, entry)| !matches!(entry, Revoked::Everyone(_)));
        self.push_permanent(Revoked::Everyone(until));
    }

    /// Appends a retired key, unless the log contains it.
    pub(super) fn push_key(&mut self, kid: &str) {
        let is_known =
            |(_, entry): &(_, Revoked)| matches!(entry, Revoked::Key(known) if **known == *kid);
        if !self.permanent.iter().any(is_known) {
            self.push_permanent(Revoked::Key(kid.into()));
        }
    }

    fn push_permanent(&mut self, entry: Revoked) {
        self.permanent.push((self.next(), entry));
        self.subjects.push_back(Subject::Everyone);
    }

    /// Moves the entries of these sessions and users to the end, so that clients get them again.
    pub(super) fn repeat(&mut self, ids: &HashSet<Uuid>) {
        let mut moved = HashSet::new();
        for subject in self.subjects.iter_mut().filter(|subject| ids.contains(&subject.id())) {
            // Its number stays occupied.
            moved.insert(std::mem::replace(subject, Subject::Everyone));
        }
        self.subjects.extend(moved);
    }

    /// Removes the oldest entries, up to the first one of a session or user that is still in the
    /// set of revocations.
    pub(super) fn remove_expired(&mut self, is_live: impl Fn(Uuid) -> bool) {
        while let Some(subject) = self.subjects.front()
            && (*subject == Subject::Everyone || !is_live(subject.id()))
        {
            self.subjects.pop_front();
            self.first += 1;
        }
        if self.subjects.len() < self.subjects.capacity() / 4 {
            self.subjects.shrink_to(2 * self.subjects.len());
        }
    }

    /// Returns the first entries with the number `from` or a later one, the number that follows
    /// them, and true if more entries follow.
    fn page(&self, from: u64) -> (Vec<Revoked>, u64, bool) {
        let start = from.max(self.first).min(self.next());
        let skip = usize::try_from(start - self.first).unwrap_or(usize::MAX);
        let removed = |number: u64| (from..self.first).contains(&number);
        let older = self.permanent.iter().filter(|(number, _)| removed(*number));
        let older = older.map(|(number, _)| (*number, &Subject::Everyone));
        let (mut entries, mut id_bytes) = (Vec::new(), 0);
        for (number, subject) in older.chain((start..).zip(self.subjects.range(skip..))) {
            let found = self.entries_of(number, *subject);
            let count = found.iter().flatten().count();
            id_bytes += found.iter().flatten().map(Revoked::id_bytes).sum::<usize>();
            let fits = entries.len() + count <= MAX_ENTRIES && id_bytes <= MAX_ID_BYTES;
            if !fits && !entries.is_empty() {
                return (entries, number, true);
            }
            entries.extend(found.into_iter().flatten());
        }
        (entries, self.next(), false)
    }

    /// Returns the entries with this number: two for an id that may be that of a session or of a
    /// user, none for a revocation of everyone that a later one has replaced.
    fn entries_of(&self, number: u64, subject: Subject) -> [Option<Revoked>; 2] {
        match subject {
            Subject::Session(id) => [Some(Revoked::Session(id)), None],
            Subject::User(id) => [Some(Revoked::User(id)), None],
            Subject::SessionOrUser(id) => [Some(Revoked::Session(id)), Some(Revoked::User(id))],
            Subject::Everyone => {
                let found = self.permanent.binary_search_by_key(&number, |(number, _)| *number);
                let found = found.ok().and_then(|index| self.permanent.get(index));
                [found.map(|(_, entry)| entry.clone()), None]
            }
        }
    }
}

impl Revoked {
    fn id_bytes(&self) -> usize {
        match self {
            Self::Session(_) | Self::User(_) => 16,
            Self::Everyone(_) => 0,
            Self::Key(kid) => kid.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn id(number: usize) -> Uuid {
        Uuid::from_u128(number as u128)
    }

    fn session(number: usize) -> Subject {
        Subject::Session(id(number))
    }

    /// Reads all pages from a position. Returns the entries and the position after them.
    fn read(log: &FeedLog, mut from: u64) -> (Vec<Revoked>, u64) {
        let mut all = Vec::new();
        loop {
            let (entries, end, more) = log.page(from);
            assert!(entries.len() <= MAX_ENTRIES && (end > from || !more));
            all.extend(entries);
            from = end;
            if !more {
                return (all, end);
            }
        }
    }

    #[test]
    fn entries_are_read_in_their_order_in_pages() {
        let mut log = FeedLog::default();
        log.push_key("first");
        (0..5000).for_each(|number| log.push(session(number)));
        log.push_everyone(7);
        log.push(Subject::User(id(1)));
        log.push(Subject::SessionOrUser(id(2)));
        let mut expected = vec![Revoked::Key("first".into())];
        expected.extend((0..5000).map(|number| Revoked::Session(id(number))));
        expected.extend([Revoked::Everyone(7), Revoked::User(id(1))]);
        expected.extend([Revoked::Session(id(2)), Revoked::User(id(2))]);
        let (entries, end) = read(&log, 0);
        assert_eq!(entries, expected);
        assert_eq!(end, log.next());
        assert_eq!(read(&log, 4999).0, expected[4999..]);
        assert_eq!(read(&log, end), (Vec::new(), end));
        assert_eq!(read(&log, end + 1), (Vec::new(), end), "a position that does not exist yet");
    }

    #[test]
    fn a_page_of_long_kids_fits_a_frame() {
        let mut log = FeedLog::default();
        let kids: Vec<String> = (0..100).map(|number| format!("{number:02048}")).collect();
        kids.iter().for_each(|kid| log.push_key(kid));
        let (page, _, more) = log.page(0);
        assert!(more && page.iter().map(Revoked::id_bytes).sum::<usize>() <= MAX_ID_BYTES);
        let expected: Vec<_> = kids.iter().map(|kid| Revoked::Key(kid.as_str().into())).collect();
        assert_eq!(read(&log, 0).0, expected);
    }

    #[test]
    fn expired_entries_are_removed_with_their_memory_and_permanent_ones_stay() {
        let mut log = FeedLog::default();
        log.push(session(0));
        log.push_key("gone");
        log.push_everyone(3);
        (1..100_000).for_each(|number| log.push(session(number)));
        log.push_everyone(5);
        log.push(session(100_000));
        let end = log.next();
        log.remove_expired(|entry| entry == id(100_000));
        let live =
            [Revoked::Key("gone".into()), Revoked::Everyone(5), Revoked::Session(id(100_000))];
        assert_eq!(read(&log, 0), (live.to_vec(), end));
        assert_eq!(read(&log, 2), (live[1..].to_vec(), end), "an entry before it is removed");
        assert_eq!(read(&log, 50_000), (live[1..].to_vec(), end));
        assert!(log.subjects.capacity() < 100, "{}", log.subjects.capacity());
        log.remove_expired(|_| false);
        log.push_key("gone");
        assert_eq!(read(&log, 0), (live[..2].to_vec(), end), "a known key is not added again");
        log.push(session(1));
        assert_eq!(read(&log, end), (vec![Revoked::Session(id(1))], end + 1));
    }

    #[test]
    fn a_cursor_is_valid_only_in_the_run_that_issued_it() {
        let (feed, other) = (RevocationFeed::new(), RevocationFeed::new());
        feed.update(|log| log.push(session(1)));
        let cursor = feed.page(0).cursor;
        assert_eq!(feed.position(&cursor), Some(1));
        assert_eq!(other.position(&cursor), None);
        let ahead = [&cursor[..16], &2_u64.to_be_bytes()].concat();
        for invalid in [&[], &cursor[1..], &[cursor.as_slice(), &[0]].concat(), &ahead] {
            assert_eq!(feed.position(invalid), None, "{invalid:?}");
        }
    }

    #[test]
    fn a_page_of_short_kids_has_no_more_entries_than_the_limit() {
        let mut log = FeedLog::default();
        (0..2 * MAX_ENTRIES).for_each(|number| log.push_key(&format!("{number:x}")));
        assert_eq!(read(&log, 0).0.len(), 2 * MAX_ENTRIES);
    }

    #[test]
    fn entries_exist_from_each_number_before_the_next_and_are_counted_when_returned() {
        let feed = RevocationFeed::new();
        assert!(!feed.has_entries_from(0));
        feed.update(|log| (0..3).for_each(|number| log.push(session(number))));
        assert!(feed.has_entries_from(0) && feed.has_entries_from(2));
        assert!(!feed.has_entries_from(3) && !feed.has_entries_from(4));
        assert_eq!(feed.returned(), 0);
        feed.page(0);
        feed.page(2);
        assert_eq!(feed.returned(), 4);
    }

    #[test]
    fn a_registered_client_is_notified_once_and_can_leave() {
        struct Notified(AtomicUsize);
        impl std::task::Wake for Notified {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let (feed, notified) = (RevocationFeed::new(), Arc::new(Notified(AtomicUsize::new(0))));
        let waker = Waker::from(notified.clone());
        let first = feed.register(0, None, waker.clone()).unwrap();
        let second = feed.register(0, None, waker.clone()).unwrap();
        assert_eq!(feed.register(0, Some(first), waker.clone()), Some(first));
        assert_eq!(feed.waiting(), 2);
        feed.deregister(second);
        feed.update(|log| log.push_everyone(1));
        feed.update(|log| log.push_everyone(2));
        assert_eq!((notified.0.load(Ordering::SeqCst), feed.waiting()), (1, 0));
        assert_eq!(feed.register(0, None, waker.clone()), None, "there are entries");
        assert!(feed.register(2, None, waker).is_some());
        feed.update(|log| log.remove_expired(|_| false));
        assert_eq!(feed.waiting(), 1, "nothing was added");
    }
}
