CREATE INDEX outbox_delivered ON outbox (settled_at) WHERE delivered = 1;
