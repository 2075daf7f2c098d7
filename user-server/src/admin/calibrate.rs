//! The command `calibrate`: measures the time of password hashes with several settings on this
//! machine, and recommends the strongest setting that is fast enough. It uses no database and
//! changes nothing.

use std::time::Duration;

use crate::domain::Fault;
use crate::password::{HashCost, Measured, measure};

/// Amounts of memory per hash, in MiB, that are measured. The first is the minimum that is allowed.
const MEMORY_MIB: [u32; 6] = [19, 32, 47, 64, 96, 128];
const PASSES: [u32; 2] = [2, 3];
/// Fraction of the highest rate of hashes that is considered enough: more threads than it takes are
/// not recommended, because they would only use memory.
const ENOUGH: f64 = 0.95;

/// Measured times of a hash with one setting.
#[derive(Debug, Clone, Copy)]
struct Measurement {
    cost: HashCost,
    /// Times with one thread, while the other cores are idle.
    alone: Measured,
    /// Times with one thread per core.
    busy: Measured,
}

/// Measures for about `duration`, and passes the results line by line to `print`. Recommends the
/// strongest setting with which a hash takes at most `target` while every core is hashing.
///
/// # Errors
/// If the system provides no memory.
pub fn calibrate(
    target: Duration,
    duration: Duration,
    print: &mut dyn FnMut(&str),
) -> Result<(), Fault> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let counts = thread_counts(cores);
    let runs = MEMORY_MIB.len() * PASSES.len() * 2 + counts.len();
    let each = duration / u32::try_from(runs).unwrap_or(u32::MAX);
    print(&format!("{cores} cores; Argon2id, parallelism 1\n"));
    print("memory  passes  one alone  one of all     hashes/s  memory in all");
    let mut measurements = Vec::new();
    for mib in MEMORY_MIB {
        // If a setting is far too slow, it will not be faster with more memory.
        if measurements.iter().any(|slow: &Measurement| slow.busy.each > target * 2) {
            break;
        }
        for passes in PASSES {
            let cost = HashCost { memory_kib: mib * 1024, passes, ..HashCost::FLOOR };
            let (alone, busy) = (measure(cost, 1, each)?, measure(cost, cores, each)?);
            let measurement = Measurement { cost, alone, busy };
            print(&measurement.line(cores));
            measurements.push(measurement);
        }
    }
    let Some(best) = recommended(&measurements, target) else { return Ok(()) };
    let rates =
        counts.iter().map(|threads| Ok((*threads, measure(best.cost, *threads, each)?.per_second)));
    let threads = enough(&rates.collect::<Result<Vec<_>, Fault>>()?);
    if best.busy.each > target {
        print(&format!(
            "\nNo setting takes at most {}; this is the minimum that is allowed:",
            millis(target)
        ));
    } else {
        print(&format!(
            "\nThe strongest setting that takes at most {} while every core hashes:",
            millis(target)
        ));
    }
    print(&format!(
        "ARGON2_MEMORY_KIB={}\nARGON2_PASSES={}\nHASH_THREADS={threads}",
        best.cost.memory_kib, best.cost.passes
    ));
    print(
        "\nSet the first two to the same values on all nodes. Existing hashes are replaced when \
         their users next log in.",
    );
    Ok(())
}

/// Measures for `duration` how many hashes of the minimum cost all cores compute per second, and
/// passes the result to `print`.
///
/// # Errors
/// If the system provides no memory.
pub fn floor_rate(duration: Duration, print: &mut dyn FnMut(&str)) -> Result<(), Fault> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let HashCost { memory_kib, passes, .. } = HashCost::FLOOR;
    let rate = measure(HashCost::FLOOR, cores, duration)?.per_second;
    print(&format!(
        "{rate:.1} hashes per second: m={memory_kib}, t={passes}, p=1, {cores} threads, memory \
         wiped after each"
    ));
    Ok(())
}

impl Measurement {
    fn line(&self, cores: usize) -> String {
        let HashCost { memory_kib, passes, .. } = self.cost;
        let mib = memory_kib / 1024;
        let (alone, busy, rate) =
            (millis(self.alone.each), millis(self.busy.each), self.busy.per_second);
        let total = format!("{} MiB", cores * mib as usize);
        format!("{mib:>3} MiB  {passes:>6}  {alone:>9}  {busy:>10}  {rate:>11.1}  {total:>13}")
    }
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// Returns the strongest setting with which a hash takes at most `target` on busy cores, the first
/// setting if none does, or `None` without measurements. Memory is preferred to passes, because it
/// is what an attacker's hardware lacks.
fn recommended(measurements: &[Measurement], target: Duration) -> Option<Measurement> {
    let fast = measurements.iter().filter(|one| one.busy.each <= target);
    let best = fast.max_by_key(|one| (one.cost.memory_kib, one.cost.passes));
    best.or(measurements.first()).copied()
}

/// Returns the powers of two below `cores`, followed by `cores`.
fn thread_counts(cores: usize) -> Vec<usize> {
    let mut counts: Vec<usize> = std::iter::successors(Some(1), |count| Some(count * 2))
        .take_while(|c| *c < cores)
        .collect();
    counts.push(cores);
    counts
}

/// Returns the smallest number of threads that reaches [`ENOUGH`] of the highest rate. `rates`
/// contains numbers of threads with their hashes per second.
fn enough(rates: &[(usize, f64)]) -> usize {
    let max = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    rates.iter().find(|(_, rate)| *rate >= max * ENOUGH).map_or(1, |(threads, _)| *threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(memory_kib: u32, passes: u32, millis: u64) -> Measurement {
        let measured = Measured { each: Duration::from_millis(millis), per_second: 1.0 };
        let cost = HashCost { memory_kib, passes, parallelism: 1 };
        Measurement { cost, alone: measured, busy: measured }
    }

    #[test]
    fn the_strongest_setting_that_is_fast_enough_is_recommended() {
        let measurements = [(19_456, 2, 20), (19_456, 3, 30), (65_536, 2, 70), (65_536, 3, 110)]
            .map(|(memory_kib, passes, millis)| measurement(memory_kib, passes, millis));
        let best = |millis| recommended(&measurements, Duration::from_millis(millis)).unwrap().cost;
        assert_eq!((best(100).memory_kib, best(100).passes), (65_536, 2));
        assert_eq!((best(40).memory_kib, best(40).passes), (19_456, 3));
        assert_eq!(best(1), HashCost::FLOOR, "never below the minimum");
    }

    #[test]
    fn threads_that_gain_nothing_are_not_recommended() {
        assert_eq!(thread_counts(6), [1, 2, 4, 6]);
        assert_eq!(thread_counts(1), [1]);
        assert_eq!(enough(&[(1, 50.0), (2, 98.0), (4, 100.0)]), 2);
    }
}
