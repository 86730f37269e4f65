//! Soak test: eight clients search while the folder keeps changing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::folder::Folder;
use super::{seed, truth};
use crate::harness::{Sandbox, Server};
use crate::random::Random;

const CLIENTS: u64 = 8;
/// Default duration, in seconds.
const SECONDS: u64 = 8;
/// Longest pause between two changes, in milliseconds.
const MAX_PAUSE: u64 = 300;
/// Longest pause between two searches of a client, in milliseconds.
const MAX_CLIENT_PAUSE: u64 = 40;
/// Share of the duration after which caches are warm; the final sample is compared with the one at that moment.
const WARM: f64 = 0.25;
/// Number of samples.
const SAMPLES: f64 = 12.0;
/// Allowed growth of open file descriptors.
const MAX_MORE_DESCRIPTORS: usize = 24;
/// Allowed growth of memory in a run long enough to warm up. Allocators keep freed memory, so it is not zero.
const LONG: Duration = Duration::from_secs(120);
const MEMORY_SHARE: f64 = 1.25;
const MEMORY_KB: u64 = 32 << 10;

fn memory_kb(server: &Server) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim_end_matches("kB").trim().parse().unwrap()
}

fn descriptors(server: &Server) -> usize {
    fs_err::read_dir(format!("/proc/{}/fd", server.pid()))
        .unwrap()
        .count()
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn no_answer_is_wrong_while_the_folder_changes() {
    let given = std::env::var("AUTORAG_SOAK_SECONDS").ok();
    let lasts = Duration::from_secs(given.map_or(SECONDS, |seconds| seconds.parse().unwrap()));
    let sandbox = Sandbox::empty();
    let folder = Mutex::new(Folder::new(&sandbox.docs(), seed(), 40));
    let held = || folder.lock().unwrap_or_else(PoisonError::into_inner);
    let server = sandbox.serve();
    server.wait_until_complete();
    let (over, asked, changes) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    // Samples of memory and file descriptors.
    let mut measured = Vec::new();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (server, held, over, asked) = (&server, &held, &over, &asked);
                scope.spawn(move || {
                    let mut random = Random::new(seed() + client);
                    while !over.load(Ordering::Relaxed) {
                        let word = held().live().values().next().cloned().unwrap_or_default();
                        let query = match random.below(3) {
                            0 => word.as_str(),
                            _ => *random.choose(&truth::QUERIES),
                        };
                        let mode = *random.choose(&["lexical", "dense", "hybrid"]);
                        let since = Instant::now();
                        let answer = server.search(&json!({"query": query, "mode": mode}));
                        truth::check_hits(&answer, &held(), since);
                        std::thread::sleep(Duration::from_millis(random.below(MAX_CLIENT_PAUSE)));
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let started = Instant::now();
        let mut random = Random::new(seed());
        while started.elapsed() < lasts && clients.iter().all(|client| !client.is_finished()) {
            held().change();
            changes.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(random.below(MAX_PAUSE)));
            if started.elapsed() > lasts.mul_f64(measured.len() as f64 / SAMPLES) {
                measured.push((memory_kb(&server), descriptors(&server)));
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let folder = held();
    crate::harness::wait_for("the last changes", || {
        let mut words = folder.live().values();
        let found = words.all(|word| {
            let answer = server.search(&json!({"query": word, "mode": "lexical"}));
            answer["hits"][0]["freshness"] == "current"
        });
        found.then_some(())
    });
    server.wait_until_complete();
    truth::check_complete(&folder, |query, mode| {
        server.search(&json!({"query": query, "mode": mode}))
    });
    measured.push((memory_kb(&server), descriptors(&server)));
    eprintln!(
        "{changes:?} changes and {asked:?} answers in {lasts:?}; KB of memory and descriptors: {measured:?}"
    );
    let (memory, open) = measured[(SAMPLES * WARM) as usize];
    let (memory_now, open_now) = measured[measured.len() - 1];
    assert!(
        open_now <= open + MAX_MORE_DESCRIPTORS,
        "{open} to {open_now} descriptors"
    );
    let most = (memory as f64 * MEMORY_SHARE) as u64 + MEMORY_KB;
    assert!(lasts < LONG || memory_now <= most, "{memory} to {memory_now} KB");
}
