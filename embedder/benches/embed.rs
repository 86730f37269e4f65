//! Measures the throughput of passages and the latency of queries for each kernel. Run with `cargo bench -p autorag-embedder`.

use std::sync::LazyLock;

use autorag_embedder::{Embedder, Kernel};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

static PARAGRAPH: &str = "The array keeps running with one disk missing, but not with two. Before you pull anything, find \
    the failed drive by its serial number, which is printed on the tray. Take out the tray, wait ten seconds for the \
    motor to stop, and slide in the new one until the latch clicks. The rebuild starts automatically. ";

/// Passages of 200 tokens with the special tokens. Each starts differently.
static PASSAGES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let embedder = open(Kernel::available()[0]);
    (0..8)
        .map(|number| {
            let text = format!("Part {number}. {}", PARAGRAPH.repeat(4));
            let end = embedder.tokenizer().token_spans(&text)[197].end;
            text[..end].to_owned()
        })
        .collect()
});

#[allow(clippy::expect_used, reason = "a benchmark cannot return an error")]
fn open(kernel: Kernel) -> Embedder {
    Embedder::built_in_with_kernel(kernel).expect("the kernel is available")
}

#[divan::bench(args = Kernel::available(), threads = [1, 2], sample_size = 1)]
fn passages(bencher: Bencher, kernel: Kernel) {
    let embedder = open(kernel);
    let texts: Vec<&str> = PASSAGES.iter().map(String::as_str).collect();
    bencher
        .counter(ItemsCount::new(texts.len()))
        .bench(|| embedder.embed(black_box(&texts)));
}

#[divan::bench(args = Kernel::available())]
fn query(bencher: Bencher, kernel: Kernel) {
    let embedder = open(kernel);
    bencher.bench(|| embedder.embed_query(black_box("how do I replace a failed disk")));
}

#[divan::bench]
fn count_tokens(bencher: Bencher) {
    let embedder = open(Kernel::Portable);
    let text = PARAGRAPH.repeat(100);
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| embedder.tokenizer().count(black_box(&text)));
}

#[divan::bench]
fn built_in() {
    let _ = black_box(Embedder::built_in());
}
