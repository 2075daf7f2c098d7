//! Kinds of requests, and mixes of them.

use std::str::FromStr;

/// Kind of a request that the load generator sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Op {
    Verify,
    Get,
    Refresh,
    Login,
    Register,
    Ping,
    Connect,
    RedisGet,
    MemcachedGet,
}

impl Op {
    /// Kinds of requests that a mix may contain.
    const MIXED: [Self; 6] =
        [Self::Verify, Self::Get, Self::Refresh, Self::Login, Self::Register, Self::Ping];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Get => "get",
            Self::Refresh => "refresh",
            Self::Login => "login",
            Self::Register => "register",
            Self::Ping => "ping",
            Self::Connect => "connect",
            Self::RedisGet => "redis get",
            Self::MemcachedGet => "memcached get",
        }
    }
}

/// A mix of requests: kinds with their shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mix(Vec<(Op, u32)>);

impl Mix {
    /// Creates a mix of requests of one kind only.
    pub(crate) fn only(op: Op) -> Self {
        Self(vec![(op, 1)])
    }

    pub(crate) fn contains(&self, op: Op) -> bool {
        self.0.iter().any(|(other, _)| *other == op)
    }

    /// Returns the fraction of requests of this kind.
    pub(crate) fn share(&self, op: Op) -> f64 {
        let total: u32 = self.0.iter().map(|(_, share)| share).sum();
        let own: u32 =
            self.0.iter().filter(|(other, _)| *other == op).map(|(_, share)| share).sum();
        f64::from(own) / f64::from(total)
    }

    /// Returns the sequence in which a connection sends the kinds of requests, and which it
    /// repeats. Each kind is spread as evenly as its share allows.
    pub(crate) fn order(&self) -> Vec<Op> {
        let total: i64 = self.0.iter().map(|(_, share)| i64::from(*share)).sum();
        let mut credits = vec![0; self.0.len()];
        let mut order = Vec::new();
        for _ in 0..total {
            for (credit, (_, share)) in credits.iter_mut().zip(&self.0) {
                *credit += i64::from(*share);
            }
            let next = credits.iter_mut().zip(&self.0).max_by_key(|(credit, _)| **credit);
            if let Some((credit, (op, _))) = next {
                *credit -= total;
                order.push(*op);
            }
        }
        order
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds = Op::MIXED.map(Op::name).join(", ");
        let expected =
            || format!("expected shares from 1 to 10000 of {kinds}, such as verify=90,login=10");
        let mut shares: Vec<(Op, u32)> = Vec::new();
        for part in text.split(',') {
            let (name, share) = part.trim().split_once('=').ok_or_else(expected)?;
            let op = Op::MIXED.into_iter().find(|op| op.name() == name).ok_or_else(expected)?;
            let share = share
                .parse()
                .ok()
                .filter(|share| (1..=10_000).contains(share))
                .ok_or_else(expected)?;
            if shares.iter().any(|(other, _)| *other == op) {
                return Err(format!("{name} occurs twice"));
            }
            shares.push((op, share));
        }
        Ok(Self(shares))
    }
}

impl std::fmt::Display for Mix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<_> =
            self.0.iter().map(|(op, share)| format!("{}={share}", op.name())).collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_a_kind_are_spread_evenly() {
        let mix: Mix = "verify=3,login=1".parse().unwrap();
        let order = mix.order();
        assert_eq!(order.len(), 4);
        assert_eq!(order.iter().filter(|op| **op == Op::Login).count(), 1);
        let even: Mix = "verify=5,ping=5".parse().unwrap();
        assert!(even.order().windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(mix.to_string(), "verify=3,login=1");
        assert_eq!(mix.share(Op::Login), 0.25);
    }

    #[test]
    fn invalid_mixes_are_rejected() {
        for wrong in [
            "",
            "verify",
            "verify=0",
            "verify=x",
            "connect=1",
            "verify=1,verify=2",
            "verify=1,,ping=1",
        ] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }
}
