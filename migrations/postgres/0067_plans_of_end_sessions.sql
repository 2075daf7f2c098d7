-- A plan from before the table grew must not read all of it.
ALTER FUNCTION end_sessions_v1(uuid[], bigint) SET enable_seqscan = off;
