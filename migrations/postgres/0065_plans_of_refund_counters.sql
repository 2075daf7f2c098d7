-- A plan from before the table grew must not read all of it: neither in order, nor by an index and a join with the list.
ALTER FUNCTION refund_counters_v1(jsonb) SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;
