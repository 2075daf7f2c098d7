//! Walks the chain and says where it first is not what was sealed.

use std::collections::BTreeMap;

use super::chain::{self, Ends, same};
use crate::domain::{AuditChain, AuditEntry, AuditKind, AuditTrail, ChainHash, Fault};
use crate::keys::KeyRing;

/// Rows that are looked at in one go.
const PAGE: u32 = 1000;
/// How often the beginning may be pruned away while it is looked for.
const TRIES: u32 = 3;

/// What a walk along the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The first row that is there; one more than the last where there is none.
    pub first: i64,
    /// The last row, and its hash: what to write down elsewhere.
    pub head: (i64, ChainHash),
    /// Rows by the key that they are sealed under; whether it is known here.
    pub keys: BTreeMap<String, (u64, bool)>,
    /// Rows whose network was erased with its account.
    pub erased: u64,
    /// Rows where the chain went on though the key of its end was not known.
    pub taken_over: Vec<i64>,
    /// Rows that are not in the chain yet.
    pub unsealed: i64,
    /// What was found.
    pub verdict: ChainVerdict,
}

/// Whether the rows are what was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainVerdict {
    /// They are.
    Whole,
    /// The chain holds together, but nobody here can say that it is ours: the key of its end is not
    /// known.
    KeyUnknown,
    /// They are not; the first row where it shows.
    Broken(i64, Broken),
}

/// In which way a row is not what was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Rows before it are missing.
    #[error("rows are missing before it")]
    Gap,
    /// It, or its place, was changed.
    #[error("it was changed, or stands where another stood")]
    Changed,
    /// Somebody without the key has sealed it.
    #[error("it was not sealed by this service")]
    Forged,
    /// Its network was changed.
    #[error("its network is not the one that was sealed")]
    Network,
    /// The service found the chain changed before it, and wrote that down.
    #[error("the service found that the end of the chain before it had been changed")]
    Noted,
    /// Its network was erased, and its account was not deleted.
    #[error("its network was erased though its account was not deleted")]
    Erased,
    /// The chain goes on behind it, or did.
    #[error("rows are missing after it, or the end of the chain was changed")]
    End,
    /// It is not the row that was expected there.
    #[error("it is not the row that was written down")]
    Unexpected,
    /// It was pruned, so that nothing can be said of it.
    #[error("it is past its retention and gone; write down a newer one")]
    Pruned,
}

/// Walks along the chain. `expected` is what an earlier walk reported as the head.
///
/// # Errors
/// Where the database can't be read.
pub async fn verify(
    log: &dyn AuditTrail,
    keys: &KeyRing,
    expected: Option<(i64, ChainHash)>,
) -> Result<Report, Fault> {
    let mut tries = 0;
    loop {
        let ends = log.chain().await?;
        let mut walk = Walk::from(&ends, keys, expected);
        let broken = walk.along(log, &ends).await?;
        tries += 1;
        // The beginning may have been pruned since the ends were read.
        if broken == Some((ends.anchor_seq + 1, Broken::Gap))
            && tries < TRIES
            && log.chain().await? != ends
        {
            continue;
        }
        let verdict = match broken {
            Some((seq, broken)) => ChainVerdict::Broken(seq, broken),
            None => walk.ends_at(&ends),
        };
        let (first, head) = (ends.anchor_seq + 1, (walk.seq, walk.hash));
        let unsealed = log.unsealed().await?.rows;
        return Ok(Report {
            first,
            head,
            keys: walk.by_key,
            erased: walk.erased,
            taken_over: walk.taken_over,
            unsealed,
            verdict,
        });
    }
}

struct Walk<'a> {
    keys: &'a KeyRing,
    expected: Option<(i64, ChainHash)>,
    seq: i64,
    hash: ChainHash,
    erased: u64,
    taken_over: Vec<i64>,
    by_key: BTreeMap<String, (u64, bool)>,
}

impl<'a> Walk<'a> {
    fn from(ends: &AuditChain, keys: &'a KeyRing, expected: Option<(i64, ChainHash)>) -> Self {
        let by_key = BTreeMap::new();
        let taken_over = Vec::new();
        Self {
            keys,
            expected,
            seq: ends.anchor_seq,
            hash: ends.anchor_hash,
            erased: 0,
            taken_over,
            by_key,
        }
    }

    /// Up to the end; the first row that is wrong.
    async fn along(
        &mut self,
        log: &dyn AuditTrail,
        ends: &AuditChain,
    ) -> Result<Option<(i64, Broken)>, Fault> {
        match self.expected {
            Some((seq, _)) if seq < ends.anchor_seq => return Ok(Some((seq, Broken::Pruned))),
            Some((seq, hash)) if seq == ends.anchor_seq && !same(&hash, &ends.anchor_hash) => {
                return Ok(Some((seq, Broken::Unexpected)));
            }
            _ => {}
        }
        while self.seq < ends.seq {
            let page = log.chained_after(self.seq, PAGE).await?;
            if page.is_empty() {
                return Ok(Some((self.seq, Broken::End)));
            }
            // What was sealed since the ends were read is for the next walk.
            for entry in page
                .iter()
                .take_while(|entry| entry.seal.as_ref().is_none_or(|seal| seal.seq <= ends.seq))
            {
                if let Err(broken) = self.step(entry) {
                    return Ok(Some((self.seq + 1, broken)));
                }
            }
            if page.iter().all(|entry| entry.seal.as_ref().is_some_and(|seal| seal.seq > ends.seq))
            {
                return Ok(Some((self.seq, Broken::End)));
            }
        }
        Ok(match self.expected {
            Some((seq, _)) if seq > self.seq => Some((self.seq, Broken::End)),
            _ => None,
        })
    }

    fn step(&mut self, entry: &AuditEntry) -> Result<(), Broken> {
        let seal = entry.seal.as_ref().ok_or(Broken::Changed)?;
        if seal.seq != self.seq + 1 {
            return Err(Broken::Gap);
        }
        let hash = chain::link(entry, seal.seq, seal.commitment.as_ref(), &self.hash);
        if !same(&hash, &seal.hash) {
            return Err(Broken::Changed);
        }
        let key = self.keys.find(&seal.kid);
        if key.is_some_and(|key| !same(&chain::row_mac(key, &hash), &seal.mac)) {
            return Err(Broken::Forged);
        }
        match (chain::commitment(entry), seal.commitment) {
            (Some(now), Some(sealed)) if same(&now, &sealed) => {}
            (None, None) if entry.network.is_none() && entry.salt.is_none() => {}
            (None, Some(_)) if entry.network.is_none() && entry.salt.is_none() => {
                if !entry.erasable {
                    return Err(Broken::Erased);
                }
                self.erased += 1;
            }
            _ => return Err(Broken::Network),
        }
        if entry.kind == AuditKind::ChainBroken.name() {
            return Err(Broken::Noted);
        }
        if entry.kind == AuditKind::ChainTakenOver.name() {
            self.taken_over.push(seal.seq);
        }
        if self.expected.is_some_and(|(seq, expected)| seq == seal.seq && !same(&expected, &hash)) {
            return Err(Broken::Unexpected);
        }
        self.by_key.entry(seal.kid.clone()).or_insert((0, key.is_some())).0 += 1;
        (self.seq, self.hash) = (seal.seq, hash);
        Ok(())
    }

    /// Whether the walk led from one end to the other, and the ends are those that this service
    /// vouched for.
    fn ends_at(&self, ends: &AuditChain) -> ChainVerdict {
        match Ends::of(ends, self.keys) {
            Ends::Broken => ChainVerdict::Broken(self.seq, Broken::End),
            _ if self.seq != ends.seq || !same(&self.hash, &ends.hash) => {
                ChainVerdict::Broken(self.seq, Broken::End)
            }
            Ends::KeyUnknown => ChainVerdict::KeyUnknown,
            Ends::Proved => ChainVerdict::Whole,
        }
    }
}
