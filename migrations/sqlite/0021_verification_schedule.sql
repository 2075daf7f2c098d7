-- The times that clients see depend only on these, never on what happens to an email. A row without
-- `requested_at` was last requested when it was created. The client is the pseudonym of the network.
ALTER TABLE verifications ADD COLUMN requested_at INTEGER;
ALTER TABLE verifications ADD COLUMN resends INTEGER NOT NULL DEFAULT 0;
ALTER TABLE verifications ADD COLUMN client TEXT;
