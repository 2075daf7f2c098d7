CREATE INDEX outbox_failed ON outbox (failed_at) WHERE failed_domain IS NOT NULL;
