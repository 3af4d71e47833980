"""Writes small ONNX models without a library for it: linear, logistic, tree ensembles, and graphs of a test's own.

    tests/onnx_models.py FILE     writes the model of examples/churn
"""
import math
import pathlib
import struct
import sys

FLOAT, UINT8, INT8, UINT16, INT16, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE, UINT32, UINT64 = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    value = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(value)) + value


def floating(field, value):
    return varint(field << 3 | 5) + struct.pack("<f", value)


def value_info(name, kind, shape):
    """A size of None is one of any size."""
    sizes = b"".join(text(1, text(2, "N") if size is None else number(1, size)) for size in shape)
    return text(1, name) + text(2, text(1, number(1, kind) + text(2, sizes)))


def float_tensor(name, shape, values):
    return b"".join(number(1, size) for size in shape) + number(2, FLOAT) + text(8, name) + text(9, struct.pack(f"<{len(values)}f", *values))


def attribute(name, value):
    if isinstance(value, int):
        return text(1, name) + number(3, value) + number(20, 2)
    if isinstance(value, float):
        return text(1, name) + floating(2, value) + number(20, 1)
    if isinstance(value, str):
        return text(1, name) + text(4, value) + number(20, 3)
    if isinstance(value[0], float):
        return text(1, name) + b"".join(floating(7, item) for item in value) + number(20, 6)
    if isinstance(value[0], int):
        return text(1, name) + b"".join(number(8, item) for item in value) + number(20, 7)
    return text(1, name) + b"".join(text(9, item) for item in value) + number(20, 8)


def node(operator, inputs, outputs, domain="", **attributes):
    out = b"".join(text(1, name) for name in inputs) + b"".join(text(2, name) for name in outputs) + text(4, operator)
    out += b"".join(text(5, attribute(name, value)) for name, value in attributes.items())
    return out + (text(7, domain) if domain else b"")


def model(nodes, inputs, outputs, tensors=()):
    """inputs and outputs: (name, kind, shape)."""
    graph = b"".join(text(1, item) for item in nodes) + text(2, "graph") + b"".join(text(5, item) for item in tensors)
    graph += b"".join(text(11, value_info(*item)) for item in inputs) + b"".join(text(12, value_info(*item)) for item in outputs)
    return number(1, 8) + text(7, graph) + text(8, text(1, "") + number(2, 17)) + text(8, text(1, "ai.onnx.ml") + number(2, 3))


def looping(times):
    """Adds 1 to its input `times` times, one after the other."""
    body = node("Identity", ["going"], ["goes_on"]), node("Add", ["before", "one"], ["after"])
    body = b"".join(text(1, item) for item in body) + text(2, "body")
    body += b"".join(text(11, value_info(*item)) for item in [("step", INT64, []), ("going", BOOL, []), ("before", FLOAT, [None, 1])])
    body += b"".join(text(12, value_info(*item)) for item in [("goes_on", BOOL, []), ("after", FLOAT, [None, 1])])
    loop = node("Loop", ["times", "", "x"], ["y"]) + text(5, text(1, "body") + text(6, body) + number(20, 5))
    count = number(2, INT64) + text(8, "times") + text(9, struct.pack("<q", times))
    return model([loop], [("x", FLOAT, [None, 1])], [("y", FLOAT, [None, 1])], [count, float_tensor("one", [1], [1.0])])


def linear(weights, bias):
    return model([node("Gemm", ["x", "w", "b"], ["y"])], [("x", FLOAT, [None, len(weights)])], [("y", FLOAT, [None, 1])],
                 [float_tensor("w", [len(weights), 1], weights), float_tensor("b", [1], [bias])])


def logistic(weights, bias):
    """As a classifier is exported without ZipMap: a label and the probabilities of both classes."""
    return model([node("LinearClassifier", ["x"], ["label", "raw"], "ai.onnx.ml", classlabels_ints=[0, 1], post_transform="LOGISTIC",
                       coefficients=[-float(w) for w in weights] + [float(w) for w in weights], intercepts=[-float(bias), float(bias)]),
                  node("Identity", ["raw"], ["probabilities"])],
                 [("x", FLOAT, [None, len(weights)])], [("label", INT64, [None]), ("probabilities", FLOAT, [None, 2])])


def logistic_probability(weights, bias, row):
    return 1 / (1 + math.exp(-(sum(w * x for w, x in zip(weights, row)) + bias)))


class Trees:
    """A random regression forest over columns of one float input."""

    def __init__(self, random, width, count, depth):
        self.width = width
        self.trees = [self.grow(random, depth) for _ in range(count)]

    def grow(self, random, depth):
        if depth == 0 or random.random() < 0.1:
            return random.randrange(-64, 65) / 8
        return (random.randrange(self.width), random.randrange(-40, 41) / 4, self.grow(random, depth - 1), self.grow(random, depth - 1))

    def score(self, row):
        return sum(self.of_tree(tree, row) for tree in self.trees)

    def of_tree(self, tree, row):
        while isinstance(tree, tuple):
            feature, limit, low, high = tree
            tree = low if row[feature] <= limit else high
        return tree

    def bytes(self):
        nodes, leaves = [], []

        def lay(tree, tree_id, nodes_of_tree):
            own = len(nodes_of_tree)
            nodes_of_tree.append(None)
            if isinstance(tree, tuple):
                feature, limit, low, high = tree
                left = lay(low, tree_id, nodes_of_tree)
                right = lay(high, tree_id, nodes_of_tree)
                nodes_of_tree[own] = (tree_id, own, feature, "BRANCH_LEQ", float(limit), left, right)
            else:
                nodes_of_tree[own] = (tree_id, own, 0, "LEAF", 0.0, 0, 0)
                leaves.append((tree_id, own, float(tree)))
            return own

        for tree_id, tree in enumerate(self.trees):
            of_tree = []
            lay(tree, tree_id, of_tree)
            nodes.extend(of_tree)
        columns = [list(column) for column in zip(*nodes)]
        return model([node("TreeEnsembleRegressor", ["x"], ["y"], "ai.onnx.ml", n_targets=1, nodes_treeids=columns[0], nodes_nodeids=columns[1],
                           nodes_featureids=columns[2], nodes_modes=columns[3], nodes_values=columns[4], nodes_truenodeids=columns[5],
                           nodes_falsenodeids=columns[6], target_treeids=[leaf[0] for leaf in leaves], target_nodeids=[leaf[1] for leaf in leaves],
                           target_ids=[0] * len(leaves), target_weights=[leaf[2] for leaf in leaves])],
                     [("x", FLOAT, [None, self.width])], [("y", FLOAT, [None, 1])])


CHURN_WEIGHTS, CHURN_BIAS = [-0.125, 0.5, 0.25], -1.0  # months as a customer, complaints, days since the last visit / 10


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_bytes(logistic(CHURN_WEIGHTS, CHURN_BIAS))
