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
        ORDER BY rotated_at DESC LIMIT 1000 OFFSET (call ->> 'max_sessions')::bigint - 1
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
	(1, 'accounts', '2026-11-29 17:13:22.087386+00', true, '\x545cd739cf9af9a98163a2f40a0033a202f6bbda59cdd240ce7526134fc9ab2d3f79cc958dc0b1dadd62a1d0639006cf', 20375824),
	(2, 'hash class', '2026-11-29 17:13:22.108639+00', true, '\xb131d008047859c5c0b990dfe78a4c307da64dd4492fd849e4876b7d6577724a8fd6c2d32186735fce95a0ba4c4450a8', 921699),
	(3, 'versions', '2026-11-29 17:13:22.110001+00', true, '\x5401cf737522c0d71173ea77a4070943dde661cc82f5830a2028d901b0929415a2f8c66933b34d8a19b1e6ed95854815', 916421),
	(4, 'audit', '2026-11-29 17:13:22.111249+00', true, '\x312dac0318909c694d98d4d3248a4ba22a9383c9aa3561cb0541fcb7dee50e22cfa34849041b310ec68cdb263f966180', 6157225),
	(6, 'retired keys', '2026-11-29 17:13:22.117827+00', true, '\xc33a7fad0910d2317d03b41f45e1cb1bc356dae703efd3000b864fa19794cdabb56c1df956507b93eeba3e322a7e35f6', 1719754),
	(7, 'mail turns by age', '2026-11-29 17:13:22.119912+00', true, '\x288c2d33413ae55a2403bcc6765d8805236bf639f6c631936154829cd3e8116cd18f2c44e800c110c075b3c987388f0e', 712148),
	(8, 'idempotency', '2026-11-29 17:13:22.120967+00', true, '\xf7cc0d6cd0c08b75b86acd1048a5e4a1e31bd30f979a33ebab251047b216f301776dc3b7692d3d0fd590fb34b4834bda', 2208811),
	(9, 'session device', '2026-11-29 17:13:22.123522+00', true, '\xe330941dc63784beea24191d29b0c7edc3275a83c3ea6857570cb92d63740b060163a601d1797182dc845ae0643ed4ea', 358443),
	(10, 'session network', '2026-11-29 17:13:22.124186+00', true, '\x5dcfef488e526c529f78b380b7c21a338475c1914fac4fb3c38509675762b622521d1d062526142b63a2bfc00874032a', 356930),
	(21, 'verification schedule', '2026-11-29 17:13:22.124861+00', true, '\x0a4e74b87eeac3325cea592e897ca44763e8e0cefc0676194f3901049959009a952ff325dcc44e47c09e035af133c4fd', 517789),
	(22, 'verifications by client', '2026-11-29 17:13:22.125686+00', true, '\xb8eae3348f693704dad9876f2b81b6061c752386332229673cdd7dd3938c1ff854dc984255422e245faaebbb3377bac9', 743455),
	(23, 'outbox attempts', '2026-11-29 17:13:22.126764+00', true, '\x7ad966a019fa72d90fe9f88e5752f2d28c1e151c338965b2b51ff4c3064888b727a5186a670485b70cecfd331617e15f', 567473),
	(24, 'outbox failed', '2026-11-29 17:13:22.127634+00', true, '\x3eb9d4920307efd8244bc938f2d4fdf09f7311a66a1e17acef477ac068cc8fb8d6b2db1e8cc6c304fe94190ec7b9bdd4', 705868),
	(25, 'outbox delivered', '2026-11-29 17:13:22.128692+00', true, '\x4aba1c3d82886b92614344211034049726694e12c2dd6ef55d0023bc61ed920b464df122190960bf7790393a14eee7d2', 679920),
	(26, 'mail slot order', '2026-11-29 17:13:22.129682+00', true, '\x0f482098ecda2c4944dba09401fbc8bb8fcf88194c4b855314eaaaa9f620f7f28502c0badb6ed0494cde191b76e0e74b', 540613),
	(27, 'mail turns ranked', '2026-11-29 17:13:22.130529+00', true, '\xc3593a4b248f4f7b0e42b7795738108ad845b7cc80c3a319227829b05376248eeedaf5caad770fd9611a66c675f762cf', 732808),
	(28, 'mail clients', '2026-11-29 17:13:22.131594+00', true, '\x5c12bd782aa14316f5e71bf4e605a58b0f72e40475cc32896c5e8dc26dbf9fd3abf635a029723d0721289728f992da90', 1689439),
	(29, 'mail clients by rank', '2026-11-29 17:13:22.133699+00', true, '\x8dd36a8ac88371142c7f21b74dd03d4a4bb33a990dd450f8bdd288ea41faa897ea18ae709e435ffd9524cf2da35cf3e9', 826307),
	(30, 'known networks', '2026-11-29 17:13:22.134814+00', true, '\xfeb0ce2f145210cdb6052f54a22c244971c36daf25ae720e2790697ef2c3cbddc5fc22b347caacd1c6421fec0cd30d72', 1884009),
	(31, 'known networks by age', '2026-11-29 17:13:22.137122+00', true, '\x06daa9953eed21a122d91a43de632d6fea2a7b6ec9d6213f789a9f5a4bd1f501bc7c89af1e9c33cdd06e84b19fefde48', 740309),
	(32, 'session refreshes', '2026-11-29 17:13:22.138227+00', true, '\x1f5047f3f8e013c001c61efdffa7ee62afd75fdb641ae6a617ca3e317366dcd94e2952ad5bdbf52eb00a281e2771dcb0', 409248),
	(33, 'session refreshes since', '2026-11-29 17:13:22.138942+00', true, '\x7f841c7c94d453415184ee85f92b27215256533685d5e8764b4d4d6c947fec7d49b4209116dde61af03ce9b104dd0d94', 423258),
	(41, 'claims of nodes', '2026-11-29 17:13:22.139678+00', true, '\xf9fb6c83a2e1aa3f7651c1c97230c74501166a7b0b9f29cc8004073624e03b3119db1b2f23f148554277cb1e2cf07182', 334237),
	(42, 'nodes', '2026-11-29 17:13:22.140303+00', true, '\x6dde5a9253263d38d76b9de8f1edc7cdd11e08e5a0208ad3a8bdcc08fb8f645b39f93fbd47ea708fb1aacdb10548d528', 1106674),
	(43, 'revocation kind', '2026-11-29 17:13:22.14179+00', true, '\x9f9c4936d2919e583b7cef5150d216bc4c712b83a9466a14a1facbbb1a054c631e4783150427049efbd0204620971761', 354987),
	(44, 'erased revocations', '2026-11-29 17:13:22.142439+00', true, '\xab400667f457c20cd2a2e3066e678706713f02e636a66dbda0674c08cb8db0e57443edc95df888c3a170ecc74b172a26', 1340821),
	(45, 'session issued until', '2026-11-29 17:13:22.144121+00', true, '\x01cc93bd8e296bc94fe875dfb63d7da3fbcc55bdeddbbc873b75c656a8da3d82d61ef49f15fb5620e8c52c2714615895', 410801),
	(46, 'write counters', '2026-11-29 17:13:22.144826+00', true, '\xeb00065aa64ba9e1a02696bf464e3db185027cf6983fbe27e08be4f8b7916d3f7d604cdc2bbabd11eb0ddf035691dc85', 1597172),
	(47, 'set counters', '2026-11-29 17:13:22.146771+00', true, '\xf56d36f7e93265c589f82ff2a18bf74219dcabc9e6cc3308bde4bf39c3ac08446ca8bedf0524c93c77af03231729233e', 452652),
	(48, 'refund counters', '2026-11-29 17:13:22.147546+00', true, '\x9157447f6780f124e0efcd915ea8bd00f50464862b63c3d8a3d2872cde953f31cbeebfd0d31aa3885234ce74ac32ff73', 367195),
	(49, 'record change', '2026-11-29 17:13:22.148233+00', true, '\x7a22df464b73c488e37a7a8f690f7e16994c58375781b01dee3c27799abc0728b3279525c572ee4ebd44c32afee94c04', 436809),
	(50, 'adjust counters', '2026-11-29 17:13:22.148972+00', true, '\x1d19770787a13758c557ad3d70b8967b2f333f58c6ba0858154390b63bc3daf3893a375b03586582b52309a6be624436', 431571),
	(51, 'insert session', '2026-11-29 17:13:22.149781+00', true, '\x7c4dd43aa7403877e8c73d2809784e9559bc3b2d0a66c659498a3273c5a6713a03d9572b2c52c5c1d12527d9c47e6a98', 402238),
	(52, 'end sessions', '2026-11-29 17:13:22.150547+00', true, '\x0b772c764c687329427126256859cdc1fb5e0e91866c06f4fe6b46ffbc946060bb3cda88c922245709426da3922abc6f', 391161),
	(53, 'open session', '2026-11-29 17:13:22.151307+00', true, '\xe82b648245145b1d8a737aacd923c45d0dc0709e16cced15d5e9a8ad643fc9b9deea72e7af09eff04a04053536fee889', 443499),
	(54, 'charge guess', '2026-11-29 17:13:22.152109+00', true, '\xf0efd80ca4f644c3802273a61343d7362185898a198aa8e38b11c3aac9531b068b181dac476da78e0b134719ef24a294', 372974),
	(55, 'activate', '2026-11-29 17:13:22.152815+00', true, '\x83706acbb1575154b9c28016f8947777b3cb21d173378ff18bddd177f6a9cadab0b5e8de3950c52c182a488867bb3ab9', 498951),
	(56, 'request code', '2026-11-29 17:13:22.153684+00', true, '\x204d304a615cfc3ae3bb638e1e82d5c1d30e6cfeda45204f92f06945362973893689581b426ca809d935cacbd9c13b47', 628344),
	(57, 'refresh session', '2026-11-29 17:13:22.15469+00', true, '\xec1ac2fba8744959f7779b8230800208330082f0f9980144e4fc0690b3e67640a3217cef346c7582bd398f1452eb4e09', 459332),
	(58, 'end session', '2026-11-29 17:13:22.155563+00', true, '\xb527c80a160dd28659234f39c6142b0503d5705c9c60f086ec529f8387bf85932ad698eb2295544a84e7009fe2bbf8f1', 512436),
	(59, 'rename user', '2026-11-29 17:13:22.156476+00', true, '\x2409829665dcd476ad513d1a80ab70824d1921c06ebfe9b8828f9cf72892033c672407a5dba91b1ca24b270ec9d15fe9', 405152),
	(60, 'delete user', '2026-11-29 17:13:22.157228+00', true, '\x45d86c899e1ac27eea3ef9ef4fddddaa34cc6eb924b9e47e6eb285cf7e00d672852eb736f25e26c51e931ed27e904d67', 598604),
	(61, 'end all sessions', '2026-11-29 17:13:22.158258+00', true, '\xcfed02c1c829263dfee49ec0b9e4a2933f7954e9dedfde67f707be2afbf3522043eea1198bc65188a24d0ae9703f133a', 405182),
	(62, 'sessions by issue', '2026-11-29 17:13:22.159007+00', true, '\x0fed7db0cdc94eec536aaf9c096df0e23cbef8640430e0fb06cbdec387d48643d96c052391f9a85482ffa9f513ed7d97', 954062),
	(63, 'plans of write counters', '2026-11-29 17:13:22.160358+00', true, '\x4ad34ae4ae085b1c90fbabe056a2e75c98f8686fcaf4307e118fab8da1c66098fe94aea11ead6d07f0ed201919b1882f', 371491),
	(64, 'plans of adjust counters', '2026-11-29 17:13:22.161131+00', true, '\x0f2f67cf802e260d0e78ca3daa4f6e781dc623c5c016ecd8ecc1f1a584ba20f1ecfee209063ac6d68c692496251f9c48', 399764),
	(65, 'plans of refund counters', '2026-11-29 17:13:22.162004+00', true, '\x9a7c5e743b1873c10c2b59bd3fec6ddc8f304d80ba1825527bb496422c0bd898e3978a7d3886d6214672b2481be025f5', 408747),
	(66, 'read counters', '2026-11-29 17:13:22.162802+00', true, '\x169e714a2294c9ca322bfbb0cb002677ad4b6471f46fc7a4192b6aafc91fd81045ad1b3d7dedfe9ef6ebbf6a432f84d1', 444751),
	(67, 'plans of end sessions', '2026-11-29 17:13:22.163585+00', true, '\xcde5c89c728d756204cded7e084364f2d930862fd0eac72c62bf730d91574da57c11d37a0a3ee670dda28214e3df8a43', 342770),
	(68, 'next rank', '2026-11-29 17:13:22.16431+00', true, '\x7cce0fb22b1d12d7cf0762ada1aac16c2e080e4d7f9e1a2b29ecd238d7ce790481192585a0da03585f53e9fab6abafed', 466583),
	(69, 'void codes', '2026-11-29 17:13:22.165287+00', true, '\xb583a18309456c55daad221ae3a83f2c3f089eecd3b5af6afd2869c161e60462aa6920a1e0ca9fb6d54cf26ee717f218', 511199),
	(70, 'queue code', '2026-11-29 17:13:22.166194+00', true, '\x29653f921eb2ab3bc58a364fa17844b2941091d72e750d1cf5e93e6e4d0500e0c9bc888c3ddd0fec218b542896cc0cd0', 572200),
	(71, 'queue notice', '2026-11-29 17:13:22.167202+00', true, '\xee83031d8f7a68223725815b970c3778c678cb20c0fa44ec9b6b7875e0519cf02fcf91a501dffccdb968dcadc60110f5', 488976),
	(72, 'spend code', '2026-11-29 17:13:22.168086+00', true, '\x6986251a28506720e0436c5461d4612f3a4be62474bafdd209ef44141f3b770667f46cf89bf047e4791099991fb663c9', 421536),
	(73, 'reset password', '2026-11-29 17:13:22.168882+00', true, '\xb8566bae564ee89ab428c2f0531c69eafe88b1de810baaa189d90a33dc411121b4cffd0c2e6556548b2f398d624a3aeb', 470800),
	(74, 'confirm email', '2026-11-29 17:13:22.169773+00', true, '\xf211e9af81fe831f24a1bcfb917e3f69d081df1df7528ebda880247c812003f3a8b61209a270fdbcb43e02dfdf69762b', 549015),
	(75, 'update user', '2026-11-29 17:13:22.170748+00', true, '\x7b6e02ba6686bc8bd9cf5cd297fab1219b7bffa8c67d6426251552378112775fe032d4d9b7ea877dbc9033453530bea1', 739388),
	(76, 'resend code', '2026-11-29 17:13:22.171865+00', true, '\x8e995abdd04c5924b12c8000abaa52ea4c98be49257e7e5ea43512c84bb66c8f97e2f5ae5db9822657cf160125e736cc', 549036),
	(77, 'refund guess', '2026-11-29 17:13:22.172793+00', true, '\x20658a8d6e4cbdc9ba95db834baa3aeffb335997437477c04ada246f0ea5dc6c3a97df5cbf608123a088c17afb407ffa', 453444),
	(78, 'refresh session', '2026-11-29 17:13:22.173637+00', true, '\xbe36627c0e629cc9757460a1d65dcb48111b56c57b16753f9c7a0c9348214b7e6eaf106354db0cc8e80cd0e76f4c9371', 577798),
	(79, 'revoke session', '2026-11-29 17:13:22.174606+00', true, '\x0e325909f8e1ef984c2d4da79bfc65a596f54f70250931c1987a63ca5c102e15ff457bf841c07b33d1085656ac74124c', 413594),
	(80, 'open session', '2026-11-29 17:13:22.175426+00', true, '\x0102c0d6dfff375ea6f5d5d4e221636b5c00fd8c0dc064c4d41578407f15e8f950a042ae2c9f98d2dacc738b6170e452', 432322),
	(81, 'record event', '2026-11-29 17:13:22.176248+00', true, '\xfd66cfa0c546d5f408071b6f0ff1e5d6f62e0043222cd3977cc14e82358dda98792e7302ea3ad6b7b64a49d85e71365a', 446273);


--
-- Data for Name: audit; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit VALUES
	('01a2284c-0c4c-708b-8287-2dfcbbffb9bb', 1795972402251, 'registered', NULL, NULL, '\x6779efcc5f8742b3ac6d81d6ec0bc734', '', NULL, NULL, NULL, NULL, 1, NULL, '\x42efadf08e76e627aaecefe7c540c7cbc4026308b4203d00cf598994496bd160', '7TdQZSlvxkE', '\x08c93fb2bdb351e8f5bc0777ffee06e7e475f5c47cc17273473495905b2024a2'),
	('01a2284c-0c5d-72f0-b9b1-3e4ab6ac5064', 1795972402269, 'verified', '1392c235-1e9f-4f58-ac3e-c0ae58c6b585', '0736805e-e008-45c6-bd20-cfd80b23f1b9', '\x6779efcc5f8742b3ac6d81d6ec0bc734', '', NULL, NULL, NULL, NULL, 2, NULL, '\x2ee951b641179218d5816ac0fc6c2ed61e953d9d6703d7d1dacaa7be817676bf', '7TdQZSlvxkE', '\xb4eb8af3e56bd62868a7424ad56e0e1be0565b6bf569bc45944b75bbfc9d92e3'),
	('01a2284c-0c79-7054-bce4-5d20af744e4c', 1795972402296, 'logged_in', '1392c235-1e9f-4f58-ac3e-c0ae58c6b585', '85a2f50d-b765-4a70-9ac4-e4e7989a071d', NULL, '', NULL, NULL, NULL, NULL, 3, NULL, '\xe81df7a33ac7390d6c802f55d395e6bdd4dedec9a99f17572b8d40a5e5d3a616', '7TdQZSlvxkE', '\x9f347134eefd6c0b848998689a0ffb3ecf916eb42dd6c52d80cb2755e1405427'),
	('01a2284c-0c7c-7494-b0f7-6cde1dc234aa', 1795972402300, 'refreshed', '1392c235-1e9f-4f58-ac3e-c0ae58c6b585', '85a2f50d-b765-4a70-9ac4-e4e7989a071d', NULL, '', NULL, NULL, NULL, '\x1cd99bf90ca33fefa68f8e07ef46f2a868707a64c0148fa8c225a8ecbcfdcfb6', 4, NULL, '\x25b397092b39db9547146dca75e2697e63a9b07aa07f5af94329d30fbfdabaa8', '7TdQZSlvxkE', '\xff9fda7754923462cc9db3f42d7c7c0234ff6ca0949ffe38f6f02dbe7b7af700'),
	('01a2284c-0c8e-75cb-bbca-f57ad243e97a', 1795972402317, 'registered', NULL, NULL, '\x69ad996873d448d8978210fdd12cb62f', '', NULL, NULL, NULL, NULL, 5, NULL, '\x52a5dca1a990bc5b104a2e526aa64ca9f22f09221c283dd38c3a0a8da2d46369', '7TdQZSlvxkE', '\x40c49baf3998a2b83f2bcacc5da26ccf84199bd7a69f2e93bfb2e1c3ca9560bb'),
	('01a2284c-0c9c-7603-89eb-889d343d2d05', 1795972402332, 'verified', '2c388fe7-0e9e-474c-b8c7-3bde31dc7adb', '503b98fa-54d0-4301-8d40-2a6e66819243', '\x69ad996873d448d8978210fdd12cb62f', '', NULL, NULL, NULL, NULL, 6, NULL, '\x5fe6bf10bf9d77bccc74d08124ff8b69993f0bf9fdcd722e5b12cf6b207cfc85', '7TdQZSlvxkE', '\xfe4a44f818909a8453c0e9638eb3cae7c065a1b7b207acc0a34ace1e49e31265'),
	('01a2284c-0c9e-779a-9532-ba2b1a8a3497', 1795972402334, 'logged_out', '2c388fe7-0e9e-474c-b8c7-3bde31dc7adb', '503b98fa-54d0-4301-8d40-2a6e66819243', NULL, '', NULL, NULL, NULL, NULL, 7, NULL, '\x3fc882f9c52b539b04fff3b19054bbe252db9d364cf0c5c06f0ed2ffaf862d55', '7TdQZSlvxkE', '\x0594ae5b43427dabbccbe5c0aa50b809d1d2fad9acb8ab8ef915533aed838a70'),
	('01a2284c-0caf-76cd-a1af-991aa4827c02', 1795972402351, 'registered', NULL, NULL, '\xa71026c777a64175be145ebe32b152ef', '', NULL, NULL, NULL, NULL, 8, NULL, '\xac3af379bc934370efe5b7c6fff4d0fb413f73efccde4c2494be24a7456e18d5', '7TdQZSlvxkE', '\x111abfc4b16ffb7ad44f17b5cc2b346fba3ea39fbf9c32fc338ad7f4a54b0720'),
	('01a2284c-0cbe-7604-b7f7-e806840956df', 1795972402366, 'verified', '2dc0b04f-7798-49c1-931a-6b0f28d01606', '5d40849c-a8d4-4282-b655-8b9013babc1c', '\xa71026c777a64175be145ebe32b152ef', '', NULL, NULL, NULL, NULL, 9, NULL, '\xa797b4426d1ab270368475d4545408d26bba595e3cf873546e3bcc2f4f2abec7', '7TdQZSlvxkE', '\x9433ac98c708394f24f2fe5109bd87eae9ba5994a6aae74eae344879a8941e5c'),
	('01a2284c-0ccf-70bc-9632-06be4fa43eed', 1795972402383, 'deleted', '2dc0b04f-7798-49c1-931a-6b0f28d01606', NULL, NULL, '', NULL, NULL, NULL, NULL, 10, NULL, '\x135355b9a97da543d2f5f5c9aa3a345fbcab1bf679e46c91f2195833fd5bf968', '7TdQZSlvxkE', '\x703c4343a1c61c5c2ae01c455f4e1b236347b6954ecb3a4250618b677304d00f'),
	('01a2284c-0ce4-749a-b069-89e807b061a6', 1795972402404, 'registered', NULL, NULL, '\x7e663b80cc1841c086fe1faebba420c1', '', NULL, NULL, NULL, NULL, 11, NULL, '\x1d1088fb21a8ce8539c11eb1ddd487f7fc03fa68f1655b1f85f36a0a880df5da', '7TdQZSlvxkE', '\x7fe86e632f32cf2ad20439950d061bfd37c770da78665c86749e305dfd141683'),
	('01a2284c-0cf1-7725-8e40-6c6474a73432', 1795972402417, 'verified', 'fd8d003d-999a-4f47-8dfe-a832ae2f16b2', '2af25ac1-f188-4a31-a982-37c99774d513', '\x7e663b80cc1841c086fe1faebba420c1', '', NULL, NULL, NULL, NULL, 12, NULL, '\xe7feca7e66a45b9cc425f98155c08e249bf178214e0974e22ad8d9bc703d395c', '7TdQZSlvxkE', '\x8f5236768827b2222eaeca32443991b5e2f51c8b3ee5612238dc8a33b3b52677'),
	('01a2284c-0d08-74b2-b6ed-652d130b75a4', 1795972402438, 'disabled', 'fd8d003d-999a-4f47-8dfe-a832ae2f16b2', NULL, NULL, '', 'root', NULL, NULL, NULL, 13, NULL, '\x5bf9c88d581c4577c7346e0428c9518d231b6f536405758bec2196f946eb3f14', '7TdQZSlvxkE', '\x264a651bf241913fa718f91a643f4ef83ecd115e9e529120990ed8e0599d25a0'),
	('01a2284c-0d1c-76ae-89cb-58f10dbf4820', 1795972402460, 'registered', NULL, NULL, '\x93cb4c1c6f774ba5895bfe155deb1457', '', NULL, NULL, NULL, NULL, 14, NULL, '\x3bfed32535cb358ee453e1c2280166ad498c666aab7ec09e7af45cbb4603d95c', '7TdQZSlvxkE', '\xcee22036c5f5339659a5dc045d88fef5200f81d00fd22b2ef31eab658afefd20'),
	('01a2284c-0d3a-7408-a556-4a8eb3e75d3e', 1795972402490, 'registered', NULL, NULL, '\x755e9b6d304a4293a828bcd950d8ce96', '', NULL, NULL, NULL, NULL, 15, NULL, '\x5b2ce52931186c941f3754c75a0224da1010a3f0343660f6dab6adee7ba6954e', '7TdQZSlvxkE', '\x29ad71adf3dfce5bbac70c9bdadbbf9cba4f1a3f5442d4692bdcb838a77feff9'),
	('01a2284c-0d48-778a-90e6-bca05e0c19ad', 1795972402504, 'verified', 'a1cb63f4-d220-4566-93db-53fb75802d94', '851179b0-db8b-45e7-9c05-2fff5ec0746c', '\x755e9b6d304a4293a828bcd950d8ce96', '', NULL, NULL, NULL, NULL, 16, NULL, '\xdaf65ebd5444e2166da5385284f79b5d50affe160138d90a2ef0d77a5c17382c', '7TdQZSlvxkE', '\x855b2894684db30fb681977910f211005ebdd9755bb79fe7a98de0752a2d71c4'),
	('01a2284c-0d4a-70f9-a41a-807bb47d6579', 1795972402506, 'reset_requested', 'a1cb63f4-d220-4566-93db-53fb75802d94', NULL, '\x9470bc9747044fd2b10201900e1332d7', '', NULL, NULL, NULL, NULL, 17, NULL, '\xcc5c4b2337f1f0fc0762c5711a3eb6bacd702412008e39ab58eda74e6a7f52d8', '7TdQZSlvxkE', '\x4856a17a4cb4ca771281914bd5cbbf1a9682b013f3444bebf1d0b196f78dc867'),
	('01a2284c-0d67-77cf-a149-214c4df545ae', 1795972402535, 'login_failed', 'a1cb63f4-d220-4566-93db-53fb75802d94', NULL, NULL, '', NULL, '192.0.2.7', '\x327b9e73f96b4094941870cc1a07d995', NULL, 18, '\x494faab94eac444b9b28113cb6dca8b7d1a2b2e5b4b6ffb73c245ae5f65161cf', '\x6c6b317f6ec8cea96145496d892414b115c2d9e933469025787ad222a5d63fee', '7TdQZSlvxkE', '\xf2b00f7b4ee3a6746f70356b9dd9ea8b22b1fe954375a99971b0b6751489bd54'),
	('01a2284c-0d78-7312-91ce-c07556d9d14e', 1795972402552, 'registered', NULL, NULL, '\xf3be2338f4734def9c8beb4367f10a0e', '', NULL, NULL, NULL, NULL, 19, NULL, '\x97ab6ac0060f8d1862ade579c2bfcd63ccf168ff3ca5510a260ed6d553eab434', '7TdQZSlvxkE', '\xfabda63988906bcd4e2a9065169b161ca6b0d2efcd38635ec8eac433a8b7c318'),
	('01a2284c-0d87-768c-8a0b-873ffcd4cf1b', 1795972402567, 'verified', 'd5eeb8a8-6b50-4b29-8816-708419aa999f', '9133c6ef-25a3-43f6-8d9e-74689c1b5ed3', '\xf3be2338f4734def9c8beb4367f10a0e', '', NULL, NULL, NULL, NULL, 20, NULL, '\xbc6eaa736ae5965ffe6772ed75e744acb85f3348881f9d85ef836524a7ffc19c', '7TdQZSlvxkE', '\xab9006e8d6c160ea55fb89668d017dcac65bec7968b104ae006ffde8384221ef'),
	('01a2284c-0d99-7183-b013-38139e048940', 1795972402585, 'updated', 'd5eeb8a8-6b50-4b29-8816-708419aa999f', '9133c6ef-25a3-43f6-8d9e-74689c1b5ed3', NULL, 'email', NULL, NULL, NULL, NULL, 21, NULL, '\x2823f819a322601eb498703e52eb26db44e6ed508e4d4176b4edd29bb9f1b789', '7TdQZSlvxkE', '\x30ae13dd2f93b06ed68e8ec114e767da612acc49561b73a5402c7792a5729acd'),
	('01a2284c-0db9-72b9-8427-eb990e674c47', 1795972402617, 'registered', NULL, NULL, '\xf775767cbaba4de2975ce2d677d13409', '', NULL, NULL, NULL, NULL, 22, NULL, '\xb166de9e8e43076b699526edb8fac155266ec479bc9b2850b2ea0c29ab930523', '7TdQZSlvxkE', '\xc2ff2da5e09e9656a6a45459bcefad2670d7d0367adf233b94ba42bfbf02a7c0'),
	('01a2284c-11b5-77ca-9b4d-f74f0c24303c', 1795972403637, 'login_failed', NULL, NULL, '\x3132ee7682116b86dc445475770a767223039ec9443b15fcc5dd24c859b2e8fb', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);


--
-- Data for Name: audit_chain; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit_chain VALUES
	(1, 22, '\xb166de9e8e43076b699526edb8fac155266ec479bc9b2850b2ea0c29ab930523', 0, '\x0000000000000000000000000000000000000000000000000000000000000000', '7TdQZSlvxkE', '\x9c9f915aa9997b6b2a7486d079b21b306368a9a7f2c333d69a87c39b1279df27', '9a480262-c91a-446d-b63c-b191b1635737', 1795972408194);


--
-- Data for Name: counters; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.counters VALUES
	('\x2bce13a94caaf0eef9ec5840996368cf20bfeb04ef864af9f361706634c5f901', 1, 1795972402296, 0, 1795976002296),
	('\x4590d463e9bb6a3fb46cd7823ce513f2da240810e41223f3bd5db3ee34e99547', 0, 1795972402272, 0, 1796058802272),
	('\x8927aaafab6a0f30c5918f42004f333a865f090bb89c9943281f88dcb8192dad', 0, 1795972402368, 0, 1796058802368),
	('\xe006bfdc2446c6303e5dfee268bd29b51f06c4472bcf093e88b4cb83eb451ce6', 0, 1795972402368, 0, 1796058802368),
	('\x80aa6b9b652893ec94314ae925cb87d0c6e18c29b38d8e05f5e554e07a119834', 1, 1795972402506, 0, 1795976002506),
	('\x503ec47999a4699ef77eeef90abe13ae0a6f927aa2ba50ff4e1cc8c8a060f5f4', 1, 1795972402520, 0, 1796058802520),
	('\x832bf8e2bed7cd196c3f78718f08cacff83fd4dd6dd8e6a5df838293ee9ccf7b', 0, 1795972402520, 0, 1796058802520),
	('\x9bba17f7cf3448efc284cbf3be7b88b4f9254d09a47a7f66ca04af4e7881e542', 1, 1795972402520, 1795972402520, 1796058802520),
	('\xf23d85f7164d81c7609611ac5adb5db7d5ce788e4acc9155333b4d5d7826482b', 1, 1795972402520, 0, 1795976002520),
	('\xd087d086a16f72d03e725bfd4c4bdd6855ee3f8d14d2de03da3264454502ec88', 0, 1795972402566, 0, 1796058802566),
	('\x204f742d128a8e5307f122483e022e70cad34e92da40b1b9c843c1ad47646fca', 0, 1795972402569, 0, 1796058802569),
	('\x9185477690267480405d092fdc74bfa382013a6e7dcd006b57aac9cf92d4e957', 0, 1795972402569, 0, 1796058802569),
	('\x5ab08ed85cb3e0d123f6957152ba8ee28ec0af17ac41a78a14a648b0595f5186', 1, 1795972402585, 0, 1796058802585),
	('\xda8768b0d63e8c0263138ff1b086bf7d83dc03668d5b74cdbe491e85654faad8', 1, 1795972402585, 0, 1795976002585),
	('\x61e371b8b55988e2c319448ab2747216a37337dee1867c1b0820f05ba7213f54', 8, 1795972402207, 0, 1795976002207),
	('\x156aba40a0b7ed19492d71296b9094f3d90f9dec4a2d6e9b72d6e6ef1bfd4a02', 1, 1795972403622, 0, 1796058803622),
	('\xb834251f40a63ea5bd6e58c2afea3970dad2aa703b3d1c74ca127541c05c5e6e', 1, 1795972403622, 0, 1795976003622);


--
-- Data for Name: erased_revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.erased_revocations VALUES
	(1, 0);


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.idempotency_keys VALUES
	('616e2075-7067-7261-6465-2773206b6579', '7TdQZSlvxkE', '\xd2a8cc368be7464b38921ec71c28e1f23238e440774f0af3966019dc787cb00b', '3912cb8f-55b9-49e2-80e3-935198e94e96', 1796058802617, 1795972402617, NULL, 'f775767c-baba-4de2-975c-e2d677d13409', NULL, NULL, NULL, NULL, 0, 'f4b6bf03-1b91-4ed1-a8cf-83ba0e0608b1');


--
-- Data for Name: known_networks; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: mail_clients; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_clients VALUES
	('', 1795972412251);


--
-- Data for Name: mail_turns; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_turns VALUES
	('ada@example.org', 'registration', 1795972462255, 0, NULL, 1795972462255, 0, 1795972462255),
	('bob@example.org', 'registration', 1795972462319, 0, NULL, 1795972462319, 0, 1795972462319),
	('gus@example.org', 'registration', 1795972462352, 0, NULL, 1795972462352, 0, 1795972462352),
	('gus@example.org', 'deleted', 1795976002385, 0, NULL, 1795976002385, 1, 1795976002385),
	('hal@example.org', 'registration', 1795972462405, 0, NULL, 1795972462405, 0, 1795972462405),
	('cyd@example.org', 'registration', 1795972462461, 0, NULL, 1795972462461, 0, 1795972462461),
	('eve@example.org', 'registration', 1795972462491, 0, NULL, 1795972462491, 0, 1795972462491),
	('eve@example.org', 'password_reset', 1795972462507, 0, NULL, 1795972462507, 0, 1795972462507),
	('dan@example.org', 'registration', 1795972462553, 0, NULL, 1795972462553, 0, 1795972462553),
	('daniel@example.org', 'email_change', 1795972462587, 0, NULL, 1795972462587, 0, 1795972462587),
	('fay@example.org', 'registration', 1795972462618, 0, NULL, 1795972462618, 0, 1795972462618);


--
-- Data for Name: migration_lease; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: nodes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.nodes VALUES
	('f4b6bf03-1b91-4ed1-a8cf-83ba0e0608b1', 1795972403199);


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.outbox VALUES
	('01a2284c-0c4c-708b-8287-2dfb3c990175', 'registration', '6779efcc-5f87-42b3-ac6d-81d6ec0bc734', 'ada@example.org', '', 'ada@example.org', '', 0, 1, 1795972402251, 1795972402255, 1795972462255, 1795972402261, 1795972402251, NULL, NULL, 0, 1),
	('01a2284c-0c8e-75cb-bbca-f579723bc79d', 'registration', '69ad9968-73d4-48d8-9782-10fdd12cb62f', 'bob@example.org', '', 'bob@example.org', '', 0, 1, 1795972402317, 1795972402319, 1795972462319, 1795972402323, 1795972403251, NULL, NULL, 0, 1),
	('01a2284c-0caf-76cd-a1af-99191fd5c009', 'registration', 'a71026c7-77a6-4175-be14-5ebe32b152ef', 'gus@example.org', '', 'gus@example.org', '', 0, 1, 1795972402351, 1795972402352, 1795972462352, 1795972402356, 1795972404251, NULL, NULL, 0, 1),
	('01a2284c-0ccf-70bc-9632-06bd1ffccb81', 'deleted', NULL, 'gus@example.org', '', 'gus@example.org', 'gus', NULL, 1, 1795972402383, 1795972402385, 1795972462385, 1795972402389, 1795972405251, NULL, NULL, 0, 1),
	('01a2284c-0d99-7183-b013-3814d6951e7f', 'email_change', '2fcdc214-becc-41a3-a1ef-a6e8f5a5e28a', 'daniel@example.org', '', 'daniel@example.org', '', 0, 1, 1795972402585, 1795972402587, 1795972462587, 1795972402590, 1795972411251, NULL, NULL, 0, 1),
	('01a2284c-0ce4-749a-b069-89e7450017da', 'registration', '7e663b80-cc18-41c0-86fe-1faebba420c1', 'hal@example.org', '', 'hal@example.org', '', 0, 1, 1795972402404, 1795972402405, 1795972462405, 1795972402408, 1795972406251, NULL, NULL, 0, 1),
	('01a2284c-0d1c-76ae-89cb-58f0211caea2', 'registration', '93cb4c1c-6f77-4ba5-895b-fe155deb1457', 'cyd@example.org', '', 'cyd@example.org', '', 0, 1, 1795972402460, 1795972402461, 1795972462461, 1795972402464, 1795972407251, NULL, NULL, 0, 1),
	('01a2284c-0d3a-7408-a556-4a8d71e54826', 'registration', '755e9b6d-304a-4293-a828-bcd950d8ce96', 'eve@example.org', '', 'eve@example.org', '', 0, 1, 1795972402490, 1795972402491, 1795972462491, 1795972402494, 1795972408251, NULL, NULL, 0, 1),
	('01a2284c-0d4a-70f9-a41a-807a1a913dcd', 'password_reset', '9470bc97-4704-4fd2-b102-01900e1332d7', 'eve@example.org', '', 'eve@example.org', 'eve', 0, 1, 1795972402506, 1795972402507, 1795972462507, 1795972402509, 1795972409251, NULL, NULL, 0, 1),
	('01a2284c-0d78-7312-91ce-c074721215b1', 'registration', 'f3be2338-f473-4def-9c8b-eb4367f10a0e', 'dan@example.org', '', 'dan@example.org', '', 0, 1, 1795972402552, 1795972402553, 1795972462553, 1795972402556, 1795972410251, NULL, NULL, 0, 1),
	('01a2284c-0db9-72b9-8427-eb98c6142242', 'registration', 'f775767c-baba-4de2-975c-e2d677d13409', 'fay@example.org', '', 'fay@example.org', '', 0, 1, 1795972402617, 1795972402618, 1795972406697, NULL, 1795972412251, 1795972402620, NULL, 0, 0);


--
-- Data for Name: retired_keys; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.revocations OVERRIDING SYSTEM VALUE VALUES
	(1, '503b98fa-54d0-4301-8d40-2a6e66819243', 1795972402334, 1),
	(2, '5d40849c-a8d4-4282-b655-8b9013babc1c', 1795972402383, 1),
	(3, '2dc0b04f-7798-49c1-931a-6b0f28d01606', 1795972402383, 2),
	(4, '2af25ac1-f188-4a31-a982-37c99774d513', 1795972402438, 1);


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.sessions VALUES
	('0736805e-e008-45c6-bd20-cfd80b23f1b9', '1392c235-1e9f-4f58-ac3e-c0ae58c6b585', 0, '7TdQZSlvxkE', 1795972402269, 1795972402269, NULL, NULL, 0, 0, 0),
	('85a2f50d-b765-4a70-9ac4-e4e7989a071d', '1392c235-1e9f-4f58-ac3e-c0ae58c6b585', 1, '7TdQZSlvxkE', 1795972402296, 1795972402300, NULL, NULL, 1, 1795972402300, 0),
	('851179b0-db8b-45e7-9c05-2fff5ec0746c', 'a1cb63f4-d220-4566-93db-53fb75802d94', 0, '7TdQZSlvxkE', 1795972402504, 1795972402504, NULL, NULL, 0, 0, 0),
	('9133c6ef-25a3-43f6-8d9e-74689c1b5ed3', 'd5eeb8a8-6b50-4b29-8816-708419aa999f', 0, '7TdQZSlvxkE', 1795972402567, 1795972402567, NULL, NULL, 0, 0, 0);


--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.users VALUES
	('1392c235-1e9f-4f58-ac3e-c0ae58c6b585', 'ada', 'ada', 'ada@example.org', 'ada@example.org', 'ada@example.org', '$argon2id$v=19$m=19456,t=2,p=1$9NFf7wgpEMJc7FXcnzGI/Q$6AQbzwTSg54MU9P5uXcjmllmFzI1DXdtabbsrA5v1WY', 1, NULL, 1795972402269, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('2c388fe7-0e9e-474c-b8c7-3bde31dc7adb', 'bob', 'bob', 'bob@example.org', 'bob@example.org', 'bob@example.org', '$argon2id$v=19$m=19456,t=2,p=1$RHOWh/XLTuYCSdFJ+1qwRw$p9Hrb3/uKBpUtoXfIfyf4w/hOTFjw0uXmvyTpT9YUoU', 1, NULL, 1795972402332, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('fd8d003d-999a-4f47-8dfe-a832ae2f16b2', 'hal', 'hal', 'hal@example.org', 'hal@example.org', 'hal@example.org', '$argon2id$v=19$m=19456,t=2,p=1$1RavVXUB+1pjLO5HDkjmRQ$FupgARKo+uBtjNLADO/H9LbG/QxPqrDXeqtkjXIFjYE', 2, 1795972402438, 1795972402417, '$argon2id$v=19$m=19456,t=2,p=1', 2, 1795972402438),
	('a1cb63f4-d220-4566-93db-53fb75802d94', 'eve', 'eve', 'eve@example.org', 'eve@example.org', 'eve@example.org', '$argon2id$v=19$m=19456,t=2,p=1$Hvr58wObpguwt/JFtt2Quw$jkj6IOjeLh2cUzUFei1PawYUU7QRPQvX/koxHO+Vbwk', 1, NULL, 1795972402504, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('d5eeb8a8-6b50-4b29-8816-708419aa999f', 'dan', 'dan', 'dan@example.org', 'dan@example.org', 'dan@example.org', '$argon2id$v=19$m=19456,t=2,p=1$xvqkCJuDS+DEFLVrYI34nw$YGGtLMLAhOVfdoX03mpys1lsuBOdNo5stgFq8e1+Fxc', 1, NULL, 1795972402567, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL);


--
-- Data for Name: verifications; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.verifications VALUES
	('f775767c-baba-4de2-975c-e2d677d13409', 'registration', NULL, 'fay', 'fay', 'fay@example.org', 'fay@example.org', 'fay@example.org', 'fay@example.org', '$argon2id$v=19$m=19456,t=2,p=1$+nEgtp2h8PbLvby65sstDQ$svg6gpFHTftbwJZoSzcVajZtH4FJCTKmy9RX63+ZKnU', 0, '7TdQZSlvxkE', 0, 0, 1795972402618, 1795973302618, 1795972402617, 1795972402617, 0, ''),
	('93cb4c1c-6f77-4ba5-895b-fe155deb1457', 'registration', NULL, 'cyd', 'cyd', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', '$argon2id$v=19$m=19456,t=2,p=1$rDXppXRxnx9NuRKl0Z3aaw$ks1a3h0UjddCBBfJW5FK9zrxy/2L5xvmtByN33mGwrQ', 0, '7TdQZSlvxkE', 0, 0, 1795972402461, 1795973302461, 1795972402460, 1795972402460, 0, ''),
	('9470bc97-4704-4fd2-b102-01900e1332d7', 'password_reset', 'a1cb63f4-d220-4566-93db-53fb75802d94', NULL, NULL, 'eve@example.org', 'eve@example.org', 'eve@example.org', 'eve@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795972402507, 1795973302507, 1795972402506, 1795972402506, 0, ''),
	('2fcdc214-becc-41a3-a1ef-a6e8f5a5e28a', 'email_change', 'd5eeb8a8-6b50-4b29-8816-708419aa999f', NULL, NULL, 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795972402587, 1795973302587, 1795972402585, 1795972402585, 0, '');


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


