-- The node that holds a claim, so that the claim of a dead node can be taken over.
ALTER TABLE idempotency_keys ADD COLUMN node UUID;
