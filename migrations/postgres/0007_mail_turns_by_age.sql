-- Turns that nobody waits for are erased by their age.
CREATE INDEX mail_turns_by_age ON mail_turns (next_at) WHERE waiting = 0;
