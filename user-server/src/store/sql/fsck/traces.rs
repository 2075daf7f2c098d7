//! Invariants of the audit log and its hash chain, retired keys, and idempotency keys. The
//! idempotency keys themselves are not reported, since anyone who knows one and its request can
//! obtain the reply.

use super::{DAY, HOUR, SLACK, Statement};
use crate::domain::Timestamp;

/// Maximum duration of a request, and so of an idempotency claim, in milliseconds.
const MAX_CLAIM: i64 = 30_000;

pub(super) fn statements(now: Timestamp) -> Vec<Statement> {
    let soon = now.0.saturating_add(SLACK);
    vec![
        (
            "audit: each entry is sealed completely or not at all",
            "SELECT id FROM audit WHERE (seq IS NULL) <> (hash IS NULL) OR (seq IS NULL) <> (kid IS NULL)
                 OR (seq IS NULL) <> (mac IS NULL) OR (seq IS NULL AND commitment IS NOT NULL) LIMIT $1",
            vec![],
        ),
        (
            "audit: each network has the salt of its commitment",
            "SELECT id FROM audit WHERE (network IS NULL) <> (salt IS NULL)
                 OR (seq IS NOT NULL AND salt IS NOT NULL AND commitment IS NULL) LIMIT $1",
            vec![],
        ),
        (
            "audit: the chain has no gap",
            "SELECT id FROM audit WHERE seq <= (SELECT anchor_seq FROM audit_chain)
                 OR (seq > (SELECT anchor_seq + 1 FROM audit_chain)
                     AND NOT EXISTS (SELECT 1 FROM audit AS prior WHERE prior.seq = audit.seq - 1)) LIMIT $1",
            vec![],
        ),
        (
            "audit: the end of the chain is its last entry",
            "SELECT (SELECT id FROM audit WHERE audit.seq = audit_chain.seq) FROM audit_chain
             WHERE seq <> COALESCE((SELECT MAX(seq) FROM audit WHERE seq IS NOT NULL), anchor_seq)
                 OR hash <> COALESCE((SELECT hash FROM audit WHERE audit.seq = audit_chain.seq), anchor_hash)
                 OR (mac IS NULL) <> (seq = 0) LIMIT $1",
            vec![],
        ),
        (
            // Entries are sealed in the order of their times, except those that were committed
            // late.
            "audit: no entry is missing from the chain",
            "SELECT id FROM audit WHERE seq IS NULL AND at < $1 + (
                 SELECT newest.at FROM audit AS newest WHERE newest.seq = (SELECT seq FROM audit_chain)
             ) LIMIT $2",
            vec![-HOUR],
        ),
        (
            // All nodes learn of a retired key within a second.
            "keys: none was used after it was retired",
            "SELECT made.id FROM (SELECT id, kid, rotated_at AS at FROM sessions
                                  UNION ALL SELECT id, kid, created_at AS at FROM verifications) AS made
             JOIN retired_keys ON retired_keys.kid = made.kid WHERE made.at > retired_keys.retired_at + $1 LIMIT $2",
            vec![SLACK],
        ),
        (
            "requests: each completed one has the outcome for its reply",
            "SELECT (SELECT id FROM users WHERE 1 = 0) FROM idempotency_keys
             WHERE LENGTH(request) <> 32 OR (done_at IS NOT NULL AND (
                 (user_id IS NULL AND verification_id IS NULL) OR number NOT BETWEEN 0 AND 4294967295
                 OR (session_id IS NOT NULL AND user_id IS NULL) OR (session_id IS NULL) <> (session_kid IS NULL)
                 OR (session_id IS NULL) <> (session_created_at IS NULL)
                 OR (session_id IS NULL) <> (session_rotated_at IS NULL))) LIMIT $1",
            vec![],
        ),
        (
            "requests: none is stored for longer than a day, or claimed for longer than a request may take",
            "SELECT (SELECT id FROM users WHERE 1 = 0) FROM idempotency_keys
             WHERE expires_at > done_at + $1 OR expires_at > $2 OR (done_at IS NULL AND expires_at > $3) LIMIT $4",
            vec![DAY, soon.saturating_add(DAY), soon.saturating_add(MAX_CLAIM)],
        ),
        ("times: no audit entry is from the future", "SELECT id FROM audit WHERE at > $1 LIMIT $2", vec![soon]),
        (
            "times: no key was retired in the future",
            "SELECT (SELECT id FROM users WHERE 1 = 0) FROM retired_keys WHERE retired_at > $1 LIMIT $2",
            vec![soon],
        ),
    ]
}
