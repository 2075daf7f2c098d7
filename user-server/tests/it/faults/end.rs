//! SIGTERM under load, where no other node takes over: whatever was taken on is answered, and the
//! rest is refused before it is begun.

use std::time::Duration;

use user_proto::client::{Client, Config};

use crate::support::{
    Inbox, Journey, LEASE, NO_CONNECTION, Process, SECRET, SimulatedUser, TestServer, Workload,
    verify_users,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_on_is_answered_before_the_end() {
    end(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; docs/FAULTS.md has the command and the figures"]
async fn long_what_was_taken_on_is_answered_before_the_end() {
    println!("{}", end(30).await);
}

/// Ends the service so many times under load; what clients saw.
async fn end(times: usize) -> String {
    let mut process = Process::start(&[("JWTSECRETKEY", SECRET)]);
    let mails = process.emails();
    let world = Workload::new(Inbox::new(&mails), usize::MAX);
    let mut lives: Vec<SimulatedUser> = Vec::new();
    for time in 0..times {
        let world = world.restarted();
        let impatient = Config { wait_for_server: false, ..Config::default() };
        let client = |_| Client::with_config(process.address.to_string(), impatient.clone());
        let running = world.spawn((0..8).map(client).collect(), |_| Journey::Full);
        tokio::time::sleep(Duration::from_millis(700)).await;
        process.signal("TERM");
        assert_eq!(process.wait().await, Some(0), "{}", process.log());
        world.stop();
        lives.extend(running.join_all().await.into_iter().flatten());
        let folder = process.kill().await;
        if time + 1 == times {
            let data = folder.path().join("user-data");
            let settings = [("JWTSECRETKEY", SECRET), ("DATA_DIR", data.to_str().unwrap())];
            let server = TestServer::start_in(folder, &settings).await;
            server.clock.advance(LEASE);
            let count = verify_users(&server, &world.inbox, lives).await;
            server.stop().await;
            // Nobody else is there, so whoever is sent away finds no server; but nothing is cut
            // off.
            world.stats.assert_only(&["OK", NO_CONNECTION]);
            return world.stats.table(&format!(
                "SIGTERM under load, {times} times; {count} accounts, nothing lost"
            ));
        }
        process = Process::start_in(folder, &[("JWTSECRETKEY", SECRET)]);
    }
    String::new()
}
