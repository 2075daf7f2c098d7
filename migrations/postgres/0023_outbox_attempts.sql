-- `rank` is the order among emails that could be sent now, by which networks take turns. The domain is that of
-- the recipient, where the last failure may concern only this recipient.
ALTER TABLE outbox
    ADD COLUMN rank bigint NOT NULL DEFAULT 0,
    ADD COLUMN failed_at bigint,
    ADD COLUMN failed_domain text,
    ADD COLUMN unexplained bigint NOT NULL DEFAULT 0,
    ADD COLUMN delivered bigint NOT NULL DEFAULT 0;
