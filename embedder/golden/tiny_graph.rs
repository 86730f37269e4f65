//! A tiny ONNX model for tests: each token has a row of a table, and the vector of a text is the mean of its rows.
//! The tests write it themselves in ONNX's protobuf format (<https://onnx.ai/onnx/intro/>).

use std::path::Path;

/// Length of a row.
pub const DIMENSIONS: usize = 8;
/// Tokens of the longest text.
pub const MAX_TOKENS: usize = 32;
/// The vocabulary. The first four tokens are special.
pub const WORDS: [&str; 14] = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "penguins",
    "live",
    "in",
    "the",
    "southern",
    "hemisphere",
    "where",
    "do",
    "backup",
    "water",
];

/// The row of a token.
pub fn row(token: usize) -> [f32; DIMENSIONS] {
    std::array::from_fn(|dimension| {
        // Special tokens contribute little, and every word has its own direction.
        let scale = if token < 4 { 0.01 } else { 1.0 };
        scale * ((token * 37 + dimension * 11) % 19) as f32 - 9.0 * scale
    })
}

/// Writes the model folder: graph, tokenizer and settings.
pub fn write(dir: &Path) {
    let write = |name: &str, bytes: &[u8]| fs_err::write(dir.join(name), bytes).unwrap();
    fs_err::create_dir_all(dir).unwrap();
    write("model.onnx", &graph());
    write("tokenizer.json", tokenizer().as_bytes());
    write(
        "config.json",
        format!(r#"{{"model_type": "bert", "pad_token_id": 0, "max_position_embeddings": {MAX_TOKENS}}}"#)
            .as_bytes(),
    );
    write(
        "tokenizer_config.json",
        br#"{"model_max_length": 1000000000000000019884624838656, "pad_token": "[PAD]"}"#,
    );
}

/// Writes the folder of a reranker. The logit of a pair is 3 if one of its texts has the word `keyword`, otherwise -3.
pub fn write_reranker(dir: &Path, keyword: &str) {
    write(dir);
    fs_err::write(dir.join("model.onnx"), reranker(keyword)).unwrap();
}

fn reranker(keyword: &str) -> Vec<u8> {
    let row = |word: &str| if word == keyword { 3.0f32 } else { -3.0 };
    let table: Vec<u8> = WORDS.iter().flat_map(|word| row(word).to_le_bytes()).collect();
    let over_tokens = [bytes(1, b"axes"), number(8, 1), number(20, 7)].concat();
    let without_tokens = [bytes(1, b"keepdims"), number(3, 0), number(20, 2)].concat();
    let highest = [
        bytes(1, b"rows"),
        bytes(2, b"logits"),
        bytes(4, b"ReduceMax"),
        bytes(5, &over_tokens),
        bytes(5, &without_tokens),
    ]
    .concat();
    let graph = [
        bytes(1, &lookup("rows")),
        bytes(1, &highest),
        bytes(2, b"tiny"),
        bytes(5, &tensor(&table, 1)),
        bytes(11, &value("input_ids", INT64, &["texts", "tokens"], None)),
        bytes(11, &value("attention_mask", INT64, &["texts", "tokens"], None)),
        bytes(12, &value("logits", FLOAT, &["texts"], Some(1))),
    ];
    model(&graph.concat())
}

fn tokenizer() -> String {
    let vocabulary: Vec<String> = WORDS
        .iter()
        .enumerate()
        .map(|(id, word)| format!("\"{word}\": {id}"))
        .collect();
    let added: Vec<String> = WORDS[..4]
        .iter()
        .enumerate()
        .map(|(id, word)| {
            format!(
                r#"{{"id": {id}, "content": "{word}", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}}"#
            )
        })
        .collect();
    format!(
        r###"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [{}],
        "normalizer": {{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true}},
        "pre_tokenizer": {{"type": "BertPreTokenizer"}},
        "post_processor": {{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}},
        "decoder": null,
        "model": {{"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {{{}}}}}}}"###,
        added.join(", "),
        vocabulary.join(", ")
    )
}

fn graph() -> Vec<u8> {
    let table: Vec<u8> = (0..WORDS.len())
        .flat_map(row)
        .flat_map(f32::to_le_bytes)
        .collect();
    let graph = [
        bytes(1, &lookup("last_hidden_state")),
        bytes(2, b"tiny"),
        bytes(5, &tensor(&table, DIMENSIONS)),
        bytes(11, &value("input_ids", INT64, &["texts", "tokens"], None)),
        bytes(11, &value("attention_mask", INT64, &["texts", "tokens"], None)),
        bytes(
            12,
            &value("last_hidden_state", FLOAT, &["texts", "tokens"], Some(DIMENSIONS)),
        ),
    ];
    model(&graph.concat())
}

const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// `TensorProto`: the table, with a row of `length` values for each token.
fn tensor(table: &[u8], length: usize) -> Vec<u8> {
    [
        number(1, WORDS.len() as u64),
        number(1, length as u64),
        number(2, FLOAT),
        bytes(8, b"table"),
        bytes(9, table),
    ]
    .concat()
}

/// `NodeProto`: looks up the row of each input token.
fn lookup(output: &str) -> Vec<u8> {
    [
        bytes(1, b"table"),
        bytes(1, b"input_ids"),
        bytes(2, output.as_bytes()),
        bytes(4, b"Gather"),
    ]
    .concat()
}

/// `ValueInfoProto`: an input or output with named dimensions, and optionally a last dimension of fixed size.
fn value(name: &str, kind: u64, named: &[&str], last: Option<usize>) -> Vec<u8> {
    let mut shape: Vec<u8> = named
        .iter()
        .flat_map(|name| bytes(1, &bytes(2, name.as_bytes())))
        .collect();
    shape.extend(
        last.into_iter()
            .flat_map(|size| bytes(1, &number(1, size as u64))),
    );
    let of_tensor = [number(1, kind), bytes(2, &shape)].concat();
    [bytes(1, name.as_bytes()), bytes(2, &bytes(1, &of_tensor))].concat()
}

fn model(graph: &[u8]) -> Vec<u8> {
    [number(1, 8), bytes(7, graph), bytes(8, &number(2, 17))].concat()
}

/// A protobuf field with an integer.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A protobuf field with bytes, text or a message.
fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut written = Vec::new();
    while value >= 0x80 {
        written.push(value as u8 | 0x80);
        value >>= 7;
    }
    written.push(value as u8);
    written
}
