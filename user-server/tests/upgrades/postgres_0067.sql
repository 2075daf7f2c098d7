--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: activate_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.activate_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    now bigint := call ->> 'at';
    pending verifications%ROWTYPE;
    created jsonb;
BEGIN
    DELETE FROM verifications
    WHERE id = (call ->> 'verification_id')::uuid AND generation = (call ->> 'generation')::bigint
    RETURNING * INTO pending;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the code was used' USING ERRCODE = 'US001';
    END IF;
    PERFORM refund_counters_v1(call -> 'charged');
    INSERT INTO users (id, username, username_key, email, email_key, mailbox, password_hash, created_at, hash_class)
    VALUES ((call ->> 'user_id')::uuid, COALESCE(call ->> 'username', pending.username),
        COALESCE(call ->> 'username_key', pending.username_key), pending.email, pending.email_key, pending.mailbox,
        pending.password_hash, now, call ->> 'hash_class')
    ON CONFLICT DO NOTHING RETURNING to_jsonb(users.*) INTO created;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the username or the address is taken' USING ERRCODE = 'US001';
    END IF;
    PERFORM insert_session_v1(call -> 'session', (call ->> 'user_id')::uuid, now);
    PERFORM set_counters_v1(call -> 'known');
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    RETURN created;
END $$;


--
-- Name: adjust_counters_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.adjust_counters_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
BEGIN
    PERFORM write_counters_v1(call -> 'counters');
    IF call ? 'change' THEN
        PERFORM record_change_v1(call -> 'change', '{}', '{}');
    END IF;
    RETURN jsonb_build_object('counters', COALESCE((
        SELECT jsonb_agg(to_jsonb(counters.*)) FROM counters
        WHERE key IN (SELECT list.key::bytea FROM jsonb_array_elements_text(call -> 'then') AS list (key))
    ), '[]'));
END $$;


--
-- Name: charge_guess_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.charge_guess_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    guessed jsonb;
BEGIN
    UPDATE verifications SET guesses = guesses + 1
    WHERE id = (call ->> 'verification_id')::uuid AND guesses < (call ->> 'max_guesses')::bigint
        AND (call ->> 'user_id' IS NULL OR user_id = (call ->> 'user_id')::uuid)
    RETURNING to_jsonb(verifications.*) INTO guessed;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the code cannot be guessed' USING ERRCODE = 'US001';
    END IF;
    PERFORM write_counters_v1(call -> 'counters');
    RETURN guessed;
END $$;


--
-- Name: delete_user_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.delete_user_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    of_user uuid := call ->> 'user_id';
    now bigint := call ->> 'at';
    new_rank bigint;
    result jsonb;
    deleted users%ROWTYPE;
BEGIN
    INSERT INTO mail_clients AS stored (client, rank) VALUES (call ->> 'client', now)
    ON CONFLICT (client) DO UPDATE SET rank = GREATEST(stored.rank + (call ->> 'rank_step')::bigint, excluded.rank)
    RETURNING rank INTO new_rank;
    PERFORM 1 FROM users WHERE id = of_user AND credentials = (call ->> 'credentials')::bigint FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the password has changed' USING ERRCODE = 'US001';
    END IF;
    result := end_sessions_v1(ARRAY(SELECT id FROM sessions WHERE user_id = of_user), now);
    -- The rows of resets stay, since their deletion would reveal that the address belongs to an account.
    DELETE FROM verifications WHERE user_id = of_user AND purpose = 'email_change';
    UPDATE verifications SET dead = 2, user_id = NULL WHERE user_id = of_user;
    DELETE FROM users WHERE id = of_user RETURNING * INTO deleted;
    -- The id is never used again, so one entry covers tokens of sessions that are long gone.
    INSERT INTO revocations (subject, at, kind) VALUES (of_user, (result ->> 'issued_until')::bigint, 2);
    INSERT INTO mail_turns AS turn (budget_key, letter, next_at, budget_at, waiting, rank, notice)
    VALUES (lower(deleted.mailbox COLLATE "C"), call ->> 'notice', now, now, 1, new_rank, 1)
    ON CONFLICT (budget_key, letter) DO UPDATE SET waiting = 1, rank = GREATEST(turn.next_at, excluded.rank)
    WHERE turn.waiting = 0;
    IF FOUND THEN
        INSERT INTO outbox (id, letter, budget_key, client, recipient, username, created_at, due_at, rank)
        VALUES ((call ->> 'email_id')::uuid, call ->> 'notice', lower(deleted.mailbox COLLATE "C"), call ->> 'client',
            deleted.mailbox, deleted.username, now, now, new_rank);
    END IF;
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    UPDATE audit SET network = NULL, salt = NULL WHERE user_id = of_user AND salt IS NOT NULL;
    UPDATE audit SET network = NULL, salt = NULL WHERE salt IS NOT NULL AND subject IN (
        SELECT kin.subject FROM audit AS kin WHERE kin.user_id = of_user AND kin.subject IS NOT NULL
    );
    RETURN result;
END $$;


--
-- Name: end_all_sessions_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.end_all_sessions_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    of_user uuid := call ->> 'user_id';
    now bigint := call ->> 'at';
    result jsonb;
BEGIN
    PERFORM 1 FROM users WHERE id = of_user FOR NO KEY UPDATE;
    result := end_sessions_v1(ARRAY(SELECT id FROM sessions WHERE user_id = of_user), now);
    IF result -> 'ended' = '[]' THEN
        RETURN NULL;
    END IF;
    -- The rows of resets stay, since their deletion would reveal that the address belongs to an account.
    DELETE FROM verifications WHERE user_id = of_user AND purpose = 'email_change';
    UPDATE verifications SET dead = 2, user_id = NULL WHERE user_id = of_user;
    PERFORM record_change_v1(call -> 'change', '{}', jsonb_build_object('number', jsonb_array_length(result -> 'ended')));
    RETURN result;
END $$;


--
-- Name: end_session_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.end_session_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    of_user uuid;
    result jsonb;
BEGIN
    SELECT user_id INTO of_user FROM sessions WHERE id = (call ->> 'session_id')::uuid;
    result := end_sessions_v1(ARRAY[(call ->> 'session_id')::uuid], (call ->> 'at')::bigint);
    IF result -> 'ended' = '[]' THEN
        RETURN NULL;
    END IF;
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', of_user),
        jsonb_build_object('user_id', of_user, 'number', 1));
    RETURN result;
END $$;


--
-- Name: end_sessions_v1(uuid[], bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.end_sessions_v1(ids uuid[], now bigint) RETURNS jsonb
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
    result jsonb;
BEGIN
    WITH gone AS (
        DELETE FROM sessions WHERE id = ANY (ids)
        RETURNING id, GREATEST(now, rotated_at, issued_until) AS issued_at
    ), logged AS (
        INSERT INTO revocations (subject, at, kind) SELECT id, issued_at, 1 FROM gone
    )
    SELECT jsonb_build_object('ended', COALESCE(jsonb_agg(id), '[]'), 'issued_until', COALESCE(MAX(issued_at), now))
    INTO result FROM gone;
    RETURN result;
END $$;


--
-- Name: insert_session_v1(jsonb, uuid, bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.insert_session_v1(new jsonb, of_user uuid, now bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO sessions (id, user_id, kid, created_at, rotated_at, device, network)
    VALUES ((new ->> 'id')::uuid, of_user, new ->> 'kid', now, now, new ->> 'device', new ->> 'network');
    IF new ->> 'client' <> '' THEN
        INSERT INTO known_networks (user_id, client, opened_at) VALUES (of_user, new ->> 'client', now)
        ON CONFLICT (user_id, client) DO UPDATE SET opened_at = excluded.opened_at;
    END IF;
END $$;


--
-- Name: open_session_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.open_session_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    of_user uuid := call ->> 'user_id';
    now bigint := call ->> 'at';
    result jsonb;
BEGIN
    PERFORM write_counters_v1(call -> 'counters');
    PERFORM 1 FROM users WHERE id = of_user AND credentials = (call ->> 'credentials')::bigint FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the password has changed' USING ERRCODE = 'US001';
    END IF;
    PERFORM insert_session_v1(call -> 'session', of_user, now);
    result := end_sessions_v1(ARRAY(
        SELECT id FROM sessions WHERE user_id = of_user AND id <> (call -> 'session' ->> 'id')::uuid
        ORDER BY rotated_at DESC LIMIT 1000 OFFSET (call ->> 'max_sessions')::bigint - 1
    ), now);
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    RETURN result;
END $$;


--
-- Name: read_counters_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.read_counters_v1(keys jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
BEGIN
    RETURN (
        SELECT jsonb_build_object('counters', jsonb_agg(to_jsonb(counters.*))) FROM counters
        WHERE key = ANY (ARRAY(SELECT list.key::bytea FROM jsonb_array_elements_text(keys) AS list (key)))
        HAVING COUNT(*) > 0
    );
END $$;


--
-- Name: record_change_v1(jsonb, jsonb, jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.record_change_v1(change jsonb, of_event jsonb, of_outcome jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- Under another level, a statement after a lock wait would not see what was committed during the wait.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the isolation level is not read committed' USING ERRCODE = 'US001';
    END IF;
    INSERT INTO audit (id, at, kind, user_id, session_id, subject, detail, operator, network, salt, dedup)
    SELECT event.id, event.at, event.kind, event.user_id, event.session_id, event.subject, event.detail, event.operator,
        event.network, event.salt, event.dedup
    FROM jsonb_to_record((change -> 'event') || of_event) AS event (id uuid, at bigint, kind text, user_id uuid,
        session_id uuid, subject bytea, detail text, operator text, network text, salt bytea, dedup bytea)
    ON CONFLICT DO NOTHING;
    IF NOT change ? 'outcome' THEN
        RETURN;
    END IF;
    UPDATE idempotency_keys SET done_at = outcome.at, expires_at = outcome.expires_at, user_id = outcome.user_id,
        verification_id = outcome.verification_id, session_id = outcome.session_id, session_kid = outcome.session_kid,
        session_created_at = outcome.session_created_at, session_rotated_at = outcome.session_rotated_at,
        number = outcome.number
    FROM jsonb_to_record((change -> 'outcome') || of_outcome) AS outcome (key uuid, holder uuid, at bigint,
        expires_at bigint, user_id uuid, verification_id uuid, session_id uuid, session_kid text,
        session_created_at bigint, session_rotated_at bigint, number bigint)
    WHERE idempotency_keys.key = outcome.key AND idempotency_keys.holder = outcome.holder
        AND idempotency_keys.done_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the idempotency claim is not held' USING ERRCODE = 'US001';
    END IF;
END $$;


--
-- Name: refresh_session_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.refresh_session_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    now bigint := call ->> 'at';
    window_start bigint := call ->> 'window_start';
    advanced sessions%ROWTYPE;
BEGIN
    UPDATE sessions SET counter = counter + 1, rotated_at = now, kid = call ->> 'kid',
        issued_until = CASE WHEN rotated_at > now THEN GREATEST(rotated_at, issued_until) ELSE issued_until END,
        refreshes = CASE WHEN refreshes_since > window_start AND refreshes_since <= now THEN refreshes + 1 ELSE 1 END,
        refreshes_since = CASE WHEN refreshes_since > window_start AND refreshes_since <= now
                               THEN refreshes_since ELSE now END
    WHERE id = (call ->> 'session_id')::uuid AND counter = (call ->> 'counter')::bigint AND counter < 4294967295
        AND (refreshes < (call ->> 'max_refreshes')::bigint OR refreshes_since <= window_start OR refreshes_since > now)
    RETURNING * INTO advanced;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM record_change_v1(call -> 'change',
        jsonb_build_object('user_id', advanced.user_id, 'session_id', advanced.id),
        jsonb_build_object('user_id', advanced.user_id, 'session_id', advanced.id, 'session_kid', advanced.kid,
            'session_created_at', advanced.created_at, 'session_rotated_at', advanced.rotated_at,
            'number', advanced.counter));
    RETURN to_jsonb(advanced);
END $$;


--
-- Name: refund_counters_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.refund_counters_v1(keys jsonb) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
BEGIN
    PERFORM 1 FROM counters
    WHERE key IN (SELECT list.key::bytea FROM jsonb_array_elements_text(keys) AS list (key))
    ORDER BY key FOR NO KEY UPDATE;
    UPDATE counters SET count = count - 1
    WHERE count > 0 AND key IN (SELECT list.key::bytea FROM jsonb_array_elements_text(keys) AS list (key));
END $$;


--
-- Name: rename_user_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.rename_user_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    renamed jsonb;
BEGIN
    PERFORM write_counters_v1(call -> 'counters');
    -- Before the user is locked: a login takes counters first, too.
    PERFORM set_counters_v1(call -> 'known');
    UPDATE users SET username = call ->> 'username', username_key = call ->> 'username_key', version = version + 1,
        changed_at = (call ->> 'at')::bigint
    WHERE id = (call ->> 'user_id')::uuid RETURNING to_jsonb(users.*) INTO renamed;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the account is gone' USING ERRCODE = 'US001';
    END IF;
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    RETURN renamed;
END $$;


--
-- Name: request_code_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.request_code_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    now bigint := call ->> 'at';
    new_rank bigint;
    new verifications%ROWTYPE;
    is_known boolean;
    slot text := call -> 'verification' ->> 'budget_key';
BEGIN
    INSERT INTO mail_clients AS stored (client, rank) VALUES (call ->> 'client', now)
    ON CONFLICT (client) DO UPDATE SET rank = GREATEST(stored.rank + (call ->> 'rank_step')::bigint, excluded.rank)
    RETURNING rank INTO new_rank;
    new := jsonb_populate_record(NULL::verifications, call -> 'verification');
    IF new.purpose = 'registration' THEN
        new.dead := CASE WHEN EXISTS (SELECT 1 FROM users WHERE email_key = new.email_key) THEN 1 ELSE 0 END;
    ELSE
        -- The account must not be deleted before the verification refers to it.
        SELECT id INTO new.user_id FROM users WHERE email_key = new.email_key FOR KEY SHARE;
        new.dead := CASE WHEN new.user_id IS NULL THEN 1 ELSE 0 END;
        -- Looked up without an account too, so that both take equally long.
        is_known := EXISTS (
            SELECT 1 FROM known_networks WHERE client = call ->> 'client' AND opened_at > (call ->> 'known_since')::bigint
                AND user_id = COALESCE(new.user_id, '00000000-0000-0000-0000-000000000000')
        );
        IF is_known THEN
            slot := (call ->> 'client') || ' ' || slot;
        END IF;
    END IF;
    IF (SELECT COUNT(*) FROM verifications WHERE client = call ->> 'client' AND purpose <> 'email_change'
            AND created_at > (call ->> 'pending_since')::bigint) >= (call ->> 'max_pending')::bigint THEN
        RAISE EXCEPTION 'too many are pending' USING ERRCODE = 'US001';
    END IF;
    INSERT INTO verifications (id, purpose, user_id, username, username_key, email, email_key, mailbox, budget_key,
        password_hash, dead, kid, created_at, requested_at, client)
    VALUES (new.id, new.purpose, new.user_id, new.username, new.username_key, new.email, new.email_key, new.mailbox,
        new.budget_key, new.password_hash, new.dead, new.kid, now, now, call ->> 'client');
    INSERT INTO outbox (id, letter, verification_id, budget_key, client, created_at, due_at, rank)
    VALUES ((call ->> 'email_id')::uuid, new.purpose, new.id, slot, call ->> 'client', now, now, new_rank);
    -- The slot may be blocked because the networks that wait for it have had their share.
    INSERT INTO mail_turns AS turn (budget_key, letter, next_at, budget_at, waiting, rank, notice)
    VALUES (slot, new.purpose, now, now, 1, new_rank, 0)
    ON CONFLICT (budget_key, letter) DO UPDATE SET waiting = turn.waiting + 1, next_at = turn.budget_at,
        rank = CASE
            WHEN turn.waiting > 0 AND turn.rank < excluded.rank THEN turn.rank
            WHEN turn.budget_at > excluded.rank THEN turn.budget_at
            ELSE excluded.rank END;
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', new.user_id), '{}');
    RETURN '{}'::jsonb;
END $$;


--
-- Name: set_counters_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.set_counters_v1(list jsonb) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO counters (key, count, since, blocked_until, expires_at)
    SELECT new.key, new.count, new.since, new.blocked_until, new.expires_at
    FROM jsonb_to_recordset(list) AS new (key bytea, count bigint, since bigint, blocked_until bigint, expires_at bigint)
    ORDER BY new.key
    ON CONFLICT (key) DO UPDATE SET count = excluded.count, since = excluded.since,
        blocked_until = excluded.blocked_until, expires_at = excluded.expires_at
$$;


--
-- Name: write_counters_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.write_counters_v1(list jsonb) RETURNS void
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
DECLARE
    changed bigint;
BEGIN
    -- Under another level, a statement after a lock wait would not see what was committed during the wait.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the isolation level is not read committed' USING ERRCODE = 'US001';
    END IF;
    WITH written AS (
        INSERT INTO counters AS stored (key, count, since, blocked_until, expires_at)
        SELECT new.key, new.count, new.since, new.blocked_until, new.expires_at
        FROM jsonb_to_recordset(list) AS new (key bytea, count bigint, since bigint, blocked_until bigint, expires_at bigint,
                                              is_stored boolean, is_changed boolean)
        WHERE new.is_stored OR new.is_changed ORDER BY new.key
        ON CONFLICT (key) DO UPDATE SET count = excluded.count, since = excluded.since,
            blocked_until = excluded.blocked_until, expires_at = excluded.expires_at
        WHERE EXISTS (
            SELECT 1 FROM jsonb_to_recordset(list) AS old (key bytea, was_count bigint, was_since bigint,
                was_blocked_until bigint, was_expires_at bigint, is_changed boolean)
            WHERE old.key = stored.key AND old.is_changed AND old.was_count = stored.count AND old.was_since = stored.since
                AND old.was_blocked_until = stored.blocked_until AND old.was_expires_at = stored.expires_at
        )
        RETURNING stored.key
    )
    SELECT COUNT(*) INTO changed FROM written
    JOIN jsonb_to_recordset(list) AS new (key bytea, is_changed boolean) ON new.key = written.key WHERE new.is_changed;
    IF changed <> (SELECT COUNT(*) FROM jsonb_to_recordset(list) AS new (is_changed boolean) WHERE new.is_changed) THEN
        RAISE EXCEPTION 'a counter has changed' USING ERRCODE = 'US001';
    END IF;
    PERFORM 1 FROM jsonb_to_recordset(list) AS old (key bytea, was_count bigint, was_since bigint,
        was_blocked_until bigint, was_expires_at bigint, is_changed boolean)
    LEFT JOIN counters AS now ON now.key = old.key
    WHERE NOT old.is_changed AND (COALESCE(now.count, 0), COALESCE(now.since, 0), COALESCE(now.blocked_until, 0),
            COALESCE(now.expires_at, 0)) <> (old.was_count, old.was_since, old.was_blocked_until, old.was_expires_at);
    IF FOUND THEN
        RAISE EXCEPTION 'a counter has changed' USING ERRCODE = 'US001';
    END IF;
END $$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: _sqlx_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);


--
-- Name: audit; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.audit (
    id uuid NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    user_id uuid,
    session_id uuid,
    subject bytea,
    detail text NOT NULL,
    operator text,
    network text,
    salt bytea,
    dedup bytea,
    seq bigint,
    commitment bytea,
    hash bytea,
    kid text,
    mac bytea
);


--
-- Name: audit_chain; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.audit_chain (
    id bigint NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    anchor_seq bigint NOT NULL,
    anchor_hash bytea NOT NULL,
    kid text,
    mac bytea,
    holder uuid,
    leased_until bigint NOT NULL,
    CONSTRAINT audit_chain_id_check CHECK ((id = 1))
);


--
-- Name: counters; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.counters (
    key bytea NOT NULL,
    count bigint NOT NULL,
    since bigint NOT NULL,
    blocked_until bigint NOT NULL,
    expires_at bigint NOT NULL
);


--
-- Name: erased_revocations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.erased_revocations (
    id bigint NOT NULL,
    at bigint NOT NULL,
    CONSTRAINT erased_revocations_id_check CHECK ((id = 1))
);


--
-- Name: idempotency_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.idempotency_keys (
    key uuid NOT NULL,
    kid text NOT NULL,
    request bytea NOT NULL,
    holder uuid NOT NULL,
    expires_at bigint NOT NULL,
    done_at bigint,
    user_id uuid,
    verification_id uuid,
    session_id uuid,
    session_kid text,
    session_created_at bigint,
    session_rotated_at bigint,
    number bigint DEFAULT 0 NOT NULL,
    node uuid
);


--
-- Name: known_networks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.known_networks (
    user_id uuid NOT NULL,
    client text NOT NULL,
    opened_at bigint NOT NULL
);


--
-- Name: mail_clients; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.mail_clients (
    client text NOT NULL,
    rank bigint NOT NULL
);


--
-- Name: mail_turns; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.mail_turns (
    budget_key text NOT NULL,
    letter text NOT NULL,
    next_at bigint NOT NULL,
    waiting bigint NOT NULL,
    noticed_at bigint,
    rank bigint DEFAULT 0 NOT NULL,
    notice bigint DEFAULT 0 NOT NULL,
    budget_at bigint DEFAULT 0 NOT NULL
);


--
-- Name: migration_lease; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.migration_lease (
    id smallint NOT NULL,
    holder uuid NOT NULL,
    expires_at bigint NOT NULL,
    CONSTRAINT migration_lease_id_check CHECK ((id = 1))
);


--
-- Name: nodes; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.nodes (
    id uuid NOT NULL,
    seen_at bigint NOT NULL
);


--
-- Name: outbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.outbox (
    id uuid NOT NULL,
    letter text NOT NULL,
    verification_id uuid,
    budget_key text,
    client text NOT NULL,
    recipient text,
    username text,
    generation bigint,
    attempts bigint DEFAULT 0 NOT NULL,
    created_at bigint NOT NULL,
    turn_at bigint,
    due_at bigint NOT NULL,
    settled_at bigint,
    rank bigint DEFAULT 0 NOT NULL,
    failed_at bigint,
    failed_domain text,
    unexplained bigint DEFAULT 0 NOT NULL,
    delivered bigint DEFAULT 0 NOT NULL
);


--
-- Name: retired_keys; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.retired_keys (
    kid text NOT NULL,
    retired_at bigint NOT NULL
);


--
-- Name: revocations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.revocations (
    seq bigint NOT NULL,
    subject uuid NOT NULL,
    at bigint NOT NULL,
    kind smallint
);


--
-- Name: revocations_seq_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.revocations ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.revocations_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: sessions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    counter bigint DEFAULT 0 NOT NULL,
    kid text NOT NULL,
    created_at bigint NOT NULL,
    rotated_at bigint NOT NULL,
    device text,
    network text,
    refreshes bigint DEFAULT 0 NOT NULL,
    refreshes_since bigint DEFAULT 0 NOT NULL,
    issued_until bigint DEFAULT 0 NOT NULL
);


--
-- Name: users; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.users (
    id uuid NOT NULL,
    username text NOT NULL,
    username_key text NOT NULL,
    email text NOT NULL,
    email_key text NOT NULL,
    mailbox text NOT NULL,
    password_hash text NOT NULL,
    credentials bigint DEFAULT 1 NOT NULL,
    disabled_at bigint,
    created_at bigint NOT NULL,
    hash_class text,
    version bigint DEFAULT 1 NOT NULL,
    changed_at bigint
);


--
-- Name: verifications; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.verifications (
    id uuid NOT NULL,
    purpose text NOT NULL,
    user_id uuid,
    username text,
    username_key text,
    email text NOT NULL,
    email_key text NOT NULL,
    mailbox text NOT NULL,
    budget_key text NOT NULL,
    password_hash text,
    dead bigint NOT NULL,
    kid text NOT NULL,
    generation bigint DEFAULT 0 NOT NULL,
    guesses bigint DEFAULT 0 NOT NULL,
    claimed_at bigint,
    expires_at bigint,
    created_at bigint NOT NULL,
    requested_at bigint,
    resends bigint DEFAULT 0 NOT NULL,
    client text,
    CONSTRAINT verifications_purpose_check CHECK ((purpose = ANY (ARRAY['registration'::text, 'email_change'::text, 'password_reset'::text])))
);


--
-- Data for Name: _sqlx_migrations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public._sqlx_migrations VALUES
	(1, 'accounts', '2026-11-29 14:02:52.539181+00', true, '\x545cd739cf9af9a98163a2f40a0033a202f6bbda59cdd240ce7526134fc9ab2d3f79cc958dc0b1dadd62a1d0639006cf', 7629598),
	(2, 'hash class', '2026-11-29 14:02:52.547549+00', true, '\xb131d008047859c5c0b990dfe78a4c307da64dd4492fd849e4876b7d6577724a8fd6c2d32186735fce95a0ba4c4450a8', 734405),
	(3, 'versions', '2026-11-29 14:02:52.548663+00', true, '\x5401cf737522c0d71173ea77a4070943dde661cc82f5830a2028d901b0929415a2f8c66933b34d8a19b1e6ed95854815', 626170),
	(4, 'audit', '2026-11-29 14:02:52.549636+00', true, '\x312dac0318909c694d98d4d3248a4ba22a9383c9aa3561cb0541fcb7dee50e22cfa34849041b310ec68cdb263f966180', 2738308),
	(6, 'retired keys', '2026-11-29 14:02:52.552811+00', true, '\xc33a7fad0910d2317d03b41f45e1cb1bc356dae703efd3000b864fa19794cdabb56c1df956507b93eeba3e322a7e35f6', 815792),
	(7, 'mail turns by age', '2026-11-29 14:02:52.553989+00', true, '\x288c2d33413ae55a2403bcc6765d8805236bf639f6c631936154829cd3e8116cd18f2c44e800c110c075b3c987388f0e', 537799),
	(8, 'idempotency', '2026-11-29 14:02:52.554825+00', true, '\xf7cc0d6cd0c08b75b86acd1048a5e4a1e31bd30f979a33ebab251047b216f301776dc3b7692d3d0fd590fb34b4834bda', 1097921),
	(9, 'session device', '2026-11-29 14:02:52.556241+00', true, '\xe330941dc63784beea24191d29b0c7edc3275a83c3ea6857570cb92d63740b060163a601d1797182dc845ae0643ed4ea', 334547),
	(10, 'session network', '2026-11-29 14:02:52.556916+00', true, '\x5dcfef488e526c529f78b380b7c21a338475c1914fac4fb3c38509675762b622521d1d062526142b63a2bfc00874032a', 319114),
	(21, 'verification schedule', '2026-11-29 14:02:52.557532+00', true, '\x0a4e74b87eeac3325cea592e897ca44763e8e0cefc0676194f3901049959009a952ff325dcc44e47c09e035af133c4fd', 489006),
	(22, 'verifications by client', '2026-11-29 14:02:52.558335+00', true, '\xb8eae3348f693704dad9876f2b81b6061c752386332229673cdd7dd3938c1ff854dc984255422e245faaebbb3377bac9', 574864),
	(23, 'outbox attempts', '2026-11-29 14:02:52.55922+00', true, '\x7ad966a019fa72d90fe9f88e5752f2d28c1e151c338965b2b51ff4c3064888b727a5186a670485b70cecfd331617e15f', 554273),
	(24, 'outbox failed', '2026-11-29 14:02:52.560081+00', true, '\x3eb9d4920307efd8244bc938f2d4fdf09f7311a66a1e17acef477ac068cc8fb8d6b2db1e8cc6c304fe94190ec7b9bdd4', 488946),
	(25, 'outbox delivered', '2026-11-29 14:02:52.560865+00', true, '\x4aba1c3d82886b92614344211034049726694e12c2dd6ef55d0023bc61ed920b464df122190960bf7790393a14eee7d2', 466082),
	(26, 'mail slot order', '2026-11-29 14:02:52.56164+00', true, '\x0f482098ecda2c4944dba09401fbc8bb8fcf88194c4b855314eaaaa9f620f7f28502c0badb6ed0494cde191b76e0e74b', 542315),
	(27, 'mail turns ranked', '2026-11-29 14:02:52.562492+00', true, '\xc3593a4b248f4f7b0e42b7795738108ad845b7cc80c3a319227829b05376248eeedaf5caad770fd9611a66c675f762cf', 514174),
	(28, 'mail clients', '2026-11-29 14:02:52.563328+00', true, '\x5c12bd782aa14316f5e71bf4e605a58b0f72e40475cc32896c5e8dc26dbf9fd3abf635a029723d0721289728f992da90', 805897),
	(29, 'mail clients by rank', '2026-11-29 14:02:52.564497+00', true, '\x8dd36a8ac88371142c7f21b74dd03d4a4bb33a990dd450f8bdd288ea41faa897ea18ae709e435ffd9524cf2da35cf3e9', 605569),
	(30, 'known networks', '2026-11-29 14:02:52.565395+00', true, '\xfeb0ce2f145210cdb6052f54a22c244971c36daf25ae720e2790697ef2c3cbddc5fc22b347caacd1c6421fec0cd30d72', 986876),
	(31, 'known networks by age', '2026-11-29 14:02:52.566704+00', true, '\x06daa9953eed21a122d91a43de632d6fea2a7b6ec9d6213f789a9f5a4bd1f501bc7c89af1e9c33cdd06e84b19fefde48', 464680),
	(32, 'session refreshes', '2026-11-29 14:02:52.567539+00', true, '\x1f5047f3f8e013c001c61efdffa7ee62afd75fdb641ae6a617ca3e317366dcd94e2952ad5bdbf52eb00a281e2771dcb0', 393294),
	(33, 'session refreshes since', '2026-11-29 14:02:52.568247+00', true, '\x7f841c7c94d453415184ee85f92b27215256533685d5e8764b4d4d6c947fec7d49b4209116dde61af03ce9b104dd0d94', 382438),
	(41, 'claims of nodes', '2026-11-29 14:02:52.568928+00', true, '\xf9fb6c83a2e1aa3f7651c1c97230c74501166a7b0b9f29cc8004073624e03b3119db1b2f23f148554277cb1e2cf07182', 322760),
	(42, 'nodes', '2026-11-29 14:02:52.569566+00', true, '\x6dde5a9253263d38d76b9de8f1edc7cdd11e08e5a0208ad3a8bdcc08fb8f645b39f93fbd47ea708fb1aacdb10548d528', 637547),
	(43, 'revocation kind', '2026-11-29 14:02:52.570526+00', true, '\x9f9c4936d2919e583b7cef5150d216bc4c712b83a9466a14a1facbbb1a054c631e4783150427049efbd0204620971761', 323280),
	(44, 'erased revocations', '2026-11-29 14:02:52.571145+00', true, '\xab400667f457c20cd2a2e3066e678706713f02e636a66dbda0674c08cb8db0e57443edc95df888c3a170ecc74b172a26', 857573),
	(45, 'session issued until', '2026-11-29 14:02:52.572326+00', true, '\x01cc93bd8e296bc94fe875dfb63d7da3fbcc55bdeddbbc873b75c656a8da3d82d61ef49f15fb5620e8c52c2714615895', 488706),
	(46, 'write counters', '2026-11-29 14:02:52.573115+00', true, '\xeb00065aa64ba9e1a02696bf464e3db185027cf6983fbe27e08be4f8b7916d3f7d604cdc2bbabd11eb0ddf035691dc85', 1560197),
	(47, 'set counters', '2026-11-29 14:02:52.575056+00', true, '\xf56d36f7e93265c589f82ff2a18bf74219dcabc9e6cc3308bde4bf39c3ac08446ca8bedf0524c93c77af03231729233e', 481906),
	(48, 'refund counters', '2026-11-29 14:02:52.575851+00', true, '\x9157447f6780f124e0efcd915ea8bd00f50464862b63c3d8a3d2872cde953f31cbeebfd0d31aa3885234ce74ac32ff73', 414936),
	(49, 'record change', '2026-11-29 14:02:52.576598+00', true, '\x7a22df464b73c488e37a7a8f690f7e16994c58375781b01dee3c27799abc0728b3279525c572ee4ebd44c32afee94c04', 430599),
	(50, 'adjust counters', '2026-11-29 14:02:52.577339+00', true, '\x1d19770787a13758c557ad3d70b8967b2f333f58c6ba0858154390b63bc3daf3893a375b03586582b52309a6be624436', 435907),
	(51, 'insert session', '2026-11-29 14:02:52.57814+00', true, '\x7c4dd43aa7403877e8c73d2809784e9559bc3b2d0a66c659498a3273c5a6713a03d9572b2c52c5c1d12527d9c47e6a98', 418031),
	(52, 'end sessions', '2026-11-29 14:02:52.578868+00', true, '\x0b772c764c687329427126256859cdc1fb5e0e91866c06f4fe6b46ffbc946060bb3cda88c922245709426da3922abc6f', 357361),
	(53, 'open session', '2026-11-29 14:02:52.579541+00', true, '\xe82b648245145b1d8a737aacd923c45d0dc0709e16cced15d5e9a8ad643fc9b9deea72e7af09eff04a04053536fee889', 413054),
	(54, 'charge guess', '2026-11-29 14:02:52.580278+00', true, '\xf0efd80ca4f644c3802273a61343d7362185898a198aa8e38b11c3aac9531b068b181dac476da78e0b134719ef24a294', 364130),
	(55, 'activate', '2026-11-29 14:02:52.580965+00', true, '\x83706acbb1575154b9c28016f8947777b3cb21d173378ff18bddd177f6a9cadab0b5e8de3950c52c182a488867bb3ab9', 479001),
	(56, 'request code', '2026-11-29 14:02:52.582072+00', true, '\x204d304a615cfc3ae3bb638e1e82d5c1d30e6cfeda45204f92f06945362973893689581b426ca809d935cacbd9c13b47', 659629),
	(57, 'refresh session', '2026-11-29 14:02:52.583142+00', true, '\xec1ac2fba8744959f7779b8230800208330082f0f9980144e4fc0690b3e67640a3217cef346c7582bd398f1452eb4e09', 453949),
	(58, 'end session', '2026-11-29 14:02:52.583942+00', true, '\xb527c80a160dd28659234f39c6142b0503d5705c9c60f086ec529f8387bf85932ad698eb2295544a84e7009fe2bbf8f1', 401166),
	(59, 'rename user', '2026-11-29 14:02:52.584709+00', true, '\x2409829665dcd476ad513d1a80ab70824d1921c06ebfe9b8828f9cf72892033c672407a5dba91b1ca24b270ec9d15fe9', 399533),
	(60, 'delete user', '2026-11-29 14:02:52.585442+00', true, '\x45d86c899e1ac27eea3ef9ef4fddddaa34cc6eb924b9e47e6eb285cf7e00d672852eb736f25e26c51e931ed27e904d67', 592590),
	(61, 'end all sessions', '2026-11-29 14:02:52.586362+00', true, '\xcfed02c1c829263dfee49ec0b9e4a2933f7954e9dedfde67f707be2afbf3522043eea1198bc65188a24d0ae9703f133a', 433974),
	(62, 'sessions by issue', '2026-11-29 14:02:52.587114+00', true, '\x0fed7db0cdc94eec536aaf9c096df0e23cbef8640430e0fb06cbdec387d48643d96c052391f9a85482ffa9f513ed7d97', 613632),
	(63, 'plans of write counters', '2026-11-29 14:02:52.588048+00', true, '\x4ad34ae4ae085b1c90fbabe056a2e75c98f8686fcaf4307e118fab8da1c66098fe94aea11ead6d07f0ed201919b1882f', 328198),
	(64, 'plans of adjust counters', '2026-11-29 14:02:52.588708+00', true, '\x0f2f67cf802e260d0e78ca3daa4f6e781dc623c5c016ecd8ecc1f1a584ba20f1ecfee209063ac6d68c692496251f9c48', 325634),
	(65, 'plans of refund counters', '2026-11-29 14:02:52.58932+00', true, '\x9a7c5e743b1873c10c2b59bd3fec6ddc8f304d80ba1825527bb496422c0bd898e3978a7d3886d6214672b2481be025f5', 305193),
	(66, 'read counters', '2026-11-29 14:02:52.589957+00', true, '\x169e714a2294c9ca322bfbb0cb002677ad4b6471f46fc7a4192b6aafc91fd81045ad1b3d7dedfe9ef6ebbf6a432f84d1', 374626),
	(67, 'plans of end sessions', '2026-11-29 14:02:52.590642+00', true, '\xcde5c89c728d756204cded7e084364f2d930862fd0eac72c62bf730d91574da57c11d37a0a3ee670dda28214e3df8a43', 293496);


--
-- Data for Name: audit; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit VALUES
	('01a2279d-a644-77b5-a5e7-94cf2f21f3f9', 1795960972868, 'registered', NULL, NULL, '\x7c38f8d9dbe54fb9ae47c2bd34bc0063', '', NULL, NULL, NULL, NULL, 1, NULL, '\x7198a22b0cb1a52bf92c641d3a6147b934e4e3fc4b6c9ac38e15bf581caef2c2', '7TdQZSlvxkE', '\xc98f16a11ff95173b8519567ac55dd6e474565cf8cdf03da84168e2a5cb376e0'),
	('01a2279d-a657-76a7-a964-350d88ba0ce8', 1795960972887, 'verified', '95ce863d-5fa0-4a16-b1e5-8b21e2023e75', 'aa05bb8a-a172-4373-a13e-397cbd923893', '\x7c38f8d9dbe54fb9ae47c2bd34bc0063', '', NULL, NULL, NULL, NULL, 2, NULL, '\xd38db67b8c1ceb6d9f4b7b55ccd826765a00e09b3c3f5785290354d5445f7e17', '7TdQZSlvxkE', '\x4a79bd8ff368a178e7e153cafaf03e6dafc9b75cef17990bc2900a1f53afc236'),
	('01a2279d-a673-7299-8e01-63f4194af66d', 1795960972915, 'logged_in', '95ce863d-5fa0-4a16-b1e5-8b21e2023e75', 'e6965a3d-41b0-4f13-823f-9b52fff18c88', NULL, '', NULL, NULL, NULL, NULL, 3, NULL, '\x8fd5a161fb8c590ce56be8d9c1bbe2860d26b39a95a2839506fec3ecba5a2015', '7TdQZSlvxkE', '\x4af4edcbdc1756476bef46fb2ed62e570d4c49bedc3d05ea29e96573c68f9061'),
	('01a2279d-a676-7792-b1b6-aa7a3c3f6df4', 1795960972918, 'refreshed', '95ce863d-5fa0-4a16-b1e5-8b21e2023e75', 'e6965a3d-41b0-4f13-823f-9b52fff18c88', NULL, '', NULL, NULL, NULL, '\x7aee588dcf7c0601959ddfc22114ecd0a5437025b977247c845dd835e7a18942', 4, NULL, '\x3e1e04724d4213b9bf4662a7cc344e3db537b7696247dfeaac92debc309cb68a', '7TdQZSlvxkE', '\x2fbecae4d976167029ff8ef635f60aea2eaad1530c6394fdd47755ecf589e2a2'),
	('01a2279d-a687-71cb-aa79-330641dce1bc', 1795960972935, 'registered', NULL, NULL, '\x0f19a6dd07fc43249aa16731461b0f0d', '', NULL, NULL, NULL, NULL, 5, NULL, '\xd0fcb8a74dee9ecb3ccf3217876a8df35d1b60f5233933a0a222465408cf7e76', '7TdQZSlvxkE', '\x994992ba4fea954c02da49511cd5c74e38a345ec7e5aa9c533e245baeedc70e8'),
	('01a2279d-a696-71c3-a52f-73a76a0cf001', 1795960972950, 'verified', 'c8c3814d-721a-441b-b33b-df3d4af0e523', 'b89eaf3c-7c7b-496e-8397-119c1614efab', '\x0f19a6dd07fc43249aa16731461b0f0d', '', NULL, NULL, NULL, NULL, 6, NULL, '\xc8d3ed6363bccafe90eb48287c8a632d24f9eba19b98567ff01a850fa3c3b5e7', '7TdQZSlvxkE', '\x869ad01ac7f3a92781395f5364c29a7d6d4c454db9b69aa12ff1508e3cdc6830'),
	('01a2279d-a697-7730-8547-0863228352c4', 1795960972951, 'logged_out', 'c8c3814d-721a-441b-b33b-df3d4af0e523', 'b89eaf3c-7c7b-496e-8397-119c1614efab', NULL, '', NULL, NULL, NULL, NULL, 7, NULL, '\x125cf638b2cc3faed6025065dbdd8a82e4cd0272dbadeccc4388a412e5fde746', '7TdQZSlvxkE', '\x75edfb9dcd39b307b96a844f98a582fdec57ff331122e319d5a67dec8a613d1c'),
	('01a2279d-a6a9-77cf-a791-0d161476ea7f', 1795960972968, 'registered', NULL, NULL, '\x2ad58f82335a41f59490121e1d1d2b41', '', NULL, NULL, NULL, NULL, 8, NULL, '\x3711dacee7ce65ced5d7a0eb187e8189e433b7182e06b548dbac2e433394a115', '7TdQZSlvxkE', '\x988a8088de2864955c2da93d7087d78423936d24be03f63992600c0aecd69b39'),
	('01a2279d-a6b7-707b-b295-57dfa36a2f19', 1795960972983, 'verified', '9fcdf9f3-eaf3-4deb-a418-a33c120dae4b', '215eeddf-caf1-4327-9282-2c02ef587f8e', '\x2ad58f82335a41f59490121e1d1d2b41', '', NULL, NULL, NULL, NULL, 9, NULL, '\xd6035c7daeb834cdb9aa435f1e67b3e6a06d8ed1e436d3046581a6d5aac1f869', '7TdQZSlvxkE', '\x6a08b6ebe6b204b28b8e9a74d9671a0b53ad3259c46be870c6f5f5b174ab3c68'),
	('01a2279d-a6ca-7290-9b43-c357c03826c6', 1795960973002, 'deleted', '9fcdf9f3-eaf3-4deb-a418-a33c120dae4b', NULL, NULL, '', NULL, NULL, NULL, NULL, 10, NULL, '\xdb4f8772ffd36226a7d69989d7f46d68da3cef195969da04679252b446712131', '7TdQZSlvxkE', '\x910e303b59dd781febadca254c45e9524d64ebea24d17ddca348a5212c1305c1'),
	('01a2279d-a6de-73ce-9e4a-f403e12fa4bc', 1795960973022, 'registered', NULL, NULL, '\x2d8dde83db73408f9e0dffd1c378fcf9', '', NULL, NULL, NULL, NULL, 11, NULL, '\x887a7d712775a9c272a6668315046e6bd51031ff83710577b79d5ac24e29ffc9', '7TdQZSlvxkE', '\x4dd51928d7528047801106f1bf892d67c3ca9f8ac574ab41a455519cffc87318'),
	('01a2279d-a6ef-7201-aee2-916f10a2b3ee', 1795960973039, 'verified', '5c2b8dff-f83b-4f47-92ef-2d7bd1f442a2', '43a7d754-49fb-43f9-ae9f-ec4357848276', '\x2d8dde83db73408f9e0dffd1c378fcf9', '', NULL, NULL, NULL, NULL, 12, NULL, '\x6925835224ef0b1a442b6e3cb0c52049d0b384e7e5f8f37768bd5316eddd33f9', '7TdQZSlvxkE', '\xd9bb742feefc850934910da07bb5ac74e42d3ce1b1ad7cceb9eb871bdc0701d1'),
	('01a2279d-a706-7051-ad7f-5c71bfef4af6', 1795960973060, 'disabled', '5c2b8dff-f83b-4f47-92ef-2d7bd1f442a2', NULL, NULL, '', 'root', NULL, NULL, NULL, 13, NULL, '\xbd5306e64239be9e5ac794f7388bc1650cbf01422627c7c44dc252720cf2f89e', '7TdQZSlvxkE', '\xd97671f7cc9e1fcf18eb7da31dc39cdcc5e0cedf570f1087ebab0f7521716d91'),
	('01a2279d-a71a-743f-bbdb-df2ad84ab4fe', 1795960973082, 'registered', NULL, NULL, '\xf3cb7d706c0f469ab09fc54beb011dfa', '', NULL, NULL, NULL, NULL, 14, NULL, '\xe852a552743cc260e25a356ce309edfd1254bb64190f119f10240f803b3108a7', '7TdQZSlvxkE', '\x9e8491b2d28a5307a5aff13880737e30d4e034b60546f0f83512f4beb4959802'),
	('01a2279d-a737-7472-9ccb-48d9046ebd35', 1795960973111, 'registered', NULL, NULL, '\x12456b0516614c33b13328b0c6eed1e9', '', NULL, NULL, NULL, NULL, 15, NULL, '\x7519c9d9f0de8637450b37f9a984be174cc7c225521661910c7ec5c82e93fc55', '7TdQZSlvxkE', '\xc1f00c466f848352c89f6ee9827d188950a8d9de36750c2b727fa5a32ceac145'),
	('01a2279d-a746-756d-8b23-a9cbe482a9a8', 1795960973126, 'verified', 'af4ca7c1-414d-47be-b6f1-94a61f553880', '45eadbb6-4fa7-47a3-a114-5d2d24e0664e', '\x12456b0516614c33b13328b0c6eed1e9', '', NULL, NULL, NULL, NULL, 16, NULL, '\x75856620bc3b051c10bbc52473747a940c6849fcb19c5c824097720f7cd167c2', '7TdQZSlvxkE', '\xc276bf9d3f7d29c138a3d031d0f50808798a3594c79eda5009af6b3f7562eb5d'),
	('01a2279d-a748-73ea-bc9e-cc71c64873f0', 1795960973128, 'reset_requested', 'af4ca7c1-414d-47be-b6f1-94a61f553880', NULL, '\x873368ae9b0148e39465816e005d93e5', '', NULL, NULL, NULL, NULL, 17, NULL, '\xf33c6ad443a7a8a1a443822d811e040d546ab73ac45c81811edc05dbffcf6d71', '7TdQZSlvxkE', '\xcf5193fe7db9a723b1072d582b7ed53ef1e53281f2a8d5fd4de97dd64ce715cf'),
	('01a2279d-a765-7589-91a2-9dc5a19a2bd5', 1795960973156, 'login_failed', 'af4ca7c1-414d-47be-b6f1-94a61f553880', NULL, NULL, '', NULL, '192.0.2.7', '\x0802ec96e5c2474db43fcf91a3bd041b', NULL, 18, '\x865c4e8c7f128ea1d13cad97fcac356b3a3013c0e139d5d11230d54e73667616', '\xad1a02d3445d07c41038566da8d35cf0c5578a13a09e915b477cfe7bbbadda19', '7TdQZSlvxkE', '\x612e7ad5fa13b9c5323b32466d54a3075d0c13f0d9b31877aa3965805828dcb9'),
	('01a2279d-a776-72f4-81ea-2b39d0b8d1d1', 1795960973174, 'registered', NULL, NULL, '\x1a3fcf942b0740efaf27a92229ae6f98', '', NULL, NULL, NULL, NULL, 19, NULL, '\x02e397aae200e9f4d13809d927d94db70a0a01222e13bdd37338fa31b7767c08', '7TdQZSlvxkE', '\xaffd5db08bec56b1c192dca7647ed1c90dbe7af397ccc17b3d433170860b61d0'),
	('01a2279d-a784-7787-b568-fa46d8072d1e', 1795960973188, 'verified', '842c3d77-6f97-43af-925e-0722597feb01', 'b9fb0d37-317d-4a84-9d89-d7119aeb83bf', '\x1a3fcf942b0740efaf27a92229ae6f98', '', NULL, NULL, NULL, NULL, 20, NULL, '\x636dd57e5613e29b5b2c5ac8252a7a6e10bd33ae7e2d2911c22c870b0fb57fa0', '7TdQZSlvxkE', '\x987cb59a9cd216506d4ad7cd5fd65dd535d009f2658d618387c4946b82db249b'),
	('01a2279d-a798-75ed-aaf3-db99a7f5bb71', 1795960973206, 'updated', '842c3d77-6f97-43af-925e-0722597feb01', 'b9fb0d37-317d-4a84-9d89-d7119aeb83bf', NULL, 'email', NULL, NULL, NULL, NULL, 21, NULL, '\x8fe32d264ba741262d2826794d7c31acbebefb79afc3609dbd8dec433cd43e24', '7TdQZSlvxkE', '\x417b393d58061ce96adefd89abb6eb0f70f131ad75601b80c3c3c74eba4ddb8e'),
	('01a2279d-a7b5-7281-a003-d5c2ec9f6912', 1795960973237, 'registered', NULL, NULL, '\x754b976a03fa47808dc5fd51951f9bf1', '', NULL, NULL, NULL, NULL, 22, NULL, '\xaebcb956e779c8db1e1fdcf38b11e99c637425261a4c81cb3807b69579374645', '7TdQZSlvxkE', '\x85525ae4aa090fb3a40c1e7ee625e9ec1a4b44687dde4004158281002277a0b5'),
	('01a2279d-abb1-70db-b0a3-f0afa1a1be34', 1795960974256, 'login_failed', NULL, NULL, '\x3132ee7682116b86dc445475770a767223039ec9443b15fcc5dd24c859b2e8fb', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);


--
-- Data for Name: audit_chain; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit_chain VALUES
	(1, 22, '\xaebcb956e779c8db1e1fdcf38b11e99c637425261a4c81cb3807b69579374645', 0, '\x0000000000000000000000000000000000000000000000000000000000000000', '7TdQZSlvxkE', '\x8e7faf82cba20157a408525d570df125f6d8cc0a2e26dbc5f3b0e0ea14f11044', '5c231285-5971-4711-9934-7fb355ff3050', 1795960978816);


--
-- Data for Name: counters; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.counters VALUES
	('\x4590d463e9bb6a3fb46cd7823ce513f2da240810e41223f3bd5db3ee34e99547', 0, 1795960972889, 0, 1796047372889),
	('\xd97d65911848a59e5ba1b2d22ac34797d45769442f1fc55646a135bbacaa8633', 1, 1795960972915, 0, 1795964572915),
	('\xb06d12a0ec865899e1ff51fb20f1f752a4bd5406a6c029a5378c359330a559ea', 0, 1795960972985, 0, 1796047372985),
	('\xee0f5880abf166aa9888d95ecd03bf0f134f60038797532dbed36c3b9972b57d', 0, 1795960972985, 0, 1796047372985),
	('\x80aa6b9b652893ec94314ae925cb87d0c6e18c29b38d8e05f5e554e07a119834', 1, 1795960973127, 0, 1795964573127),
	('\x503ec47999a4699ef77eeef90abe13ae0a6f927aa2ba50ff4e1cc8c8a060f5f4', 1, 1795960973142, 0, 1796047373142),
	('\x832bf8e2bed7cd196c3f78718f08cacff83fd4dd6dd8e6a5df838293ee9ccf7b', 0, 1795960973142, 0, 1796047373142),
	('\x9bba17f7cf3448efc284cbf3be7b88b4f9254d09a47a7f66ca04af4e7881e542', 1, 1795960973142, 1795960973142, 1796047373142),
	('\xf23d85f7164d81c7609611ac5adb5db7d5ce788e4acc9155333b4d5d7826482b', 1, 1795960973142, 0, 1795964573142),
	('\xd087d086a16f72d03e725bfd4c4bdd6855ee3f8d14d2de03da3264454502ec88', 0, 1795960973187, 0, 1796047373187),
	('\xc444722b6b9ff9e53c93b19dec20cfe4614e75a1b9487747aab246317c2e6377', 0, 1795960973190, 0, 1796047373190),
	('\xd034b028579117ccc1412cb8c179af6f1bc0cf0336efc766f04ba5c4279ce9c8', 0, 1795960973190, 0, 1796047373190),
	('\x27b35f69dee80b5093be48f708f0cf174bbea8e5dc8c9a83ed78c22b5e573c15', 1, 1795960973206, 0, 1796047373206),
	('\xda8768b0d63e8c0263138ff1b086bf7d83dc03668d5b74cdbe491e85654faad8', 1, 1795960973206, 0, 1795964573206),
	('\x61e371b8b55988e2c319448ab2747216a37337dee1867c1b0820f05ba7213f54', 8, 1795960972829, 0, 1795964572829),
	('\x156aba40a0b7ed19492d71296b9094f3d90f9dec4a2d6e9b72d6e6ef1bfd4a02', 1, 1795960974241, 0, 1796047374241),
	('\xb834251f40a63ea5bd6e58c2afea3970dad2aa703b3d1c74ca127541c05c5e6e', 1, 1795960974241, 0, 1795964574241);


--
-- Data for Name: erased_revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.erased_revocations VALUES
	(1, 0);


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.idempotency_keys VALUES
	('616e2075-7067-7261-6465-2773206b6579', '7TdQZSlvxkE', '\xd2a8cc368be7464b38921ec71c28e1f23238e440774f0af3966019dc787cb00b', '41fa06fb-7c4e-4a92-aba0-5abf788c3123', 1796047373237, 1795960973237, NULL, '754b976a-03fa-4780-8dc5-fd51951f9bf1', NULL, NULL, NULL, NULL, 0, '68bc4721-2da4-45ae-82a4-294297b80c01');


--
-- Data for Name: known_networks; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: mail_clients; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_clients VALUES
	('', 1795960982868);


--
-- Data for Name: mail_turns; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_turns VALUES
	('ada@example.org', 'registration', 1795961032873, 0, NULL, 1795961032873, 0, 1795961032873),
	('bob@example.org', 'registration', 1795961032936, 0, NULL, 1795961032936, 0, 1795961032936),
	('gus@example.org', 'registration', 1795961032970, 0, NULL, 1795961032970, 0, 1795961032970),
	('gus@example.org', 'deleted', 1795964573004, 0, NULL, 1795964573004, 1, 1795964573004),
	('hal@example.org', 'registration', 1795961033025, 0, NULL, 1795961033025, 0, 1795961033025),
	('cyd@example.org', 'registration', 1795961033083, 0, NULL, 1795961033083, 0, 1795961033083),
	('eve@example.org', 'registration', 1795961033113, 0, NULL, 1795961033113, 0, 1795961033113),
	('eve@example.org', 'password_reset', 1795961033129, 0, NULL, 1795961033129, 0, 1795961033129),
	('dan@example.org', 'registration', 1795961033175, 0, NULL, 1795961033175, 0, 1795961033175),
	('daniel@example.org', 'email_change', 1795961033208, 0, NULL, 1795961033208, 0, 1795961033208),
	('fay@example.org', 'registration', 1795961033239, 0, NULL, 1795961033239, 0, 1795961033239);


--
-- Data for Name: migration_lease; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: nodes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.nodes VALUES
	('68bc4721-2da4-45ae-82a4-294297b80c01', 1795960973816);


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.outbox VALUES
	('01a2279d-a644-77b5-a5e7-94ce879c68e8', 'registration', '7c38f8d9-dbe5-4fb9-ae47-c2bd34bc0063', 'ada@example.org', '', 'ada@example.org', '', 0, 1, 1795960972868, 1795960972873, 1795961032873, 1795960972877, 1795960972868, NULL, NULL, 0, 1),
	('01a2279d-a687-71cb-aa79-33052e953bb6', 'registration', '0f19a6dd-07fc-4324-9aa1-6731461b0f0d', 'bob@example.org', '', 'bob@example.org', '', 0, 1, 1795960972935, 1795960972936, 1795961032936, 1795960972940, 1795960973868, NULL, NULL, 0, 1),
	('01a2279d-a6a9-77cf-a791-0d155a975b2b', 'registration', '2ad58f82-335a-41f5-9490-121e1d1d2b41', 'gus@example.org', '', 'gus@example.org', '', 0, 1, 1795960972968, 1795960972970, 1795961032970, 1795960972974, 1795960974868, NULL, NULL, 0, 1),
	('01a2279d-a6ca-7290-9b43-c35682a555f7', 'deleted', NULL, 'gus@example.org', '', 'gus@example.org', 'gus', NULL, 1, 1795960973002, 1795960973004, 1795961033004, 1795960973010, 1795960975868, NULL, NULL, 0, 1),
	('01a2279d-a798-75ed-aaf3-db98a35399d0', 'email_change', '0fbaa843-48a0-457e-a81c-03fde281a5c8', 'daniel@example.org', '', 'daniel@example.org', '', 0, 1, 1795960973206, 1795960973208, 1795961033208, 1795960973212, 1795960981868, NULL, NULL, 0, 1),
	('01a2279d-a6de-73ce-9e4a-f40238fed089', 'registration', '2d8dde83-db73-408f-9e0d-ffd1c378fcf9', 'hal@example.org', '', 'hal@example.org', '', 0, 1, 1795960973022, 1795960973025, 1795961033025, 1795960973030, 1795960976868, NULL, NULL, 0, 1),
	('01a2279d-a71a-743f-bbdb-df29287b6a2c', 'registration', 'f3cb7d70-6c0f-469a-b09f-c54beb011dfa', 'cyd@example.org', '', 'cyd@example.org', '', 0, 1, 1795960973082, 1795960973083, 1795961033083, 1795960973086, 1795960977868, NULL, NULL, 0, 1),
	('01a2279d-a737-7472-9ccb-48d86ecfb55a', 'registration', '12456b05-1661-4c33-b133-28b0c6eed1e9', 'eve@example.org', '', 'eve@example.org', '', 0, 1, 1795960973111, 1795960973113, 1795961033113, 1795960973116, 1795960978868, NULL, NULL, 0, 1),
	('01a2279d-a748-73ea-bc9e-cc7010362a22', 'password_reset', '873368ae-9b01-48e3-9465-816e005d93e5', 'eve@example.org', '', 'eve@example.org', 'eve', 0, 1, 1795960973128, 1795960973129, 1795961033129, 1795960973132, 1795960979868, NULL, NULL, 0, 1),
	('01a2279d-a776-72f4-81ea-2b3856378b6f', 'registration', '1a3fcf94-2b07-40ef-af27-a92229ae6f98', 'dan@example.org', '', 'dan@example.org', '', 0, 1, 1795960973174, 1795960973175, 1795961033175, 1795960973178, 1795960980868, NULL, NULL, 0, 1),
	('01a2279d-a7b5-7281-a003-d5c14616097e', 'registration', '754b976a-03fa-4780-8dc5-fd51951f9bf1', 'fay@example.org', '', 'fay@example.org', '', 0, 1, 1795960973237, 1795960973239, 1795960977610, NULL, 1795960982868, 1795960973240, NULL, 0, 0);


--
-- Data for Name: retired_keys; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.revocations OVERRIDING SYSTEM VALUE VALUES
	(1, 'b89eaf3c-7c7b-496e-8397-119c1614efab', 1795960972951, 1),
	(2, '215eeddf-caf1-4327-9282-2c02ef587f8e', 1795960973002, 1),
	(3, '9fcdf9f3-eaf3-4deb-a418-a33c120dae4b', 1795960973002, 2),
	(4, '43a7d754-49fb-43f9-ae9f-ec4357848276', 1795960973060, 1);


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.sessions VALUES
	('aa05bb8a-a172-4373-a13e-397cbd923893', '95ce863d-5fa0-4a16-b1e5-8b21e2023e75', 0, '7TdQZSlvxkE', 1795960972887, 1795960972887, NULL, NULL, 0, 0, 0),
	('e6965a3d-41b0-4f13-823f-9b52fff18c88', '95ce863d-5fa0-4a16-b1e5-8b21e2023e75', 1, '7TdQZSlvxkE', 1795960972915, 1795960972918, NULL, NULL, 1, 1795960972918, 0),
	('45eadbb6-4fa7-47a3-a114-5d2d24e0664e', 'af4ca7c1-414d-47be-b6f1-94a61f553880', 0, '7TdQZSlvxkE', 1795960973126, 1795960973126, NULL, NULL, 0, 0, 0),
	('b9fb0d37-317d-4a84-9d89-d7119aeb83bf', '842c3d77-6f97-43af-925e-0722597feb01', 0, '7TdQZSlvxkE', 1795960973188, 1795960973188, NULL, NULL, 0, 0, 0);


--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.users VALUES
	('95ce863d-5fa0-4a16-b1e5-8b21e2023e75', 'ada', 'ada', 'ada@example.org', 'ada@example.org', 'ada@example.org', '$argon2id$v=19$m=19456,t=2,p=1$llLnXy/QuQwFIpYo56tvYw$stpVooargAWoeuGGQib20WwKKLNTVCu42ezYdjZBr0U', 1, NULL, 1795960972887, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('c8c3814d-721a-441b-b33b-df3d4af0e523', 'bob', 'bob', 'bob@example.org', 'bob@example.org', 'bob@example.org', '$argon2id$v=19$m=19456,t=2,p=1$QIXcgeq9q1Pg7QWPO2oFdQ$xrzGzHyCj/ec47hm/X8iSvxOt+JxmVnqV/gx6NaVZ2M', 1, NULL, 1795960972950, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('5c2b8dff-f83b-4f47-92ef-2d7bd1f442a2', 'hal', 'hal', 'hal@example.org', 'hal@example.org', 'hal@example.org', '$argon2id$v=19$m=19456,t=2,p=1$e2qnq0hd3fk1nI/JXFGMew$52NTiMxWa5sr5A+07TW5PtUDePHWb8GilZl2OgmyBVI', 2, 1795960973060, 1795960973039, '$argon2id$v=19$m=19456,t=2,p=1', 2, 1795960973060),
	('af4ca7c1-414d-47be-b6f1-94a61f553880', 'eve', 'eve', 'eve@example.org', 'eve@example.org', 'eve@example.org', '$argon2id$v=19$m=19456,t=2,p=1$m4zq9FIEL326r1xfwNA6ow$ovItaLvWdbaL67ChaW4A49ChWK7ESl0FcWpJthzY1HQ', 1, NULL, 1795960973126, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('842c3d77-6f97-43af-925e-0722597feb01', 'dan', 'dan', 'dan@example.org', 'dan@example.org', 'dan@example.org', '$argon2id$v=19$m=19456,t=2,p=1$dMINUNG8CPZijuSy7yeTRg$8GYjtXv4H1WDiu9vKLPjcKfn0EnM3ja74/Z8ZxninxU', 1, NULL, 1795960973188, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL);


--
-- Data for Name: verifications; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.verifications VALUES
	('754b976a-03fa-4780-8dc5-fd51951f9bf1', 'registration', NULL, 'fay', 'fay', 'fay@example.org', 'fay@example.org', 'fay@example.org', 'fay@example.org', '$argon2id$v=19$m=19456,t=2,p=1$W9620Hw6w1+T8BzSv52Y6Q$ORRGPT/CnbIiHk1vQAH/cQbL+nTfKvXxOemcwt1QkC0', 0, '7TdQZSlvxkE', 0, 0, 1795960973239, 1795961873239, 1795960973237, 1795960973237, 0, ''),
	('f3cb7d70-6c0f-469a-b09f-c54beb011dfa', 'registration', NULL, 'cyd', 'cyd', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', '$argon2id$v=19$m=19456,t=2,p=1$l0IjlpGiE/KWhxRjIyfCwQ$F0urgoKXE41rjSbxeAPtSYdcqogTn+LSx+7hKxQ7YrM', 0, '7TdQZSlvxkE', 0, 0, 1795960973083, 1795961873083, 1795960973082, 1795960973082, 0, ''),
	('873368ae-9b01-48e3-9465-816e005d93e5', 'password_reset', 'af4ca7c1-414d-47be-b6f1-94a61f553880', NULL, NULL, 'eve@example.org', 'eve@example.org', 'eve@example.org', 'eve@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795960973129, 1795961873129, 1795960973128, 1795960973128, 0, ''),
	('0fbaa843-48a0-457e-a81c-03fde281a5c8', 'email_change', '842c3d77-6f97-43af-925e-0722597feb01', NULL, NULL, 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795960973208, 1795961873208, 1795960973206, 1795960973206, 0, '');


--
-- Name: revocations_seq_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.revocations_seq_seq', 4, true);


--
-- Name: _sqlx_migrations _sqlx_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);


--
-- Name: audit_chain audit_chain_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit_chain
    ADD CONSTRAINT audit_chain_pkey PRIMARY KEY (id);


--
-- Name: audit audit_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);


--
-- Name: counters counters_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.counters
    ADD CONSTRAINT counters_pkey PRIMARY KEY (key);


--
-- Name: erased_revocations erased_revocations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.erased_revocations
    ADD CONSTRAINT erased_revocations_pkey PRIMARY KEY (id);


--
-- Name: idempotency_keys idempotency_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (key);


--
-- Name: known_networks known_networks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.known_networks
    ADD CONSTRAINT known_networks_pkey PRIMARY KEY (user_id, client);


--
-- Name: mail_clients mail_clients_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.mail_clients
    ADD CONSTRAINT mail_clients_pkey PRIMARY KEY (client);


--
-- Name: mail_turns mail_turns_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.mail_turns
    ADD CONSTRAINT mail_turns_pkey PRIMARY KEY (budget_key, letter);


--
-- Name: migration_lease migration_lease_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.migration_lease
    ADD CONSTRAINT migration_lease_pkey PRIMARY KEY (id);


--
-- Name: nodes nodes_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (id);


--
-- Name: outbox outbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);


--
-- Name: retired_keys retired_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.retired_keys
    ADD CONSTRAINT retired_keys_pkey PRIMARY KEY (kid);


--
-- Name: revocations revocations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.revocations
    ADD CONSTRAINT revocations_pkey PRIMARY KEY (seq);


--
-- Name: sessions sessions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);


--
-- Name: users users_email_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_key_key UNIQUE (email_key);


--
-- Name: users users_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);


--
-- Name: users users_username_key_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_username_key_key UNIQUE (username_key);


--
-- Name: verifications verifications_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_pkey PRIMARY KEY (id);


--
-- Name: audit_by_kind; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_kind ON public.audit USING btree (kind, at);


--
-- Name: audit_by_subject; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_subject ON public.audit USING btree (subject) WHERE (subject IS NOT NULL);


--
-- Name: audit_by_time; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_time ON public.audit USING btree (at, id);


--
-- Name: audit_by_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_by_user ON public.audit USING btree (user_id, at) WHERE (user_id IS NOT NULL);


--
-- Name: audit_chained; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX audit_chained ON public.audit USING btree (seq) WHERE (seq IS NOT NULL);


--
-- Name: audit_once; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX audit_once ON public.audit USING btree (dedup) WHERE (dedup IS NOT NULL);


--
-- Name: audit_unsealed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX audit_unsealed ON public.audit USING btree (at, id) WHERE (seq IS NULL);


--
-- Name: counters_by_expiry; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX counters_by_expiry ON public.counters USING btree (expires_at);


--
-- Name: idempotency_keys_by_expiry; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idempotency_keys_by_expiry ON public.idempotency_keys USING btree (expires_at);


--
-- Name: known_networks_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX known_networks_by_age ON public.known_networks USING btree (opened_at);


--
-- Name: mail_clients_by_rank; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX mail_clients_by_rank ON public.mail_clients USING btree (rank);


--
-- Name: mail_turns_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX mail_turns_by_age ON public.mail_turns USING btree (next_at) WHERE (waiting = 0);


--
-- Name: mail_turns_next; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX mail_turns_next ON public.mail_turns USING btree (next_at) WHERE (waiting > 0);


--
-- Name: mail_turns_ranked; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX mail_turns_ranked ON public.mail_turns USING btree (notice, rank) WHERE (waiting > 0);


--
-- Name: outbox_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_by_age ON public.outbox USING btree (created_at);


--
-- Name: outbox_by_verification; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_by_verification ON public.outbox USING btree (verification_id) WHERE ((verification_id IS NOT NULL) AND (turn_at IS NULL));


--
-- Name: outbox_delivered; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_delivered ON public.outbox USING btree (settled_at) WHERE (delivered = 1);


--
-- Name: outbox_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_due ON public.outbox USING btree (due_at) WHERE ((turn_at IS NOT NULL) AND (settled_at IS NULL));


--
-- Name: outbox_failed; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_failed ON public.outbox USING btree (failed_at) WHERE (failed_domain IS NOT NULL);


--
-- Name: outbox_turns; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_turns ON public.outbox USING btree (budget_key, letter, turn_at) WHERE (turn_at IS NOT NULL);


--
-- Name: outbox_waiting; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_waiting ON public.outbox USING btree (budget_key, letter, client, created_at) WHERE ((turn_at IS NULL) AND (settled_at IS NULL));


--
-- Name: revocations_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX revocations_by_age ON public.revocations USING btree (at);


--
-- Name: sessions_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sessions_by_age ON public.sessions USING btree (rotated_at);


--
-- Name: sessions_by_birth; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sessions_by_birth ON public.sessions USING btree (created_at);


--
-- Name: sessions_by_issue; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sessions_by_issue ON public.sessions USING btree (issued_until) WHERE (issued_until > 0);


--
-- Name: sessions_by_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sessions_by_user ON public.sessions USING btree (user_id, rotated_at);


--
-- Name: users_by_change; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX users_by_change ON public.users USING btree (changed_at) WHERE (changed_at IS NOT NULL);


--
-- Name: users_by_hash_class; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX users_by_hash_class ON public.users USING btree (hash_class);


--
-- Name: verifications_by_age; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX verifications_by_age ON public.verifications USING btree (created_at);


--
-- Name: verifications_by_client; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX verifications_by_client ON public.verifications USING btree (client, created_at);


--
-- Name: verifications_by_user; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX verifications_by_user ON public.verifications USING btree (user_id) WHERE (user_id IS NOT NULL);


--
-- Name: known_networks known_networks_user_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.known_networks
    ADD CONSTRAINT known_networks_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- Name: sessions sessions_user_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- Name: verifications verifications_user_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT verifications_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--


