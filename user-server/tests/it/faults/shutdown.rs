//! SIGTERM under load without another node: every accepted request is answered, and later ones are
//! rejected before they begin.

use std::time::Duration;

use user_proto::client::{Client, Config};

use crate::support::{
    Inbox, Journey, LEASE, NO_CONNECTION, Process, SECRET, SimulatedUser, TestServer, Workload,
    verify_users,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_requests_are_answered_before_the_exit() {
    shut_down(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; docs/FAULTS.md has the command and the figures"]
async fn long_accepted_requests_are_answered_before_the_exit() {
    println!("{}", shut_down(30).await);
}

/// Stops the service `times` times under load. Returns the table of calls.
async fn shut_down(times: usize) -> String {
    let mut process = Process::start(&[("JWTSECRETKEY", SECRET)]);
    let emails = process.emails();
    let workload = Workload::new(Inbox::new(&emails), usize::MAX);
    let mut users: Vec<SimulatedUser> = Vec::new();
    for time in 0..times {
        let workload = workload.restarted();
        let config = Config { wait_for_server: false, ..Config::default() };
        let client = |_| Client::with_config(process.address.to_string(), config.clone());
        let running = workload.spawn((0..8).map(client).collect(), |_| Journey::Full);
        tokio::time::sleep(Duration::from_millis(700)).await;
        process.signal("TERM");
        assert_eq!(process.wait().await, Some(0), "{}", process.log());
        workload.stop();
        users.extend(running.join_all().await.into_iter().flatten());
        let folder = process.kill().await;
        if time + 1 == times {
            let data = folder.path().join("user-data");
            let settings = [("JWTSECRETKEY", SECRET), ("DATA_DIR", data.to_str().unwrap())];
            let server = TestServer::start_in(folder, &settings).await;
            server.clock.advance(LEASE);
            let count = verify_users(&server, &workload.inbox, users).await;
            server.stop().await;
            // No other node exists, so a rejected client finds no server; but no request is cut
            // off.
            workload.stats.assert_only(&["OK", NO_CONNECTION]);
            return workload.stats.table(&format!(
                "SIGTERM under load, {times} times; {count} accounts, nothing lost"
            ));
        }
        process = Process::start_in(folder, &[("JWTSECRETKEY", SECRET)]);
    }
    String::new()
}
