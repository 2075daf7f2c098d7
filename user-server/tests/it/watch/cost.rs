//! The cost of a thousand clients that wait for revocations, and the time until each has one.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use user_proto::{Common, Reply, WatchRevocations};

use super::{Follower, LONG, logout};
use crate::support::{Process, Wire, request_frame};

const WATCHERS: usize = 1_000;
/// Wait of each poll in milliseconds, as clients send it.
const WAIT: u32 = 300;

/// Returns the processor time that a process has used.
fn cpu_time(process: &Process) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    // The fields that follow the name of the executable.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // A tick is a hundredth of a second on Linux.
    Duration::from_millis(10 * ticks)
}

fn frame(id: u32, cursor: &[u8], wait_ms: u32) -> Vec<u8> {
    let request = WatchRevocations { cursor: cursor.into(), wait_ms };
    request_frame(id, request, &Common::default())
}

async fn poll(wire: &mut Wire, id: u32, cursor: &mut Vec<u8>, wait_ms: u32) -> usize {
    wire.send(&frame(id, cursor, wait_ms)).await;
    match wire.reply().await {
        (found, Reply::Revocations(reply)) if found == id => {
            *cursor = reply.cursor.to_vec();
            reply.entries.len()
        }
        other => panic!("{other:?}"),
    }
}

/// Returns the part of a core that a server uses while clients wait, each on its own connection.
async fn idle_load(process: &Process, watchers: usize, time: Duration) -> f64 {
    let cursor = Follower::start(process.client()).await.cursor;
    let until = Instant::now() + Duration::from_secs(2) + time;
    let mut tasks = JoinSet::new();
    for watcher in 0..watchers {
        let (address, mut cursor) = (process.address, cursor.clone());
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_micros(300 * watcher as u64)).await;
            let mut wire = Wire::connect(address).await;
            let mut id = 0;
            while Instant::now() < until {
                id += 1;
                poll(&mut wire, id, &mut cursor, WAIT).await;
            }
            id
        });
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, began) = (cpu_time(process), Instant::now());
    tokio::time::sleep(time).await;
    let load = (cpu_time(process) - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let polls: u32 = tasks.join_all().await.into_iter().sum();
    assert!(polls as usize >= watchers, "{polls} polls");
    load
}

/// Returns the delays from the start of a logout until each of many waiting clients has its entry,
/// sorted.
async fn push_delays(process: &Process, watchers: usize, rounds: usize) -> Vec<Duration> {
    let client = process.client();
    process.account(&client, "ada").await;
    let mut cursor = Follower::start(process.client()).await.cursor;
    let mut wires = Vec::new();
    for _ in 0..watchers {
        wires.push(Wire::connect(process.address).await);
    }
    let mut delays = Vec::new();
    for _ in 0..rounds {
        let session = client
            .call(user_proto::Login::new("ada".into(), crate::support::PASSWORD.into()))
            .await
            .unwrap();
        let mut tasks = JoinSet::new();
        for mut wire in wires.drain(..) {
            let mut cursor = cursor.clone();
            tasks.spawn(async move {
                assert_eq!(poll(&mut wire, 1, &mut cursor, LONG).await, 1);
                (Instant::now(), wire, cursor)
            });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let began = Instant::now();
        logout(&client, session.access_token.expose_str().unwrap()).await;
        for (pushed, wire, next) in tasks.join_all().await {
            delays.push(pushed.saturating_duration_since(began));
            wires.push(wire);
            cursor = next;
        }
    }
    delays.sort();
    delays
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_waiting_clients_cost_little_and_are_served_at_once() {
    let process = Process::start(&[]);
    let load = idle_load(&process, 100, Duration::from_secs(2)).await;
    // A debug build on a machine that runs other tests: only a gross defect shows.
    assert!(load < 0.5, "{load} cores");
    let delays = push_delays(&process, 100, 2).await;
    let slowest = delays.last().unwrap();
    assert!(*slowest < Duration::from_secs(2), "{slowest:?}");
}

/// Prints the cost of a thousand waiting clients: `cargo test --release -p user-server --test it --
/// --ignored --nocapture long_the_cost_of_a_thousand_waiting_clients`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn long_the_cost_of_a_thousand_waiting_clients() {
    let process = Process::start(&[]);
    let time = Duration::from_secs(20);
    let without = idle_load(&process, 0, time).await;
    let with = idle_load(&process, WATCHERS, time).await;
    println!("idle: {:.2} % of a core", 100.0 * without);
    println!("{WATCHERS} waiting clients: {:.2} % of a core", 100.0 * with);
    let delays = push_delays(&process, WATCHERS, 20).await;
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    println!(
        "logout to push: median {:.1?}, 99 % {:.1?}, slowest {:.1?}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
