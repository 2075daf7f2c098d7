//! Browsers: cookies, their protection against other sites, and the pages between which a browser
//! is redirected.

mod attacks;
mod cookies;
mod cors;
mod refresh;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::api::{PASSWORD, raw};
use crate::http::Reply;
use crate::program::Program;
use crate::service::LiveService;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const SAME_ORIGIN: (&str, &str) = ("Sec-Fetch-Site", "same-origin");
const NAVIGATE: (&str, &str) = ("Sec-Fetch-Mode", "navigate");

fn start() -> (LiveService, Program) {
    start_with(&[])
}

fn start_with(settings: &[(&str, &str)]) -> (LiveService, Program) {
    let service = LiveService::start();
    let program = start_program(&service, settings);
    (service, program)
}

fn start_program(service: &LiveService, settings: &[(&str, &str)]) -> Program {
    Program::start_with(&service.address, &[&[("JSON_API", "1")], settings].concat())
}

/// A browser at one host, with its cookies.
#[derive(Debug, Clone, Default)]
struct Browser {
    /// Value and path of each cookie.
    jar: BTreeMap<String, (String, String)>,
}

impl Browser {
    /// Returns a browser in which a user is logged in.
    fn logged_in(program: &Program, login: &str) -> Self {
        let mut browser = Self::default();
        let body = json!({"login": login, "password": PASSWORD, "device": "a browser"});
        let reply = browser.send(program.address, "POST /v1/sessions", &[SAME_ORIGIN], Some(&body));
        assert_eq!(reply.status, 201, "{reply:?}");
        browser
    }

    /// Sends a request with the cookies of its path, and keeps those of the reply.
    fn send(
        &mut self,
        address: SocketAddr,
        request: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Reply {
        let mut headers = headers.to_vec();
        let cookie = self.header(request);
        if !cookie.is_empty() {
            headers.push(("Cookie", &cookie));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            headers.push(JSON);
        }
        let reply = raw(address, request, &headers, &body);
        self.keep(&reply);
        reply
    }

    /// Returns the header Cookie of a request.
    fn header(&self, request: &str) -> String {
        let path = request.split_once(' ').unwrap().1.split('?').next().unwrap();
        let sent = self.jar.iter().filter(|(_, (_, below))| {
            path == below || path.starts_with(&format!("{}/", below.trim_end_matches('/')))
        });
        let pairs: Vec<String> = sent.map(|(name, (value, _))| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn keep(&mut self, reply: &Reply) {
        for line in reply.values("set-cookie") {
            let mut parts = line.split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let attributes: Vec<&str> = parts.collect();
            for attribute in ["HttpOnly", "Secure", "SameSite=Lax"] {
                assert!(attributes.contains(&attribute), "{line}");
            }
            assert!(!name.starts_with("__Host-") || !line.contains("Domain="), "{line}");
            assert_eq!(reply.header("cache-control"), "no-store", "{reply:?}");
            let find = |name| attributes.iter().find_map(|a| a.strip_prefix(name)).unwrap();
            if find("Max-Age=") == "0" {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), (value.to_owned(), find("Path=").to_owned()));
            }
        }
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        self.jar.get(name).map(|(value, _)| value.as_str())
    }

    /// Opens a page through `/auth/page`, as a proxy would ask.
    fn open(&mut self, address: SocketAddr, page: &str) -> Reply {
        let headers = [NAVIGATE, ("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", page)];
        // A proxy passes on the cookies of the page, not those of its check.
        let cookie = self.header(&format!("GET {page}"));
        let headers = [&headers[..], &[("Cookie", cookie.as_str())]].concat();
        raw(address, "GET /auth/page", &headers, "")
    }

    /// Follows a redirect to this program.
    fn follow(&mut self, address: SocketAddr, reply: &Reply) -> Reply {
        let request = format!("GET {}", reply.header("location"));
        self.send(address, &request, &[NAVIGATE], None)
    }
}
