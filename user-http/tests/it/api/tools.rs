//! Tools of other projects read the document, and one of them sends requests that follow from it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use crate::api::{Api, string};
use crate::http::get;
use crate::service::LiveService;

/// Reports a test that is left out because a tool is missing, for the summary of test.sh.
fn left_out(tool: &str) {
    let line = format!("left out: the OpenAPI document in {tool} (the program is missing)\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Runs a command. Returns `None` if there is no such program.
fn run(command: &mut Command) -> Option<Output> {
    match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        output => Some(output.unwrap()),
    }
}

fn assert_success(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// Writes the document of a running program to a file.
fn write_document(folder: &Path) {
    let api = Api::start("127.0.0.1:1");
    let document = get(api.program.address, "/openapi.json", &[]).body;
    std::fs::write(folder.join("openapi.json"), document).unwrap();
}

#[test]
fn the_document_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    write_document(folder.path());
    let mut validator = Command::new("openapi-spec-validator");
    match run(validator.args(["--schema", "3.1.0", "openapi.json"]).current_dir(&folder)) {
        Some(output) => assert_success(&output),
        None => left_out("openapi-spec-validator"),
    }
}

/// A program that uses the types that openapi-typescript generates.
const USE: &str = r#"
import type { components, paths } from "./api";

type Body<T> = T extends { content: { "application/json": infer B } } ? B : never;
const registration: Body<NonNullable<paths["/v1/registrations"]["post"]["requestBody"]>> =
    { username: "kim", email: "kim@example.com", password: "tides rise at nine" };
export function show(tokens: Body<paths["/v1/sessions"]["post"]["responses"][201]>): string {
    return `${registration.username} ${tokens.access_token} ${tokens.access_expires_in + 1}`;
}
export function wait(problem: components["schemas"]["Problem"]): number {
    return problem.outcome === "not_done" ? problem.retry_after_ms ?? 0 : problem.status;
}
// @ts-expect-error: a registration needs a password.
const incomplete: typeof registration = { username: "kim", email: "kim@example.com" };
export default incomplete;
"#;

#[test]
fn openapi_typescript_generates_types_that_compile() {
    let folder = tempfile::tempdir().unwrap();
    let in_folder = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(&folder);
        command
    };
    let mut install = in_folder("npm");
    install.args(["install", "--silent", "--no-audit", "--no-fund"]);
    install.args(["openapi-typescript@7", "typescript@5"]);
    if !run(&mut install).is_some_and(|output| output.status.success()) {
        return left_out("openapi-typescript");
    }
    write_document(folder.path());
    let mut generate = in_folder("node_modules/.bin/openapi-typescript");
    assert_success(&run(generate.args(["openapi.json", "-o", "api.ts"])).unwrap());
    std::fs::write(folder.path().join("use.ts"), USE).unwrap();
    let mut compile = in_folder("node_modules/.bin/tsc");
    assert_success(&run(compile.args(["--strict", "--noEmit", "use.ts"])).unwrap());
}

#[test]
fn schemathesis_finds_no_reply_that_contradicts_the_document() {
    let service = LiveService::start();
    let api = Api::start(&service.address);
    let tokens = api.register(&service, "kim");
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}/openapi.json", api.program.address);
    let token = format!("Authorization: Bearer {}", string(&tokens, "access_token"));
    let mut schemathesis = Command::new("schemathesis");
    schemathesis
        .args(["run", &url, "--header", &token, "--seed", "20", "--max-examples", "15"])
        .args(["--phases", "examples,coverage,fuzzing", "--warnings", "off"])
        // The service refuses values for reasons that a schema cannot express.
        .args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"])
        // A logout ends the session of the token.
        .args(["--exclude-path", "/v1/sessions/current"])
        .args(["--exclude-operation-id", "log_out_everywhere"])
        .current_dir(&folder);
    match run(&mut schemathesis) {
        Some(output) => assert_success(&output),
        None => left_out("schemathesis"),
    }
    assert!(!api.program.log().contains("panicked"), "{}", api.program.log());
}
