-- A mail slot is for codes or for notices. `rank` orders the slots that are free; `budget_at` is when the budget
-- of the address allows the next email, whichever network requested it.
ALTER TABLE mail_turns
    ADD COLUMN rank bigint NOT NULL DEFAULT 0,
    ADD COLUMN notice bigint NOT NULL DEFAULT 0,
    ADD COLUMN budget_at bigint NOT NULL DEFAULT 0;
