-- `rank` is the order among emails that could be sent now, by which networks take turns. The domain is that of
-- the recipient, where the last failure may concern only this recipient.
ALTER TABLE outbox ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN failed_at INTEGER;
ALTER TABLE outbox ADD COLUMN failed_domain TEXT;
ALTER TABLE outbox ADD COLUMN unexplained INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN delivered INTEGER NOT NULL DEFAULT 0;
