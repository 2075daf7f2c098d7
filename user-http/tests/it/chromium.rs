//! Chromium without a window, driven through chromedriver (the WebDriver protocol).

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Http, text};

/// Name of the member that holds the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Time limit for a condition of the page.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct Chromium {
    driver: Child,
    address: SocketAddr,
    session: String,
    _profile: TempDir,
}

impl Chromium {
    /// Starts the browser. Returns `None` if it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(driver) = driver else {
            std::io::stderr().write_all(b"left out: a browser (chromium is missing)\n").unwrap();
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut chromium = Self { driver, address, session: String::new(), _profile: profile };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < LIMIT, "chromedriver does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        let profile = chromium._profile.path().display();
        let arguments = json!([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            format!("--user-data-dir={profile}"),
        ]);
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let started = chromium.send("POST", "/session", &capabilities);
        chromium.session = started["sessionId"].as_str().unwrap().to_owned();
        Some(chromium)
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_send(method, path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn try_send(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let mut http = Http::connect(self.address);
        http.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let length = body.len().to_string();
        let headers = [("Host", "localhost"), ("Content-Length", length.as_str())];
        http.send(text(&format!("{method} {path}"), &headers) + &body);
        let reply = http.reply().unwrap();
        let value: Value = serde_json::from_str(&reply.body).unwrap();
        if reply.status == 200 { Ok(value["value"].clone()) } else { Err(value["value"].clone()) }
    }

    fn command(&self, name: &str, body: &Value) -> Value {
        self.send("POST", &format!("/session/{}/{name}", self.session), body)
    }

    fn read(&self, name: &str) -> Value {
        self.send("GET", &format!("/session/{}/{name}", self.session), &Value::Null)
    }

    pub(crate) fn open(&self, url: &str) {
        self.command("url", &json!({"url": url}));
    }

    /// Runs a script in the page, and returns its result.
    pub(crate) fn script(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Returns the element that a selector finds.
    fn element(&self, selector: &str) -> String {
        let query = json!({"using": "css selector", "value": selector});
        let found = self.command("element", &query);
        format!("element/{}", found[ELEMENT].as_str().unwrap())
    }

    pub(crate) fn click(&self, selector: &str) {
        self.command(&format!("{}/click", self.element(selector)), &json!({}));
    }

    /// Replaces the value of a field.
    pub(crate) fn fill(&self, id: &str, value: &str) {
        let field = self.element(&format!("#{id}"));
        self.command(&format!("{field}/clear"), &json!({}));
        self.command(&format!("{field}/value"), &json!({"text": value}));
    }

    /// Fills fields in, and submits the form of the first one.
    pub(crate) fn submit(&self, fields: &[(&str, &str)]) {
        for (id, value) in fields {
            self.fill(id, value);
        }
        let form = fields[0].0;
        self.click(&format!("form:has(#{form}) button:not([type=button])"));
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub(crate) fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
            })
            .collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.command("actions", &json!({"actions": [keyboard]}));
    }

    /// Returns the id of the element that has the focus.
    pub(crate) fn focused(&self) -> String {
        self.script("return document.activeElement.id").as_str().unwrap_or_default().to_owned()
    }

    /// Returns the visible text of an element.
    pub(crate) fn text(&self, selector: &str) -> String {
        let text = self.script(&format!(
            "const e = document.querySelector('{selector}'); return e && e.checkVisibility() ? e.innerText : ''"
        ));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the visible text of an element contains a text.
    pub(crate) fn wait(&self, selector: &str, expected: &str) {
        let began = Instant::now();
        while !self.text(selector).contains(expected) {
            let page = || self.text("body");
            assert!(began.elapsed() < LIMIT, "no \"{expected}\" in {selector}: {}", page());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns the names of the cookies, and checks their attributes.
    pub(crate) fn cookies(&self) -> Vec<String> {
        let cookies = self.read("cookie");
        let names = cookies.as_array().unwrap().iter().map(|cookie| {
            assert_eq!((&cookie["httpOnly"], &cookie["secure"]), (&json!(true), &json!(true)));
            assert_eq!(cookie["sameSite"], "Lax");
            cookie["name"].as_str().unwrap().to_owned()
        });
        names.collect()
    }

    /// Sets the size of the window, and light or dark mode.
    pub(crate) fn display(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        let cdp = |name: &str, params: Value| {
            self.command("goog/cdp/execute", &json!({"cmd": name, "params": params}));
        };
        cdp("Emulation.setDeviceMetricsOverride", size);
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        cdp("Emulation.setEmulatedMedia", json!({"features": [feature]}));
    }

    /// Writes a screenshot into the folder for temporary files of the tests.
    pub(crate) fn screenshot(&self, name: &str) {
        let image = STANDARD.decode(self.read("screenshot").as_str().unwrap()).unwrap();
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), image).unwrap();
    }

    /// Returns the messages of the browser's console.
    pub(crate) fn console(&self) -> Vec<String> {
        let entries = self.command("se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().unwrap().iter();
        entries.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let session = format!("/session/{}", self.session);
        let _ = self.try_send("DELETE", &session, &json!({}));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
