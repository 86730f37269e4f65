#!/usr/bin/env python3
"""Writes seed inputs for the fuzzers to corpus/ beside this file: one small file per supported kind."""

import base64
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"
END = b"\xff"


def seed(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# The smallest valid model in the layout of sentence-transformers.
def tensors(width, vocabulary, positions, dtype, prefix):
    shapes = {
        "embeddings.word_embeddings.weight": [vocabulary, width],
        "embeddings.position_embeddings.weight": [positions, width],
        "embeddings.token_type_embeddings.weight": [1, width],
    }
    for part in ["embeddings.LayerNorm", "encoder.layer.0.attention.output.LayerNorm", "encoder.layer.0.output.LayerNorm"]:
        shapes[part + ".weight"] = shapes[part + ".bias"] = [width]
    for part in [
        "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
        "intermediate.dense", "output.dense",
    ]:
        shapes[f"encoder.layer.0.{part}.weight"] = [width, width]
        shapes[f"encoder.layer.0.{part}.bias"] = [width]
    header, at = {}, 0
    for name, shape in shapes.items():
        length = {"F32": 4, "F16": 2, "BF16": 2}[dtype]
        for size in shape:
            length *= size
        header[prefix + name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + length]}
        at += length
    return compact(header)


def config(kind, positions):
    return compact({
        "model_type": kind, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 1, "vocab_size": 5, "max_position_embeddings": positions, "layer_norm_eps": 1e-5,
        "hidden_act": "gelu", "pad_token_id": 1,
    })


MODULES = compact([
    {"path": "", "type": "sentence_transformers.models.Transformer"},
    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
])
POOLING = compact({"pooling_mode_cls_token": True})

for dtype in ["F32", "F16", "BF16"]:
    header = tensors(64, 5, 8, dtype, "bert.")
    seed("safetensors", dtype.lower(), END.join([header, config("bert", 8)]))
header = tensors(64, 5, 10, "F16", "")
seed("safetensors", "roberta", END.join([header, config("roberta", 10), MODULES, POOLING]))
seed("safetensors", "damaged", END.join([header, config("bert", 8), b"", b"", struct.pack("<IBB", 9, 2, 0x7c)]))
seed("safetensors", "cut", END.join([header, config("bert", 8), b"", b"", struct.pack("<IBB", 900, 1, 0)]))

# Tokenizers.
TEXT = "The cat\u0301 sits".encode()
WORDS = ["[CLS]", "[SEP]", "[UNK]", "the", "cat", "s", "##it", "##s", "a", "##b", "\u4eac"]
seed("tokenizer", "vocabulary", b"\0" + TEXT + END + "\n".join(WORDS).encode())
seed("tokenizer", "vocabulary-cased", b"\1" + TEXT + END + "\r\n".join(WORDS).encode())


def tokenizer(model, start="[CLS]", end="[SEP]", **parts):
    special = {start: 0, end: 1}
    return {
        "added_tokens": [
            {"id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
            for token, number in special.items()
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": start, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": end, "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                token: {"id": token, "ids": [number], "tokens": [token]} for token, number in special.items()
            },
        },
        "model": model,
        **parts,
    }


IDS = {word: number for number, word in enumerate(WORDS)}
WORD_PIECE = {
    "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": IDS,
}
BERT = {
    "normalizer": {
        "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
}
PIECES = [["<s>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["\u2581", -3.0], ["\u2581the", -4.0], ["c", -5.0], ["at", -5.0]]
LETTERS = {letter: number for number, letter in enumerate(["<s>", "</s>", "<unk>", "a", "c", "t", "at", "cat", "\u0120", "<0x41>"])}
PAIRS = {
    "type": "BPE", "unk_token": "<unk>", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": LETTERS,
    "merges": [["a", "t"], ["c", "at"]],
}
METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
SPLIT = {"type": "Split", "pattern": {"Regex": "\\w+|[^\\w\\s]+"}, "behavior": "Isolated", "invert": False}
REPLACE = {"type": "Replace", "pattern": {"String": "a"}, "content": "bb"}
files = {
    "word-piece": tokenizer(WORD_PIECE, **BERT),
    "word-piece-published": tokenizer(WORD_PIECE),
    "unigram": tokenizer(
        {"type": "Unigram", "unk_id": 2, "vocab": PIECES, "byte_fallback": False}, "<s>", "</s>",
        normalizer={"type": "NFKC"}, pre_tokenizer=METASPACE,
    ),
    "unigram-precompiled": tokenizer(
        {"type": "Unigram", "unk_id": 2, "vocab": PIECES, "byte_fallback": False}, "<s>", "</s>",
        normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(struct.pack("<I", 1024) + bytes(1030)).decode()},
        pre_tokenizer=METASPACE,
    ),
    "pairs": tokenizer(PAIRS, "<s>", "</s>", pre_tokenizer=BYTES),
    "pairs-roberta": tokenizer(
        PAIRS, "<s>", "</s>",
        post_processor={
            "type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": False,
        },
        pre_tokenizer={"type": "Sequence", "pretokenizers": [SPLIT, BYTES]},
    ),
    "words": tokenizer(
        {"type": "WordLevel", "unk_token": "[UNK]", "vocab": IDS},
        normalizer={"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, REPLACE]},
        pre_tokenizer={"type": "Digits", "individual_digits": True},
        post_processor={"type": "BertProcessing", "sep": ["[SEP]", 1], "cls": ["[CLS]", 0]},
    ),
}
for name, file in files.items():
    seed("tokenizer", name, b"\2" + TEXT + END + compact(file))

# Packed weights.
for name, (hidden, heads) in {"narrow": (64, 2), "wide": (128, 2)}.items():
    sizes = [2, hidden, 64, 1, heads, 7, 8, 64]
    header = b"autoragW" + struct.pack("<8If", *sizes, 1e-5)
    seed("packed", name, header.ljust(128, b"\0") + b"\0" + struct.pack("<f", 0.75) + bytes(range(60)))

# Texts.
for number, text in enumerate(["Hello, world! unaffable", "  Caf\u00e9\u0301s, \u6771\u4eac!\n\uac01", "a" * 120 + " [CLS] ##b\u00ad\0\u200d\U0001f980"]):
    seed("text", f"text-{number}", text.encode())

# Documents. First byte: index into EXTENSIONS of targets/documents.rs; second byte: passage length; then the content.
documents = {
    0: "---\ntitle: T\n---\n# One\n\nA *word* of text.\n\n- item\n\n```rust\nfn a() {}\n```\n\n## Two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    1: "<html><head><title>T</title></head><body><h1>One</h1><p>Text <b>bold</b></p><table><tr><th>a<td>b</table><pre> x\n</pre></body>",
    2: '{"nbformat":4,"metadata":{},"cells":[{"cell_type":"markdown","source":["# One\\n","text"]},{"cell_type":"code","source":"a = 1","outputs":[]}]}',
    3: '{"a": [1, {"b": "c"}], "d": null}',
    5: "a:\n  - b: c\n  - 'd'\n---\ne: |\n  text\n",
    6: 'a = 1\n[b]\nc = "d"\n',
    7: "a,b\n1,\"x\ny\"\n2,3\n",
    9: "1\n00:00:01,000 --> 00:00:02,000\nText\n\n2\n00:00:03,000 --> 00:00:04,000\n<i>More</i>\n",
    10: "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>Text\n",
    11: "One\n===\n\nText\n\nTwo\n---\n\n.. note:: text\n",
    12: "* One\nText\n** Two\n#+BEGIN_SRC c\nint a;\n#+END_SRC\n",
    13: "= One\n\nText\n\n== Two\n\n----\ncode\n----\n",
    14: "\\documentclass{article}\\title{T}\\begin{document}\\section{One} Text % no\n\\subsection{Two} $x$ \\end{document}",
    15: "<?xml version=\"1.0\"?><a b=\"c\"><d>text</d><!-- no --></a>",
    16: "{\\rtf1\\ansi{\\fonttbl\\f0 Arial;}{\\info{\\title T}}\\f0\\b One\\b0\\par Text \\'e9 \\u233?\\par}",
    17: "From: a@b.c\nSubject: =?utf-8?q?T?=\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\nText\n--x\nContent-Type: text/html\n\n<p>Text\n--x--\n",
    18: "From a@b.c Mon Jan  1 00:00:00 2024\nFrom: a@b.c\nSubject: S\n\nText\n\nFrom d@e.f Mon Jan  1 00:00:00 2024\nSubject: S\n\nText\n",
    19: "/// Doc.\nfn a(b: u8) -> u8 {\n    b + 1\n}\n\nstruct C;\n",
    20: "class A:\n    def b(self):\n        return 1\n",
    30: ".TH NAME 1\n.SH NAME\nname \\- text\n.SH OPTIONS\n.TP\n.B \\-a\nText\n",
}
for ending, text in documents.items():
    seed("documents", f"ending-{ending}", bytes([ending, 4]) + text.encode())

# Questions. Two bytes of options, then the query, the filter and the boost field, separated by END.
questions = {
    "words": (0x00, 0x02, "copy the binary", "", ""),
    "syntax": (0x20, 0x07, "title:install -path:notes heading:\"on debian\" kind:markdown -\"max file\" \"read file\"", "", ""),
    "all": (0x10, 0x04, "open index path", '{"type": "code"}', ""),
    "languages": (0x80, 0x05, "Stra\u00dfe chevaux \u6771\u4eac e\u0301te\u0301", "", ""),
    "filter": (
        0x40, 0x07, "install limits",
        compact({"$or": [
            {"folder": {"$prefix": "guide/"}}, {"$not": {"team": {"$in": ["docs", 3]}}}, {"date": {"$gte": "2026-01-01"}},
            {"path": {"$glob": "**/*.{md,txt}"}},
        ]}).decode(), "",
    ),
    "boost": (0x00, 0xa7, "install", "", "timestamp"),
    "hybrid": (0x23, 0x0f, "where does it stand?", '{"edition": {"$lte": 3}}', "edition"),
}
for name, (how, of_what, *parts) in questions.items():
    seed("questions", name, bytes([how, of_what]) + END.join(part.encode() for part in parts))
