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
	(1, 'accounts', '2026-11-28 18:23:34.113093+00', true, '\x545cd739cf9af9a98163a2f40a0033a202f6bbda59cdd240ce7526134fc9ab2d3f79cc958dc0b1dadd62a1d0639006cf', 23495999),
	(2, 'hash class', '2026-11-28 18:23:34.137078+00', true, '\xb131d008047859c5c0b990dfe78a4c307da64dd4492fd849e4876b7d6577724a8fd6c2d32186735fce95a0ba4c4450a8', 866038),
	(3, 'versions', '2026-11-28 18:23:34.139999+00', true, '\x5401cf737522c0d71173ea77a4070943dde661cc82f5830a2028d901b0929415a2f8c66933b34d8a19b1e6ed95854815', 886732),
	(4, 'audit', '2026-11-28 18:23:34.140976+00', true, '\x312dac0318909c694d98d4d3248a4ba22a9383c9aa3561cb0541fcb7dee50e22cfa34849041b310ec68cdb263f966180', 8975735),
	(6, 'retired keys', '2026-11-28 18:23:34.150124+00', true, '\xc33a7fad0910d2317d03b41f45e1cb1bc356dae703efd3000b864fa19794cdabb56c1df956507b93eeba3e322a7e35f6', 1020595),
	(7, 'mail turns by age', '2026-11-28 18:23:34.15125+00', true, '\x288c2d33413ae55a2403bcc6765d8805236bf639f6c631936154829cd3e8116cd18f2c44e800c110c075b3c987388f0e', 599402),
	(8, 'idempotency', '2026-11-28 18:23:34.151938+00', true, '\xf7cc0d6cd0c08b75b86acd1048a5e4a1e31bd30f979a33ebab251047b216f301776dc3b7692d3d0fd590fb34b4834bda', 5817848),
	(9, 'session device', '2026-11-28 18:23:34.157904+00', true, '\xe330941dc63784beea24191d29b0c7edc3275a83c3ea6857570cb92d63740b060163a601d1797182dc845ae0643ed4ea', 249147),
	(10, 'session network', '2026-11-28 18:23:34.158202+00', true, '\x5dcfef488e526c529f78b380b7c21a338475c1914fac4fb3c38509675762b622521d1d062526142b63a2bfc00874032a', 156480),
	(21, 'verification schedule', '2026-11-28 18:23:34.158405+00', true, '\x0a4e74b87eeac3325cea592e897ca44763e8e0cefc0676194f3901049959009a952ff325dcc44e47c09e035af133c4fd', 389150),
	(22, 'verifications by client', '2026-11-28 18:23:34.158855+00', true, '\xb8eae3348f693704dad9876f2b81b6061c752386332229673cdd7dd3938c1ff854dc984255422e245faaebbb3377bac9', 418558),
	(23, 'outbox attempts', '2026-11-28 18:23:34.159326+00', true, '\x7ad966a019fa72d90fe9f88e5752f2d28c1e151c338965b2b51ff4c3064888b727a5186a670485b70cecfd331617e15f', 823441),
	(24, 'outbox failed', '2026-11-28 18:23:34.160214+00', true, '\x3eb9d4920307efd8244bc938f2d4fdf09f7311a66a1e17acef477ac068cc8fb8d6b2db1e8cc6c304fe94190ec7b9bdd4', 407796),
	(25, 'outbox delivered', '2026-11-28 18:23:34.160657+00', true, '\x4aba1c3d82886b92614344211034049726694e12c2dd6ef55d0023bc61ed920b464df122190960bf7790393a14eee7d2', 331011),
	(26, 'mail slot order', '2026-11-28 18:23:34.161022+00', true, '\x0f482098ecda2c4944dba09401fbc8bb8fcf88194c4b855314eaaaa9f620f7f28502c0badb6ed0494cde191b76e0e74b', 552777),
	(27, 'mail turns ranked', '2026-11-28 18:23:34.161635+00', true, '\xc3593a4b248f4f7b0e42b7795738108ad845b7cc80c3a319227829b05376248eeedaf5caad770fd9611a66c675f762cf', 411269),
	(28, 'mail clients', '2026-11-28 18:23:34.162101+00', true, '\x5c12bd782aa14316f5e71bf4e605a58b0f72e40475cc32896c5e8dc26dbf9fd3abf635a029723d0721289728f992da90', 3654199),
	(29, 'mail clients by rank', '2026-11-28 18:23:34.165845+00', true, '\x8dd36a8ac88371142c7f21b74dd03d4a4bb33a990dd450f8bdd288ea41faa897ea18ae709e435ffd9524cf2da35cf3e9', 394381),
	(30, 'known networks', '2026-11-28 18:23:34.166299+00', true, '\xfeb0ce2f145210cdb6052f54a22c244971c36daf25ae720e2790697ef2c3cbddc5fc22b347caacd1c6421fec0cd30d72', 1522795),
	(31, 'known networks by age', '2026-11-28 18:23:34.167984+00', true, '\x06daa9953eed21a122d91a43de632d6fea2a7b6ec9d6213f789a9f5a4bd1f501bc7c89af1e9c33cdd06e84b19fefde48', 402587),
	(32, 'session refreshes', '2026-11-28 18:23:34.168441+00', true, '\x1f5047f3f8e013c001c61efdffa7ee62afd75fdb641ae6a617ca3e317366dcd94e2952ad5bdbf52eb00a281e2771dcb0', 247887),
	(33, 'session refreshes since', '2026-11-28 18:23:34.16874+00', true, '\x7f841c7c94d453415184ee85f92b27215256533685d5e8764b4d4d6c947fec7d49b4209116dde61af03ce9b104dd0d94', 919009),
	(41, 'claims of nodes', '2026-11-28 18:23:34.169739+00', true, '\xf9fb6c83a2e1aa3f7651c1c97230c74501166a7b0b9f29cc8004073624e03b3119db1b2f23f148554277cb1e2cf07182', 206986),
	(42, 'nodes', '2026-11-28 18:23:34.16999+00', true, '\x6dde5a9253263d38d76b9de8f1edc7cdd11e08e5a0208ad3a8bdcc08fb8f645b39f93fbd47ea708fb1aacdb10548d528', 3914900),
	(43, 'revocation kind', '2026-11-28 18:23:34.173996+00', true, '\x9f9c4936d2919e583b7cef5150d216bc4c712b83a9466a14a1facbbb1a054c631e4783150427049efbd0204620971761', 238207),
	(44, 'erased revocations', '2026-11-28 18:23:34.174278+00', true, '\xab400667f457c20cd2a2e3066e678706713f02e636a66dbda0674c08cb8db0e57443edc95df888c3a170ecc74b172a26', 753853),
	(45, 'session issued until', '2026-11-28 18:23:34.175092+00', true, '\x01cc93bd8e296bc94fe875dfb63d7da3fbcc55bdeddbbc873b75c656a8da3d82d61ef49f15fb5620e8c52c2714615895', 278034),
	(46, 'write counters', '2026-11-28 18:23:34.175415+00', true, '\xeb00065aa64ba9e1a02696bf464e3db185027cf6983fbe27e08be4f8b7916d3f7d604cdc2bbabd11eb0ddf035691dc85', 6748653),
	(47, 'set counters', '2026-11-28 18:23:34.182292+00', true, '\xf56d36f7e93265c589f82ff2a18bf74219dcabc9e6cc3308bde4bf39c3ac08446ca8bedf0524c93c77af03231729233e', 706174),
	(48, 'refund counters', '2026-11-28 18:23:34.18305+00', true, '\x9157447f6780f124e0efcd915ea8bd00f50464862b63c3d8a3d2872cde953f31cbeebfd0d31aa3885234ce74ac32ff73', 291750),
	(49, 'record change', '2026-11-28 18:23:34.183394+00', true, '\x7a22df464b73c488e37a7a8f690f7e16994c58375781b01dee3c27799abc0728b3279525c572ee4ebd44c32afee94c04', 954756),
	(50, 'adjust counters', '2026-11-28 18:23:34.184421+00', true, '\x1d19770787a13758c557ad3d70b8967b2f333f58c6ba0858154390b63bc3daf3893a375b03586582b52309a6be624436', 353304),
	(51, 'insert session', '2026-11-28 18:23:34.184835+00', true, '\x7c4dd43aa7403877e8c73d2809784e9559bc3b2d0a66c659498a3273c5a6713a03d9572b2c52c5c1d12527d9c47e6a98', 215271),
	(52, 'end sessions', '2026-11-28 18:23:34.18509+00', true, '\x0b772c764c687329427126256859cdc1fb5e0e91866c06f4fe6b46ffbc946060bb3cda88c922245709426da3922abc6f', 208726),
	(53, 'open session', '2026-11-28 18:23:34.185505+00', true, '\xe82b648245145b1d8a737aacd923c45d0dc0709e16cced15d5e9a8ad643fc9b9deea72e7af09eff04a04053536fee889', 295751),
	(54, 'charge guess', '2026-11-28 18:23:34.185857+00', true, '\xf0efd80ca4f644c3802273a61343d7362185898a198aa8e38b11c3aac9531b068b181dac476da78e0b134719ef24a294', 380765),
	(55, 'activate', '2026-11-28 18:23:34.186285+00', true, '\x83706acbb1575154b9c28016f8947777b3cb21d173378ff18bddd177f6a9cadab0b5e8de3950c52c182a488867bb3ab9', 353802),
	(56, 'request code', '2026-11-28 18:23:34.186698+00', true, '\x204d304a615cfc3ae3bb638e1e82d5c1d30e6cfeda45204f92f06945362973893689581b426ca809d935cacbd9c13b47', 2972440),
	(57, 'refresh session', '2026-11-28 18:23:34.189826+00', true, '\xec1ac2fba8744959f7779b8230800208330082f0f9980144e4fc0690b3e67640a3217cef346c7582bd398f1452eb4e09', 362040),
	(58, 'end session', '2026-11-28 18:23:34.190243+00', true, '\xb527c80a160dd28659234f39c6142b0503d5705c9c60f086ec529f8387bf85932ad698eb2295544a84e7009fe2bbf8f1', 195002),
	(59, 'rename user', '2026-11-28 18:23:34.190486+00', true, '\x2409829665dcd476ad513d1a80ab70824d1921c06ebfe9b8828f9cf72892033c672407a5dba91b1ca24b270ec9d15fe9', 193804),
	(60, 'delete user', '2026-11-28 18:23:34.190729+00', true, '\x45d86c899e1ac27eea3ef9ef4fddddaa34cc6eb924b9e47e6eb285cf7e00d672852eb736f25e26c51e931ed27e904d67', 446486),
	(61, 'end all sessions', '2026-11-28 18:23:34.19123+00', true, '\xcfed02c1c829263dfee49ec0b9e4a2933f7954e9dedfde67f707be2afbf3522043eea1198bc65188a24d0ae9703f133a', 198096),
	(62, 'sessions by issue', '2026-11-28 18:23:34.191479+00', true, '\x0fed7db0cdc94eec536aaf9c096df0e23cbef8640430e0fb06cbdec387d48643d96c052391f9a85482ffa9f513ed7d97', 651026);


--
-- Data for Name: audit; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit VALUES
	('01a22365-f602-774e-881f-e7eb464f98d1', 1795890214401, 'registered', NULL, NULL, '\x794acefd2b5040d0b56f536e5a7f39c4', '', NULL, NULL, NULL, NULL, 1, NULL, '\x16399c2cc6a04842753cc96ee81bd8342cd9a7c09f187aee61dfe6f29de2f32e', '7TdQZSlvxkE', '\x0781db9037240555225d3d2fcae857744be06454266eab1a92bf79a618311b08'),
	('01a22365-f63a-731b-9c94-85fa019f9642', 1795890214458, 'verified', '731fa2d6-bf8e-42e4-9e01-e77b504f43a0', '59a5c1be-2330-45af-9629-4a2963abe595', '\x794acefd2b5040d0b56f536e5a7f39c4', '', NULL, NULL, NULL, NULL, 2, NULL, '\xfea82e35e7f9346f74632cd392d89d802f4fae2def22e38318579843274ce33a', '7TdQZSlvxkE', '\x2aa16181a81e63411a6533e384a8c663773365758f8a94d5af63dbda8e3beeef'),
	('01a22365-f6d3-710f-acb6-5c717acaa7c5', 1795890214611, 'logged_in', '731fa2d6-bf8e-42e4-9e01-e77b504f43a0', '7001e7aa-5312-4c24-89a8-ddf0ec0d9ef7', NULL, '', NULL, NULL, NULL, NULL, 3, NULL, '\xe370ee8493943c238aea8c3444a55b609dd54b56dc50eb27289c15635b643fe2', '7TdQZSlvxkE', '\x49bdf47d75656f0eeeaacba39dcc303bae93a3800b5698ba5ca3310fc38ed687'),
	('01a22365-f6db-75f4-bbd5-67f4ea903d9b', 1795890214619, 'refreshed', '731fa2d6-bf8e-42e4-9e01-e77b504f43a0', '7001e7aa-5312-4c24-89a8-ddf0ec0d9ef7', NULL, '', NULL, NULL, NULL, '\x2920033fb9182b09481de8fcc31cdb6daff7349d7c2619c6dd9d01fcdd31c4d9', 4, NULL, '\x6bd2a496905ec499a0f7900b3d58c06167f1940b3069a1f509a4ce5f7ee46194', '7TdQZSlvxkE', '\xf462029c2ea4aca28aceed83440e1621f0d3a4659793234b64a2d33bb7f13bcd'),
	('01a22365-f6ff-773f-9b74-36d760fd852b', 1795890214655, 'registered', NULL, NULL, '\x248d28da78a84409a588b1574018a88f', '', NULL, NULL, NULL, NULL, 5, NULL, '\x5b792250fdff22f5f1b0a8177c100a1629c8ad449a1969876366485ed9a7dd73', '7TdQZSlvxkE', '\x8eb151209f05415359e320f4afed766728b02b4795fbbc09096c237507782c37'),
	('01a22365-f711-75b3-81c1-2e3a5ff78562', 1795890214673, 'verified', 'a20a8b25-48cd-4907-b578-8d94cc67e4e0', 'bfae1292-30e9-4b73-a435-377a27556b79', '\x248d28da78a84409a588b1574018a88f', '', NULL, NULL, NULL, NULL, 6, NULL, '\xc4750f70201a2288f02371d83e2f51906e9b81e68b5d849e5866e9ebb8650176', '7TdQZSlvxkE', '\x94904d39e0335168be3089b71536a0e5a9d65aedee80750f360c1ff225ad34c5'),
	('01a22365-f713-734d-be06-f4d89d4856dc', 1795890214675, 'logged_out', 'a20a8b25-48cd-4907-b578-8d94cc67e4e0', 'bfae1292-30e9-4b73-a435-377a27556b79', NULL, '', NULL, NULL, NULL, NULL, 7, NULL, '\x2bc713f4a9a0d5b4eac2d111ad90bbfd5842e5cc679929e3891dc2aeaa3e73bb', '7TdQZSlvxkE', '\x558802b7c939d09577d54ce1b21a3e4e2c461cfd85e8c63b83aefc09fe0c6eff'),
	('01a22365-f733-723b-80ba-a03b8d7ff9dc', 1795890214707, 'registered', NULL, NULL, '\xedfdd3f7651f47e7bf71a81836a4a51e', '', NULL, NULL, NULL, NULL, 8, NULL, '\x8a46f254e5ab7eb09ff8f52beaf23f9b2d312f1e95957dbb29240251dfa98a2c', '7TdQZSlvxkE', '\xe97706e86e9d61c2cfb9188d67e190356e225ec1db36dde11a4520ff9bc0bb94'),
	('01a22365-f74a-772e-acdc-b5560ed10403', 1795890214729, 'verified', '50f7a248-b26a-4899-a7c0-afe2621c2a20', '1dfc2d4d-7462-43ff-b793-11fa7a2e17dc', '\xedfdd3f7651f47e7bf71a81836a4a51e', '', NULL, NULL, NULL, NULL, 9, NULL, '\xca78d52b4377ea95d6cd02a6c124eed050e2ef9438f88b45daf28352327225e1', '7TdQZSlvxkE', '\x74db2d71520a4728a2a09a16eedb51d8e501cf9e923ca956bc09262ff6b7ed27'),
	('01a22365-f7ac-758c-820c-f08104bb34bd', 1795890214828, 'deleted', '50f7a248-b26a-4899-a7c0-afe2621c2a20', NULL, NULL, '', NULL, NULL, NULL, NULL, 10, NULL, '\x68cda000fc492d095195dc63f2b796dd02ef53592cee4f5364d2f12ded1661b1', '7TdQZSlvxkE', '\xb177c4e250d6b360ad8643943054c72e5ea7862cf91c301f2d957a58d4e01d6e'),
	('01a22365-f85c-73c7-977a-ff1f65ffd3c3', 1795890215004, 'registered', NULL, NULL, '\xdc6242157dbd4f76a908728910506c83', '', NULL, NULL, NULL, NULL, 11, NULL, '\x7cc15c414b9be64ef5525d0ad82fcaf10ff5421cbc70b2ec0e560ee6c6aaec62', '7TdQZSlvxkE', '\x41d5b9301bf5687df937e5b9424829149b9cb85faff29cf5e399919b8db8763a'),
	('01a22365-f876-74da-87f8-87255275bfb4', 1795890215030, 'verified', 'a7274072-d4e8-4570-9838-28e7483d0853', '0d302406-b0b2-44ea-b835-41ed10b857e3', '\xdc6242157dbd4f76a908728910506c83', '', NULL, NULL, NULL, NULL, 12, NULL, '\x0cc1d302c8ef88ff1515793810861e2bf3d5cc1b57dae2563a5f7aa4fd01ba9c', '7TdQZSlvxkE', '\x8f69a5bebe4bd4a36b85db3f189a0417966611c0516b4c9747a40d4b99c57781'),
	('01a22365-f8bf-71e7-9aae-eded2e0e7bc3', 1795890215092, 'disabled', 'a7274072-d4e8-4570-9838-28e7483d0853', NULL, NULL, '', 'root', NULL, NULL, NULL, 13, NULL, '\x870b26b38d0edadb317c4e20ff2df394cbc698c5bbeeae2307132ba1eb059f79', '7TdQZSlvxkE', '\x80350bb73ed518d5bddfec7eb2d24aa8760e9c26af6cb715275aef7bee2ea2ec'),
	('01a22365-f9a2-7308-9ccf-654b2918fc46', 1795890215330, 'registered', NULL, NULL, '\x91333591d5a741b08037685505c0d17f', '', NULL, NULL, NULL, NULL, 14, NULL, '\xd957579e579a12fcd7d44c2f35644803a7fdbfc10d0d90f15f650085e19de026', '7TdQZSlvxkE', '\x3d830623c74b01b1a12a5db5b1edb253850eb8875eb6e2e556861de9670d8855'),
	('01a22365-fa08-7113-a9c5-7889d2a98875', 1795890215431, 'registered', NULL, NULL, '\x0df2f55daf2e473fbf25fbb08729f147', '', NULL, NULL, NULL, NULL, 15, NULL, '\xbdaa21cfbf95b596f7955ecec67de078020c8ce0ba8087ebb082525198ab9c0d', '7TdQZSlvxkE', '\x61f4cdac34642b0bec8b80b68a656359069fcd220155cbdec2eb47b0f76b6a9e'),
	('01a22365-fa1b-71ad-9b3b-262349570eb6', 1795890215451, 'verified', 'c677e219-8224-4911-b600-51d885263c66', '431fc323-00ed-4a63-84f8-9d679b22a7fc', '\x0df2f55daf2e473fbf25fbb08729f147', '', NULL, NULL, NULL, NULL, 16, NULL, '\xb1a2935b4515a0990076c61745b67b37686e885ecb6cd139df88ad9a33bb43f3', '7TdQZSlvxkE', '\xe7468fd9e11f500edde96decb531f6173da09d3e19028d40ebc9f22c7e8bc37a'),
	('01a22365-fa21-7523-a5e1-ba3e2b477f6b', 1795890215457, 'reset_requested', 'c677e219-8224-4911-b600-51d885263c66', NULL, '\xff5da789aaf54c87846ede7f0099c7bc', '', NULL, NULL, NULL, NULL, 17, NULL, '\x9f6ce393ab38007533b2b74043eff9f883ec111b663a3cf8a562bd0d7973fe38', '7TdQZSlvxkE', '\x18e76423719be82655662745daaf2d22c8dc1075eca139719ce9047b0cc397c0'),
	('01a22365-fa56-735d-bf93-a3b195ed7947', 1795890215508, 'login_failed', 'c677e219-8224-4911-b600-51d885263c66', NULL, NULL, '', NULL, '192.0.2.7', '\x13f135e688a844adab642aa11fd52941', NULL, 18, '\x7ae11ca0d8aac5846777a55515e34b6b59713152129bc1030d0b04c8a1e9df11', '\xc8fe4daa68fe0ac73450d15bd16ac65434c7b1f3d1aa6b36bd2ef1cb1fb7d57e', '7TdQZSlvxkE', '\x15786f44f9187ae5f14959fbbc4fe52c9c6585246376fb8f9c28e421fd168bf7'),
	('01a22365-fa95-717e-9ed4-96bffe6c933a', 1795890215573, 'registered', NULL, NULL, '\xef844a7e4b5c4991a3521f8d4d48f2d0', '', NULL, NULL, NULL, NULL, 19, NULL, '\xcdc76a6379e9caff4f07036f463fbabfa097bbc228c8b012ffae9f52c2c1c661', '7TdQZSlvxkE', '\xd5602023c8f896056367f35d02a1cdde2cb1f5748918a234d28662107c6bb22e'),
	('01a22365-faa9-7471-b4ae-5a2f6a871acf', 1795890215593, 'verified', '25d86c8b-291a-4a13-a6ed-1bc508bbeb48', '36baa01e-4167-40f1-b75f-fa7bf0d3cb05', '\xef844a7e4b5c4991a3521f8d4d48f2d0', '', NULL, NULL, NULL, NULL, 20, NULL, '\x8acecced3d490651be5b55a18173740388c833da58d79f6bc00c073dd53099ee', '7TdQZSlvxkE', '\x61a98f1999a40af33814e88e415a6597e0e93b723b367059d607a8981578767e'),
	('01a22365-fb7b-7350-a195-3ea2e331afec', 1795890215799, 'updated', '25d86c8b-291a-4a13-a6ed-1bc508bbeb48', '36baa01e-4167-40f1-b75f-fa7bf0d3cb05', NULL, 'email', NULL, NULL, NULL, NULL, 21, NULL, '\x07d0a66ce653258421d468f24daa4ddfa42a555b08f5fcbd170749cfe8729c65', '7TdQZSlvxkE', '\x8c6e5d31152355ab8f6ca8e22aa467c45f53c7de0a92c0581c7e50ab032b1aa0'),
	('01a22365-fbbe-74f3-b503-fb47cff4db7c', 1795890215870, 'registered', NULL, NULL, '\x63a7576ad322431b9ba94b9ad0eaaee1', '', NULL, NULL, NULL, NULL, 22, NULL, '\x07f4dcb4e80c2899e53b729d5c993ec0ac7c5bd17bec08739692ce4320853f41', '7TdQZSlvxkE', '\xcb43271b48c96d5a07a535be6ea2507714eff9e0957ead187c893ebf89c64333'),
	('01a22366-0042-701a-8703-d784a554abe6', 1795890217019, 'login_failed', NULL, NULL, '\x3132ee7682116b86dc445475770a767223039ec9443b15fcc5dd24c859b2e8fb', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);


--
-- Data for Name: audit_chain; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit_chain VALUES
	(1, 22, '\x07f4dcb4e80c2899e53b729d5c993ec0ac7c5bd17bec08739692ce4320853f41', 0, '\x0000000000000000000000000000000000000000000000000000000000000000', '7TdQZSlvxkE', '\xc2923c96bdb680fabbabce984fa5dbc2addb6801ca63e8e6a3cdbcf56d27403b', 'a5f224f9-56c4-4ca4-9f80-e70386042ed2', 1795890221242);


--
-- Data for Name: counters; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.counters VALUES
	('\x4590d463e9bb6a3fb46cd7823ce513f2da240810e41223f3bd5db3ee34e99547', 0, 1795890214463, 0, 1795976614463),
	('\xd42d0d127ec3e9601a46a9703746d1bc70ba4ee906416f6f261eb332d2bae5fd', 1, 1795890214611, 0, 1795893814611),
	('\x9136f160745cddc64fff3803f6c756a2a02542e434de803d24c1f890ec0962d6', 0, 1795890214733, 0, 1795976614733),
	('\xd16c0c0a31cdff1a78400407f45966be3d00ec8ac59ed0f70e481c7e64e8f587', 0, 1795890214733, 0, 1795976614733),
	('\x80aa6b9b652893ec94314ae925cb87d0c6e18c29b38d8e05f5e554e07a119834', 1, 1795890215454, 0, 1795893815454),
	('\x503ec47999a4699ef77eeef90abe13ae0a6f927aa2ba50ff4e1cc8c8a060f5f4', 1, 1795890215473, 0, 1795976615473),
	('\x832bf8e2bed7cd196c3f78718f08cacff83fd4dd6dd8e6a5df838293ee9ccf7b', 0, 1795890215473, 0, 1795976615473),
	('\x9bba17f7cf3448efc284cbf3be7b88b4f9254d09a47a7f66ca04af4e7881e542', 1, 1795890215473, 1795890215473, 1795976615473),
	('\xf23d85f7164d81c7609611ac5adb5db7d5ce788e4acc9155333b4d5d7826482b', 1, 1795890215473, 0, 1795893815473),
	('\xd087d086a16f72d03e725bfd4c4bdd6855ee3f8d14d2de03da3264454502ec88', 0, 1795890215590, 0, 1795976615590),
	('\x3e5d84973b24a9e2d4d4205f98215d2f886e063aac1bec7d17ff4d0146cae2bd', 0, 1795890215598, 0, 1795976615598),
	('\xd28f5964a66137c988d890444971583ef62cebb9b848f1259300f1a5cd2f6695', 0, 1795890215598, 0, 1795976615598),
	('\xda8768b0d63e8c0263138ff1b086bf7d83dc03668d5b74cdbe491e85654faad8', 1, 1795890215799, 0, 1795893815799),
	('\xe34a2352d2deb769c710b92b6585eded932483c27403c535bd0ce24174e8d201', 1, 1795890215799, 0, 1795976615799),
	('\x61e371b8b55988e2c319448ab2747216a37337dee1867c1b0820f05ba7213f54', 8, 1795890214259, 0, 1795893814259),
	('\x156aba40a0b7ed19492d71296b9094f3d90f9dec4a2d6e9b72d6e6ef1bfd4a02', 1, 1795890216892, 0, 1795976616892),
	('\xb834251f40a63ea5bd6e58c2afea3970dad2aa703b3d1c74ca127541c05c5e6e', 1, 1795890216892, 0, 1795893816892);


--
-- Data for Name: erased_revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.erased_revocations VALUES
	(1, 0);


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.idempotency_keys VALUES
	('616e2075-7067-7261-6465-2773206b6579', '7TdQZSlvxkE', '\xd2a8cc368be7464b38921ec71c28e1f23238e440774f0af3966019dc787cb00b', '9e3969a2-938c-42ea-b3cf-2c4c46c75c50', 1795976615870, 1795890215870, NULL, '63a7576a-d322-431b-9ba9-4b9ad0eaaee1', NULL, NULL, NULL, NULL, 0, '3a7925dd-949c-4b1b-9682-e166c7cd94d7');


--
-- Data for Name: known_networks; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: mail_clients; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_clients VALUES
	('', 1795890224401);


--
-- Data for Name: mail_turns; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_turns VALUES
	('ada@example.org', 'registration', 1795890274419, 0, NULL, 1795890274419, 0, 1795890274419),
	('bob@example.org', 'registration', 1795890274657, 0, NULL, 1795890274657, 0, 1795890274657),
	('gus@example.org', 'registration', 1795890274709, 0, NULL, 1795890274709, 0, 1795890274709),
	('gus@example.org', 'deleted', 1795893814833, 0, NULL, 1795893814833, 1, 1795893814833),
	('hal@example.org', 'registration', 1795890275008, 0, NULL, 1795890275008, 0, 1795890275008),
	('cyd@example.org', 'registration', 1795890275340, 0, NULL, 1795890275340, 0, 1795890275340),
	('eve@example.org', 'registration', 1795890275435, 0, NULL, 1795890275435, 0, 1795890275435),
	('eve@example.org', 'password_reset', 1795890275459, 0, NULL, 1795890275459, 0, 1795890275459),
	('dan@example.org', 'registration', 1795890275576, 0, NULL, 1795890275576, 0, 1795890275576),
	('daniel@example.org', 'email_change', 1795890275803, 0, NULL, 1795890275803, 0, 1795890275803),
	('fay@example.org', 'registration', 1795890275874, 0, NULL, 1795890275874, 0, 1795890275874);


--
-- Data for Name: nodes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.nodes VALUES
	('3a7925dd-949c-4b1b-9682-e166c7cd94d7', 1795890216748);


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.outbox VALUES
	('01a22365-f602-774e-881f-e7eaac07e117', 'registration', '794acefd-2b50-40d0-b56f-536e5a7f39c4', 'ada@example.org', '', 'ada@example.org', '', 0, 1, 1795890214401, 1795890214419, 1795890274419, 1795890214450, 1795890214401, NULL, NULL, 0, 1),
	('01a22365-f6ff-773f-9b74-36d65afe23b5', 'registration', '248d28da-78a8-4409-a588-b1574018a88f', 'bob@example.org', '', 'bob@example.org', '', 0, 1, 1795890214655, 1795890214657, 1795890274657, 1795890214665, 1795890215401, NULL, NULL, 0, 1),
	('01a22365-f733-723b-80ba-a03aa8d86d93', 'registration', 'edfdd3f7-651f-47e7-bf71-a81836a4a51e', 'gus@example.org', '', 'gus@example.org', '', 0, 1, 1795890214707, 1795890214709, 1795890274709, 1795890214721, 1795890216401, NULL, NULL, 0, 1),
	('01a22365-f7ac-758c-820c-f080c8a78985', 'deleted', NULL, 'gus@example.org', '', 'gus@example.org', 'gus', NULL, 1, 1795890214828, 1795890214833, 1795890274833, 1795890214846, 1795890217401, NULL, NULL, 0, 1),
	('01a22365-fb7a-7644-96ff-5d8ba2df8ac6', 'email_change', 'ec8903c9-fcb6-40ca-8d6f-bda8b5d19afc', 'daniel@example.org', '', 'daniel@example.org', '', 0, 1, 1795890215799, 1795890215803, 1795890275803, 1795890215810, 1795890223401, NULL, NULL, 0, 1),
	('01a22365-f85c-73c7-977a-ff1efc15279d', 'registration', 'dc624215-7dbd-4f76-a908-728910506c83', 'hal@example.org', '', 'hal@example.org', '', 0, 1, 1795890215004, 1795890215008, 1795890275008, 1795890215020, 1795890218401, NULL, NULL, 0, 1),
	('01a22365-f9a2-7308-9ccf-654a2d2b8eed', 'registration', '91333591-d5a7-41b0-8037-685505c0d17f', 'cyd@example.org', '', 'cyd@example.org', '', 0, 1, 1795890215330, 1795890215340, 1795890275340, 1795890215358, 1795890219401, NULL, NULL, 0, 1),
	('01a22365-fa08-7113-a9c5-7888a420a2cc', 'registration', '0df2f55d-af2e-473f-bf25-fbb08729f147', 'eve@example.org', '', 'eve@example.org', '', 0, 1, 1795890215431, 1795890215435, 1795890275435, 1795890215441, 1795890220401, NULL, NULL, 0, 1),
	('01a22365-fa21-7523-a5e1-ba3d47417567', 'password_reset', 'ff5da789-aaf5-4c87-846e-de7f0099c7bc', 'eve@example.org', '', 'eve@example.org', 'eve', 0, 1, 1795890215457, 1795890215459, 1795890275459, 1795890215464, 1795890221401, NULL, NULL, 0, 1),
	('01a22365-fa95-717e-9ed4-96beb72426d9', 'registration', 'ef844a7e-4b5c-4991-a352-1f8d4d48f2d0', 'dan@example.org', '', 'dan@example.org', '', 0, 1, 1795890215573, 1795890215576, 1795890275576, 1795890215586, 1795890222401, NULL, NULL, 0, 1),
	('01a22365-fbbe-74f3-b503-fb46e3177468', 'registration', '63a7576a-d322-431b-9ba9-4b9ad0eaaee1', 'fay@example.org', '', 'fay@example.org', '', 0, 1, 1795890215870, 1795890215874, 1795890220140, NULL, 1795890224401, 1795890215878, NULL, 0, 0);


--
-- Data for Name: retired_keys; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.revocations OVERRIDING SYSTEM VALUE VALUES
	(1, 'bfae1292-30e9-4b73-a435-377a27556b79', 1795890214675, 1),
	(2, '1dfc2d4d-7462-43ff-b793-11fa7a2e17dc', 1795890214828, 1),
	(3, '50f7a248-b26a-4899-a7c0-afe2621c2a20', 1795890214828, 2),
	(4, '0d302406-b0b2-44ea-b835-41ed10b857e3', 1795890215092, 1);


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.sessions VALUES
	('59a5c1be-2330-45af-9629-4a2963abe595', '731fa2d6-bf8e-42e4-9e01-e77b504f43a0', 0, '7TdQZSlvxkE', 1795890214458, 1795890214458, NULL, NULL, 0, 0, 0),
	('7001e7aa-5312-4c24-89a8-ddf0ec0d9ef7', '731fa2d6-bf8e-42e4-9e01-e77b504f43a0', 1, '7TdQZSlvxkE', 1795890214611, 1795890214619, NULL, NULL, 1, 1795890214619, 0),
	('431fc323-00ed-4a63-84f8-9d679b22a7fc', 'c677e219-8224-4911-b600-51d885263c66', 0, '7TdQZSlvxkE', 1795890215451, 1795890215451, NULL, NULL, 0, 0, 0),
	('36baa01e-4167-40f1-b75f-fa7bf0d3cb05', '25d86c8b-291a-4a13-a6ed-1bc508bbeb48', 0, '7TdQZSlvxkE', 1795890215593, 1795890215593, NULL, NULL, 0, 0, 0);


--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.users VALUES
	('731fa2d6-bf8e-42e4-9e01-e77b504f43a0', 'ada', 'ada', 'ada@example.org', 'ada@example.org', 'ada@example.org', '$argon2id$v=19$m=19456,t=2,p=1$8AZOp000Z4Tucp+y3Wu/QA$48YVcu5/bL180U473vTfuOSrws1ZCrFpxIIXIY4oEtE', 1, NULL, 1795890214458, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('a20a8b25-48cd-4907-b578-8d94cc67e4e0', 'bob', 'bob', 'bob@example.org', 'bob@example.org', 'bob@example.org', '$argon2id$v=19$m=19456,t=2,p=1$QmG+cQrZ3OVA2ni9M3aHpg$j9HcfbgH1E5FsImcuskh6NBuVyQfs9lZyhzQ/lFMh/A', 1, NULL, 1795890214673, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('a7274072-d4e8-4570-9838-28e7483d0853', 'hal', 'hal', 'hal@example.org', 'hal@example.org', 'hal@example.org', '$argon2id$v=19$m=19456,t=2,p=1$lmIGDPpyex6SDJlUCP6+0w$I3xaQOnQwNVqGo1akHXFcm1Llo5MaZlYT/QNt5OHtWw', 2, 1795890215092, 1795890215030, '$argon2id$v=19$m=19456,t=2,p=1', 2, 1795890215092),
	('c677e219-8224-4911-b600-51d885263c66', 'eve', 'eve', 'eve@example.org', 'eve@example.org', 'eve@example.org', '$argon2id$v=19$m=19456,t=2,p=1$RDU9S23NNKcmYSpk8f4L+A$rWXgD6MGM7IQzL24Vr/8v2Bd5m25nIGk3Wp6YrpWyoI', 1, NULL, 1795890215451, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('25d86c8b-291a-4a13-a6ed-1bc508bbeb48', 'dan', 'dan', 'dan@example.org', 'dan@example.org', 'dan@example.org', '$argon2id$v=19$m=19456,t=2,p=1$mXwUeyoukpJZSPPGXH8Udg$+haLqWH03ODNSEVSyIobBYZfalKynHffK1dc1KjIFVQ', 1, NULL, 1795890215593, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL);


--
-- Data for Name: verifications; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.verifications VALUES
	('63a7576a-d322-431b-9ba9-4b9ad0eaaee1', 'registration', NULL, 'fay', 'fay', 'fay@example.org', 'fay@example.org', 'fay@example.org', 'fay@example.org', '$argon2id$v=19$m=19456,t=2,p=1$L55VxFMTsykfZ7LvpuUKjA$fGYUSocwHjZbSqTfCT0/THpx+Rrb1z222TUyqy7QWOQ', 0, '7TdQZSlvxkE', 0, 0, 1795890215874, 1795891115874, 1795890215870, 1795890215870, 0, ''),
	('91333591-d5a7-41b0-8037-685505c0d17f', 'registration', NULL, 'cyd', 'cyd', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', '$argon2id$v=19$m=19456,t=2,p=1$SUbtUroj6SJY1YKTW4g5dg$1WOG5oNOS8MratlncVAkPF+ep+E6SJoN/6JbEsZcPBA', 0, '7TdQZSlvxkE', 0, 0, 1795890215340, 1795891115340, 1795890215330, 1795890215330, 0, ''),
	('ff5da789-aaf5-4c87-846e-de7f0099c7bc', 'password_reset', 'c677e219-8224-4911-b600-51d885263c66', NULL, NULL, 'eve@example.org', 'eve@example.org', 'eve@example.org', 'eve@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795890215459, 1795891115459, 1795890215457, 1795890215457, 0, ''),
	('ec8903c9-fcb6-40ca-8d6f-bda8b5d19afc', 'email_change', '25d86c8b-291a-4a13-a6ed-1bc508bbeb48', NULL, NULL, 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795890215803, 1795891115803, 1795890215799, 1795890215799, 0, '');


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


