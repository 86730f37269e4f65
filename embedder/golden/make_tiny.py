"""Generates tiny_vectors.json, unigram.json and word_piece.json with PyTorch, for the tiny models that tiny_model.rs writes.

    python -m venv venv && venv/bin/pip install torch transformers && venv/bin/python make_tiny.py

A weight is a function of its tensor's name and its index. tiny_model.rs has the same function; nothing else is shared.
"""

import json
import pathlib

import numpy
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

HERE = pathlib.Path(__file__).parent
WORDS = "the a of cat dog sits garden house river window green small run running is on in under and it ##s ##ing ##ed".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?-"
VOCABULARY = list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{c}" for c in LETTERS), *WORDS]))
TEXTS = [
    "the cat sits in the garden",
    "A dog is running under the window, and it barks!",
    "",
    "River",
    "Größe des Hauses: 12 m",
    "the green house on the small river is old. " * 3,
]
CASES = {
    "bert-32-mean": dict(hidden=64, heads=2, pooling="mean", dtype=torch.float32, tokenizer="word_piece", prefix=""),
    "bert-32-cls": dict(hidden=64, heads=2, pooling="cls", dtype=torch.float16, tokenizer="word_piece", prefix="the: "),
    "bert-64-cls": dict(hidden=128, heads=2, pooling="cls", dtype=torch.bfloat16, tokenizer="word_piece", prefix=""),
    "roberta-64-mean": dict(hidden=128, heads=2, pooling="mean", dtype=torch.float32, tokenizer="unigram", prefix="query: "),
}
LAYERS, FEED_FORWARD, POSITIONS = 2, 192, 96


def numbers(name, shape):
    """Numbers between -1 and 1: splitmix64, seeded with the FNV-1a hash of the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    count = int(numpy.prod(shape))
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(seed) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ (z >> numpy.uint64(31))
    return ((z >> numpy.uint64(40)).astype(numpy.float32) / 2**23 - 1).reshape(shape)


def weights(name, shape, dtype):
    drawn = torch.from_numpy(numbers(name, shape))
    if name.endswith("LayerNorm.weight"):
        drawn = 1 + drawn * 0.125
    elif name.endswith("bias"):
        drawn = drawn * 0.125
    elif "embeddings" not in name:
        drawn = drawn * 0.1875
    return drawn.to(dtype).float()


def word_piece():
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return tokenizer


def unigram():
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -3.0)]
    pieces += [(f"\u2581{w}", -4.0) for w in WORDS if not w.startswith("##")]
    pieces += [(c, -6.0) for c in LETTERS + LETTERS.upper()[:26] + ":ö"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    return tokenizer


def main():
    tokenizers = {"word_piece": word_piece(), "unigram": unigram()}
    for name, tokenizer in tokenizers.items():
        tokenizer.save(str(HERE / f"{name}.json"), pretty=False)
    out = {"vocabulary": VOCABULARY, "texts": TEXTS, "cases": {}}
    for name, case in CASES.items():
        tokenizer = tokenizers[case["tokenizer"]]
        sizes = dict(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=case["hidden"],
            num_attention_heads=case["heads"],
            num_hidden_layers=LAYERS,
            intermediate_size=FEED_FORWARD,
            layer_norm_eps=1e-5,
        )
        if name.startswith("roberta"):
            config = XLMRobertaConfig(max_position_embeddings=POSITIONS + 2, type_vocab_size=1, pad_token_id=1, **sizes)
            model = XLMRobertaModel(config, add_pooling_layer=False)
        else:
            config = BertConfig(max_position_embeddings=POSITIONS, type_vocab_size=2, **sizes)
            model = BertModel(config, add_pooling_layer=False)
        with torch.no_grad():
            for parameter, value in model.named_parameters():
                value.copy_(weights(parameter, tuple(value.shape), case["dtype"]))
            model.eval()
            vectors, ids = [], []
            for text in TEXTS:
                tokens = tokenizer.encode(case["prefix"] + text).ids
                hidden = model(torch.tensor([tokens])).last_hidden_state[0]
                pooled = hidden.mean(0) if case["pooling"] == "mean" else hidden[0]
                vectors.append([round(v, 4) for v in (pooled / pooled.norm()).tolist()])
                ids.append(tokens)
        out["cases"][name] = {"ids": ids, "vectors": vectors}
    (HERE / "tiny_vectors.json").write_text(json.dumps(out, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
