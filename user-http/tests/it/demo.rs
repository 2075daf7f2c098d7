//! The demo page in Chromium, through every path.

use std::time::Duration;

use serde_json::json;

use crate::api::{PASSWORD, raw};
use crate::chromium::Chromium;
use crate::http::get;
use crate::program::Program;
use crate::service::LiveService;

const NEW_PASSWORD: &str = "tides fall at three";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

fn start() -> (LiveService, Program) {
    let service = LiveService::start();
    let program = Program::start_with_arguments(&["--demo"], &service.address, &[]);
    (service, program)
}

fn url(program: &Program) -> String {
    // Browsers accept the cookies without TLS from this name only.
    format!("http://localhost:{}/", program.address.port())
}

/// Logs in at the page of the login.
fn log_in(browser: &Chromium, login: &str, password: &str) {
    browser.click("nav a[href=\"#login\"]");
    browser.wait("#login h1", "Log in");
    browser.submit(&[("login-name", login), ("login-password", password)]);
}

/// Registers a user at the page.
fn register(browser: &Chromium, service: &LiveService, name: &str) {
    browser.click("nav a[href=\"#register\"]");
    browser.wait("#register h1", "Register");
    let email = format!("{name}@example.com");
    let fields =
        [("register-name", name), ("register-email", &email), ("register-password", PASSWORD)];
    browser.submit(&fields);
    browser.wait("#verify h1", "Enter the code");
    browser.submit(&[("verify-code", &service.emailed(&email, 6))]);
    browser.wait("#account-name", name);
}

#[test]
fn a_user_registers_uses_and_deletes_an_account() {
    let Some(browser) = Chromium::start() else { return };
    let (service, program) = start();
    service.register("taken");
    browser.display(1000, 800, "light");
    browser.open(&url(&program));
    browser.wait("#login h1", "Log in");
    browser.screenshot("login");
    // Invalid input.
    browser.click("#login button");
    browser.wait("#error", "Fill in the field \"Username or email address\".");
    assert_eq!(browser.focused(), "login-name");
    log_in(&browser, "kim", "wrong password");
    browser.wait("#error", "The username or the password is wrong.");
    assert_eq!(browser.focused(), "login-password");
    browser.screenshot("wrong-password");
    browser.click("nav a[href=\"#register\"]");
    browser.wait("#register h1", "Register");
    let fields = |password| {
        [
            ("register-name", "kim"),
            ("register-email", "kim@example.com"),
            ("register-password", password),
        ]
    };
    browser.submit(&fields("short"));
    browser.wait("#error", "assword");
    assert_eq!(browser.focused(), "register-password");
    browser.submit(&fields(PASSWORD));
    browser.wait("#verify h1", "Enter the code");
    browser.wait("#verify-email", "kim@example.com");
    let code = service.emailed("kim@example.com", 6);
    let wrong = if code == "000000" { "111111" } else { "000000" };
    browser.submit(&[("verify-code", wrong)]);
    browser.wait("#error", "code");
    assert_eq!(browser.focused(), "verify-code");
    browser.click("#verify [data-action=resend]");
    browser.wait("#error", "Try again in");
    browser.screenshot("code");
    browser.submit(&[("verify-code", &code)]);
    browser.wait("#account-name", "kim");
    browser.wait("#status", "Your account is active");
    browser.screenshot("account");
    assert_eq!(browser.cookies(), ["__Host-user"], "the other one is for /auth");
    // A page script cannot read them, and nothing is stored elsewhere.
    let stored =
        browser.script("return document.cookie + localStorage.length + sessionStorage.length");
    assert_eq!(stored, "00");
    // A reload stays logged in.
    browser.open(&url(&program));
    browser.wait("#account-name", "kim");

    // Another device, with an attack as its name.
    let attack = "<img src=x onerror=\"document.title='attacked'\">";
    let body = json!({"login": "kim", "password": PASSWORD, "device": attack}).to_string();
    let json_type = [("Content-Type", "application/json")];
    assert_eq!(raw(program.address, "POST /v1/sessions", &json_type, &body).status, 201);
    browser.click("nav a[href=\"#sessions\"]");
    browser.wait("#session-list", attack);
    browser.wait("#session-list", "this device");
    browser.screenshot("sessions");
    browser.click("#session-list button");
    browser.wait("#status", "The session was ended.");
    assert!(!browser.text("#session-list").contains("img"));

    // An expired token is refreshed without a word.
    service.advance(Duration::from_secs(16 * 60));
    browser.click("nav a[href=\"#account\"]");
    browser.wait("#account h1", "Your account");
    // A click while something is running is not lost.
    browser.script("location.hash = 'sessions'; location.hash = 'settings'");
    browser.wait("#settings h1", "Settings");
    browser.click("nav a[href=\"#sessions\"]");
    browser.wait("#session-list", "this device");

    // Name, email address and password.
    browser.click("nav a[href=\"#settings\"]");
    browser.wait("#settings h1", "Settings");
    browser.submit(&[("settings-name", "a@b")]);
    browser.wait("#error", "username");
    assert_eq!(browser.focused(), "settings-name");
    browser.submit(&[("settings-name", "taken")]);
    browser.wait("#error", "New username: Another active account has this username.");
    browser.screenshot("settings");
    browser.submit(&[("settings-name", "kim2")]);
    browser.wait("#account-name", "kim2");
    browser.click("nav a[href=\"#settings\"]");
    browser.wait("#settings h1", "Settings");
    let email = [("settings-email", "kim2@example.com"), ("settings-email-password", "wrong one")];
    browser.submit(&email);
    browser.wait("#error", "The current password is wrong.");
    assert_eq!(browser.focused(), "settings-email-password");
    browser.submit(&[email[0], ("settings-email-password", PASSWORD)]);
    browser.wait("#verify-email", "kim2@example.com");
    browser.submit(&[("verify-code", &service.emailed("kim2@example.com", 6))]);
    browser.wait("#account-email", "kim2@example.com");
    browser.click("nav a[href=\"#settings\"]");
    browser.wait("#settings h1", "Settings");
    browser.submit(&[("settings-new", NEW_PASSWORD), ("settings-old", PASSWORD)]);
    browser.wait("#status", "The password was changed");

    // Logout, and the reset of the password.
    browser.click("#account [data-action=logOut]");
    browser.wait("#status", "You are logged out.");
    assert!(browser.cookies().is_empty());
    log_in(&browser, "kim2", PASSWORD);
    browser.wait("#error", "is wrong");
    browser.click("nav a[href=\"#reset\"]");
    browser.wait("#reset h1", "Reset");
    browser.submit(&[("reset-email", "kim2@example.com")]);
    browser.wait("#reset-code h1", "Choose a new password");
    browser.submit(&[("reset-code-code", "WRONG"), ("reset-code-password", PASSWORD)]);
    browser.wait("#error", "code");
    let code = service.emailed("kim2@example.com", 11);
    browser.submit(&[("reset-code-code", &code), ("reset-code-password", PASSWORD)]);
    browser.wait("#status", "Your password was changed.");
    log_in(&browser, "kim2@example.com", PASSWORD);
    browser.wait("#account-name", "kim2");
    browser.click("nav a[href=\"#sessions\"]");
    browser.wait("#session-list", "this device");
    browser.click("#sessions [data-action=logOutEverywhere]");
    browser.wait("#status", "on every device");

    // Deletion.
    log_in(&browser, "kim2", PASSWORD);
    browser.wait("#account-name", "kim2");
    browser.click("nav a[href=\"#settings\"]");
    browser.wait("#settings h1", "Settings");
    browser.submit(&[("settings-delete", "wrong one")]);
    browser.wait("#error", "The current password is wrong.");
    browser.submit(&[("settings-delete", PASSWORD)]);
    browser.wait("#status", "Your account was deleted.");
    assert!(browser.cookies().is_empty());
    log_in(&browser, "kim2", PASSWORD);
    browser.wait("#error", "is wrong");
    // The browser logs refused requests, and advice about password fields. It may log nothing else.
    for line in browser.console() {
        let expected = ["Failed to load resource", "[DOM] Password forms should have"];
        assert!(expected.iter().any(|text| line.contains(text)), "{line}");
    }
}

#[test]
fn a_session_that_ends_elsewhere_and_an_outage_are_explained() {
    let Some(browser) = Chromium::start() else { return };
    let (mut service, program) = start();
    browser.open(&url(&program));
    browser.wait("#login h1", "Log in");
    register(&browser, &service, "kim");
    let kim = service.log_in("kim");
    let bearer = [("Authorization", &*format!("Bearer {}", kim.token))];
    assert_eq!(raw(program.address, "DELETE /v1/sessions", &bearer, "").status, 200);
    std::thread::sleep(Duration::from_secs(1));
    browser.click("nav a[href=\"#sessions\"]");
    browser.wait("#error", "Your session has ended. Log in again.");
    assert!(!browser.text("nav").contains("Account"));
    service.stop();
    log_in(&browser, "kim", PASSWORD);
    browser.wait("#error", "The service is not available.");
    browser.screenshot("unavailable");
    service.resume();
    crate::program::until(|| {
        program.metric("user_http_service_connections{state=\"healthy\"}") > 0.0
    });
    log_in(&browser, "kim", PASSWORD);
    browser.wait("#account-name", "kim");
}

#[test]
fn the_page_works_with_the_keyboard_on_a_phone_and_in_the_dark() {
    let Some(browser) = Chromium::start() else { return };
    let (service, program) = start();
    service.register("kim");
    browser.display(360, 740, "dark");
    browser.open(&url(&program));
    browser.wait("#login h1", "Log in");
    // From the beginning of the page: the skip link, the pages, and the form.
    browser
        .script("document.activeElement.blur(); window.getSelection().collapse(document.body, 0)");
    let mut reached = Vec::new();
    for _ in 0..12 {
        browser.press(TAB);
        let script = "const e = document.activeElement; return e.id || e.hash || e.innerText";
        reached.push(browser.script(script).as_str().unwrap_or_default().to_owned());
        if reached.last().is_some_and(|id| id == "login-name") {
            break;
        }
    }
    assert_eq!(reached.last().map(String::as_str), Some("login-name"), "{reached:?}");
    browser.press("kim");
    browser.press(TAB);
    browser.press(PASSWORD);
    browser.screenshot("phone-dark-login");
    browser.press(ENTER);
    browser.wait("#account-name", "kim");
    assert_eq!(browser.focused(), "account-title", "a screen reader reads the new page");
    for (view, title) in
        [("account", "Your account"), ("sessions", "Sessions"), ("settings", "Settings")]
    {
        browser.click(&format!("nav a[href=\"#{view}\"]"));
        browser.wait(&format!("#{view} h1"), title);
        for width in [320, 360, 800] {
            browser.display(width, 740, "dark");
            let fits = browser.script(
                "return document.documentElement.scrollWidth <= document.documentElement.clientWidth",
            );
            assert_eq!(fits, true, "{view} at {width}");
        }
        browser.display(360, 740, "dark");
        browser.screenshot(&format!("phone-dark-{view}"));
        browser.display(360, 740, "light");
        browser.screenshot(&format!("phone-light-{view}"));
    }
    // Every text has enough contrast: 4.5 to 1 (WCAG 2.2, 1.4.3).
    for scheme in ["light", "dark"] {
        browser.display(800, 740, scheme);
        let low = browser.script(CONTRAST);
        assert_eq!(low, json!([]), "{scheme}");
    }
    // Every field has a name for screen readers, and every view a heading.
    let unnamed = browser.script(
        "return [...document.querySelectorAll('input, button')].filter(e => !(e.labels && \
         e.labels.length) && !e.textContent.trim()).map(e => e.id)",
    );
    assert_eq!(unnamed, json!([]));
}

/// Returns the visible texts with a contrast to their background below 4.5.
const CONTRAST: &str = r#"
const parse = (color) => color.match(/[\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const background = (e) => {
  for (; e; e = e.parentElement) {
    const color = parse(getComputedStyle(e).backgroundColor);
    if (color.length < 4 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll('h1, h2, p, a, label, button, dt, dd, input')]
  .filter((e) => e.offsetParent !== null && (e.textContent.trim() || e.value))
  .map((e) => [e, light(parse(getComputedStyle(e).color)), light(background(e))])
  .filter(([, a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5)
  .map(([e]) => e.textContent.trim());
"#;

#[test]
fn a_browser_returns_to_the_page_that_needed_the_login() {
    let Some(browser) = Chromium::start() else { return };
    let (service, program) = start();
    service.register("kim");
    let page = url(&program);
    // A page behind `/auth/page` would be sent here.
    browser.open(&format!("{page}auth/refresh?return_to=/openapi.json"));
    browser.wait("#login h1", "Log in");
    log_in(&browser, "kim", PASSWORD);
    browser.wait("body", "\"openapi\"");
    // Whatever the query says, the service decides where the browser goes.
    browser.open(&page);
    browser.wait("#account-name", "kim");
    browser.click("#account [data-action=logOut]");
    browser.wait("#status", "You are logged out.");
    browser.open(&format!("{page}?return_to=https://evil.example/"));
    browser.wait("#login h1", "Log in");
    log_in(&browser, "kim", PASSWORD);
    browser.wait("body", "INVALID_RETURN_TO");
}

/// A request without a reply ends, and does not keep other tabs from sending theirs.
#[test]
fn a_stalled_login_ends_with_a_message() {
    let Some(browser) = Chromium::start() else { return };
    let (service, program) = start();
    service.register("kim");
    browser.open(&url(&program));
    browser.wait("#login h1", "Log in");
    browser.script(
        "const timeout = AbortSignal.timeout; \
         AbortSignal.timeout = (time) => timeout.call(AbortSignal, time / 10)",
    );
    program.signal("STOP");
    log_in(&browser, "kim", PASSWORD);
    browser.wait("#error", "service");
    program.signal("CONT");
    log_in(&browser, "kim", PASSWORD);
    browser.wait("#account-name", "kim");
}

#[test]
fn the_page_has_a_strict_policy_and_is_off_by_default() {
    let (_service, program) = start();
    assert!(program.printed.contains("demo      http://localhost:"), "{}", program.printed);
    for path in ["/", "/demo.js", "/demo.css"] {
        let reply = get(program.address, path, &[]);
        assert_eq!(reply.status, 200, "{path}");
        let policy = reply.header("content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert_eq!(reply.header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(reply.header("cross-origin-resource-policy"), "same-origin");
    }
    let off = Program::start("127.0.0.1:1");
    assert_eq!(get(off.address, "/", &[]).status, 404);
}

/// Starts the demo page in a network of its own, where the default ports are free, and on a
/// terminal, where codes are shown. Registers a user, and ends the program as Ctrl-C does.
const ONE_COMMAND: &str = r#"
ip link set lo up || exit 77
page=http://127.0.0.1:3080
script -qfc "echo \$\$ >pid; exec '$PROGRAM' --demo" terminal >/dev/null 2>&1 </dev/null &
for _ in $(seq 400); do curl -sf $page/ | grep -q demo.js && break; sleep 0.1; done
curl -sf $page/v1/registrations --json \
  '{"username":"kim","email":"kim@example.com","password":"tides rise at nine"}' >sent || exit 2
id=$(sed 's/.*"verification_id":"\([^"]*\)".*/\1/' sent)
for _ in $(seq 100); do grep -q 'kim@example.com.*[0-9]\{6\}' terminal && break; sleep 0.1; done
code=$(grep 'kim@example.com' terminal | grep -o '\b[0-9]\{6\}\b' | tail -1)
curl -sf $page/v1/registrations/$id/verify --json '{"code":"'$code'"}' -o verified || exit 3
kill -INT $(cat pid) || exit 4
for _ in $(seq 200); do
  curl -s -o /dev/null http://127.0.0.1:3001/; [ $? = 7 ] && exit 0; sleep 0.1
done
exit 5
"#;

#[test]
fn one_command_starts_the_service_and_the_page() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_user-http"));
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", ONE_COMMAND])
        .env("PROGRAM", program)
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()))
        .env_remove("SERVICE_ADDRS")
        .current_dir(folder.path())
        .output();
    let server = program.with_file_name("user-server");
    let status = output.as_ref().ok().and_then(|output| output.status.code());
    // 77: no network of its own; 1: not allowed to have one.
    if !server.exists() || matches!(status, None | Some(1 | 77)) {
        let line =
            "left out: user-http --demo with its own service (needs user-server and unshare)\n";
        std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
        return;
    }
    let shown = std::fs::read_to_string(folder.path().join("terminal")).unwrap_or_default();
    assert_eq!(status, Some(0), "{output:?}\n{shown}");
    assert!(shown.contains("demo      http://localhost:3080/"), "{shown}");
}
