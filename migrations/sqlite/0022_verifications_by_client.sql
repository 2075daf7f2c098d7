CREATE INDEX verifications_by_client ON verifications (client, created_at);
