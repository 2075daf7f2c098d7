//! Cost of a token check, compared with the HMAC that it cannot avoid: `cargo bench -p user-server
//! --bench verify`.
//!
//! Runs rounds of all rows, and prints the median and the best round of each: other load on the
//! machine affects all rows alike, so that the ratios stay valid.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark, not an interface"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use user_proto::{Common, Reply, Request, VerifyToken, encode_with, frame};
use user_server::cache::LocalCache;
use user_server::config::Config;
use user_server::domain::{Clock, Store, SystemClock};
use user_server::keys::TokenAlgorithm;
use user_server::metrics::Metrics;
use user_server::service::{CachePorts, ServiceCore};
use user_server::store::SqliteStore;
use user_server::tcp::request_labels;
use user_server::tokens::{TokenPolicy, Verifiers};
use uuid::Uuid;

/// Number of distinct tokens of a row. A thread remembers those of all rows together.
const TOKENS: usize = 4_000;
const ROUNDS: usize = 51;
const ITERATIONS: usize = 10_000;
/// Number of iterations of a row that verifies a signature with a public key.
const SLOW_ITERATIONS: usize = 200;
/// Number of tokens that are checked for the first time in a round.
const NEW: usize = 2_000;
const SECRET: &str = "the secret of a benchmark: thirty-two bytes and more";

struct Row<'a> {
    name: &'static str,
    iterations: usize,
    run: Box<dyn FnMut(usize) + 'a>,
    nanos: Vec<f64>,
}

fn row<'a>(name: &'static str, run: impl FnMut(usize) + 'a) -> Row<'a> {
    Row { name, iterations: ITERATIONS, run: Box::new(run), nanos: Vec::new() }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let settings = |name: &str| match name {
        "DATA_DIR" => Some(path.clone()),
        "JWTSECRETKEY" => Some(SECRET.to_owned()),
        _ => None,
    };
    let config = Config::read(&settings, false).unwrap();
    let keys = Arc::new(config.keys().unwrap());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handler = runtime.block_on(async {
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&folder.path().join("users.db")).await.unwrap());
        let metrics = Arc::new(Metrics::new(request_labels(), clock.now()));
        let cache = CachePorts::single_node(Arc::new(LocalCache::none(metrics.cache.clone())));
        ServiceCore::assemble(&config, &clock, &keys, &store, &cache, &metrics).unwrap().handler
    });
    let verifiers = Verifiers::new(&keys, &config.tokens).unwrap();
    let (now, life) = (clock.now(), Duration::from_secs(3600));
    let issue = |verifiers: &Verifiers| {
        let token = verifiers.issue(Uuid::new_v4(), Uuid::new_v4(), now, now.plus(life));
        token.unwrap().as_bytes().to_vec()
    };
    let tokens: Vec<Vec<u8>> = (0..TOKENS).map(|_| issue(&verifiers)).collect();
    let new_tokens: Vec<Vec<u8>> = (0..(ROUNDS + 1) * NEW).map(|_| issue(&verifiers)).collect();
    let [(eddsa, eddsa_tokens), (es256, es256_tokens)] =
        [TokenAlgorithm::EdDsa, TokenAlgorithm::Es256].map(|signing| {
            let policy = TokenPolicy { signing, ..config.tokens.clone() };
            let verifiers = Verifiers::new(&keys, &policy).unwrap();
            let tokens: Vec<Vec<u8>> = (0..TOKENS).map(|_| issue(&verifiers)).collect();
            (verifiers, tokens)
        });
    // Other tokens, since a thread remembers a token for one set of keys only.
    let frames: Vec<BytesMut> = (0..TOKENS)
        .map(|_| {
            let token = issue(&verifiers);
            let (mut out, access_token) =
                (BytesMut::new(), std::str::from_utf8(&token).unwrap().into());
            encode_with(7, &VerifyToken { access_token }, &Common::default(), &mut out).unwrap();
            out
        })
        .collect();

    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let input =
        |index: usize| tokens[index % TOKENS].rsplitn(2, |byte| *byte == b'.').nth(1).unwrap();
    let mut out = BytesMut::with_capacity(512);
    let aws = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut rows = vec![
        row("HMAC-SHA256 of the same bytes, sha2", |index| {
            let mut mac = mac.clone();
            mac.update(input(index));
            black_box(mac.finalize());
        }),
        row("the same, aws-lc", |index| _ = black_box(aws_lc_rs::hmac::sign(&aws, input(index)))),
        row("fast verifier, seen before", |index| {
            _ = black_box(verifiers.fast(&tokens[index % TOKENS]).unwrap())
        }),
        // Each token is checked once.
        Row {
            iterations: NEW,
            ..row("fast verifier, new", |index| {
                _ = black_box(verifiers.fast(&new_tokens[index]).unwrap())
            })
        },
        row("frame to reply, by the handler, seen before", |index| {
            out.clear();
            let (found, _) = frame::split(&frames[index % TOKENS]).unwrap().unwrap();
            let (request, common) = Request::decode(found.kind, found.body).unwrap();
            let reply = handler.answer_now(&request, &common, handler.read_clocks()).unwrap();
            assert!(matches!(reply, Reply::TokenVerified(_)));
            reply.encode(found.id, &mut out).unwrap();
        }),
        row("reference verifier, jsonwebtoken", |index| {
            _ = black_box(verifiers.reference(&tokens[index % TOKENS]).unwrap())
        }),
        row("fast verifier, EdDSA, seen before", |index| {
            _ = black_box(eddsa.fast(&eddsa_tokens[index % TOKENS]).unwrap())
        }),
        row("fast verifier, ES256, seen before", |index| {
            _ = black_box(es256.fast(&es256_tokens[index % TOKENS]).unwrap())
        }),
        Row {
            iterations: SLOW_ITERATIONS,
            ..row("reference verifier, EdDSA", |index| {
                _ = black_box(eddsa.reference(&eddsa_tokens[index % TOKENS]).unwrap())
            })
        },
        Row {
            iterations: SLOW_ITERATIONS,
            ..row("reference verifier, ES256", |index| {
                _ = black_box(es256.reference(&es256_tokens[index % TOKENS]).unwrap())
            })
        },
    ];
    for round in 0..=ROUNDS {
        for row in &mut rows {
            let began = Instant::now();
            let (count, first) = (row.iterations, round * row.iterations);
            (first..first + count).for_each(|iteration| (row.run)(iteration));
            // The first round warms up.
            if round > 0 {
                row.nanos.push(began.elapsed().as_secs_f64() * 1e9 / count as f64);
            }
        }
    }
    for row in &mut rows {
        row.nanos.sort_by(f64::total_cmp);
    }
    let (median, best) = (|row: &Row<'_>| row.nanos[ROUNDS / 2], |row: &Row<'_>| row.nanos[0]);
    println!("a token of {} bytes; {ROUNDS} rounds of {ITERATIONS}", tokens[0].len());
    println!("| | ns, median | ns, best | ratio, median | ratio, best |\n|---|---|---|---|---|");
    for row in &rows {
        let ratios = (median(row) / median(&rows[0]), best(row) / best(&rows[0]));
        let name = row.name;
        println!(
            "| {name} | {:.0} | {:.0} | {:.2} | {:.2} |",
            median(row),
            best(row),
            ratios.0,
            ratios.1
        );
    }
}
