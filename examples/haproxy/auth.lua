-- Asks user-http about the token of a request, through the frontend `auth` of haproxy.cfg.

local url = "http://127.0.0.1:3079/auth/check"

-- The headers that the check needs. Everything else of the request stays here.
local passed_on = {
    "authorization", "cookie", "host", "origin", "sec-fetch-mode", "sec-fetch-site",
    "sec-websocket-key", "sec-websocket-version", "traceparent",
}

core.register_action("check_token", { "http-req" }, function(txn)
    txn:set_var("txn.auth.status", 503)
    local headers = txn.http:req_get_headers()
    local check = {
        ["x-forwarded-for"] = { txn.sf:src() },
        -- A WebSocket changes things, whatever its method. With HTTP/2 it has no Sec-WebSocket-Key,
        -- and HAProxy calls its method GET.
        ["x-forwarded-method"] = { headers["upgrade"] and "CONNECT" or txn.sf:method() },
        ["x-forwarded-proto"] = { txn.sf:ssl_fc() == 1 and "https" or "http" },
        ["x-envoy-expected-rq-timeout-ms"] = { "2000" },
    }
    for _, name in ipairs(passed_on) do
        local values = headers[name]
        if values then
            check[name] = {}
            -- All of them, so that a duplicate is noticed. They are counted from 0.
            for index = 0, #values do
                check[name][index + 1] = values[index]
            end
        end
    end
    local ok, reply = pcall(function()
        return core.httpclient():get({ url = url, headers = check, timeout = 3000 })
    end)
    if not ok or not reply or not reply.status then
        return
    end
    local function header(name)
        local values = reply.headers and reply.headers[name]
        return values and values[0] or ""
    end
    local user, session, claims = header("x-user-id"), header("x-session-id"), header("x-claims")
    if reply.status == 401 then
        txn:set_var("txn.auth.challenge", header("www-authenticate"))
        txn:set_var("txn.auth.error", header("x-auth-error"))
    elseif reply.status == 200 then
        -- An identity is complete, or there is none.
        local id = "^%x+%-%x+%-%x+%-%x+%-%x+$"
        if not (user:match(id) and session:match(id) and claims:match("^{.*}$")) then
            return
        end
        txn:set_var("txn.auth.user_id", user)
        txn:set_var("txn.auth.session_id", session)
        txn:set_var("txn.auth.claims", claims)
    end
    txn:set_var("txn.auth.status", reply.status)
end, 0)
