//! What password hashes may cost on this machine: measures several settings, and recommends the
//! strongest that is quick enough. It asks nothing of a database and changes nothing.

use std::time::Duration;

use crate::domain::Fault;
use crate::password::{HashCost, Measured, measure};

/// The memory of a hash, in MiB. The first is the least that is allowed.
const MEMORY_MIB: [u32; 6] = [19, 32, 47, 64, 96, 128];
const PASSES: [u32; 2] = [2, 3];
/// Threads that give so much of the most are enough; more would only take memory.
const ENOUGH: f64 = 0.95;

/// A setting, and what it costs.
#[derive(Debug, Clone, Copy)]
struct Row {
    cost: HashCost,
    /// On one thread, with the others silent.
    alone: Measured,
    /// On every core.
    busy: Measured,
}

/// Measures for about `time`, tells `say` line by line, and recommends what takes at most `target`
/// while every core hashes.
///
/// # Errors
/// Where the system gives no memory.
pub fn calibrate(target: Duration, time: Duration, say: &mut dyn FnMut(&str)) -> Result<(), Fault> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let counts = thread_counts(cores);
    let runs = MEMORY_MIB.len() * PASSES.len() * 2 + counts.len();
    let each = time / u32::try_from(runs).unwrap_or(u32::MAX);
    say(&format!("{cores} cores; Argon2id, one lane\n"));
    say("memory  passes  one alone  one of all     hashes/s  memory in all");
    let mut rows = Vec::new();
    for mib in MEMORY_MIB {
        // What is far too slow already will not be quicker with more memory.
        if rows.iter().any(|row: &Row| row.busy.each > target * 2) {
            break;
        }
        for passes in PASSES {
            let cost = HashCost { memory_kib: mib * 1024, passes, ..HashCost::FLOOR };
            let row =
                Row { cost, alone: measure(cost, 1, each)?, busy: measure(cost, cores, each)? };
            say(&row.line(cores));
            rows.push(row);
        }
    }
    let Some(best) = recommended(&rows, target) else { return Ok(()) };
    let rates =
        counts.iter().map(|threads| Ok((*threads, measure(best.cost, *threads, each)?.per_second)));
    let threads = enough(&rates.collect::<Result<Vec<_>, Fault>>()?);
    if best.busy.each > target {
        say(&format!(
            "\nNo setting keeps to {}; this is the least that is allowed:",
            millis(target)
        ));
    } else {
        say(&format!(
            "\nThe strongest that takes at most {} while every core hashes:",
            millis(target)
        ));
    }
    say(&format!(
        "ARGON2_MEMORY_KIB={}\nARGON2_PASSES={}\nHASH_THREADS={threads}",
        best.cost.memory_kib, best.cost.passes
    ));
    say(
        "\nSet the first two alike on all nodes. Hashes of before are replaced at their users' next logins.",
    );
    Ok(())
}

/// Tells how many hashes of the least cost every core together makes in a second, measured for
/// `time`.
///
/// # Errors
/// As [`calibrate`].
pub fn floor_rate(time: Duration, say: &mut dyn FnMut(&str)) -> Result<(), Fault> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let HashCost { memory_kib, passes, .. } = HashCost::FLOOR;
    let rate = measure(HashCost::FLOOR, cores, time)?.per_second;
    say(&format!(
        "{rate:.1} hashes a second: m={memory_kib}, t={passes}, p=1, {cores} threads, memory wiped after each"
    ));
    Ok(())
}

impl Row {
    fn line(&self, cores: usize) -> String {
        let HashCost { memory_kib, passes, .. } = self.cost;
        let mib = memory_kib / 1024;
        let (alone, busy, rate) =
            (millis(self.alone.each), millis(self.busy.each), self.busy.per_second);
        let all = format!("{} MiB", cores * mib as usize);
        format!("{mib:>3} MiB  {passes:>6}  {alone:>9}  {busy:>10}  {rate:>11.1}  {all:>13}")
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// What costs an attacker most, of what is quick enough; where nothing is, the least that is
/// allowed. Memory counts before passes, since it is what an attacker's hardware has too little of.
fn recommended(rows: &[Row], target: Duration) -> Option<Row> {
    let quick = rows.iter().filter(|row| row.busy.each <= target);
    quick.max_by_key(|row| (row.cost.memory_kib, row.cost.passes)).or(rows.first()).copied()
}

/// One, and twice as many each time, up to the cores.
fn thread_counts(cores: usize) -> Vec<usize> {
    let mut counts: Vec<usize> = std::iter::successors(Some(1), |count| Some(count * 2))
        .take_while(|c| *c < cores)
        .collect();
    counts.push(cores);
    counts
}

/// The fewest threads that give enough of the most.
fn enough(rates: &[(usize, f64)]) -> usize {
    let most = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    rates.iter().find(|(_, rate)| *rate >= most * ENOUGH).map_or(1, |(threads, _)| *threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(memory_kib: u32, passes: u32, millis: u64) -> Row {
        let measured = Measured { each: Duration::from_millis(millis), per_second: 1.0 };
        Row {
            cost: HashCost { memory_kib, passes, parallelism: 1 },
            alone: measured,
            busy: measured,
        }
    }

    #[test]
    fn the_strongest_that_is_quick_enough_is_recommended() {
        let rows =
            [row(19_456, 2, 20), row(19_456, 3, 30), row(65_536, 2, 70), row(65_536, 3, 110)];
        let best = |millis| recommended(&rows, Duration::from_millis(millis)).unwrap().cost;
        assert_eq!((best(100).memory_kib, best(100).passes), (65_536, 2));
        assert_eq!((best(40).memory_kib, best(40).passes), (19_456, 3));
        assert_eq!(best(1), HashCost::FLOOR, "never under the floor");
    }

    #[test]
    fn threads_that_gain_nothing_are_not_recommended() {
        assert_eq!(thread_counts(6), [1, 2, 4, 6]);
        assert_eq!(thread_counts(1), [1]);
        assert_eq!(enough(&[(1, 50.0), (2, 98.0), (4, 100.0)]), 2);
    }
}
