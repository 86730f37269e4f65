"""Builds all-MiniLM-L6-v2 as an f32 ONNX graph from its safetensors file, for the other runtimes.

`fused` uses ONNX Runtime's own operators for attention, GELU and layer normalization, which make it faster.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

HIDDEN, HEADS, LAYERS = 384, 12, 6
HEAD = HIDDEN // HEADS


class Graph:
    def __init__(self, weights, fused):
        self.fused, self.weights, self.nodes, self.constants, self.count = fused, weights, [], [], 0

    def constant(self, value):
        self.count += 1
        name = f"constant_{self.count}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, op, *inputs, **attributes):
        self.count += 1
        name = f"{op}_{self.count}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def weight(self, name):
        return self.constant(self.weights[name])

    def linear(self, x, name):
        product = self.add("MatMul", x, self.constant(self.weights[f"{name}.weight"].T))
        return self.add("Add", product, self.weight(f"{name}.bias"))

    def norm(self, x, name):
        return self.add(
            "LayerNormalization", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), axis=-1, epsilon=1e-12
        )

    def heads(self, x, order):
        shape = self.constant(np.array([0, 0, HEADS, HEAD], np.int64))
        return self.add("Transpose", self.add("Reshape", x, shape), perm=order)

    def own(self, op, *inputs, **attributes):
        return self.add(op, *inputs, domain="com.microsoft", **attributes)

    def add_and_norm(self, x, change, name):
        """Adds the bias of `name`.dense as well: `change` is the product alone."""
        weight, bias = self.weight(f"{name}.LayerNorm.weight"), self.weight(f"{name}.LayerNorm.bias")
        return self.own("SkipLayerNormalization", change, x, weight, bias, self.weight(f"{name}.dense.bias"), epsilon=1e-12)

    def product(self, x, name):
        return self.add("MatMul", x, self.constant(self.weights[f"{name}.weight"].T))

    def fused_layer(self, x, mask, name):
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self.weights[f"{part}.weight"].T for part in parts], axis=1)
        bias = np.concatenate([self.weights[f"{part}.bias"] for part in parts])
        context = self.own("Attention", x, self.constant(weight), self.constant(bias), mask, num_heads=HEADS)
        attended = self.product(context, f"{name}.attention.output.dense")
        x = self.add_and_norm(x, attended, f"{name}.attention.output")
        wide = self.product(x, f"{name}.intermediate.dense")
        wide = self.own("BiasGelu", wide, self.weight(f"{name}.intermediate.dense.bias"))
        return self.add_and_norm(x, self.product(wide, f"{name}.output.dense"), f"{name}.output")

    def layer(self, x, mask, name):
        query = self.heads(self.linear(x, f"{name}.attention.self.query"), [0, 2, 1, 3])
        key = self.heads(self.linear(x, f"{name}.attention.self.key"), [0, 2, 3, 1])
        value = self.heads(self.linear(x, f"{name}.attention.self.value"), [0, 2, 1, 3])
        scores = self.add("Div", self.add("MatMul", query, key), self.constant(np.float32(HEAD**0.5)))
        weights = self.add("Softmax", self.add("Add", scores, mask), axis=-1)
        context = self.add("Transpose", self.add("MatMul", weights, value), perm=[0, 2, 1, 3])
        context = self.add("Reshape", context, self.constant(np.array([0, 0, HIDDEN], np.int64)))
        attended = self.linear(context, f"{name}.attention.output.dense")
        x = self.norm(self.add("Add", attended, x), f"{name}.attention.output.LayerNorm")
        wide = self.linear(x, f"{name}.intermediate.dense")
        # The exact GELU (with erf), in the pattern that runtimes fuse.
        erf = self.add("Erf", self.add("Div", wide, self.constant(np.float32(2**0.5))))
        gelu = self.add("Mul", wide, self.add("Add", erf, self.constant(np.float32(1))))
        wide = self.add("Mul", gelu, self.constant(np.float32(0.5)))
        return self.norm(self.add("Add", self.linear(wide, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")


def build(safetensors_path, onnx_path, fused):
    """Writes the graph. Inputs: input_ids and attention_mask [texts, tokens]. Output: unit vectors [texts, 384]."""
    graph = Graph(load_file(safetensors_path), fused)
    add, constant = graph.add, graph.constant
    words = add("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids")
    length = add("Gather", add("Shape", "input_ids"), constant(np.array([1], np.int64)))
    positions = add("Slice", graph.weight("embeddings.position_embeddings.weight"), constant(np.array([0], np.int64)), length)
    types = constant(graph.weights["embeddings.token_type_embeddings.weight"][0])
    x = graph.norm(add("Add", add("Add", words, types), positions), "embeddings.LayerNorm")
    present = add("Cast", "attention_mask", to=TensorProto.FLOAT)
    absent = add("Sub", constant(np.float32(1)), present)
    if fused:
        mask, layer = add("Cast", "attention_mask", to=TensorProto.INT32), graph.fused_layer
    else:
        mask, layer = add("Unsqueeze", absent, constant(np.array([1, 2], np.int64))), graph.layer
        mask = add("Mul", mask, constant(np.float32(-1e9)))
    for number in range(LAYERS):
        x = layer(x, mask, f"encoder.layer.{number}")
    column = add("Unsqueeze", present, constant(np.array([2], np.int64)))
    total = add("ReduceSum", add("Mul", x, column), constant(np.array([1], np.int64)), keepdims=0)
    norm = add("ReduceL2", total, constant(np.array([1], np.int64)), keepdims=1)
    graph.nodes.append(helper.make_node("Div", [total, norm], ["vectors"], name="vectors"))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", HIDDEN])]
    onnx_graph = helper.make_graph(graph.nodes, "minilm", inputs, outputs, graph.constants)
    model = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)], ir_version=9)
    onnx.save(model, onnx_path)
