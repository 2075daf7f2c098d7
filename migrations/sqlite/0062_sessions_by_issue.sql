-- Sessions with tokens that were issued while the clock was ahead, which a restore has to find.
CREATE INDEX sessions_by_issue ON sessions (issued_until) WHERE issued_until > 0;
