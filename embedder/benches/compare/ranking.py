"""Measures what int8 costs in ranking quality: nDCG@10 and top-10 overlap of each kernel against f32 in ONNX Runtime.

    venv/bin/python embedder/benches/compare/ranking.py FOLDER target/release/autorag

FOLDER is a collection in the BEIR layout, with `id` instead of `_id`: corpus.jsonl, queries.jsonl, qrels.tsv. Documents are
truncated to the model's input length, the same for all engines. `compare.py` explains the setup.
"""

import argparse
import csv
import json
import math
import pathlib
import subprocess

import compare
import numpy as np

# Tokens the model reads, without the two special tokens.
LIMIT = 254


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def cut(texts):
    """Each text on one line, truncated to `LIMIT` tokens."""
    tokenizer = compare.tokenizer()
    flat = [" ".join(text.split()) or "-" for text in texts]
    ends = [tokenizer.encode(text, add_special_tokens=False).offsets[:LIMIT] for text in flat]
    return [text[: offsets[-1][1]] if offsets else "-" for text, offsets in zip(flat, ends)]


def in_f32(texts, models):
    batches = compare.batches(texts)
    return np.array(compare.in_parallel(batches, compare.onnxruntime_engine(str(models / "fused.onnx"))))


def in_eight_bits(texts, binary, kernel, models):
    path = models / "ranking.txt"
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    command = [binary, "bench", "embed", "--texts", str(path), "--kernel", kernel, "--json", "--vectors"]
    return np.array(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["vectors"])


def ndcg(ranking, grades):
    gain = sum((2 ** grades.get(document, 0) - 1) / math.log2(place + 2) for place, document in enumerate(ranking[:10]))
    best = sorted(grades.values(), reverse=True)[:10]
    ideal = sum((2**grade - 1) / math.log2(place + 2) for place, grade in enumerate(best))
    return gain / ideal if ideal else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=pathlib.Path)
    parser.add_argument("binary", nargs="?", default="target/release/autorag")
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path("target/compare-models"))
    parser.add_argument("--kernels", nargs="*", default=["avx512-vnni", "avx-vnni", "avx2"])
    options = parser.parse_args()
    compare.prepare(options.models)

    documents = lines(options.collection / "corpus.jsonl")
    names = [document["id"] for document in documents]
    corpus = cut(f"{document.get('title', '')} {document['text']}" for document in documents)
    judgments = {}
    with open(options.collection / "qrels.tsv", encoding="utf-8") as file:
        for row in csv.reader(file, delimiter="\t"):
            if row[-1].lstrip("-").isdigit():
                judgments.setdefault(row[0], {})[row[-2]] = int(row[-1])
    questions = [query for query in lines(options.collection / "queries.jsonl") if query["id"] in judgments]
    query_texts = cut(query["text"] for query in questions)

    def rankings(vectors):
        documents, queries = vectors[: len(corpus)], vectors[len(corpus) :]
        best = np.argsort(-(queries @ documents.T), axis=1, kind="stable")[:, :10]
        return [[names[place] for place in row] for row in best]

    def mean_ndcg(ranked):
        return float(np.mean([ndcg(row, judgments[query["id"]]) for row, query in zip(ranked, questions)]))

    reference = rankings(in_f32(corpus + query_texts, options.models))
    print(f"{len(corpus)} documents, {len(query_texts)} questions; f32: nDCG@10 {mean_ndcg(reference):.4f}")
    for kernel in options.kernels:
        ranked = rankings(in_eight_bits(corpus + query_texts, options.binary, kernel, options.models))
        overlap = np.mean([len(set(mine) & set(theirs)) / 10 for mine, theirs in zip(ranked, reference)])
        first = np.mean([mine[0] == theirs[0] for mine, theirs in zip(ranked, reference)])
        print(f"{kernel:<14} nDCG@10 {mean_ndcg(ranked):.4f}, top-10 overlap {overlap:.3f}, same first hit {first:.3f}")


if __name__ == "__main__":
    main()
