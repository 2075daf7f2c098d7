//! The OpenAPI document lists exactly the routes that exist.

use std::collections::BTreeSet;

use crate::api::{Api, raw};
use crate::http::get;
use crate::program::Program;

#[test]
fn the_document_lists_every_method_of_every_route() {
    let api = Api::start("127.0.0.1:1");
    let document = &api.document.0;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{document}");
    let id = "018f4e5a-0000-7000-8000-000000000001";
    let mut operations = BTreeSet::new();
    for (path, methods) in api.document.paths() {
        let documented: BTreeSet<String> =
            methods.as_object().unwrap().keys().map(|method| method.to_ascii_uppercase()).collect();
        let reply =
            raw(api.program.address, &format!("OPTIONS {}", path.replace("{id}", id)), &[], "");
        assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{path}");
        // GET also answers HEAD.
        let allowed: BTreeSet<String> = reply
            .header("allow")
            .split(',')
            .filter(|method| *method != "HEAD")
            .map(ToOwned::to_owned)
            .collect();
        assert_eq!(allowed, documented, "{path}");
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(operations.insert(id), "{method} {path}: its operationId is not unique");
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(method != "delete" || operation.get("requestBody").is_none(), "{path}");
            let changes = method != "get" && path != "/v1/introspect";
            let parameters = operation["parameters"].to_string();
            assert_eq!(parameters.contains("Idempotency-Key"), changes, "{method} {path}");
            assert!(!parameters.contains("\"query\""), "{method} {path}");
        }
    }
    assert_eq!(operations.len(), 16);
}

#[test]
fn the_api_is_off_unless_it_is_turned_on() {
    let program = Program::start("127.0.0.1:1");
    assert!(program.printed.contains("api       off; set JSON_API=1"), "{}", program.printed);
    for path in ["/v1/me", "/v1/sessions", "/openapi.json"] {
        let reply = get(program.address, path, &[]);
        assert_eq!((reply.status, reply.body.as_str()), (404, ""), "{path}");
    }
    let api = Api::start("127.0.0.1:1");
    assert!(api.program.printed.contains("/v1, /openapi.json"), "{}", api.program.printed);
}
