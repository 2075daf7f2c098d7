CREATE INDEX mail_turns_ranked ON mail_turns (notice, rank) WHERE waiting > 0;
