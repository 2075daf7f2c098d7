-- Records an audit event that belongs to no change. The account is locked, so that a concurrent deletion erases the event
-- too. If it was deleted already, the network is not recorded.
CREATE FUNCTION record_event_v1(call jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
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
