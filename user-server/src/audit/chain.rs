//! The hash chain of the audit log: each entry has a hash over its content and the hash of the
//! previous entry, and a MAC of that hash. A valid MAC of the last entry authenticates all entries
//! before it, even those that were sealed with a removed server key. The MACs of single entries
//! locate the first invalid one.

use sha2::{Digest, Sha256};

use subtle::ConstantTimeEq;

use crate::domain::{AuditChain, AuditEntry, AuditSeal, ChainHash, ChainStep};
use crate::keys::{Key, KeyRing};

/// SHA-256 hash over a sequence of fields. Each field is preceded by its length, and a missing
/// field differs from an empty one.
struct FieldHasher(Sha256);

impl FieldHasher {
    fn new(purpose: &str) -> Self {
        Self(Sha256::new()).with(purpose.as_bytes())
    }

    fn with(mut self, field: &[u8]) -> Self {
        self.0.update([1]);
        self.0.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(field);
        self
    }

    fn with_optional(mut self, field: Option<impl AsRef<[u8]>>) -> Self {
        match field {
            Some(field) => self.with(field.as_ref()),
            None => {
                self.0.update([0]);
                self
            }
        }
    }

    fn finish(self) -> ChainHash {
        self.0.finalize().into()
    }
}

/// Returns the commitment to the client's network in an audit entry (its salted hash), or `None` if
/// the entry has no network or no salt. The commitment is part of the sealed hash. Once the salt is
/// erased, it does not reveal the network.
pub(super) fn commitment(entry: &AuditEntry) -> Option<ChainHash> {
    let (salt, network) = (entry.salt.as_deref()?, entry.network.as_deref()?);
    let hasher = FieldHasher::new("user-service v1 audit network");
    Some(hasher.with(salt).with(network.as_bytes()).finish())
}

/// Returns the hash of an audit entry with the sequence number `seq`. `previous` is the hash of the
/// entry before it.
pub(super) fn link(
    entry: &AuditEntry,
    seq: i64,
    commitment: Option<&ChainHash>,
    previous: &ChainHash,
) -> ChainHash {
    FieldHasher::new("user-service v1 audit row")
        .with(previous)
        .with(&seq.to_be_bytes())
        .with(entry.id.as_bytes())
        .with(&entry.at.0.to_be_bytes())
        .with(entry.kind.as_bytes())
        .with_optional(entry.user_id.as_ref().map(uuid::Uuid::as_bytes))
        .with_optional(entry.session_id.as_ref().map(uuid::Uuid::as_bytes))
        .with_optional(entry.subject.as_ref())
        .with(entry.detail.as_bytes())
        .with_optional(entry.operator.as_ref())
        .with_optional(commitment)
        .finish()
}

/// Returns the MAC of the hash of an audit entry.
pub(super) fn row_mac(key: &Key, hash: &ChainHash) -> ChainHash {
    key.audit_tag(&[b"row", hash])
}

/// Returns the MAC over both ends of the hash chain. Only the MAC of the current ends is stored, so
/// the chain cannot be rolled back to an older end.
pub(super) fn chain_mac(key: &Key, chain: &AuditChain) -> ChainHash {
    let AuditChain { seq, hash, anchor_seq, anchor_hash, mac: _ } = chain;
    key.audit_tag(&[b"ends", &seq.to_be_bytes(), hash, &anchor_seq.to_be_bytes(), anchor_hash])
}

/// Result of verifying the MAC over both ends of the hash chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChainEnds {
    Proved,
    /// The MAC was made with a server key that is retired or not configured here.
    KeyUnknown,
    Broken,
}

impl ChainEnds {
    pub(super) fn of(chain: &AuditChain, keys: &KeyRing) -> Self {
        let Some((kid, mac)) = &chain.mac else {
            return if chain.seq == 0 && chain.anchor_seq == 0 {
                Self::Proved
            } else {
                Self::Broken
            };
        };
        match keys.find(kid) {
            None => Self::KeyUnknown,
            Some(key) if same(&chain_mac(key, chain), mac) => Self::Proved,
            Some(_) => Self::Broken,
        }
    }
}

/// Applies a step to the hash chain: seals entries at its end, or prunes entries at its start.
/// Renews the MAC over both ends with `key`.
pub(super) fn advance(key: &Key, chain: &mut AuditChain, step: ChainStep<'_>) {
    match step {
        ChainStep::Seal(entries) => {
            for entry in entries {
                let (seq, commitment) = (chain.seq + 1, commitment(entry));
                let hash = link(entry, seq, commitment.as_ref(), &chain.hash);
                entry.seal = Some(AuditSeal {
                    seq,
                    commitment,
                    hash,
                    kid: key.kid.clone(),
                    mac: row_mac(key, &hash),
                });
                (chain.seq, chain.hash) = (seq, hash);
            }
        }
        ChainStep::Prune(seq, hash) => (chain.anchor_seq, chain.anchor_hash) = (seq, hash),
    }
    chain.mac = Some((key.kid.clone(), chain_mac(key, chain)));
}

pub(super) fn same(a: &ChainHash, b: &ChainHash) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::Timestamp;

    fn entry(network: Option<&str>) -> AuditEntry {
        AuditEntry {
            id: Uuid::from_bytes([1; 16]),
            at: Timestamp(7),
            kind: "logged_in".to_owned(),
            user_id: None,
            session_id: None,
            subject: None,
            detail: String::new(),
            operator: None,
            network: network.map(str::to_owned),
            salt: network.map(|_| vec![9; 16]),
            erasable: false,
            seal: None,
        }
    }

    #[test]
    fn a_missing_field_differs_from_an_empty_one() {
        let empty = AuditEntry { operator: Some(String::new()), ..entry(None) };
        assert_ne!(link(&empty, 1, None, &[0; 32]), link(&entry(None), 1, None, &[0; 32]));
        let other = AuditEntry { subject: Some(Vec::new()), ..entry(None) };
        assert_ne!(link(&empty, 1, None, &[0; 32]), link(&other, 1, None, &[0; 32]));
    }

    #[test]
    fn a_commitment_depends_on_its_salt() {
        let (plain, salted) = (entry(None), entry(Some("192.0.2.7")));
        assert_eq!(commitment(&plain), None);
        let other = AuditEntry { salt: Some(vec![8; 16]), ..salted.clone() };
        assert_ne!(commitment(&salted), commitment(&other));
    }

    #[test]
    fn a_seal_depends_on_the_position_of_its_row() {
        let key = Key::new(&[7; 32]).unwrap();
        let start =
            AuditChain { seq: 0, hash: [0; 32], anchor_seq: 0, anchor_hash: [0; 32], mac: None };
        let (mut chain, mut rows) = (start.clone(), [entry(None), entry(None)]);
        advance(&key, &mut chain, ChainStep::Seal(&mut rows));
        let seals = rows.map(|row| row.seal.unwrap());
        assert_eq!((seals[0].seq, seals[1].seq, chain.seq), (1, 2, 2));
        assert_ne!(seals[0].hash, seals[1].hash, "the position of a row is part of its hash");
        let keys = KeyRing::new(key, Vec::new());
        assert_eq!(ChainEnds::of(&start, &keys), ChainEnds::Proved);
        assert_eq!(ChainEnds::of(&chain, &keys), ChainEnds::Proved);
        assert_eq!(
            ChainEnds::of(&AuditChain { mac: None, ..chain.clone() }, &keys),
            ChainEnds::Broken
        );
        assert_eq!(
            ChainEnds::of(&AuditChain { seq: 1, ..chain.clone() }, &keys),
            ChainEnds::Broken
        );
        let others = KeyRing::new(Key::new(&[8; 32]).unwrap(), Vec::new());
        assert_eq!(ChainEnds::of(&chain, &others), ChainEnds::KeyUnknown);
    }
}
