//! Libraries of other languages read the published keys and verify the tokens.

use std::path::Path;
use std::process::{Command, Output};

use user_proto::GetKeys;

use super::cases::SECRET;
use crate::support::{TestServer, left_out};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/third_party");

/// A library, and the preparation of its script in a folder, which returns the command to run.
struct Library {
    name: &'static str,
    prepare: fn(&Path) -> Option<Vec<String>>,
}

const LIBRARIES: [Library; 3] = [
    Library { name: "PyJWT", prepare: python },
    Library { name: "jose", prepare: node },
    Library { name: "golang-jwt", prepare: go },
];

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn python(_: &Path) -> Option<Vec<String>> {
    // No other Python finds the modules of Debian packages.
    let found = ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| succeeds(Command::new(python).args(["-c", "import jwt, cryptography"])))?;
    Some(vec![found.to_owned(), format!("{SCRIPTS}/verify.py")])
}

fn node(folder: &Path) -> Option<Vec<String>> {
    let mut install = Command::new("npm");
    install.args(["install", "--silent", "--no-audit", "--no-fund", "jose@5"]).current_dir(folder);
    succeeds(&mut install).then(|| vec!["node".to_owned(), format!("{SCRIPTS}/verify.mjs")])
}

fn go(folder: &Path) -> Option<Vec<String>> {
    let program = folder.join("verify").to_str()?.to_owned();
    let mut build = Command::new("go");
    build
        .args(["build", "-o", &program, &format!("{SCRIPTS}/verify.go")])
        // The folder of the Debian packages of Go libraries.
        .envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode"), ("GOFLAGS", "")])
        .env("GOCACHE", folder.join("go-cache"));
    succeeds(&mut build).then(|| vec![program])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libraries_of_other_languages_verify_the_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let mut tested = Vec::new();
    for library in &LIBRARIES {
        match (library.prepare)(folder.path()) {
            Some(command) => tested.push((library.name, command)),
            None => left_out(&format!("tokens in another language ({} is missing)", library.name)),
        }
    }
    for algorithm in ["EdDSA", "ES256"] {
        let server =
            TestServer::start_with(&[("JWTSECRETKEY", SECRET), ("TOKEN_SIGNING", algorithm)]).await;
        let client = server.client();
        let ada = server.account(&client, "ada").await;
        let keys = client.call(GetKeys {}).await.unwrap();
        let (genuine, signature) = (ada.access(), ada.access());
        let changed = {
            let (input, signature) = signature.rsplit_once('.').unwrap();
            let first = if signature.starts_with('A') { "B" } else { "A" };
            format!("{input}.{first}{}", &signature[1..])
        };
        let verify = |command: &[String], token: &str| -> Output {
            let file = |name: &str, content: &str| {
                let path = folder.path().join(name);
                std::fs::write(&path, content).unwrap();
                path
            };
            let (keys, token) = (file("jwks.json", &keys.jwks), file("token", token));
            let mut run = Command::new(&command[0]);
            run.args(&command[1..]).args([keys, token]).current_dir(folder.path()).output().unwrap()
        };
        for (name, command) in &tested {
            let output = verify(command, &genuine);
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let expected = format!("{} {}", ada.session.user_id, ada.session.session_id);
            assert_eq!(text, expected, "{name} {algorithm}: {output:?}");
            let refused = verify(command, &changed);
            assert!(!refused.status.success(), "{name} {algorithm}");
        }
        server.stop().await;
    }
}
