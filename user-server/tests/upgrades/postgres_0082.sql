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
-- Name: confirm_email_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.confirm_email_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    new_rank bigint := next_rank_v1(call);
    spent verifications%ROWTYPE;
    before users%ROWTYPE;
    changed users%ROWTYPE;
BEGIN
    spent := spend_code_v1(call);
    IF EXISTS (SELECT 1 FROM users WHERE email_key = spent.email_key AND id <> spent.user_id) THEN
        RAISE EXCEPTION 'the address is taken' USING ERRCODE = 'US001';
    END IF;
    SELECT * INTO before FROM users WHERE id = spent.user_id;
    UPDATE users SET email = spent.email, email_key = spent.email_key, mailbox = spent.mailbox, version = version + 1,
        changed_at = (call ->> 'at')::bigint
    WHERE id = spent.user_id RETURNING * INTO changed;
    PERFORM void_codes_v1(changed.id);
    PERFORM queue_notice_v1(call, before, new_rank);
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', changed.id),
        jsonb_build_object('user_id', changed.id));
    RETURN to_jsonb(changed);
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
-- Name: next_rank_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.next_rank_v1(call jsonb) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE
    next_rank bigint;
BEGIN
    INSERT INTO mail_clients AS stored (client, rank) VALUES (call ->> 'client', (call ->> 'at')::bigint)
    ON CONFLICT (client) DO UPDATE SET rank = GREATEST(stored.rank + (call ->> 'rank_step')::bigint, excluded.rank)
    RETURNING rank INTO next_rank;
    RETURN next_rank;
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
-- Name: open_session_v2(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.open_session_v2(call jsonb) RETURNS jsonb
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
    IF call ->> 'stronger_hash' IS NOT NULL THEN
        UPDATE users SET password_hash = call ->> 'stronger_hash', hash_class = call ->> 'hash_class',
            version = version + 1, changed_at = now WHERE id = of_user;
    END IF;
    PERFORM insert_session_v1(call -> 'session', of_user, now);
    result := end_sessions_v1(ARRAY(
        SELECT id FROM sessions WHERE user_id = of_user AND id <> (call -> 'session' ->> 'id')::uuid
        -- Not by the index of ages, which a plan from before the table grew could read as a whole.
        ORDER BY rotated_at + 0 DESC LIMIT 1000 OFFSET (call ->> 'max_sessions')::bigint - 1
    ), now);
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    RETURN result;
END $$;


SET default_tablespace = '';

SET default_table_access_method = heap;

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
-- Name: queue_code_v1(jsonb, public.verifications, text, bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.queue_code_v1(call jsonb, verification public.verifications, slot text, new_rank bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    now bigint := call ->> 'at';
BEGIN
    INSERT INTO outbox (id, letter, verification_id, budget_key, client, created_at, due_at, rank)
    VALUES ((call ->> 'email_id')::uuid, verification.purpose, verification.id, slot, call ->> 'client', now, now, new_rank);
    -- The slot may be blocked because the networks that wait for it have had their share.
    INSERT INTO mail_turns AS turn (budget_key, letter, next_at, budget_at, waiting, rank, notice)
    VALUES (slot, verification.purpose, now, now, 1, new_rank, 0)
    ON CONFLICT (budget_key, letter) DO UPDATE SET waiting = turn.waiting + 1, next_at = turn.budget_at,
        rank = CASE
            WHEN turn.waiting > 0 AND turn.rank < excluded.rank THEN turn.rank
            WHEN turn.budget_at > excluded.rank THEN turn.budget_at
            ELSE excluded.rank END;
END $$;


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
-- Name: queue_notice_v1(jsonb, public.users, bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.queue_notice_v1(call jsonb, recipient public.users, new_rank bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    now bigint := call ->> 'at';
    -- With the suffix, since another suffix may belong to another account.
    slot text := lower(recipient.mailbox COLLATE "C");
BEGIN
    INSERT INTO mail_turns AS turn (budget_key, letter, next_at, budget_at, waiting, rank, notice)
    VALUES (slot, call ->> 'notice', now, now, 1, new_rank, 1)
    ON CONFLICT (budget_key, letter) DO UPDATE SET waiting = 1, rank = GREATEST(turn.next_at, excluded.rank)
    WHERE turn.waiting = 0;
    IF FOUND THEN
        INSERT INTO outbox (id, letter, budget_key, client, recipient, username, created_at, due_at, rank)
        VALUES ((call ->> 'email_id')::uuid, call ->> 'notice', slot, call ->> 'client', recipient.mailbox,
            recipient.username, now, now, new_rank);
    END IF;
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
-- Name: record_event_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.record_event_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    of_user uuid := call -> 'event' ->> 'user_id';
    is_gone boolean;
BEGIN
    -- Looked up without an account too, so that both take equally long.
    PERFORM 1 FROM users WHERE id = COALESCE(of_user, '00000000-0000-0000-0000-000000000000') FOR KEY SHARE;
    is_gone := NOT FOUND AND of_user IS NOT NULL;
    PERFORM record_change_v1(call, CASE WHEN is_gone THEN '{"network": null, "salt": null}'::jsonb ELSE '{}' END, '{}');
    RETURN '{}'::jsonb;
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
-- Name: refresh_session_v2(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.refresh_session_v2(call jsonb) RETURNS jsonb
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
        RETURN jsonb_build_object('limited_since', (
            SELECT refreshes_since FROM sessions
            WHERE id = (call ->> 'session_id')::uuid AND counter = (call ->> 'counter')::bigint
                AND refreshes >= (call ->> 'max_refreshes')::bigint
        ));
    END IF;
    PERFORM record_change_v1(call -> 'change',
        jsonb_build_object('user_id', advanced.user_id, 'session_id', advanced.id),
        jsonb_build_object('user_id', advanced.user_id, 'session_id', advanced.id, 'session_kid', advanced.kid,
            'session_created_at', advanced.created_at, 'session_rotated_at', advanced.rotated_at,
            'number', advanced.counter));
    RETURN jsonb_build_object('session', to_jsonb(advanced));
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
-- Name: refund_guess_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.refund_guess_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE verifications SET guesses = guesses - 1
    WHERE id = (call ->> 'verification_id')::uuid AND generation = (call ->> 'generation')::bigint AND guesses > 0;
    PERFORM refund_counters_v1(call -> 'charged');
    RETURN '{}'::jsonb;
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
-- Name: request_code_v2(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.request_code_v2(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    now bigint := call ->> 'at';
    new_rank bigint := next_rank_v1(call);
    new verifications%ROWTYPE;
    slot text;
BEGIN
    new := jsonb_populate_record(NULL::verifications, call -> 'verification');
    slot := new.budget_key;
    IF new.purpose = 'registration' THEN
        new.dead := CASE WHEN EXISTS (SELECT 1 FROM users WHERE email_key = new.email_key) THEN 1 ELSE 0 END;
    ELSE
        -- The account must not be deleted before the verification refers to it.
        SELECT id INTO new.user_id FROM users WHERE email_key = new.email_key FOR KEY SHARE;
        new.dead := CASE WHEN new.user_id IS NULL THEN 1 ELSE 0 END;
        -- Looked up without an account too, so that both take equally long.
        IF EXISTS (
            SELECT 1 FROM known_networks WHERE client = call ->> 'client' AND opened_at > (call ->> 'known_since')::bigint
                AND user_id = COALESCE(new.user_id, '00000000-0000-0000-0000-000000000000')
        ) THEN
            slot := (call ->> 'client') || ' ' || slot;
        END IF;
    END IF;
    -- Not by the index of ages, which a plan from before the table grew could read as a whole.
    IF (SELECT COUNT(*) FROM verifications WHERE client = call ->> 'client' AND purpose <> 'email_change'
            AND created_at + 0 > (call ->> 'pending_since')::bigint) >= (call ->> 'max_pending')::bigint THEN
        RAISE EXCEPTION 'too many are pending' USING ERRCODE = 'US001';
    END IF;
    INSERT INTO verifications (id, purpose, user_id, username, username_key, email, email_key, mailbox, budget_key,
        password_hash, dead, kid, created_at, requested_at, client)
    VALUES (new.id, new.purpose, new.user_id, new.username, new.username_key, new.email, new.email_key, new.mailbox,
        new.budget_key, new.password_hash, new.dead, new.kid, now, now, call ->> 'client');
    PERFORM queue_code_v1(call, new, slot, new_rank);
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', new.user_id), '{}');
    RETURN '{}'::jsonb;
END $$;


--
-- Name: resend_code_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.resend_code_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    now bigint := call ->> 'at';
    new_rank bigint := next_rank_v1(call);
    resent verifications%ROWTYPE;
    slot text;
BEGIN
    UPDATE verifications SET requested_at = now, resends = resends + 1, generation = (call ->> 'generation')::bigint,
        guesses = (call ->> 'guesses')::bigint, kid = call ->> 'kid',
        claimed_at = CASE WHEN (call ->> 'is_replaced')::boolean THEN NULL ELSE claimed_at END,
        expires_at = CASE WHEN (call ->> 'is_replaced')::boolean THEN NULL ELSE expires_at END
    WHERE id = (call ->> 'verification_id')::uuid
        AND resends = (call ->> 'was_resends')::bigint AND generation = (call ->> 'was_generation')::bigint
        AND guesses = (call ->> 'was_guesses')::bigint AND kid = call ->> 'was_kid'
        AND COALESCE(requested_at, created_at) = (call ->> 'was_requested_at')::bigint
    RETURNING * INTO resent;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the code has changed' USING ERRCODE = 'US001';
    END IF;
    slot := resent.budget_key;
    -- Looked up without an account too, so that both take equally long.
    IF EXISTS (
        SELECT 1 FROM known_networks WHERE client = call ->> 'client' AND opened_at > (call ->> 'known_since')::bigint
            AND user_id = COALESCE(CASE WHEN resent.purpose = 'password_reset' THEN resent.user_id END,
                '00000000-0000-0000-0000-000000000000')
    ) THEN
        slot := (call ->> 'client') || ' ' || slot;
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM outbox WHERE verification_id = resent.id AND turn_at IS NULL AND settled_at IS NULL
    ) THEN
        PERFORM queue_code_v1(call, resent, slot, new_rank);
    END IF;
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', resent.user_id), '{}');
    RETURN '{}'::jsonb;
END $$;


--
-- Name: reset_password_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.reset_password_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    now bigint := call ->> 'at';
    new_rank bigint := next_rank_v1(call);
    spent verifications%ROWTYPE;
    changed users%ROWTYPE;
    result jsonb;
BEGIN
    spent := spend_code_v1(call);
    UPDATE users SET password_hash = call ->> 'password_hash', hash_class = call ->> 'hash_class',
        credentials = credentials + 1, version = version + 1, changed_at = now
    WHERE id = spent.user_id RETURNING * INTO changed;
    result := end_sessions_v1(ARRAY(SELECT id FROM sessions WHERE user_id = changed.id), now);
    PERFORM void_codes_v1(changed.id);
    PERFORM queue_notice_v1(call, changed, new_rank);
    PERFORM record_change_v1(call -> 'change', jsonb_build_object('user_id', changed.id),
        jsonb_build_object('user_id', changed.id, 'number', jsonb_array_length(result -> 'ended')));
    RETURN result || jsonb_build_object('user', to_jsonb(changed));
END $$;


--
-- Name: revoke_session_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.revoke_session_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO revocations (subject, at, kind) VALUES ((call ->> 'session_id')::uuid, (call ->> 'at')::bigint, 1);
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
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
-- Name: spend_code_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.spend_code_v1(call jsonb) RETURNS public.verifications
    LANGUAGE plpgsql
    AS $$
DECLARE
    spent verifications%ROWTYPE;
BEGIN
    PERFORM 1 FROM users
    WHERE id = (SELECT user_id FROM verifications WHERE id = (call ->> 'verification_id')::uuid) FOR NO KEY UPDATE;
    DELETE FROM verifications
    WHERE id = (call ->> 'verification_id')::uuid AND generation = (call ->> 'generation')::bigint AND user_id IS NOT NULL
    RETURNING * INTO spent;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the code was used' USING ERRCODE = 'US001';
    END IF;
    PERFORM refund_counters_v1(call -> 'charged');
    RETURN spent;
END $$;


--
-- Name: update_user_v1(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.update_user_v1(call jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    of_user uuid := call ->> 'user_id';
    now bigint := call ->> 'at';
    new_rank bigint;
    new verifications%ROWTYPE;
    changed users%ROWTYPE;
    result jsonb := '{"ended": [], "issued_until": 0}';
BEGIN
    PERFORM write_counters_v1(call -> 'counters');
    PERFORM set_counters_v1(call -> 'known');
    IF call ? 'password_hash' OR call ? 'verification' THEN
        new_rank := next_rank_v1(call);
    END IF;
    IF call ->> 'credentials' IS NOT NULL THEN
        PERFORM 1 FROM users WHERE id = of_user AND credentials = (call ->> 'credentials')::bigint FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the password has changed' USING ERRCODE = 'US001';
        END IF;
    END IF;
    IF call ? 'username' THEN
        UPDATE users SET username = call ->> 'username', username_key = call ->> 'username_key', version = version + 1,
            changed_at = now WHERE id = of_user;
    END IF;
    IF call ? 'password_hash' THEN
        UPDATE users SET password_hash = call ->> 'password_hash', hash_class = call ->> 'hash_class',
            credentials = credentials + 1, version = version + 1, changed_at = now WHERE id = of_user;
        result := end_sessions_v1(ARRAY(
            SELECT id FROM sessions WHERE user_id = of_user AND id <> (call ->> 'session_id')::uuid
        ), now);
        PERFORM void_codes_v1(of_user);
    END IF;
    SELECT * INTO changed FROM users WHERE id = of_user;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the account is gone' USING ERRCODE = 'US001';
    END IF;
    IF call ? 'verification' THEN
        DELETE FROM verifications WHERE user_id = of_user AND purpose = 'email_change';
        new := jsonb_populate_record(NULL::verifications, call -> 'verification');
        INSERT INTO verifications (id, purpose, user_id, email, email_key, mailbox, budget_key, dead, kid, created_at,
            requested_at, client)
        VALUES (new.id, new.purpose, of_user, new.email, new.email_key, new.mailbox, new.budget_key,
            CASE WHEN EXISTS (SELECT 1 FROM users WHERE email_key = new.email_key) THEN 1 ELSE 0 END, new.kid, now, now,
            call ->> 'client');
        PERFORM queue_code_v1(call, new, new.budget_key, new_rank);
    END IF;
    IF call ? 'password_hash' THEN
        PERFORM queue_notice_v1(call || jsonb_build_object('email_id', call -> 'notice_id'), changed, new_rank);
    END IF;
    PERFORM record_change_v1(call -> 'change', '{}', '{}');
    RETURN result || jsonb_build_object('user', to_jsonb(changed));
END $$;


--
-- Name: void_codes_v1(uuid); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.void_codes_v1(of_user uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    DELETE FROM verifications WHERE user_id = of_user AND purpose = 'email_change';
    UPDATE verifications SET dead = 2, user_id = NULL WHERE user_id = of_user;
END $$;


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
-- Data for Name: _sqlx_migrations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public._sqlx_migrations VALUES
	(1, 'accounts', '2026-11-29 17:23:58.021196+00', true, '\x545cd739cf9af9a98163a2f40a0033a202f6bbda59cdd240ce7526134fc9ab2d3f79cc958dc0b1dadd62a1d0639006cf', 29356604),
	(2, 'hash class', '2026-11-29 17:23:58.051448+00', true, '\xb131d008047859c5c0b990dfe78a4c307da64dd4492fd849e4876b7d6577724a8fd6c2d32186735fce95a0ba4c4450a8', 1226752),
	(3, 'versions', '2026-11-29 17:23:58.053092+00', true, '\x5401cf737522c0d71173ea77a4070943dde661cc82f5830a2028d901b0929415a2f8c66933b34d8a19b1e6ed95854815', 1220934),
	(4, 'audit', '2026-11-29 17:23:58.054741+00', true, '\x312dac0318909c694d98d4d3248a4ba22a9383c9aa3561cb0541fcb7dee50e22cfa34849041b310ec68cdb263f966180', 10429822),
	(6, 'retired keys', '2026-11-29 17:23:58.065673+00', true, '\xc33a7fad0910d2317d03b41f45e1cb1bc356dae703efd3000b864fa19794cdabb56c1df956507b93eeba3e322a7e35f6', 2900258),
	(7, 'mail turns by age', '2026-11-29 17:23:58.069014+00', true, '\x288c2d33413ae55a2403bcc6765d8805236bf639f6c631936154829cd3e8116cd18f2c44e800c110c075b3c987388f0e', 1104321),
	(8, 'idempotency', '2026-11-29 17:23:58.070522+00', true, '\xf7cc0d6cd0c08b75b86acd1048a5e4a1e31bd30f979a33ebab251047b216f301776dc3b7692d3d0fd590fb34b4834bda', 3805011),
	(9, 'session device', '2026-11-29 17:23:58.074864+00', true, '\xe330941dc63784beea24191d29b0c7edc3275a83c3ea6857570cb92d63740b060163a601d1797182dc845ae0643ed4ea', 478281),
	(10, 'session network', '2026-11-29 17:23:58.075731+00', true, '\x5dcfef488e526c529f78b380b7c21a338475c1914fac4fb3c38509675762b622521d1d062526142b63a2bfc00874032a', 418591),
	(21, 'verification schedule', '2026-11-29 17:23:58.076543+00', true, '\x0a4e74b87eeac3325cea592e897ca44763e8e0cefc0676194f3901049959009a952ff325dcc44e47c09e035af133c4fd', 599681),
	(22, 'verifications by client', '2026-11-29 17:23:58.077575+00', true, '\xb8eae3348f693704dad9876f2b81b6061c752386332229673cdd7dd3938c1ff854dc984255422e245faaebbb3377bac9', 1357876),
	(23, 'outbox attempts', '2026-11-29 17:23:58.079355+00', true, '\x7ad966a019fa72d90fe9f88e5752f2d28c1e151c338965b2b51ff4c3064888b727a5186a670485b70cecfd331617e15f', 671096),
	(24, 'outbox failed', '2026-11-29 17:23:58.080431+00', true, '\x3eb9d4920307efd8244bc938f2d4fdf09f7311a66a1e17acef477ac068cc8fb8d6b2db1e8cc6c304fe94190ec7b9bdd4', 1269927),
	(25, 'outbox delivered', '2026-11-29 17:23:58.082164+00', true, '\x4aba1c3d82886b92614344211034049726694e12c2dd6ef55d0023bc61ed920b464df122190960bf7790393a14eee7d2', 1224529),
	(26, 'mail slot order', '2026-11-29 17:23:58.083866+00', true, '\x0f482098ecda2c4944dba09401fbc8bb8fcf88194c4b855314eaaaa9f620f7f28502c0badb6ed0494cde191b76e0e74b', 620632),
	(27, 'mail turns ranked', '2026-11-29 17:23:58.084871+00', true, '\xc3593a4b248f4f7b0e42b7795738108ad845b7cc80c3a319227829b05376248eeedaf5caad770fd9611a66c675f762cf', 1982400),
	(28, 'mail clients', '2026-11-29 17:23:58.087507+00', true, '\x5c12bd782aa14316f5e71bf4e605a58b0f72e40475cc32896c5e8dc26dbf9fd3abf635a029723d0721289728f992da90', 3194244),
	(29, 'mail clients by rank', '2026-11-29 17:23:58.091217+00', true, '\x8dd36a8ac88371142c7f21b74dd03d4a4bb33a990dd450f8bdd288ea41faa897ea18ae709e435ffd9524cf2da35cf3e9', 1623657),
	(30, 'known networks', '2026-11-29 17:23:58.09335+00', true, '\xfeb0ce2f145210cdb6052f54a22c244971c36daf25ae720e2790697ef2c3cbddc5fc22b347caacd1c6421fec0cd30d72', 3311834),
	(31, 'known networks by age', '2026-11-29 17:23:58.097156+00', true, '\x06daa9953eed21a122d91a43de632d6fea2a7b6ec9d6213f789a9f5a4bd1f501bc7c89af1e9c33cdd06e84b19fefde48', 1107965),
	(32, 'session refreshes', '2026-11-29 17:23:58.098676+00', true, '\x1f5047f3f8e013c001c61efdffa7ee62afd75fdb641ae6a617ca3e317366dcd94e2952ad5bdbf52eb00a281e2771dcb0', 504409),
	(33, 'session refreshes since', '2026-11-29 17:23:58.099568+00', true, '\x7f841c7c94d453415184ee85f92b27215256533685d5e8764b4d4d6c947fec7d49b4209116dde61af03ce9b104dd0d94', 471751),
	(41, 'claims of nodes', '2026-11-29 17:23:58.100447+00', true, '\xf9fb6c83a2e1aa3f7651c1c97230c74501166a7b0b9f29cc8004073624e03b3119db1b2f23f148554277cb1e2cf07182', 436338),
	(42, 'nodes', '2026-11-29 17:23:58.101279+00', true, '\x6dde5a9253263d38d76b9de8f1edc7cdd11e08e5a0208ad3a8bdcc08fb8f645b39f93fbd47ea708fb1aacdb10548d528', 1758072),
	(43, 'revocation kind', '2026-11-29 17:23:58.103457+00', true, '\x9f9c4936d2919e583b7cef5150d216bc4c712b83a9466a14a1facbbb1a054c631e4783150427049efbd0204620971761', 414886),
	(44, 'erased revocations', '2026-11-29 17:23:58.104436+00', true, '\xab400667f457c20cd2a2e3066e678706713f02e636a66dbda0674c08cb8db0e57443edc95df888c3a170ecc74b172a26', 2691648),
	(45, 'session issued until', '2026-11-29 17:23:58.10755+00', true, '\x01cc93bd8e296bc94fe875dfb63d7da3fbcc55bdeddbbc873b75c656a8da3d82d61ef49f15fb5620e8c52c2714615895', 542707),
	(46, 'write counters', '2026-11-29 17:23:58.108448+00', true, '\xeb00065aa64ba9e1a02696bf464e3db185027cf6983fbe27e08be4f8b7916d3f7d604cdc2bbabd11eb0ddf035691dc85', 1716520),
	(47, 'set counters', '2026-11-29 17:23:58.110776+00', true, '\xf56d36f7e93265c589f82ff2a18bf74219dcabc9e6cc3308bde4bf39c3ac08446ca8bedf0524c93c77af03231729233e', 772989),
	(48, 'refund counters', '2026-11-29 17:23:58.111962+00', true, '\x9157447f6780f124e0efcd915ea8bd00f50464862b63c3d8a3d2872cde953f31cbeebfd0d31aa3885234ce74ac32ff73', 504209),
	(49, 'record change', '2026-11-29 17:23:58.112966+00', true, '\x7a22df464b73c488e37a7a8f690f7e16994c58375781b01dee3c27799abc0728b3279525c572ee4ebd44c32afee94c04', 563336),
	(50, 'adjust counters', '2026-11-29 17:23:58.113944+00', true, '\x1d19770787a13758c557ad3d70b8967b2f333f58c6ba0858154390b63bc3daf3893a375b03586582b52309a6be624436', 533692),
	(51, 'insert session', '2026-11-29 17:23:58.115032+00', true, '\x7c4dd43aa7403877e8c73d2809784e9559bc3b2d0a66c659498a3273c5a6713a03d9572b2c52c5c1d12527d9c47e6a98', 569265),
	(52, 'end sessions', '2026-11-29 17:23:58.115998+00', true, '\x0b772c764c687329427126256859cdc1fb5e0e91866c06f4fe6b46ffbc946060bb3cda88c922245709426da3922abc6f', 439423),
	(53, 'open session', '2026-11-29 17:23:58.11683+00', true, '\xe82b648245145b1d8a737aacd923c45d0dc0709e16cced15d5e9a8ad643fc9b9deea72e7af09eff04a04053536fee889', 605479),
	(54, 'charge guess', '2026-11-29 17:23:58.117868+00', true, '\xf0efd80ca4f644c3802273a61343d7362185898a198aa8e38b11c3aac9531b068b181dac476da78e0b134719ef24a294', 451251),
	(55, 'activate', '2026-11-29 17:23:58.118725+00', true, '\x83706acbb1575154b9c28016f8947777b3cb21d173378ff18bddd177f6a9cadab0b5e8de3950c52c182a488867bb3ab9', 608864),
	(56, 'request code', '2026-11-29 17:23:58.119745+00', true, '\x204d304a615cfc3ae3bb638e1e82d5c1d30e6cfeda45204f92f06945362973893689581b426ca809d935cacbd9c13b47', 694992),
	(57, 'refresh session', '2026-11-29 17:23:58.120865+00', true, '\xec1ac2fba8744959f7779b8230800208330082f0f9980144e4fc0690b3e67640a3217cef346c7582bd398f1452eb4e09', 810649),
	(58, 'end session', '2026-11-29 17:23:58.122212+00', true, '\xb527c80a160dd28659234f39c6142b0503d5705c9c60f086ec529f8387bf85932ad698eb2295544a84e7009fe2bbf8f1', 533492),
	(59, 'rename user', '2026-11-29 17:23:58.12316+00', true, '\x2409829665dcd476ad513d1a80ab70824d1921c06ebfe9b8828f9cf72892033c672407a5dba91b1ca24b270ec9d15fe9', 510548),
	(60, 'delete user', '2026-11-29 17:23:58.124066+00', true, '\x45d86c899e1ac27eea3ef9ef4fddddaa34cc6eb924b9e47e6eb285cf7e00d672852eb736f25e26c51e931ed27e904d67', 667171),
	(61, 'end all sessions', '2026-11-29 17:23:58.125126+00', true, '\xcfed02c1c829263dfee49ec0b9e4a2933f7954e9dedfde67f707be2afbf3522043eea1198bc65188a24d0ae9703f133a', 613726),
	(62, 'sessions by issue', '2026-11-29 17:23:58.126226+00', true, '\x0fed7db0cdc94eec536aaf9c096df0e23cbef8640430e0fb06cbdec387d48643d96c052391f9a85482ffa9f513ed7d97', 1346730),
	(63, 'plans of write counters', '2026-11-29 17:23:58.12799+00', true, '\x4ad34ae4ae085b1c90fbabe056a2e75c98f8686fcaf4307e118fab8da1c66098fe94aea11ead6d07f0ed201919b1882f', 408827),
	(64, 'plans of adjust counters', '2026-11-29 17:23:58.128793+00', true, '\x0f2f67cf802e260d0e78ca3daa4f6e781dc623c5c016ecd8ecc1f1a584ba20f1ecfee209063ac6d68c692496251f9c48', 387756),
	(65, 'plans of refund counters', '2026-11-29 17:23:58.129557+00', true, '\x9a7c5e743b1873c10c2b59bd3fec6ddc8f304d80ba1825527bb496422c0bd898e3978a7d3886d6214672b2481be025f5', 623481),
	(66, 'read counters', '2026-11-29 17:23:58.130621+00', true, '\x169e714a2294c9ca322bfbb0cb002677ad4b6471f46fc7a4192b6aafc91fd81045ad1b3d7dedfe9ef6ebbf6a432f84d1', 462908),
	(67, 'plans of end sessions', '2026-11-29 17:23:58.131498+00', true, '\xcde5c89c728d756204cded7e084364f2d930862fd0eac72c62bf730d91574da57c11d37a0a3ee670dda28214e3df8a43', 402768),
	(68, 'next rank', '2026-11-29 17:23:58.132363+00', true, '\x7cce0fb22b1d12d7cf0762ada1aac16c2e080e4d7f9e1a2b29ecd238d7ce790481192585a0da03585f53e9fab6abafed', 460824),
	(69, 'void codes', '2026-11-29 17:23:58.133232+00', true, '\xb583a18309456c55daad221ae3a83f2c3f089eecd3b5af6afd2869c161e60462aa6920a1e0ca9fb6d54cf26ee717f218', 438171),
	(70, 'queue code', '2026-11-29 17:23:58.134117+00', true, '\x29653f921eb2ab3bc58a364fa17844b2941091d72e750d1cf5e93e6e4d0500e0c9bc888c3ddd0fec218b542896cc0cd0', 540974),
	(71, 'queue notice', '2026-11-29 17:23:58.135212+00', true, '\xee83031d8f7a68223725815b970c3778c678cb20c0fa44ec9b6b7875e0519cf02fcf91a501dffccdb968dcadc60110f5', 492401),
	(72, 'spend code', '2026-11-29 17:23:58.136294+00', true, '\x6986251a28506720e0436c5461d4612f3a4be62474bafdd209ef44141f3b770667f46cf89bf047e4791099991fb663c9', 615474),
	(73, 'reset password', '2026-11-29 17:23:58.137346+00', true, '\xb8566bae564ee89ab428c2f0531c69eafe88b1de810baaa189d90a33dc411121b4cffd0c2e6556548b2f398d624a3aeb', 502566),
	(74, 'confirm email', '2026-11-29 17:23:58.138336+00', true, '\xf211e9af81fe831f24a1bcfb917e3f69d081df1df7528ebda880247c812003f3a8b61209a270fdbcb43e02dfdf69762b', 499072),
	(75, 'update user', '2026-11-29 17:23:58.139237+00', true, '\x7b6e02ba6686bc8bd9cf5cd297fab1219b7bffa8c67d6426251552378112775fe032d4d9b7ea877dbc9033453530bea1', 641263),
	(76, 'resend code', '2026-11-29 17:23:58.140363+00', true, '\x8e995abdd04c5924b12c8000abaa52ea4c98be49257e7e5ea43512c84bb66c8f97e2f5ae5db9822657cf160125e736cc', 726880),
	(77, 'refund guess', '2026-11-29 17:23:58.141506+00', true, '\x20658a8d6e4cbdc9ba95db834baa3aeffb335997437477c04ada246f0ea5dc6c3a97df5cbf608123a088c17afb407ffa', 475727),
	(78, 'refresh session', '2026-11-29 17:23:58.142399+00', true, '\xbe36627c0e629cc9757460a1d65dcb48111b56c57b16753f9c7a0c9348214b7e6eaf106354db0cc8e80cd0e76f4c9371', 558229),
	(79, 'revoke session', '2026-11-29 17:23:58.143392+00', true, '\x0e325909f8e1ef984c2d4da79bfc65a596f54f70250931c1987a63ca5c102e15ff457bf841c07b33d1085656ac74124c', 422578),
	(80, 'open session', '2026-11-29 17:23:58.144208+00', true, '\x2839b733bf99c20bd61bf08d41bab67ebca6262fad213c10e8849cf23f9602d6802371b29b93fef5bbb6438f7380868f', 459242),
	(81, 'record event', '2026-11-29 17:23:58.145099+00', true, '\xfd66cfa0c546d5f408071b6f0ff1e5d6f62e0043222cd3977cc14e82358dda98792e7302ea3ad6b7b64a49d85e71365a', 458541),
	(82, 'request code', '2026-11-29 17:23:58.146017+00', true, '\x6da3f03ef22bd6e5c2065346466e98c7a32a8ebfb1e4ba6ca7b53ae8bd86f5614a13ca6c08216a1ef12d29d6af1f7d15', 649125);


--
-- Data for Name: audit; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit VALUES
	('01a22855-c090-76fd-a176-082fd91eac57', 1795973038224, 'registered', NULL, NULL, '\x6e44088cffbc4f36bdc8c9275ceba4d2', '', NULL, NULL, NULL, NULL, 1, NULL, '\xafd776b5ddaffb6f91bdf92be9ffd58d4af30c009a01cfd6bca00a5eae8313a8', '7TdQZSlvxkE', '\xd73afe12e52a2f36f66a8622d0b94a464b619a27fc7ef1ae38d914df225d6867'),
	('01a22855-c0a4-7599-ab40-4525088d74ac', 1795973038244, 'verified', 'e6cb9d3d-a2a1-4e13-8525-7d8d35149ccb', '029e0afa-f712-4248-9425-a9bc22dae5f3', '\x6e44088cffbc4f36bdc8c9275ceba4d2', '', NULL, NULL, NULL, NULL, 2, NULL, '\x3fe084289c580ae19e59fb53166087bb45f250cd024adfa6e0a6118cf83de3a7', '7TdQZSlvxkE', '\x0cf2d82003d790e1e3f8bdd5507d153ce7dca78d35bf7c80d3e015dc0c3ff02d'),
	('01a22855-c0c3-7368-875b-8e28dc503d11', 1795973038274, 'logged_in', 'e6cb9d3d-a2a1-4e13-8525-7d8d35149ccb', 'dbc89861-ae0b-48a0-a139-0fd5c9ee8b0a', NULL, '', NULL, NULL, NULL, NULL, 3, NULL, '\xf45f3e4c5f83f7bbfdcd165b1859e886981e7f213c86a225844ba4e586b508d6', '7TdQZSlvxkE', '\x5eab42491bc3fe052b64324d989a057c56e9ed0bd1eb751c97805d4f8ca205d2'),
	('01a22855-c0c6-7689-893a-10b2760bb87d', 1795973038278, 'refreshed', 'e6cb9d3d-a2a1-4e13-8525-7d8d35149ccb', 'dbc89861-ae0b-48a0-a139-0fd5c9ee8b0a', NULL, '', NULL, NULL, NULL, '\xc1a892fe0741280c352245a42492429b1d07e3773dc21971f4de95a17aa79b80', 4, NULL, '\xd42410e3611f1442ed7307705f03d61764160874e0010e2c51597599782fe98c', '7TdQZSlvxkE', '\xff91e6aabfac98d488ce19b49868171f625239715627d9db8626646b674b3f51'),
	('01a22855-c0d8-7249-8820-b0834d41ceb3', 1795973038296, 'registered', NULL, NULL, '\x11e662c0e2af4fef9dc1977702018551', '', NULL, NULL, NULL, NULL, 5, NULL, '\x9095435db3ee09fdbb53564bd785a55b03ba6cbce5912b7a366686ecda7bf0f4', '7TdQZSlvxkE', '\x5e5fe8be1efc8aa18f23699cb5bc76bf4b8f8a92a8491cf4f4fd3c6cd427986b'),
	('01a22855-c0e8-7583-8c5d-032dd5c1456a', 1795973038311, 'verified', '02c120bc-81c8-43ab-b58b-e4eae18c48ec', 'e4b2ae3f-cb07-483a-b8cc-506be61e6a05', '\x11e662c0e2af4fef9dc1977702018551', '', NULL, NULL, NULL, NULL, 6, NULL, '\x0d1cbae5d951eecd65527cbf655d429085e66fd97d77a650d057aa6a214ed400', '7TdQZSlvxkE', '\x619e3e1f2120cd762feaba2e3bee51088ab1bfcd4c5116b83d66a50ecbc2c0ff'),
	('01a22855-c0ea-752d-8f7b-59b23121bd5c', 1795973038313, 'logged_out', '02c120bc-81c8-43ab-b58b-e4eae18c48ec', 'e4b2ae3f-cb07-483a-b8cc-506be61e6a05', NULL, '', NULL, NULL, NULL, NULL, 7, NULL, '\x499bfeb0769caa7b07754d55a11bff1e28dc10a3cd9e9fcccf1cbf87b52eba50', '7TdQZSlvxkE', '\x693ba1066407f1100ff8f94861363cf30aaeeebb7912901a803a305906c290a6'),
	('01a22855-c0fc-763a-bcf7-ddfa1b456739', 1795973038332, 'registered', NULL, NULL, '\xac88c145fd6e4ff5a29766f4bf3e80cf', '', NULL, NULL, NULL, NULL, 8, NULL, '\x2ee37ce4f932270b3ae81de6cd56ac7a0b3258a739e3ae7620e15fecc41b640e', '7TdQZSlvxkE', '\x727b8f36805cbc62f847fcae14c65436b439615bae8643440c0ad2ff991f7455'),
	('01a22855-c10b-746f-a481-c6834a016d7b', 1795973038347, 'verified', 'b08342fd-7f4e-4171-bd08-63e0e7f2d81d', '7152e2e9-eed3-4ad7-b891-ab91c44a948e', '\xac88c145fd6e4ff5a29766f4bf3e80cf', '', NULL, NULL, NULL, NULL, 9, NULL, '\xb38cbb3df6da8d7cd5a8e1aae3f317024126bda059c4d594054c0e425015691d', '7TdQZSlvxkE', '\x2b9099ca2ff4a4e605386461d006421f62b2f42a8a43b2d3c78e879d14c39aef'),
	('01a22855-c11e-7592-a367-5edffda0ac63', 1795973038366, 'deleted', 'b08342fd-7f4e-4171-bd08-63e0e7f2d81d', NULL, NULL, '', NULL, NULL, NULL, NULL, 10, NULL, '\xf1e9e14568664f7e809f7de01a42a333379bfc96e0037c4fe87eed177d7dd0dc', '7TdQZSlvxkE', '\xad5ade4fc5358743f2dbd73accf9ca841bc387b51072fac74228ed9ed770e149'),
	('01a22855-c135-7410-b514-bffcfc96f077', 1795973038389, 'registered', NULL, NULL, '\xd75d928b1ced43278b22e2b1216cd65a', '', NULL, NULL, NULL, NULL, 11, NULL, '\x4d79d12ce772b99c5b498ebf11b3e02ebc1ddfd92f0b591e860ab617b27c87e9', '7TdQZSlvxkE', '\x8eebc3b7b4dd2240a2cfc86acd6f21cb19b8932fffa81543389e0392e467a1b7'),
	('01a22855-c145-711c-9aac-28546d48d6d4', 1795973038405, 'verified', '00b03bd9-1816-488f-a87e-ab482b8cdb4c', '09ebc81b-0167-47f2-b13c-683953a20038', '\xd75d928b1ced43278b22e2b1216cd65a', '', NULL, NULL, NULL, NULL, 12, NULL, '\x3c29b3b1f2535ccd256fd6ecace1243c1c0a5bafac6a5bd9fc73d91fa07c1c03', '7TdQZSlvxkE', '\x4c3060da6a23fb07f41538a4e8dc053ca855c73240e4d6f5f4effa1734c36170'),
	('01a22855-c15f-73bb-89a5-2693e919e9de', 1795973038428, 'disabled', '00b03bd9-1816-488f-a87e-ab482b8cdb4c', NULL, NULL, '', 'root', NULL, NULL, NULL, 13, NULL, '\x79aa7f1605537ff045e86a8dea4078de271a19ad584aad37a270d4001795d92f', '7TdQZSlvxkE', '\x7a62dddd1693ae13aa2d4b99c9674b4bf9afbb30b30245f89496416f7a397aa0'),
	('01a22855-c175-761b-a6a2-3599679b1c6f', 1795973038452, 'registered', NULL, NULL, '\xebec2e101814452fadcb94f1b70ee54b', '', NULL, NULL, NULL, NULL, 14, NULL, '\x52b95cb667e05ef4f54d99614f2f4ef415dcd79343411a5e359fb0293ca7adbb', '7TdQZSlvxkE', '\xd0c4782a83a34d1618a858558e7845f794508e5fd7d6547232bcc32e3d164c89'),
	('01a22855-c192-70bc-a6df-fa161bf4aaff', 1795973038482, 'registered', NULL, NULL, '\x2a5f5ca5ce2549e99a1481ba49a4c4ee', '', NULL, NULL, NULL, NULL, 15, NULL, '\x2d1cebdea29cc073f0fa03d3e6a45ebc13a481e10a50e4db8e62b306557f6742', '7TdQZSlvxkE', '\xd064e533b7e7ee6634ec5f383382eb10009dfaad344f7429e72755f58bc38b89'),
	('01a22855-c1a2-7262-adc1-bf32fe162dd7', 1795973038498, 'verified', '3494582f-d219-4ba2-91da-3887702bc756', 'a62c01d7-6fe8-4c71-a8da-a71025f64692', '\x2a5f5ca5ce2549e99a1481ba49a4c4ee', '', NULL, NULL, NULL, NULL, 16, NULL, '\x2dce57b06b78d2a598382f9ad4ec1233a8c3e85abb5f3c0be7b443aee3dc0af3', '7TdQZSlvxkE', '\x46edfbc33c43195eb6c1e5ed31c9ce3ff6c4d5fc8c76715232e1f1e87e222349'),
	('01a22855-c1a4-7341-8d70-d6a8eafd0e9b', 1795973038500, 'reset_requested', '3494582f-d219-4ba2-91da-3887702bc756', NULL, '\x3808dbcb4984489d8078c49686d1c7d6', '', NULL, NULL, NULL, NULL, 17, NULL, '\xf3053dc060c173cf7bedd1d50778edbb19089f1e72850319e86508831e014217', '7TdQZSlvxkE', '\xb0dc290d1d2d7050da4036dc14cffe9ec2fcc778279911b1f1e2be1065169975'),
	('01a22855-c1c2-74ea-a3a9-cb62e3971521', 1795973038530, 'login_failed', '3494582f-d219-4ba2-91da-3887702bc756', NULL, NULL, '', NULL, '192.0.2.7', '\xa053fb0b7d054e9f91e79667bdcc47de', NULL, 18, '\x5555c2983d2a70695587981a3a358bcf2dee0ad3cedbb69273b1d4d3fed3e18e', '\x799d481b5328cca5573357365997df9a144b6e6dc1dce299eebbff3d161c68a6', '7TdQZSlvxkE', '\xb8471b840f83f87f01358ee9a948e16ccd7889416698ff5ec2b2b6135ba0a34c'),
	('01a22855-c1d5-7718-9a18-98b35b0b9e83', 1795973038549, 'registered', NULL, NULL, '\xc9de1369c4e545c5a430cf1a1b46aebb', '', NULL, NULL, NULL, NULL, 19, NULL, '\x5f93801fcb5fd1bcd1b86719d17a3a1ec28cc99226a7164d3dc3ab203e598524', '7TdQZSlvxkE', '\x1a8454acec3983ee9cead70dd582f58020af6c260f4a9e8fc33820af4b9d59d6'),
	('01a22855-c1e4-70de-a950-d7c12022f6be', 1795973038564, 'verified', '059bfdc2-ff9b-426a-83e3-3530c493350e', '8171d424-1d71-4485-889e-a491389cb062', '\xc9de1369c4e545c5a430cf1a1b46aebb', '', NULL, NULL, NULL, NULL, 20, NULL, '\x9f72df4068ad7056afd07c1ab793b3e24e3befd87a86f81ed1e80ff7cec84ac0', '7TdQZSlvxkE', '\x4801bf2109f9b5be0b13beb02872d8a4d89963345f4cff51cfdca9dbce46d2b7'),
	('01a22855-c1f7-73ec-9a19-58539ecc1aaa', 1795973038583, 'updated', '059bfdc2-ff9b-426a-83e3-3530c493350e', '8171d424-1d71-4485-889e-a491389cb062', NULL, 'email', NULL, NULL, NULL, NULL, 21, NULL, '\x4b1d8245c8cea80eb2461f210850cab30d75a0805c63f04213bd5f4f4b713f24', '7TdQZSlvxkE', '\xa4b238a4878a3ccea16bb9315133171d7709d4e4beb0d6759743442f2014c17d'),
	('01a22855-c21a-71e7-a53b-a83291ad46bb', 1795973038618, 'registered', NULL, NULL, '\xaa4450e95e20447595eb5c8f4071f0d3', '', NULL, NULL, NULL, NULL, 22, NULL, '\x7f2f8b880e41c799adb938678d41d2a240bc92ca22afb47a21d73ea0a13bbb46', '7TdQZSlvxkE', '\xe4a181c006e97d5e4e98316da379cd50f19a460465046dc2735356d4692b4c97'),
	('01a22855-c615-72e3-96bd-b533d67dad81', 1795973039641, 'login_failed', NULL, NULL, '\x3132ee7682116b86dc445475770a767223039ec9443b15fcc5dd24c859b2e8fb', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);


--
-- Data for Name: audit_chain; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit_chain VALUES
	(1, 22, '\x7f2f8b880e41c799adb938678d41d2a240bc92ca22afb47a21d73ea0a13bbb46', 0, '\x0000000000000000000000000000000000000000000000000000000000000000', '7TdQZSlvxkE', '\x47b0f5663ef26bc63b6238793e4bf1a664378ff177d92e44051ad734bdcf7213', '1424b0f0-bdad-484d-9fa7-b797dd56fd02', 1795973044171);


--
-- Data for Name: counters; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.counters VALUES
	('\x4590d463e9bb6a3fb46cd7823ce513f2da240810e41223f3bd5db3ee34e99547', 0, 1795973038247, 0, 1796059438247),
	('\xc476787fadef14a240f35fe8530a6e2316d7542c5392fba7c51fb9e1a0e170c7', 1, 1795973038274, 0, 1795976638274),
	('\x92a688ccdb2d9ce207061228c10da45064ea39a68b8c6e511bf741bb993d6641', 0, 1795973038349, 0, 1796059438349),
	('\xd88da53b3c5fc5616a2311a04876a5c0261caeee6bcad8887006b9aecca1a4b2', 0, 1795973038349, 0, 1796059438349),
	('\x80aa6b9b652893ec94314ae925cb87d0c6e18c29b38d8e05f5e554e07a119834', 1, 1795973038500, 0, 1795976638500),
	('\x503ec47999a4699ef77eeef90abe13ae0a6f927aa2ba50ff4e1cc8c8a060f5f4', 1, 1795973038514, 0, 1796059438514),
	('\x832bf8e2bed7cd196c3f78718f08cacff83fd4dd6dd8e6a5df838293ee9ccf7b', 0, 1795973038514, 0, 1796059438514),
	('\x9bba17f7cf3448efc284cbf3be7b88b4f9254d09a47a7f66ca04af4e7881e542', 1, 1795973038514, 1795973038514, 1796059438514),
	('\xf23d85f7164d81c7609611ac5adb5db7d5ce788e4acc9155333b4d5d7826482b', 1, 1795973038514, 0, 1795976638514),
	('\xd087d086a16f72d03e725bfd4c4bdd6855ee3f8d14d2de03da3264454502ec88', 0, 1795973038563, 0, 1796059438563),
	('\x52d87079c84c348aa0ce2ffddaf5f88a0d083f6e3616e322c60c485f93ca1854', 0, 1795973038566, 0, 1796059438566),
	('\x98d20987e5278b32856264791e8c18366b777bed6e27621e13325fda87549822', 0, 1795973038566, 0, 1796059438566),
	('\x25c0083dba82c8e522afc64371442c976ae847773c5d101b3e4632b775072da6', 1, 1795973038583, 0, 1796059438583),
	('\xda8768b0d63e8c0263138ff1b086bf7d83dc03668d5b74cdbe491e85654faad8', 1, 1795973038583, 0, 1795976638583),
	('\x61e371b8b55988e2c319448ab2747216a37337dee1867c1b0820f05ba7213f54', 8, 1795973038179, 0, 1795976638179),
	('\x156aba40a0b7ed19492d71296b9094f3d90f9dec4a2d6e9b72d6e6ef1bfd4a02', 1, 1795973039626, 0, 1796059439626),
	('\xb834251f40a63ea5bd6e58c2afea3970dad2aa703b3d1c74ca127541c05c5e6e', 1, 1795973039626, 0, 1795976639626);


--
-- Data for Name: erased_revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.erased_revocations VALUES
	(1, 0);


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.idempotency_keys VALUES
	('616e2075-7067-7261-6465-2773206b6579', '7TdQZSlvxkE', '\xd2a8cc368be7464b38921ec71c28e1f23238e440774f0af3966019dc787cb00b', 'd93d6164-c613-400e-aef2-c67bca367891', 1796059438618, 1795973038618, NULL, 'aa4450e9-5e20-4475-95eb-5c8f4071f0d3', NULL, NULL, NULL, NULL, 0, '8d9605e7-a498-4687-805a-b4e9f2b73a47');


--
-- Data for Name: known_networks; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: mail_clients; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_clients VALUES
	('', 1795973048224);


--
-- Data for Name: mail_turns; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_turns VALUES
	('ada@example.org', 'registration', 1795973098229, 0, NULL, 1795973098229, 0, 1795973098229),
	('bob@example.org', 'registration', 1795973098298, 0, NULL, 1795973098298, 0, 1795973098298),
	('gus@example.org', 'registration', 1795973098334, 0, NULL, 1795973098334, 0, 1795973098334),
	('gus@example.org', 'deleted', 1795976638369, 0, NULL, 1795976638369, 1, 1795976638369),
	('hal@example.org', 'registration', 1795973098390, 0, NULL, 1795973098390, 0, 1795973098390),
	('cyd@example.org', 'registration', 1795973098454, 0, NULL, 1795973098454, 0, 1795973098454),
	('eve@example.org', 'registration', 1795973098484, 0, NULL, 1795973098484, 0, 1795973098484),
	('eve@example.org', 'password_reset', 1795973098501, 0, NULL, 1795973098501, 0, 1795973098501),
	('dan@example.org', 'registration', 1795973098550, 0, NULL, 1795973098550, 0, 1795973098550),
	('daniel@example.org', 'email_change', 1795973098585, 0, NULL, 1795973098585, 0, 1795973098585),
	('fay@example.org', 'registration', 1795973098619, 0, NULL, 1795973098619, 0, 1795973098619);


--
-- Data for Name: migration_lease; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: nodes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.nodes VALUES
	('8d9605e7-a498-4687-805a-b4e9f2b73a47', 1795973039169);


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.outbox VALUES
	('01a22855-c090-76fd-a176-082ef03b9ac1', 'registration', '6e44088c-ffbc-4f36-bdc8-c9275ceba4d2', 'ada@example.org', '', 'ada@example.org', '', 0, 1, 1795973038224, 1795973038229, 1795973098229, 1795973038236, 1795973038224, NULL, NULL, 0, 1),
	('01a22855-c0d8-7249-8820-b082f7fce55a', 'registration', '11e662c0-e2af-4fef-9dc1-977702018551', 'bob@example.org', '', 'bob@example.org', '', 0, 1, 1795973038296, 1795973038298, 1795973098298, 1795973038302, 1795973039224, NULL, NULL, 0, 1),
	('01a22855-c0fc-763a-bcf7-ddf93e4abfa2', 'registration', 'ac88c145-fd6e-4ff5-a297-66f4bf3e80cf', 'gus@example.org', '', 'gus@example.org', '', 0, 1, 1795973038332, 1795973038334, 1795973098334, 1795973038338, 1795973040224, NULL, NULL, 0, 1),
	('01a22855-c11e-7592-a367-5ede5f3d0a24', 'deleted', NULL, 'gus@example.org', '', 'gus@example.org', 'gus', NULL, 1, 1795973038366, 1795973038369, 1795973098369, 1795973038375, 1795973041224, NULL, NULL, 0, 1),
	('01a22855-c1f7-73ec-9a19-5854f8edeb4f', 'email_change', '6cc85d45-5f5f-4aca-8fda-308697e91c48', 'daniel@example.org', '', 'daniel@example.org', '', 0, 1, 1795973038583, 1795973038585, 1795973098585, 1795973038588, 1795973047224, NULL, NULL, 0, 1),
	('01a22855-c135-7410-b514-bffbce2cb6f4', 'registration', 'd75d928b-1ced-4327-8b22-e2b1216cd65a', 'hal@example.org', '', 'hal@example.org', '', 0, 1, 1795973038389, 1795973038390, 1795973098390, 1795973038395, 1795973042224, NULL, NULL, 0, 1),
	('01a22855-c175-761b-a6a2-359848e45167', 'registration', 'ebec2e10-1814-452f-adcb-94f1b70ee54b', 'cyd@example.org', '', 'cyd@example.org', '', 0, 1, 1795973038452, 1795973038454, 1795973098454, 1795973038458, 1795973043224, NULL, NULL, 0, 1),
	('01a22855-c192-70bc-a6df-fa15840028a6', 'registration', '2a5f5ca5-ce25-49e9-9a14-81ba49a4c4ee', 'eve@example.org', '', 'eve@example.org', '', 0, 1, 1795973038482, 1795973038484, 1795973098484, 1795973038488, 1795973044224, NULL, NULL, 0, 1),
	('01a22855-c1a4-7341-8d70-d6a7a00359cc', 'password_reset', '3808dbcb-4984-489d-8078-c49686d1c7d6', 'eve@example.org', '', 'eve@example.org', 'eve', 0, 1, 1795973038500, 1795973038501, 1795973098501, 1795973038504, 1795973045224, NULL, NULL, 0, 1),
	('01a22855-c1d5-7718-9a18-98b2f761d16c', 'registration', 'c9de1369-c4e5-45c5-a430-cf1a1b46aebb', 'dan@example.org', '', 'dan@example.org', '', 0, 1, 1795973038549, 1795973038550, 1795973098550, 1795973038553, 1795973046224, NULL, NULL, 0, 1),
	('01a22855-c21a-71e7-a53b-a831d9bff061', 'registration', 'aa4450e9-5e20-4475-95eb-5c8f4071f0d3', 'fay@example.org', '', 'fay@example.org', '', 0, 1, 1795973038618, 1795973038619, 1795973042839, NULL, 1795973048224, 1795973038621, NULL, 0, 0);


--
-- Data for Name: retired_keys; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.revocations OVERRIDING SYSTEM VALUE VALUES
	(1, 'e4b2ae3f-cb07-483a-b8cc-506be61e6a05', 1795973038313, 1),
	(2, '7152e2e9-eed3-4ad7-b891-ab91c44a948e', 1795973038366, 1),
	(3, 'b08342fd-7f4e-4171-bd08-63e0e7f2d81d', 1795973038366, 2),
	(4, '09ebc81b-0167-47f2-b13c-683953a20038', 1795973038428, 1);


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.sessions VALUES
	('029e0afa-f712-4248-9425-a9bc22dae5f3', 'e6cb9d3d-a2a1-4e13-8525-7d8d35149ccb', 0, '7TdQZSlvxkE', 1795973038244, 1795973038244, NULL, NULL, 0, 0, 0),
	('dbc89861-ae0b-48a0-a139-0fd5c9ee8b0a', 'e6cb9d3d-a2a1-4e13-8525-7d8d35149ccb', 1, '7TdQZSlvxkE', 1795973038274, 1795973038278, NULL, NULL, 1, 1795973038278, 0),
	('a62c01d7-6fe8-4c71-a8da-a71025f64692', '3494582f-d219-4ba2-91da-3887702bc756', 0, '7TdQZSlvxkE', 1795973038498, 1795973038498, NULL, NULL, 0, 0, 0),
	('8171d424-1d71-4485-889e-a491389cb062', '059bfdc2-ff9b-426a-83e3-3530c493350e', 0, '7TdQZSlvxkE', 1795973038564, 1795973038564, NULL, NULL, 0, 0, 0);


--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.users VALUES
	('e6cb9d3d-a2a1-4e13-8525-7d8d35149ccb', 'ada', 'ada', 'ada@example.org', 'ada@example.org', 'ada@example.org', '$argon2id$v=19$m=19456,t=2,p=1$ULxVgykSJPB6TtM7Xp+X9g$i780KkmwwXaEivdBkA4Fmjid9t1IExxDyYm8Xwdg0Uk', 1, NULL, 1795973038244, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('02c120bc-81c8-43ab-b58b-e4eae18c48ec', 'bob', 'bob', 'bob@example.org', 'bob@example.org', 'bob@example.org', '$argon2id$v=19$m=19456,t=2,p=1$jTqByLJBkS85io9B0PS2rg$izQdGGIrSivYWc4yTNuxESHao6kFWKDvFqKnrh2kXlQ', 1, NULL, 1795973038311, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('00b03bd9-1816-488f-a87e-ab482b8cdb4c', 'hal', 'hal', 'hal@example.org', 'hal@example.org', 'hal@example.org', '$argon2id$v=19$m=19456,t=2,p=1$5WBrMNR4VUK43C0ngvGqEw$6FS0FW1SI5wAFsavYn66FA8rWmN7oXlRr8lR3i5woy0', 2, 1795973038428, 1795973038405, '$argon2id$v=19$m=19456,t=2,p=1', 2, 1795973038428),
	('3494582f-d219-4ba2-91da-3887702bc756', 'eve', 'eve', 'eve@example.org', 'eve@example.org', 'eve@example.org', '$argon2id$v=19$m=19456,t=2,p=1$ghIzqv5o6CoC8vOMa8BEOQ$qcR1BP/P1APgwrTBi+7lrWxjCECxF+Bcm1lxaDiYQKQ', 1, NULL, 1795973038498, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('059bfdc2-ff9b-426a-83e3-3530c493350e', 'dan', 'dan', 'dan@example.org', 'dan@example.org', 'dan@example.org', '$argon2id$v=19$m=19456,t=2,p=1$l80IYvI7TBqZGgj0OzqXng$3m7NTT99WyEC6IWWVSzEzaiGmGON2NIup8wXwsHHaUA', 1, NULL, 1795973038564, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL);


--
-- Data for Name: verifications; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.verifications VALUES
	('aa4450e9-5e20-4475-95eb-5c8f4071f0d3', 'registration', NULL, 'fay', 'fay', 'fay@example.org', 'fay@example.org', 'fay@example.org', 'fay@example.org', '$argon2id$v=19$m=19456,t=2,p=1$KEXwJT1oqKg8SINlCgbVBw$FVQO/C4Kgoo+ZLiShD0h3McUisVB1S48Olk6xg1xD2w', 0, '7TdQZSlvxkE', 0, 0, 1795973038619, 1795973938619, 1795973038618, 1795973038618, 0, ''),
	('ebec2e10-1814-452f-adcb-94f1b70ee54b', 'registration', NULL, 'cyd', 'cyd', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', '$argon2id$v=19$m=19456,t=2,p=1$oJe0/sM6vWvFpoi/lvkuVw$Z2F2JUq8KCekSiEJKOQ/qYXkCR9CaNdSBzeOReX6sDI', 0, '7TdQZSlvxkE', 0, 0, 1795973038454, 1795973938454, 1795973038452, 1795973038452, 0, ''),
	('3808dbcb-4984-489d-8078-c49686d1c7d6', 'password_reset', '3494582f-d219-4ba2-91da-3887702bc756', NULL, NULL, 'eve@example.org', 'eve@example.org', 'eve@example.org', 'eve@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795973038501, 1795973938501, 1795973038500, 1795973038500, 0, ''),
	('6cc85d45-5f5f-4aca-8fda-308697e91c48', 'email_change', '059bfdc2-ff9b-426a-83e3-3530c493350e', NULL, NULL, 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795973038585, 1795973938585, 1795973038583, 1795973038583, 0, '');


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


