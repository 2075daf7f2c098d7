//! The chain: a hash over each row and the hash before it, and a keyed hash that vouches for it.
//! The last of them vouches for all, so that rows of a key that is gone stay proved; one a row
//! tells where the chain breaks.

use sha2::{Digest, Sha256};

use subtle::ConstantTimeEq;

use crate::domain::{AuditChain, AuditEntry, AuditSeal, ChainHash, ChainStep};
use crate::keys::{Key, KeyRing};

/// Feeds parts into a hash, each with its length before it and the missing ones told from the
/// empty.
struct Parts(Sha256);

impl Parts {
    fn new(purpose: &str) -> Self {
        Self(Sha256::new()).with(purpose.as_bytes())
    }

    fn with(mut self, part: &[u8]) -> Self {
        self.0.update([1]);
        self.0.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(part);
        self
    }

    fn maybe(mut self, part: Option<impl AsRef<[u8]>>) -> Self {
        match part {
            Some(part) => self.with(part.as_ref()),
            None => {
                self.0.update([0]);
                self
            }
        }
    }

    fn end(self) -> ChainHash {
        self.0.finalize().into()
    }
}

/// What is sealed of a network: without its salt it tells nothing.
pub(super) fn commitment(entry: &AuditEntry) -> Option<ChainHash> {
    let (salt, network) = (entry.salt.as_deref()?, entry.network.as_deref()?);
    Some(Parts::new("user-service v1 audit network").with(salt).with(network.as_bytes()).end())
}

/// The hash of a row at its place.
pub(super) fn link(
    entry: &AuditEntry,
    seq: i64,
    commitment: Option<&ChainHash>,
    before: &ChainHash,
) -> ChainHash {
    Parts::new("user-service v1 audit row")
        .with(before)
        .with(&seq.to_be_bytes())
        .with(entry.id.as_bytes())
        .with(&entry.at.0.to_be_bytes())
        .with(entry.kind.as_bytes())
        .maybe(entry.user_id.as_ref().map(uuid::Uuid::as_bytes))
        .maybe(entry.session_id.as_ref().map(uuid::Uuid::as_bytes))
        .maybe(entry.subject.as_ref())
        .with(entry.detail.as_bytes())
        .maybe(entry.operator.as_ref())
        .maybe(commitment)
        .end()
}

/// What vouches for a row.
pub(super) fn row_mac(key: &Key, hash: &ChainHash) -> ChainHash {
    key.audit_tag(&[b"row", hash])
}

/// What vouches for both ends of the chain. It is written over with every row, so that nobody can
/// go back to an older end.
pub(super) fn chain_mac(key: &Key, chain: &AuditChain) -> ChainHash {
    let AuditChain { seq, hash, anchor_seq, anchor_hash, mac: _ } = chain;
    key.audit_tag(&[b"ends", &seq.to_be_bytes(), hash, &anchor_seq.to_be_bytes(), anchor_hash])
}

/// Whether the ends of a chain are those that this service vouched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    Proved,
    /// The key that vouched for them is not known.
    KeyUnknown,
    Broken,
}

impl Ends {
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

/// Moves the ends of a chain on, and vouches for them.
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
    fn what_is_missing_is_not_what_is_empty() {
        let empty = AuditEntry { operator: Some(String::new()), ..entry(None) };
        assert_ne!(link(&empty, 1, None, &[0; 32]), link(&entry(None), 1, None, &[0; 32]));
        let other = AuditEntry { subject: Some(Vec::new()), ..entry(None) };
        assert_ne!(link(&empty, 1, None, &[0; 32]), link(&other, 1, None, &[0; 32]));
    }

    #[test]
    fn a_commitment_needs_its_salt() {
        let (plain, salted) = (entry(None), entry(Some("192.0.2.7")));
        assert_eq!(commitment(&plain), None);
        let other = AuditEntry { salt: Some(vec![8; 16]), ..salted.clone() };
        assert_ne!(commitment(&salted), commitment(&other));
    }

    #[test]
    fn a_row_is_sealed_at_its_place() {
        let key = Key::new(&[7; 32]).unwrap();
        let start =
            AuditChain { seq: 0, hash: [0; 32], anchor_seq: 0, anchor_hash: [0; 32], mac: None };
        let (mut chain, mut rows) = (start.clone(), [entry(None), entry(None)]);
        advance(&key, &mut chain, ChainStep::Seal(&mut rows));
        let seals = rows.map(|row| row.seal.unwrap());
        assert_eq!((seals[0].seq, seals[1].seq, chain.seq), (1, 2, 2));
        assert_ne!(seals[0].hash, seals[1].hash, "the same row at another place is another");
        let keys = KeyRing::new(key, Vec::new());
        assert_eq!(Ends::of(&start, &keys), Ends::Proved);
        assert_eq!(Ends::of(&chain, &keys), Ends::Proved);
        assert_eq!(Ends::of(&AuditChain { mac: None, ..chain.clone() }, &keys), Ends::Broken);
        assert_eq!(Ends::of(&AuditChain { seq: 1, ..chain.clone() }, &keys), Ends::Broken);
        let others = KeyRing::new(Key::new(&[8; 32]).unwrap(), Vec::new());
        assert_eq!(Ends::of(&chain, &others), Ends::KeyUnknown);
    }
}
