"use strict";

// Everything that an end user has chosen is shown with textContent, never as HTML.
const element = (id) => document.getElementById(id);
const visitorViews = ["login", "register", "verify", "reset", "reset-code"];
const userViews = ["account", "sessions", "settings"];
let user = null;
// The code that is being waited for: its id, its address, and what it is for.
let pending = null;

class Problem extends Error {
  constructor(status, body) {
    super(body.detail);
    Object.assign(this, { status, code: body.code, field: body.field, wait: body.retry_after_ms });
  }
}

function setsCookies(method, path) {
  return path === "/auth/refresh" || method === "DELETE"
    || (method === "POST" && /^\/v1\/(sessions|me\/delete|registrations\/.*)$/.test(path));
}

async function send(method, path, body, key) {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  // Limited in time, since a stalled request would keep every tab from sending its own.
  const request = () => fetch(path, {
    method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(15000),
  });
  let reply;
  try {
    // One at a time in all tabs: a late reply to a refresh would replace the cookies of a newer
    // login.
    reply = await (setsCookies(method, path) ? navigator.locks.request("cookies", request) : request());
  } catch {
    throw new Problem(0, {});
  }
  const json = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Problem(reply.status, json);
  return json;
}

// Sends a request; if the access token has expired, refreshes it and sends the request again.
async function call(method, path, body) {
  const key = method === "GET" ? null : crypto.randomUUID();
  try {
    return await send(method, path, body, key);
  } catch (problem) {
    if (problem.code !== "TOKEN_EXPIRED") throw problem;
    await send("POST", "/auth/refresh");
    return send(method, path, body, method === "GET" ? null : crypto.randomUUID());
  }
}

function say(text) {
  element("error").textContent = "";
  element("status").textContent = text;
}

function clearErrors() {
  say("");
  for (const input of document.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-errormessage");
  }
}

function complain(text, input) {
  element("status").textContent = "";
  element("error").textContent = text;
  if (input) {
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-errormessage", "error");
    input.focus();
  }
}

function explain(problem, form) {
  const named = problem.field && form && form.elements.namedItem(problem.field);
  if (problem.code === "INVALID_CREDENTIALS") {
    const input = form && (form.elements.namedItem("current_password") || form.elements.namedItem("password"));
    return complain(form && form.elements.namedItem("login")
      ? "The username or the password is wrong." : "The current password is wrong.", input);
  }
  if (problem.code === "USERNAME_TAKEN" && form && form.dataset.action === "verify") {
    element("verify-rename").hidden = false;
    return complain("This username was taken in the meantime. Choose another one.", element("verify-name"));
  }
  if (problem.status === 0 || problem.status >= 500) {
    return complain("The service is not available. Try again in a moment.");
  }
  const wait = problem.wait ? ` Try again in ${Math.ceil(problem.wait / 1000)} seconds.` : "";
  // The message about a field does not repeat its name.
  const input = named || (form && form.elements.namedItem("code")) || null;
  const text = named ? `${named.labels[0].textContent}: ${problem.message}` : problem.message;
  complain(text + wait, input);
}

function show(view, focus = true) {
  for (const name of [...visitorViews, ...userViews]) element(name).hidden = name !== view;
  element("visitor-pages").hidden = user !== null;
  element("user-pages").hidden = user === null;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (location.hash !== `#${view}`) history.pushState(null, "", `#${view}`);
  document.title = `${element(view).querySelector("h1").textContent} - User service`;
  if (focus) element(view).querySelector("h1").focus();
}

async function open(view) {
  if (user && !userViews.includes(view)) {
    // A code for a new email address is entered while logged in.
    if (view !== "verify" || !pending) view = "account";
  } else if (!user && !visitorViews.includes(view)) {
    view = "login";
  }
  if ((view === "verify" || view === "reset-code") && !pending) view = user ? "account" : "login";
  if (view === "account") showUser();
  if (view === "sessions") await listSessions();
  show(view);
}

function showUser() {
  element("account-name").textContent = user.username;
  element("account-email").textContent = user.email;
  element("account-since").textContent = new Date(user.created_at).toLocaleString();
  element("account-id").textContent = user.user_id;
}

async function loadUser() {
  user = await call("GET", "/v1/me");
}

async function listSessions() {
  const { sessions } = await call("GET", "/v1/sessions");
  const items = sessions.map((session) => {
    const item = document.createElement("li");
    const line = (text, quiet) => {
      const p = document.createElement("p");
      p.textContent = text;
      if (quiet) p.className = "quiet";
      item.append(p);
    };
    const device = session.device || "An unnamed device";
    line(session.current ? `${device} (this device)` : device);
    line(`Logged in ${new Date(session.created_at).toLocaleString()} from ${session.network || "an unknown network"}`, true);
    line(`Last used ${new Date(session.last_used_at).toLocaleString()}`, true);
    if (!session.current) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "second";
      button.textContent = "End this session";
      button.setAttribute("aria-label", `End the session on ${device}`);
      button.addEventListener("click", () => run(async () => {
        await call("DELETE", `/v1/sessions/${session.session_id}`);
        await open("sessions");
        say("The session was ended.");
      }));
      item.append(button);
    }
    return item;
  });
  element("session-list").replaceChildren(...items);
}

function device() {
  const agent = navigator.userAgentData;
  return agent && agent.platform ? `Browser on ${agent.platform}` : "A browser";
}

// After a login: back to the page that asked for it, which the service checks, or to the account.
async function entered(text) {
  pending = null;
  const target = new URLSearchParams(location.search).get("return_to");
  if (target) {
    location.assign(`/auth/refresh?return_to=${encodeURIComponent(target)}`);
    return;
  }
  await loadUser();
  await open("account");
  say(text);
}

async function left(text) {
  user = null;
  pending = null;
  await open("login");
  say(text);
}

async function wait(reply, email, purpose) {
  pending = { id: reply.verification_id, email, purpose };
  element("verify-email").textContent = email;
  element("verify-rename").hidden = true;
  await open(purpose === "reset" ? "reset-code" : "verify");
}

const actions = {
  async logIn(form) {
    await send("POST", "/v1/sessions", { ...values(form), device: device() });
    await entered("You are logged in.");
  },
  async register(form) {
    const body = values(form);
    await wait(await send("POST", "/v1/registrations", body), body.email, "registration");
  },
  async verify(form) {
    const { code, username } = values(form);
    if (pending.purpose === "email") {
      await call("POST", "/v1/me/email/confirm", { verification_id: pending.id, code });
      pending = null;
      await loadUser();
      await open("account");
      say("The new email address is in effect.");
      return;
    }
    const body = { code, device: device() };
    if (username) body.username = username;
    await send("POST", `/v1/registrations/${pending.id}/verify`, body);
    await entered("Your account is active, and you are logged in.");
  },
  async resend() {
    const { resend_after } = await send("POST", `/v1/verifications/${pending.id}/resend`);
    say(`The code was sent again. The next one can be sent in ${resend_after} seconds.`);
  },
  async requestReset(form) {
    const body = values(form);
    await wait(await send("POST", "/v1/password-resets", body), body.email, "reset");
  },
  async completeReset(form) {
    await send("POST", `/v1/password-resets/${pending.id}/complete`, values(form));
    await left("Your password was changed. Log in with the new one.");
  },
  async logOut() {
    await send("DELETE", "/v1/sessions/current");
    await left("You are logged out.");
  },
  async logOutEverywhere() {
    await call("DELETE", "/v1/sessions");
    await left("You are logged out on every device.");
  },
  async changeName(form) {
    await call("PATCH", "/v1/me", values(form));
    await loadUser();
    await open("account");
    say("The username was changed.");
  },
  async changeEmail(form) {
    const body = values(form);
    await wait(await call("PATCH", "/v1/me", body), body.email, "email");
  },
  async changePassword(form) {
    await call("PATCH", "/v1/me", values(form));
    await open("account");
    say("The password was changed, and every other session was ended.");
  },
  async deleteAccount(form) {
    await call("POST", "/v1/me/delete", values(form));
    await left("Your account was deleted.");
  },
};

function values(form) {
  return Object.fromEntries(new FormData(form));
}

let busy = false;
// View that was asked for in the meantime.
let next = null;

// Runs an action, one at a time, and shows its error.
async function run(action, form) {
  if (busy) return;
  busy = true;
  clearErrors();
  try {
    await action();
    if (form) form.reset();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    const expected = form && form.dataset.action === "logIn";
    if (problem.status === 401 && user && !expected) {
      await left("");
      complain("Your session has ended. Log in again.");
    } else {
      explain(problem, form);
    }
  } finally {
    busy = false;
    if (next !== null) go(next);
  }
}

// Opens a view, after the action that is running.
function go(view) {
  next = busy ? view : null;
  if (!busy) run(() => open(view));
}

function submit(form) {
  clearErrors();
  const empty = [...form.elements].find((input) => input.required && !input.value);
  if (empty) {
    complain(`Fill in the field "${empty.labels[0].textContent}".`, empty);
    return;
  }
  run(() => actions[form.dataset.action](form), form);
}

for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(form);
  });
}
for (const button of document.querySelectorAll("button[data-action]")) {
  button.addEventListener("click", () => run(() => actions[button.dataset.action]()));
}
window.addEventListener("popstate", () => go(location.hash.slice(1)));

run(async () => {
  try {
    await loadUser();
  } catch (problem) {
    if (problem.status !== 401) {
      show("login");
      throw problem;
    }
  }
  await open(location.hash.slice(1) || (user ? "account" : "login"));
});
