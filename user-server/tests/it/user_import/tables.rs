//! Import from a table of another service.

use crate::support::{Process, login, outcome, postgres};

use super::{PASSWORD, bcrypt, import};

#[tokio::test]
async fn a_table_of_a_common_shape_is_imported() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let name = url.rsplit('/').next().unwrap();
    let hash = bcrypt(4);
    let run = |statement: &str| assert!(server.psql(name, statement), "{statement}");
    run("CREATE TABLE users (id uuid PRIMARY KEY, username text, email text, password text)");
    run(&format!(
        "INSERT INTO users SELECT gen_random_uuid(), 'user' || n, 'user' || n || '@example.org', '{hash}'
         FROM generate_series(1, 2500) AS n"
    ));
    run("INSERT INTO users VALUES (gen_random_uuid(), NULL, 'nobody@example.org', 'x')");
    let process = Process::start(&[]);
    let from = ["--from-postgres", url.as_str()];
    let unspecified = import(process.location(), &from, &[]);
    assert!(
        unspecified.code == Some(2) && unspecified.error.contains("--include-unverified"),
        "{unspecified:?}"
    );
    let imported =
        import(process.location(), &[from.as_slice(), &["--include-unverified"]].concat(), &[]);
    assert_eq!(
        (imported.code, imported.output.as_str()),
        (Some(1), "2500 imported, 0 already present, 1 rejected\n"),
        "{imported:?}"
    );
    outcome(process.client().call(login("user2500@example.org", PASSWORD)).await).unwrap();

    run("CREATE SCHEMA \"Old\"");
    run("CREATE TABLE \"Old\".people (id uuid PRIMARY KEY, username varchar(40), email varchar(80),
         encrypted_password varchar(100), created_at timestamptz, email_verified_at timestamptz, disabled_at timestamptz)");
    run(&format!(
        "INSERT INTO \"Old\".people VALUES
         (gen_random_uuid(), 'ada', 'ada@example.org', '{hash}', '2023-11-14T22:13:20Z', now(), NULL),
         (gen_random_uuid(), 'eve', 'eve@example.org', '{hash}', now(), now(), '2024-01-01T00:00:00Z'),
         (gen_random_uuid(), 'bob', 'bob@example.org', '{hash}', now(), NULL, NULL)"
    ));
    let imported =
        import(process.location(), &[from.as_slice(), &["--table", "Old.people"]].concat(), &[]);
    assert_eq!(
        (imported.code, imported.output.as_str()),
        (Some(1), "2 imported, 0 already present, 1 rejected\n"),
        "{imported:?}"
    );
    let shown = crate::support::run_in(process.location(), &["user", "show", "ada"], &[]).output;
    assert!(shown.contains("2023-11-14T22:13:20.000Z"), "{shown}");
    let shown = crate::support::run_in(process.location(), &["user", "show", "eve"], &[]).output;
    assert!(shown.contains("since 2024-01-01T00:00:00.000Z"), "{shown}");

    for (table, expected) in [
        ("nowhere", "the table nowhere does not exist"),
        ("users; DROP TABLE users", "does not exist"),
    ] {
        let result =
            import(process.location(), &[from.as_slice(), &["--table", table]].concat(), &[]);
        assert!(result.code == Some(2) && result.error.contains(expected), "{result:?}");
    }
}
