//! Verification of the audit log's hash chain: finds the first entry that differs from what was
//! sealed.

use std::collections::BTreeMap;

use super::chain::{self, ChainEnds, same};
use crate::domain::{AuditChain, AuditEntry, AuditKind, AuditTrail, ChainHash, Fault};
use crate::keys::KeyRing;

/// Maximum number of entries that are read at once.
const PAGE: u32 = 1000;
/// Maximum number of attempts if entries at the start are pruned during the verification.
const MAX_ATTEMPTS: u32 = 3;

/// Report about a verification of the audit log's hash chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// Sequence number of the first entry that was not pruned. One more than that of the last entry
    /// if all were pruned.
    pub first: i64,
    /// Sequence number and hash of the last verified entry, which an operator should store outside
    /// of the database.
    pub head: (i64, ChainHash),
    /// Names of the server keys that sealed entries, each with the number of entries and `true` if
    /// the key is usable here.
    pub keys: BTreeMap<String, (u64, bool)>,
    /// Number of entries without their network because the account was deleted.
    pub erased: u64,
    /// Sequence numbers of the [`AuditKind::ChainTakenOver`] entries: there, the chain continued
    /// although the server key of its end was unknown.
    pub taken_over: Vec<i64>,
    /// Number of entries that are not sealed yet.
    pub unsealed: i64,
    pub verdict: ChainVerdict,
}

/// Verdict about the hash chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainVerdict {
    /// Every entry is as it was sealed.
    Intact,
    /// The chain is consistent, but its end was sealed with a server key that is unknown here, so
    /// the chain is not authenticated.
    KeyUnknown,
    /// An entry is invalid: the sequence number of the first such entry, and its fault.
    Broken(i64, ChainFault),
}

/// Fault of an entry in the hash chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    #[error("rows are missing before it")]
    Gap,
    #[error("it was changed or moved")]
    Changed,
    #[error("it was not sealed with a key of this service")]
    Forged,
    #[error("its network was changed")]
    Network,
    #[error("the service recorded that the end of the chain before it had been changed")]
    Recorded,
    #[error("its network was erased although its account was not deleted")]
    Erased,
    #[error("rows are missing after it, or the end of the chain was changed")]
    End,
    #[error("it is not the expected row")]
    Unexpected,
    #[error("it lies before the start of the chain")]
    BeforeStart,
    #[error("it was pruned after its retention; expect a newer end")]
    Pruned,
}

/// Verifies the hash chain of the audit log. `expected`, if given, is the [`ChainReport::head`] of
/// an earlier verification, which must still be part of the chain.
///
/// # Errors
/// If the database cannot be read.
pub async fn verify(
    log: &dyn AuditTrail,
    keys: &KeyRing,
    expected: Option<(i64, ChainHash)>,
) -> Result<ChainReport, Fault> {
    let mut attempts = 0;
    loop {
        let ends = log.chain().await?;
        let mut walk = ChainWalk::from(&ends, keys, expected);
        let broken = walk.run(log, &ends).await?;
        attempts += 1;
        // The beginning may have been pruned since the ends were read.
        if broken == Some((ends.anchor_seq + 1, ChainFault::Gap))
            && attempts < MAX_ATTEMPTS
            && log.chain().await? != ends
        {
            continue;
        }
        let verdict = match broken {
            Some((seq, fault)) => ChainVerdict::Broken(seq, fault),
            None => walk.judge_end(&ends),
        };
        let (first, head) = (ends.anchor_seq + 1, (walk.seq, walk.hash));
        let unsealed = log.unsealed().await?.rows;
        return Ok(ChainReport {
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

/// State of a verification: position and hash of the last verified entry, and the findings so far.
struct ChainWalk<'a> {
    keys: &'a KeyRing,
    expected: Option<(i64, ChainHash)>,
    seq: i64,
    hash: ChainHash,
    erased: u64,
    taken_over: Vec<i64>,
    by_key: BTreeMap<String, (u64, bool)>,
}

impl<'a> ChainWalk<'a> {
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

    /// Verifies the entries up to the end of the chain. Returns the sequence number and fault of
    /// the first invalid entry, or `None` if all are valid.
    async fn run(
        &mut self,
        log: &dyn AuditTrail,
        ends: &AuditChain,
    ) -> Result<Option<(i64, ChainFault)>, Fault> {
        match self.expected {
            Some((seq, _)) if seq < ends.anchor_seq => return Ok(Some((seq, ChainFault::Pruned))),
            Some((seq, hash)) if seq == ends.anchor_seq && !same(&hash, &ends.anchor_hash) => {
                return Ok(Some((seq, ChainFault::Unexpected)));
            }
            _ => {}
        }
        // Pruning deletes all entries before the start. It may have moved the start since.
        let first = log.chained_after(i64::MIN, 1).await?;
        match first.first().map(|entry| entry.seal.as_ref()) {
            Some(Some(seal)) if seal.seq <= ends.anchor_seq => {
                return Ok(Some((seal.seq, ChainFault::BeforeStart)));
            }
            Some(None) => return Ok(Some((ends.anchor_seq + 1, ChainFault::Changed))),
            _ => {}
        }
        while self.seq < ends.seq {
            let page = log.chained_after(self.seq, PAGE).await?;
            if page.is_empty() {
                return Ok(Some((self.seq, ChainFault::End)));
            }
            // Rows that were sealed after the ends were read are not verified.
            for entry in page
                .iter()
                .take_while(|entry| entry.seal.as_ref().is_none_or(|seal| seal.seq <= ends.seq))
            {
                if let Err(fault) = self.step(entry) {
                    return Ok(Some((self.seq + 1, fault)));
                }
            }
            if page.iter().all(|entry| entry.seal.as_ref().is_some_and(|seal| seal.seq > ends.seq))
            {
                return Ok(Some((self.seq, ChainFault::End)));
            }
        }
        Ok(match self.expected {
            Some((seq, _)) if seq > self.seq => Some((self.seq, ChainFault::End)),
            _ => None,
        })
    }

    /// Verifies the next entry.
    fn step(&mut self, entry: &AuditEntry) -> Result<(), ChainFault> {
        let seal = entry.seal.as_ref().ok_or(ChainFault::Changed)?;
        if seal.seq != self.seq + 1 {
            return Err(ChainFault::Gap);
        }
        let hash = chain::link(entry, seal.seq, seal.commitment.as_ref(), &self.hash);
        if !same(&hash, &seal.hash) {
            return Err(ChainFault::Changed);
        }
        let key = self.keys.find(&seal.kid);
        if key.is_some_and(|key| !same(&chain::row_mac(key, &hash), &seal.mac)) {
            return Err(ChainFault::Forged);
        }
        match (chain::commitment(entry), seal.commitment) {
            (Some(now), Some(sealed)) if same(&now, &sealed) => {}
            (None, None) if entry.network.is_none() && entry.salt.is_none() => {}
            (None, Some(_)) if entry.network.is_none() && entry.salt.is_none() => {
                if !entry.erasable {
                    return Err(ChainFault::Erased);
                }
                self.erased += 1;
            }
            _ => return Err(ChainFault::Network),
        }
        if entry.kind == AuditKind::ChainBroken.name() {
            return Err(ChainFault::Recorded);
        }
        if entry.kind == AuditKind::ChainTakenOver.name() {
            self.taken_over.push(seal.seq);
        }
        if self.expected.is_some_and(|(seq, expected)| seq == seal.seq && !same(&expected, &hash)) {
            return Err(ChainFault::Unexpected);
        }
        self.by_key.entry(seal.kid.clone()).or_insert((0, key.is_some())).0 += 1;
        (self.seq, self.hash) = (seal.seq, hash);
        Ok(())
    }

    /// Returns the verdict after all entries were valid: checks that the last one is the end of the
    /// chain, and verifies the MAC over both ends.
    fn judge_end(&self, ends: &AuditChain) -> ChainVerdict {
        match ChainEnds::of(ends, self.keys) {
            ChainEnds::Broken => ChainVerdict::Broken(self.seq, ChainFault::End),
            _ if self.seq != ends.seq || !same(&self.hash, &ends.hash) => {
                ChainVerdict::Broken(self.seq, ChainFault::End)
            }
            ChainEnds::KeyUnknown => ChainVerdict::KeyUnknown,
            ChainEnds::Proved => ChainVerdict::Intact,
        }
    }
}
