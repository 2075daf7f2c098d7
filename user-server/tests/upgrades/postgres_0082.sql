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
    BEGIN
        UPDATE users SET email = spent.email, email_key = spent.email_key, mailbox = spent.mailbox, version = version + 1,
            changed_at = (call ->> 'at')::bigint
        WHERE id = spent.user_id RETURNING * INTO changed;
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION 'the address is taken' USING ERRCODE = 'US001';
    END;
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
        SELECT 1 FROM outbox WHERE verification_id = resent.id AND turn_at IS NULL
            -- Not by the index of waiting emails, which a plan could read as a whole.
            AND settled_at + 0 IS NULL
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
    WHERE id = (call ->> 'verification_id')::uuid AND generation = (call ->> 'generation')::bigint
    RETURNING * INTO spent;
    IF spent.user_id IS NULL THEN
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
        BEGIN
            UPDATE users SET username = call ->> 'username', username_key = call ->> 'username_key', version = version + 1,
                changed_at = now WHERE id = of_user;
        EXCEPTION WHEN unique_violation THEN
            RAISE EXCEPTION 'the username is taken' USING ERRCODE = 'US001';
        END;
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
	(1, 'accounts', '2026-11-29 18:00:45.794647+00', true, '\x545cd739cf9af9a98163a2f40a0033a202f6bbda59cdd240ce7526134fc9ab2d3f79cc958dc0b1dadd62a1d0639006cf', 12176506),
	(2, 'hash class', '2026-11-29 18:00:45.807714+00', true, '\xb131d008047859c5c0b990dfe78a4c307da64dd4492fd849e4876b7d6577724a8fd6c2d32186735fce95a0ba4c4450a8', 742744),
	(3, 'versions', '2026-11-29 18:00:45.80885+00', true, '\x5401cf737522c0d71173ea77a4070943dde661cc82f5830a2028d901b0929415a2f8c66933b34d8a19b1e6ed95854815', 715754),
	(4, 'audit', '2026-11-29 18:00:45.809987+00', true, '\x312dac0318909c694d98d4d3248a4ba22a9383c9aa3561cb0541fcb7dee50e22cfa34849041b310ec68cdb263f966180', 2977853),
	(6, 'retired keys', '2026-11-29 18:00:45.813485+00', true, '\xc33a7fad0910d2317d03b41f45e1cb1bc356dae703efd3000b864fa19794cdabb56c1df956507b93eeba3e322a7e35f6', 937622),
	(7, 'mail turns by age', '2026-11-29 18:00:45.814713+00', true, '\x288c2d33413ae55a2403bcc6765d8805236bf639f6c631936154829cd3e8116cd18f2c44e800c110c075b3c987388f0e', 520793),
	(8, 'idempotency', '2026-11-29 18:00:45.815571+00', true, '\xf7cc0d6cd0c08b75b86acd1048a5e4a1e31bd30f979a33ebab251047b216f301776dc3b7692d3d0fd590fb34b4834bda', 1118842),
	(9, 'session device', '2026-11-29 18:00:45.818338+00', true, '\xe330941dc63784beea24191d29b0c7edc3275a83c3ea6857570cb92d63740b060163a601d1797182dc845ae0643ed4ea', 374576),
	(10, 'session network', '2026-11-29 18:00:45.819021+00', true, '\x5dcfef488e526c529f78b380b7c21a338475c1914fac4fb3c38509675762b622521d1d062526142b63a2bfc00874032a', 340616),
	(21, 'verification schedule', '2026-11-29 18:00:45.819697+00', true, '\x0a4e74b87eeac3325cea592e897ca44763e8e0cefc0676194f3901049959009a952ff325dcc44e47c09e035af133c4fd', 487714),
	(22, 'verifications by client', '2026-11-29 18:00:45.822063+00', true, '\xb8eae3348f693704dad9876f2b81b6061c752386332229673cdd7dd3938c1ff854dc984255422e245faaebbb3377bac9', 616656),
	(23, 'outbox attempts', '2026-11-29 18:00:45.82298+00', true, '\x7ad966a019fa72d90fe9f88e5752f2d28c1e151c338965b2b51ff4c3064888b727a5186a670485b70cecfd331617e15f', 585640),
	(24, 'outbox failed', '2026-11-29 18:00:45.823899+00', true, '\x3eb9d4920307efd8244bc938f2d4fdf09f7311a66a1e17acef477ac068cc8fb8d6b2db1e8cc6c304fe94190ec7b9bdd4', 531650),
	(25, 'outbox delivered', '2026-11-29 18:00:45.824737+00', true, '\x4aba1c3d82886b92614344211034049726694e12c2dd6ef55d0023bc61ed920b464df122190960bf7790393a14eee7d2', 487665),
	(26, 'mail slot order', '2026-11-29 18:00:45.825521+00', true, '\x0f482098ecda2c4944dba09401fbc8bb8fcf88194c4b855314eaaaa9f620f7f28502c0badb6ed0494cde191b76e0e74b', 566271),
	(27, 'mail turns ranked', '2026-11-29 18:00:45.830427+00', true, '\xc3593a4b248f4f7b0e42b7795738108ad845b7cc80c3a319227829b05376248eeedaf5caad770fd9611a66c675f762cf', 596586),
	(28, 'mail clients', '2026-11-29 18:00:45.831362+00', true, '\x5c12bd782aa14316f5e71bf4e605a58b0f72e40475cc32896c5e8dc26dbf9fd3abf635a029723d0721289728f992da90', 908790),
	(29, 'mail clients by rank', '2026-11-29 18:00:45.834391+00', true, '\x8dd36a8ac88371142c7f21b74dd03d4a4bb33a990dd450f8bdd288ea41faa897ea18ae709e435ffd9524cf2da35cf3e9', 587823),
	(30, 'known networks', '2026-11-29 18:00:45.835242+00', true, '\xfeb0ce2f145210cdb6052f54a22c244971c36daf25ae720e2790697ef2c3cbddc5fc22b347caacd1c6421fec0cd30d72', 1041768),
	(31, 'known networks by age', '2026-11-29 18:00:45.8366+00', true, '\x06daa9953eed21a122d91a43de632d6fea2a7b6ec9d6213f789a9f5a4bd1f501bc7c89af1e9c33cdd06e84b19fefde48', 474315),
	(32, 'session refreshes', '2026-11-29 18:00:45.837375+00', true, '\x1f5047f3f8e013c001c61efdffa7ee62afd75fdb641ae6a617ca3e317366dcd94e2952ad5bdbf52eb00a281e2771dcb0', 449738),
	(33, 'session refreshes since', '2026-11-29 18:00:45.838175+00', true, '\x7f841c7c94d453415184ee85f92b27215256533685d5e8764b4d4d6c947fec7d49b4209116dde61af03ce9b104dd0d94', 415136),
	(41, 'claims of nodes', '2026-11-29 18:00:45.842348+00', true, '\xf9fb6c83a2e1aa3f7651c1c97230c74501166a7b0b9f29cc8004073624e03b3119db1b2f23f148554277cb1e2cf07182', 379794),
	(42, 'nodes', '2026-11-29 18:00:45.843033+00', true, '\x6dde5a9253263d38d76b9de8f1edc7cdd11e08e5a0208ad3a8bdcc08fb8f645b39f93fbd47ea708fb1aacdb10548d528', 697446),
	(43, 'revocation kind', '2026-11-29 18:00:45.845489+00', true, '\x9f9c4936d2919e583b7cef5150d216bc4c712b83a9466a14a1facbbb1a054c631e4783150427049efbd0204620971761', 337060),
	(44, 'erased revocations', '2026-11-29 18:00:45.846137+00', true, '\xab400667f457c20cd2a2e3066e678706713f02e636a66dbda0674c08cb8db0e57443edc95df888c3a170ecc74b172a26', 927367),
	(45, 'session issued until', '2026-11-29 18:00:45.847395+00', true, '\x01cc93bd8e296bc94fe875dfb63d7da3fbcc55bdeddbbc873b75c656a8da3d82d61ef49f15fb5620e8c52c2714615895', 473343),
	(46, 'write counters', '2026-11-29 18:00:45.848172+00', true, '\xeb00065aa64ba9e1a02696bf464e3db185027cf6983fbe27e08be4f8b7916d3f7d604cdc2bbabd11eb0ddf035691dc85', 1549442),
	(47, 'set counters', '2026-11-29 18:00:45.854496+00', true, '\xf56d36f7e93265c589f82ff2a18bf74219dcabc9e6cc3308bde4bf39c3ac08446ca8bedf0524c93c77af03231729233e', 560533),
	(48, 'refund counters', '2026-11-29 18:00:45.855392+00', true, '\x9157447f6780f124e0efcd915ea8bd00f50464862b63c3d8a3d2872cde953f31cbeebfd0d31aa3885234ce74ac32ff73', 398762),
	(49, 'record change', '2026-11-29 18:00:45.856095+00', true, '\x7a22df464b73c488e37a7a8f690f7e16994c58375781b01dee3c27799abc0728b3279525c572ee4ebd44c32afee94c04', 466012),
	(50, 'adjust counters', '2026-11-29 18:00:45.856883+00', true, '\x1d19770787a13758c557ad3d70b8967b2f333f58c6ba0858154390b63bc3daf3893a375b03586582b52309a6be624436', 514824),
	(51, 'insert session', '2026-11-29 18:00:45.862226+00', true, '\x7c4dd43aa7403877e8c73d2809784e9559bc3b2d0a66c659498a3273c5a6713a03d9572b2c52c5c1d12527d9c47e6a98', 699669),
	(52, 'end sessions', '2026-11-29 18:00:45.863181+00', true, '\x0b772c764c687329427126256859cdc1fb5e0e91866c06f4fe6b46ffbc946060bb3cda88c922245709426da3922abc6f', 301818),
	(53, 'open session', '2026-11-29 18:00:45.863718+00', true, '\xe82b648245145b1d8a737aacd923c45d0dc0709e16cced15d5e9a8ad643fc9b9deea72e7af09eff04a04053536fee889', 377511),
	(54, 'charge guess', '2026-11-29 18:00:45.864345+00', true, '\xf0efd80ca4f644c3802273a61343d7362185898a198aa8e38b11c3aac9531b068b181dac476da78e0b134719ef24a294', 280226),
	(55, 'activate', '2026-11-29 18:00:45.864868+00', true, '\x83706acbb1575154b9c28016f8947777b3cb21d173378ff18bddd177f6a9cadab0b5e8de3950c52c182a488867bb3ab9', 466784),
	(56, 'request code', '2026-11-29 18:00:45.87027+00', true, '\x204d304a615cfc3ae3bb638e1e82d5c1d30e6cfeda45204f92f06945362973893689581b426ca809d935cacbd9c13b47', 940317),
	(57, 'refresh session', '2026-11-29 18:00:45.871543+00', true, '\xec1ac2fba8744959f7779b8230800208330082f0f9980144e4fc0690b3e67640a3217cef346c7582bd398f1452eb4e09', 489127),
	(58, 'end session', '2026-11-29 18:00:45.872366+00', true, '\xb527c80a160dd28659234f39c6142b0503d5705c9c60f086ec529f8387bf85932ad698eb2295544a84e7009fe2bbf8f1', 403279),
	(59, 'rename user', '2026-11-29 18:00:45.873114+00', true, '\x2409829665dcd476ad513d1a80ab70824d1921c06ebfe9b8828f9cf72892033c672407a5dba91b1ca24b270ec9d15fe9', 373174),
	(60, 'delete user', '2026-11-29 18:00:45.87382+00', true, '\x45d86c899e1ac27eea3ef9ef4fddddaa34cc6eb924b9e47e6eb285cf7e00d672852eb736f25e26c51e931ed27e904d67', 666710),
	(61, 'end all sessions', '2026-11-29 18:00:45.874838+00', true, '\xcfed02c1c829263dfee49ec0b9e4a2933f7954e9dedfde67f707be2afbf3522043eea1198bc65188a24d0ae9703f133a', 389399),
	(62, 'sessions by issue', '2026-11-29 18:00:45.875569+00', true, '\x0fed7db0cdc94eec536aaf9c096df0e23cbef8640430e0fb06cbdec387d48643d96c052391f9a85482ffa9f513ed7d97', 3268815),
	(63, 'plans of write counters', '2026-11-29 18:00:45.87924+00', true, '\x4ad34ae4ae085b1c90fbabe056a2e75c98f8686fcaf4307e118fab8da1c66098fe94aea11ead6d07f0ed201919b1882f', 358282),
	(64, 'plans of adjust counters', '2026-11-29 18:00:45.87993+00', true, '\x0f2f67cf802e260d0e78ca3daa4f6e781dc623c5c016ecd8ecc1f1a584ba20f1ecfee209063ac6d68c692496251f9c48', 320757),
	(65, 'plans of refund counters', '2026-11-29 18:00:45.880559+00', true, '\x9a7c5e743b1873c10c2b59bd3fec6ddc8f304d80ba1825527bb496422c0bd898e3978a7d3886d6214672b2481be025f5', 314557),
	(66, 'read counters', '2026-11-29 18:00:45.8813+00', true, '\x169e714a2294c9ca322bfbb0cb002677ad4b6471f46fc7a4192b6aafc91fd81045ad1b3d7dedfe9ef6ebbf6a432f84d1', 473774),
	(67, 'plans of end sessions', '2026-11-29 18:00:45.882159+00', true, '\xcde5c89c728d756204cded7e084364f2d930862fd0eac72c62bf730d91574da57c11d37a0a3ee670dda28214e3df8a43', 346525),
	(68, 'next rank', '2026-11-29 18:00:45.882826+00', true, '\xd6867511340e24ef4b34da316d037ceb36c238e785404dc8e2aba85d5335c95a0d1ac81e85b5028679ee812722596497', 380015),
	(69, 'void codes', '2026-11-29 18:00:45.883558+00', true, '\xb583a18309456c55daad221ae3a83f2c3f089eecd3b5af6afd2869c161e60462aa6920a1e0ca9fb6d54cf26ee717f218', 396960),
	(70, 'queue code', '2026-11-29 18:00:45.884261+00', true, '\x29653f921eb2ab3bc58a364fa17844b2941091d72e750d1cf5e93e6e4d0500e0c9bc888c3ddd0fec218b542896cc0cd0', 469898),
	(71, 'queue notice', '2026-11-29 18:00:45.890208+00', true, '\xee83031d8f7a68223725815b970c3778c678cb20c0fa44ec9b6b7875e0519cf02fcf91a501dffccdb968dcadc60110f5', 772297),
	(72, 'spend code', '2026-11-29 18:00:45.891388+00', true, '\xdd55d363def4d2e60a40b987987482a7a8cbf8a0286030b4eacc9396f4ed06b24dfca395b31d5df677ab5b57b9a6f520', 465621),
	(73, 'reset password', '2026-11-29 18:00:45.894072+00', true, '\xb8566bae564ee89ab428c2f0531c69eafe88b1de810baaa189d90a33dc411121b4cffd0c2e6556548b2f398d624a3aeb', 527703),
	(74, 'confirm email', '2026-11-29 18:00:45.89494+00', true, '\x68020390a38250a049da42ca056bd63a4b16c18510e7351bde35695e3b2afb43152ea5be311bb365f44027bf5f10a1d3', 448967),
	(75, 'update user', '2026-11-29 18:00:45.895792+00', true, '\xafdef59a312e3716c1719ee07367de7023ba7d88163c4874f880e1f281a3fec09367cbfdb5ec1ca8446140fc542308ee', 612459),
	(76, 'resend code', '2026-11-29 18:00:45.896752+00', true, '\x31cb6245665369faafbae6a9d3a1815ec01f40960c3991e8afb5b937e67b02a7f3ec02b3ca7400580bcb2f5867ff8184', 472472),
	(77, 'refund guess', '2026-11-29 18:00:45.897568+00', true, '\xaa10636536f856c4984e1f70c5e20b59bd0677ce8a71b201006cfa1bc315149ee44773f325614432804f73c3766e6b61', 471691),
	(78, 'refresh session', '2026-11-29 18:00:45.898459+00', true, '\xbe36627c0e629cc9757460a1d65dcb48111b56c57b16753f9c7a0c9348214b7e6eaf106354db0cc8e80cd0e76f4c9371', 540323),
	(79, 'revoke session', '2026-11-29 18:00:45.901923+00', true, '\x0e325909f8e1ef984c2d4da79bfc65a596f54f70250931c1987a63ca5c102e15ff457bf841c07b33d1085656ac74124c', 3095839),
	(80, 'open session', '2026-11-29 18:00:45.906107+00', true, '\x2839b733bf99c20bd61bf08d41bab67ebca6262fad213c10e8849cf23f9602d6802371b29b93fef5bbb6438f7380868f', 607562),
	(81, 'record event', '2026-11-29 18:00:45.907084+00', true, '\xfd66cfa0c546d5f408071b6f0ff1e5d6f62e0043222cd3977cc14e82358dda98792e7302ea3ad6b7b64a49d85e71365a', 373334),
	(82, 'request code', '2026-11-29 18:00:45.907847+00', true, '\x6da3f03ef22bd6e5c2065346466e98c7a32a8ebfb1e4ba6ca7b53ae8bd86f5614a13ca6c08216a1ef12d29d6af1f7d15', 587072);


--
-- Data for Name: audit; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit VALUES
	('01a22877-70f0-74c0-b3e9-652042e7400b', 1795975246064, 'registered', NULL, NULL, '\xb9b2b8a61b3d431ab312955fe9410134', '', NULL, NULL, NULL, NULL, 1, NULL, '\xb78d14b5e27cfe17f5aac389e48ff87e76adab6255035404843de8fde15c6f5e', '7TdQZSlvxkE', '\x48b3281548194f0553cecbae248dac666a1241e6a557bd5d380a8c8b55773ccb'),
	('01a22877-710f-707f-80e9-5c86e4864399', 1795975246095, 'verified', 'a4bdf410-66f9-4b7d-aa37-8a552601c4bd', '1328a984-6b77-4c2c-bb5b-e3f9a78a1cc6', '\xb9b2b8a61b3d431ab312955fe9410134', '', NULL, NULL, NULL, NULL, 2, NULL, '\xdb37c7f8faadd576520b00f910a296afb46796142771110bd9f67760290ef8e4', '7TdQZSlvxkE', '\xc00e089809079de5831a54bd49569c0f20908b8b89d185228c931925ac9bf8fb'),
	('01a22877-7156-7632-91d3-273299787ea9', 1795975246166, 'logged_in', 'a4bdf410-66f9-4b7d-aa37-8a552601c4bd', '888a1ac5-d9aa-4069-aabd-939ea02969c5', NULL, '', NULL, NULL, NULL, NULL, 3, NULL, '\x965bbff498c2fbdd5dca0add9bdfde250f119991994eff31234500be8567f3ba', '7TdQZSlvxkE', '\x582e0bfc3dabc50351ddb05b03be56c357a24f215bb71ba48a967677f8e880c1'),
	('01a22877-715a-757d-bc27-b6ff3c7fc38f', 1795975246170, 'refreshed', 'a4bdf410-66f9-4b7d-aa37-8a552601c4bd', '888a1ac5-d9aa-4069-aabd-939ea02969c5', NULL, '', NULL, NULL, NULL, '\xa76630f734c7c1532d881d64e767aa9a1fe86aa1e8ef4ba0dd3ba2153495c7bb', 4, NULL, '\xecd846435f4e840c2cc63a8975f5ffa6a9fa246ac47d2dabfe913e8be89c999c', '7TdQZSlvxkE', '\x59acd1812b5227a130b22b4c5318638f6adfacb577a22b8a6fe3e20822d73d32'),
	('01a22877-718f-716f-a609-6d26b1b2016f', 1795975246222, 'registered', NULL, NULL, '\xc27b325950ab43739f5bc46fae7422a1', '', NULL, NULL, NULL, NULL, 5, NULL, '\x34cee81f42a453f2ef40282a256b99f99792a9740b71804995f863b7164ac4af', '7TdQZSlvxkE', '\x6a2d93c645b88eac2f0c544578637c0add01d4234195db0caa6e53360554417f'),
	('01a22877-719e-734e-8b72-87f02c2179da', 1795975246238, 'verified', '4c140206-d55b-4cdf-9b35-4c49f456629c', '0626bc38-bfea-4a8a-affe-9491604355b7', '\xc27b325950ab43739f5bc46fae7422a1', '', NULL, NULL, NULL, NULL, 6, NULL, '\x283d674879c74a89e27fc6983493a10da0c097864c17904f48d37b9aad5dcffd', '7TdQZSlvxkE', '\xc2a2bd4a6148da59732edb1427201799702c1a61f3f40ddaf46077c19dc3abdf'),
	('01a22877-71a0-727d-a1bd-67ab414d8e13', 1795975246239, 'logged_out', '4c140206-d55b-4cdf-9b35-4c49f456629c', '0626bc38-bfea-4a8a-affe-9491604355b7', NULL, '', NULL, NULL, NULL, NULL, 7, NULL, '\x02c204a26356e2850de1c2b64ed40305e0e443266234f5e8b9d99f337fdf09d2', '7TdQZSlvxkE', '\x7bdf20640eae71aa607c6eec63879e562380df5411f8848a23fe5d6207d637aa'),
	('01a22877-71be-7600-8a99-6d1969e17026', 1795975246270, 'registered', NULL, NULL, '\x609f8ce3c60c43be8107aae5281f7cb3', '', NULL, NULL, NULL, NULL, 8, NULL, '\x0735669666c8f3aaf08714e56db6206e1dd56c1620dac5568d8128e5286827e5', '7TdQZSlvxkE', '\x5c42370eadbd1c3ec02c578e5164e5b99a0e2776eb6121be5be888c7804ba9eb'),
	('01a22877-71cd-77c1-a228-d3f5e4cc7da7', 1795975246285, 'verified', '6e4721cb-2d61-44d7-9498-76063abdf45e', 'ddda74aa-f6e7-4764-a0ef-d2aa6a190be4', '\x609f8ce3c60c43be8107aae5281f7cb3', '', NULL, NULL, NULL, NULL, 9, NULL, '\x81cb1ca21c8f81aee8769065def8ff3940bb4d0bc552319a85bfde601a946d68', '7TdQZSlvxkE', '\x892d1906131c8a7b85f86b556c982c447f298ed6213a3a38459090c94d6f3a7a'),
	('01a22877-71f9-76e4-820b-fc8fa75c0053', 1795975246329, 'deleted', '6e4721cb-2d61-44d7-9498-76063abdf45e', NULL, NULL, '', NULL, NULL, NULL, NULL, 10, NULL, '\x77c95898c4a1761acdb9f19190700cd5caf23d24e17d36d981205c154aa3412f', '7TdQZSlvxkE', '\x9fc81e677d6c5c73fdd4c8633adbaf783e0236d48176204cc7d5ce5965a95c31'),
	('01a22877-7216-75d4-ba1d-85df49663029', 1795975246358, 'registered', NULL, NULL, '\x56519f27b2fc48078a9bc9890baec03f', '', NULL, NULL, NULL, NULL, 11, NULL, '\x8d037f1050e321962632868f5adeec11772a301edcd5f40ee49fceeff8a1c194', '7TdQZSlvxkE', '\xbda455e1d3c0c3add1604a6277999d53408c6eae518c200a0a762161a5794abc'),
	('01a22877-7226-7794-b5ad-30f64f0786b1', 1795975246374, 'verified', '147bb04d-d531-45b5-89bc-234a6c234443', '35dd2763-98f6-44d5-b633-21c405c83b28', '\x56519f27b2fc48078a9bc9890baec03f', '', NULL, NULL, NULL, NULL, 12, NULL, '\xf72c27cc6e9246c56ca121b22220bb6164d5c747ea656b63f3ac44e2629af2b5', '7TdQZSlvxkE', '\x6a47bed6eb1fa68f94044294d1c274a65a7bdd08de0357389168abe16000e5cf'),
	('01a22877-7248-715b-b7c3-c0af1efe352e', 1795975246406, 'disabled', '147bb04d-d531-45b5-89bc-234a6c234443', NULL, NULL, '', 'root', NULL, NULL, NULL, 13, NULL, '\xbf9b646302c5372303962c9b8faf21eb502cf6878e3346717eee11a93ea34e66', '7TdQZSlvxkE', '\x75ce0f37658c617a4f05720d31342c8572faec9965442fc39d55b8b9dac21e13'),
	('01a22877-725f-7175-8788-bedbe840ae04', 1795975246431, 'registered', NULL, NULL, '\xad995e25dc3543ed917609793d5ee580', '', NULL, NULL, NULL, NULL, 14, NULL, '\x8124710dee13d4506fd8b0700a7a02f4365164c00873ba86452f868a270e100d', '7TdQZSlvxkE', '\x3025f963089acf549272d9bea0a3ded3be0bd687df344a0c007287b078ea0c2a'),
	('01a22877-7298-778f-ac40-695461d7e58d', 1795975246488, 'registered', NULL, NULL, '\x0b5727f8ac6c46a0896d58aa12464cda', '', NULL, NULL, NULL, NULL, 15, NULL, '\x5c1d2c722cc3d4384a8c78963eb7600dc39057eca7f4e4daa4da6f6dd8dacdb8', '7TdQZSlvxkE', '\xa8d0ddb2f2f78067827e891c751fc09ef7e358a32e726527eb0b104b92b83624'),
	('01a22877-72a8-7215-92ef-abed3a3620b1', 1795975246504, 'verified', '6aba0051-4985-4714-b376-11bec0fee48a', '7dc714c6-050d-481d-be59-937d5a3ff58a', '\x0b5727f8ac6c46a0896d58aa12464cda', '', NULL, NULL, NULL, NULL, 16, NULL, '\xe5d32c3b3fd5e8f2ed970c02365dc36db094e1ede52859c04cfafcabbdc216ab', '7TdQZSlvxkE', '\xa9b1160ac33ea25d32ca2e269f2b4ecb26f836cd7d2e7f18bca5218a16272951'),
	('01a22877-72aa-7303-b770-cf261a2a0d21', 1795975246506, 'reset_requested', '6aba0051-4985-4714-b376-11bec0fee48a', NULL, '\x9f75ad4b163c4deea61e305e10bc3534', '', NULL, NULL, NULL, NULL, 17, NULL, '\xf8aa69e002704661418bc10444c60273efe36480f87bded1cbe1bf2e0fffddc8', '7TdQZSlvxkE', '\x319a3f04dcfdf790467e0a909ec69c1c42f5c40f93f0e5baafed2fefeb630324'),
	('01a22877-72ca-75ff-8ca1-d462add86f61', 1795975246538, 'login_failed', '6aba0051-4985-4714-b376-11bec0fee48a', NULL, NULL, '', NULL, '192.0.2.7', '\xb774cdad66384536ba1d218e17d195ef', NULL, 18, '\x24b10efaa8fcf33be2053fbc047a399e31299300a5560902b8e59b1464502098', '\x5b5c9abce035b004eb33bd60a8f3c50886fdf5df43aeb7442e926705d62138dc', '7TdQZSlvxkE', '\x0d1f85e3f9fe86b0c699f40d2f5d724ea9a90d822f40c7d16b92e1f417d8093f'),
	('01a22877-72f9-7111-a842-bc6f90d7a3b8', 1795975246585, 'registered', NULL, NULL, '\x1ee827cb9b6c43279d298dc30d19f217', '', NULL, NULL, NULL, NULL, 19, NULL, '\x63954a0b51ed10628ec2c1accbc975320ba040b1a6487f1d09c03901c448c5cc', '7TdQZSlvxkE', '\xdf68d49d2af3e7b7efe19e41faf34b0776da491c1ac29f16a34ae41b14749e20'),
	('01a22877-730c-77a2-9dc7-2a1020f9f2d1', 1795975246604, 'verified', 'a90cce9b-23ab-40c4-91f4-b8eb437ebed3', 'bdf09bdb-ca42-4495-bb95-e5b243c2d5f4', '\x1ee827cb9b6c43279d298dc30d19f217', '', NULL, NULL, NULL, NULL, 20, NULL, '\x20a7e01050c2b2b2d3f16b8bee62891b461afe86640df784e0edd5b591b32dd7', '7TdQZSlvxkE', '\x63514767bb3d99d8eb5b5c0d451bab1e17772af639f949519beddc2cd2c49a21'),
	('01a22877-7321-73a8-ae35-c2a28f8a3249', 1795975246625, 'updated', 'a90cce9b-23ab-40c4-91f4-b8eb437ebed3', 'bdf09bdb-ca42-4495-bb95-e5b243c2d5f4', NULL, 'email', NULL, NULL, NULL, NULL, 21, NULL, '\x9869f8f8b291b7077581e36fe350419bd6b00634b36324b79b64e42b29cfd846', '7TdQZSlvxkE', '\x616a158e811d23f82dad95a92183de83a965b453c0bc5075624800743a465cbb'),
	('01a22877-734e-740c-ab80-348e687baa53', 1795975246670, 'registered', NULL, NULL, '\x6d5375f5d0524c9e94593e8db2fd34ba', '', NULL, NULL, NULL, NULL, 22, NULL, '\x992e36268671f072fdb3d2f42834504a49f7ac2c18198ec2a5f140c4876ea669', '7TdQZSlvxkE', '\x2dec3ed2d500137c674a4f83f582aabaf438c19b8bf0495fc5496e0c32f7c3e5'),
	('01a22877-7752-775f-9e56-7ffd7d042de1', 1795975247698, 'login_failed', NULL, NULL, '\x3132ee7682116b86dc445475770a767223039ec9443b15fcc5dd24c859b2e8fb', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);


--
-- Data for Name: audit_chain; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.audit_chain VALUES
	(1, 22, '\x992e36268671f072fdb3d2f42834504a49f7ac2c18198ec2a5f140c4876ea669', 0, '\x0000000000000000000000000000000000000000000000000000000000000000', '7TdQZSlvxkE', '\x6eff5a1dd79690215eec224ec7437dc13c66d89311e1e4937d63416e727dbb00', '4fc4a0a5-ac37-4d04-8de5-fe75080fcbe6', 1795975251931);


--
-- Data for Name: counters; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.counters VALUES
	('\x4590d463e9bb6a3fb46cd7823ce513f2da240810e41223f3bd5db3ee34e99547', 0, 1795975246101, 0, 1796061646101),
	('\x4ae5b1b254bb43dea5f8fbc2cb4583e759ebd2447f9640c9e202cd70da68c07f', 1, 1795975246166, 0, 1795978846166),
	('\x693a3cd0e9579d8a772fb9f85c942206f0afda4e75a1bad0462377e4cb92bc48', 0, 1795975246287, 0, 1796061646287),
	('\x6cb05cfca39649ef139002f8563010db845c4a5f2d6215046d58be9e2dbbd060', 0, 1795975246287, 0, 1796061646287),
	('\x80aa6b9b652893ec94314ae925cb87d0c6e18c29b38d8e05f5e554e07a119834', 1, 1795975246505, 0, 1795978846505),
	('\x503ec47999a4699ef77eeef90abe13ae0a6f927aa2ba50ff4e1cc8c8a060f5f4', 1, 1795975246520, 0, 1796061646520),
	('\x832bf8e2bed7cd196c3f78718f08cacff83fd4dd6dd8e6a5df838293ee9ccf7b', 0, 1795975246520, 0, 1796061646520),
	('\x9bba17f7cf3448efc284cbf3be7b88b4f9254d09a47a7f66ca04af4e7881e542', 1, 1795975246520, 1795975246520, 1796061646520),
	('\xf23d85f7164d81c7609611ac5adb5db7d5ce788e4acc9155333b4d5d7826482b', 1, 1795975246520, 0, 1795978846520),
	('\xd087d086a16f72d03e725bfd4c4bdd6855ee3f8d14d2de03da3264454502ec88', 0, 1795975246603, 0, 1796061646603),
	('\x49622c7d1f409ede8c776267b7a8aefbee38976933ffcecc28b02570b37616de', 0, 1795975246607, 0, 1796061646607),
	('\xa87d57ce0cc61b5ee964e18d32e98f4df4ee3c3d0f41dd570bbe86cc254cad5a', 0, 1795975246607, 0, 1796061646607),
	('\xda8768b0d63e8c0263138ff1b086bf7d83dc03668d5b74cdbe491e85654faad8', 1, 1795975246625, 0, 1795978846625),
	('\xe5ea9b4c0ccdbb9e8f00aacaee7911fd7df98987d6dc06bdfa83bab999f7e8a7', 1, 1795975246625, 0, 1796061646625),
	('\x61e371b8b55988e2c319448ab2747216a37337dee1867c1b0820f05ba7213f54', 8, 1795975245935, 0, 1795978845935),
	('\x156aba40a0b7ed19492d71296b9094f3d90f9dec4a2d6e9b72d6e6ef1bfd4a02', 1, 1795975247674, 0, 1796061647674),
	('\xb834251f40a63ea5bd6e58c2afea3970dad2aa703b3d1c74ca127541c05c5e6e', 1, 1795975247674, 0, 1795978847674);


--
-- Data for Name: erased_revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.erased_revocations VALUES
	(1, 0);


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.idempotency_keys VALUES
	('616e2075-7067-7261-6465-2773206b6579', '7TdQZSlvxkE', '\xd2a8cc368be7464b38921ec71c28e1f23238e440774f0af3966019dc787cb00b', 'bb710a31-f925-4605-a123-86bc3a0d103d', 1796061646670, 1795975246670, NULL, '6d5375f5-d052-4c9e-9459-3e8db2fd34ba', NULL, NULL, NULL, NULL, 0, '4d37f5ed-d081-49f8-80db-5898a30f0e8b');


--
-- Data for Name: known_networks; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: mail_clients; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_clients VALUES
	('', 1795975256064);


--
-- Data for Name: mail_turns; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.mail_turns VALUES
	('ada@example.org', 'registration', 1795975306069, 0, NULL, 1795975306069, 0, 1795975306069),
	('bob@example.org', 'registration', 1795975306224, 0, NULL, 1795975306224, 0, 1795975306224),
	('gus@example.org', 'registration', 1795975306271, 0, NULL, 1795975306271, 0, 1795975306271),
	('gus@example.org', 'deleted', 1795978846332, 0, NULL, 1795978846332, 1, 1795978846332),
	('hal@example.org', 'registration', 1795975306359, 0, NULL, 1795975306359, 0, 1795975306359),
	('cyd@example.org', 'registration', 1795975306433, 0, NULL, 1795975306433, 0, 1795975306433),
	('eve@example.org', 'registration', 1795975306489, 0, NULL, 1795975306489, 0, 1795975306489),
	('eve@example.org', 'password_reset', 1795975306507, 0, NULL, 1795975306507, 0, 1795975306507),
	('dan@example.org', 'registration', 1795975306590, 0, NULL, 1795975306590, 0, 1795975306590),
	('daniel@example.org', 'email_change', 1795975306628, 0, NULL, 1795975306628, 0, 1795975306628),
	('fay@example.org', 'registration', 1795975306671, 0, NULL, 1795975306671, 0, 1795975306671);


--
-- Data for Name: migration_lease; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: nodes; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.nodes VALUES
	('4d37f5ed-d081-49f8-80db-5898a30f0e8b', 1795975247430);


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.outbox VALUES
	('01a22877-70f0-74c0-b3e9-651f0b679920', 'registration', 'b9b2b8a6-1b3d-431a-b312-955fe9410134', 'ada@example.org', '', 'ada@example.org', '', 0, 1, 1795975246064, 1795975246069, 1795975306069, 1795975246083, 1795975246064, NULL, NULL, 0, 1),
	('01a22877-718f-716f-a609-6d25703d0a79', 'registration', 'c27b3259-50ab-4373-9f5b-c46fae7422a1', 'bob@example.org', '', 'bob@example.org', '', 0, 1, 1795975246222, 1795975246224, 1795975306224, 1795975246231, 1795975247064, NULL, NULL, 0, 1),
	('01a22877-71be-7600-8a99-6d189991bc4d', 'registration', '609f8ce3-c60c-43be-8107-aae5281f7cb3', 'gus@example.org', '', 'gus@example.org', '', 0, 1, 1795975246270, 1795975246271, 1795975306271, 1795975246282, 1795975248064, NULL, NULL, 0, 1),
	('01a22877-71f9-76e4-820b-fc8ecff29900', 'deleted', NULL, 'gus@example.org', '', 'gus@example.org', 'gus', NULL, 1, 1795975246329, 1795975246332, 1795975306332, 1795975246362, 1795975249064, NULL, NULL, 0, 1),
	('01a22877-7321-73a8-ae35-c2a3d5aad5d7', 'email_change', '9003b143-6c9b-4672-97ef-40d1f0fb34cc', 'daniel@example.org', '', 'daniel@example.org', '', 0, 1, 1795975246625, 1795975246628, 1795975306628, 1795975246634, 1795975255064, NULL, NULL, 0, 1),
	('01a22877-7216-75d4-ba1d-85de32e906a8', 'registration', '56519f27-b2fc-4807-8a9b-c9890baec03f', 'hal@example.org', '', 'hal@example.org', '', 0, 1, 1795975246358, 1795975246359, 1795975306359, 1795975246370, 1795975250064, NULL, NULL, 0, 1),
	('01a22877-725f-7175-8788-beda9a1b254a', 'registration', 'ad995e25-dc35-43ed-9176-09793d5ee580', 'cyd@example.org', '', 'cyd@example.org', '', 0, 1, 1795975246431, 1795975246433, 1795975306433, 1795975246438, 1795975251064, NULL, NULL, 0, 1),
	('01a22877-7298-778f-ac40-695379148a61', 'registration', '0b5727f8-ac6c-46a0-896d-58aa12464cda', 'eve@example.org', '', 'eve@example.org', '', 0, 1, 1795975246488, 1795975246489, 1795975306489, 1795975246492, 1795975252064, NULL, NULL, 0, 1),
	('01a22877-72aa-7303-b770-cf252a619165', 'password_reset', '9f75ad4b-163c-4dee-a61e-305e10bc3534', 'eve@example.org', '', 'eve@example.org', 'eve', 0, 1, 1795975246506, 1795975246507, 1795975306507, 1795975246510, 1795975253064, NULL, NULL, 0, 1),
	('01a22877-72f9-7111-a842-bc6ea5974188', 'registration', '1ee827cb-9b6c-4327-9d29-8dc30d19f217', 'dan@example.org', '', 'dan@example.org', '', 0, 1, 1795975246585, 1795975246590, 1795975306590, 1795975246594, 1795975254064, NULL, NULL, 0, 1),
	('01a22877-734e-740c-ab80-348d9a72a359', 'registration', '6d5375f5-d052-4c9e-9459-3e8db2fd34ba', 'fay@example.org', '', 'fay@example.org', '', 0, 1, 1795975246670, 1795975246671, 1795975250858, NULL, 1795975256064, 1795975246679, NULL, 0, 0);


--
-- Data for Name: retired_keys; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: revocations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.revocations OVERRIDING SYSTEM VALUE VALUES
	(1, '0626bc38-bfea-4a8a-affe-9491604355b7', 1795975246239, 1),
	(2, 'ddda74aa-f6e7-4764-a0ef-d2aa6a190be4', 1795975246329, 1),
	(3, '6e4721cb-2d61-44d7-9498-76063abdf45e', 1795975246329, 2),
	(4, '35dd2763-98f6-44d5-b633-21c405c83b28', 1795975246406, 1);


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.sessions VALUES
	('1328a984-6b77-4c2c-bb5b-e3f9a78a1cc6', 'a4bdf410-66f9-4b7d-aa37-8a552601c4bd', 0, '7TdQZSlvxkE', 1795975246095, 1795975246095, NULL, NULL, 0, 0, 0),
	('888a1ac5-d9aa-4069-aabd-939ea02969c5', 'a4bdf410-66f9-4b7d-aa37-8a552601c4bd', 1, '7TdQZSlvxkE', 1795975246166, 1795975246170, NULL, NULL, 1, 1795975246170, 0),
	('7dc714c6-050d-481d-be59-937d5a3ff58a', '6aba0051-4985-4714-b376-11bec0fee48a', 0, '7TdQZSlvxkE', 1795975246504, 1795975246504, NULL, NULL, 0, 0, 0),
	('bdf09bdb-ca42-4495-bb95-e5b243c2d5f4', 'a90cce9b-23ab-40c4-91f4-b8eb437ebed3', 0, '7TdQZSlvxkE', 1795975246604, 1795975246604, NULL, NULL, 0, 0, 0);


--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.users VALUES
	('a4bdf410-66f9-4b7d-aa37-8a552601c4bd', 'ada', 'ada', 'ada@example.org', 'ada@example.org', 'ada@example.org', '$argon2id$v=19$m=19456,t=2,p=1$8v5EPZJ2JTLdWjSQGUeZJw$EO0kjE3LrhpXV8M7XipBy6qeiet+HoFD5XTsUhQpN4U', 1, NULL, 1795975246095, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('4c140206-d55b-4cdf-9b35-4c49f456629c', 'bob', 'bob', 'bob@example.org', 'bob@example.org', 'bob@example.org', '$argon2id$v=19$m=19456,t=2,p=1$HmkferHJR2AExQeQJ8pEmg$Ef4F1pmQt+b3HfdzYL2c8vPuWsTsoADDrT2IfLnY4tc', 1, NULL, 1795975246238, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('147bb04d-d531-45b5-89bc-234a6c234443', 'hal', 'hal', 'hal@example.org', 'hal@example.org', 'hal@example.org', '$argon2id$v=19$m=19456,t=2,p=1$UbTGViHNPnXP90iNyKYu2w$nvJITPvklrsu1UYh+DvD+FYXZj4CezHE+D+P6jCw0F8', 2, 1795975246406, 1795975246374, '$argon2id$v=19$m=19456,t=2,p=1', 2, 1795975246406),
	('6aba0051-4985-4714-b376-11bec0fee48a', 'eve', 'eve', 'eve@example.org', 'eve@example.org', 'eve@example.org', '$argon2id$v=19$m=19456,t=2,p=1$xg1lOSSk89sRfEiiEPOUaw$Mbd+Vc9A6S6hGLAUaHHWqfpmnEMuI9xFBPt7H9nRX58', 1, NULL, 1795975246504, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL),
	('a90cce9b-23ab-40c4-91f4-b8eb437ebed3', 'dan', 'dan', 'dan@example.org', 'dan@example.org', 'dan@example.org', '$argon2id$v=19$m=19456,t=2,p=1$UV9qhyK9SVPM6l3m4ozCFw$Jy87mEkARmD4K2Gj/DGWsl2T4mxgWHVDLNhql3vSGhs', 1, NULL, 1795975246604, '$argon2id$v=19$m=19456,t=2,p=1', 1, NULL);


--
-- Data for Name: verifications; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.verifications VALUES
	('6d5375f5-d052-4c9e-9459-3e8db2fd34ba', 'registration', NULL, 'fay', 'fay', 'fay@example.org', 'fay@example.org', 'fay@example.org', 'fay@example.org', '$argon2id$v=19$m=19456,t=2,p=1$oWgMBU6a4IhnSHQJ3G6sPw$cSQquj8PM74AY8oawToomrtv1w3E7NxvVv+d4VvAz4s', 0, '7TdQZSlvxkE', 0, 0, 1795975246671, 1795976146671, 1795975246670, 1795975246670, 0, ''),
	('ad995e25-dc35-43ed-9176-09793d5ee580', 'registration', NULL, 'cyd', 'cyd', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', 'cyd@example.org', '$argon2id$v=19$m=19456,t=2,p=1$u3mT/7/DH6f+Z/MnbVpC4Q$aLBb5HHsIPCP3Rl1u5E+r2UsPjqT1B1bjGml4dApV6c', 0, '7TdQZSlvxkE', 0, 0, 1795975246433, 1795976146433, 1795975246431, 1795975246431, 0, ''),
	('9f75ad4b-163c-4dee-a61e-305e10bc3534', 'password_reset', '6aba0051-4985-4714-b376-11bec0fee48a', NULL, NULL, 'eve@example.org', 'eve@example.org', 'eve@example.org', 'eve@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795975246507, 1795976146507, 1795975246506, 1795975246506, 0, ''),
	('9003b143-6c9b-4672-97ef-40d1f0fb34cc', 'email_change', 'a90cce9b-23ab-40c4-91f4-b8eb437ebed3', NULL, NULL, 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', 'daniel@example.org', NULL, 0, '7TdQZSlvxkE', 0, 0, 1795975246628, 1795976146628, 1795975246625, 1795975246625, 0, '');


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


