"""Golden tensors for the engine's ops and their compositions, computed by PyTorch in float64.

Writes one JSON file a topic beside this script: for each case its inputs, the outputs, and the gradients of
sum(output * seed) by every floating-point input. Seeds are inputs too, so nothing random is left to the reader.

Run: python golden/ops/make.py      (needs PyTorch 2; the version used is written into each file)
"""

import json
import pathlib

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
generator = torch.Generator().manual_seed(20240607)


def normal(*shape):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def to_json(tensor):
    tensor = tensor.detach()
    whole = not tensor.is_floating_point()
    flat = tensor.reshape(-1).tolist()
    data = [int(x) for x in flat] if whole else [float(f"{x:.12g}") for x in flat]
    return {"shape": list(tensor.shape), "dtype": "int32" if whole else "float", "data": data}


def case(name, function, inputs, **options):
    """Runs function(**inputs, **options), which returns a dict of outputs, and differentiates it."""
    leaves = {k: v.clone().requires_grad_(v.is_floating_point()) for k, v in inputs.items()}
    outputs = function(**leaves, **options)
    seeds = {k: normal(*v.shape) for k, v in outputs.items()}
    loss = sum((v * seeds[k]).sum() for k, v in outputs.items())
    loss.backward()
    return {
        "name": name,
        "options": options,
        "inputs": {k: to_json(v) for k, v in inputs.items()},
        "outputs": {k: to_json(v) for k, v in outputs.items()},
        "seeds": {k: to_json(v) for k, v in seeds.items()},
        "gradients": {k: to_json(v.grad) for k, v in leaves.items() if v.is_floating_point()},
    }


def write(topic, cases):
    text = json.dumps({"madeBy": "golden/ops/make.py", "torch": torch.__version__, "cases": cases})
    (HERE / f"{topic}.json").write_text(text + "\n")


def conv1d(x, w, stride, dilation, padding, groups):
    padded = F.pad(x, padding)
    return {"y": F.conv1d(padded, w, stride=stride, dilation=dilation, groups=groups)}


def conv_cases():
    plain = {"stride": 1, "dilation": 1, "padding": [0, 0], "groups": 1}
    table = [
        ("plain", (2, 3, 9), (4, 3, 3), {}),
        ("padding", (1, 2, 6), (3, 2, 3), {"padding": [1, 1]}),
        ("padding of one side", (1, 2, 6), (3, 2, 3), {"padding": [2, 0]}),
        ("stride", (2, 2, 10), (3, 2, 3), {"stride": 3}),
        ("dilation", (1, 2, 9), (2, 2, 3), {"dilation": 2}),
        ("groups", (2, 4, 7), (6, 2, 3), {"groups": 2}),
        ("depthwise", (1, 3, 7), (3, 1, 4), {"groups": 3, "padding": [3, 0]}),
        ("all options", (2, 4, 17), (4, 2, 3), {"stride": 2, "dilation": 3, "padding": [4, 1], "groups": 2}),
    ]
    return [
        case(name, conv1d, {"x": normal(*x), "w": normal(*w)}, **{**plain, **options})
        for name, x, w, options in table
    ]


def lstm(x, h, c, wInput, wHidden, bias, reverse):
    """One layer, gates in PyTorch's order i, f, g, o; x is [T, B, I]. Reversed runs from the last step to the first."""
    weights = [wInput, wHidden, bias, torch.zeros_like(bias)]
    steps = x.flip(0) if reverse else x
    y, hLast, cLast = torch.lstm(steps, (h[None], c[None]), weights, True, 1, 0.0, False, False, False)
    return {"y": y.flip(0) if reverse else y, "hLast": hLast[0], "cLast": cLast[0]}


def lstm_cases():
    steps, batch, inputs, hidden = 5, 2, 3, 4
    tensors = lambda: {
        "x": normal(steps, batch, inputs),
        "h": normal(batch, hidden),
        "c": normal(batch, hidden),
        "wInput": normal(4 * hidden, inputs) * 0.5,
        "wHidden": normal(4 * hidden, hidden) * 0.5,
        "bias": normal(4 * hidden) * 0.5,
    }
    return [
        case("forward", lstm, tensors(), reverse=False),
        case("reversed", lstm, tensors(), reverse=True),
    ]


def layer_norm(x, gain, bias, eps):
    return {"y": F.layer_norm(x, x.shape[-1:], gain, bias, eps)}


def cross_entropy(logits, labels):
    return {"loss": F.cross_entropy(logits, labels.long())}


def attention(q, k, v, causal):
    return {"y": F.scaled_dot_product_attention(q, k, v, is_causal=causal)}


def head_attention(q, k, v, **options):
    """Query i is at i + S - T; options: window, alibiSlopes, lengths. Queries past the end of a sequence give zeros."""
    batch, heads, queries, _ = q.shape
    keys = k.shape[2]
    at, key = torch.arange(queries)[:, None] + keys - queries, torch.arange(keys)[None]
    lengths = torch.tensor(options.get("lengths", [keys] * batch))[:, None, None, None]
    seen = (key <= at) & (key > at - options.get("window", keys)) & (key < lengths)
    bias = -torch.tensor(options.get("alibiSlopes", [0.0] * heads), dtype=q.dtype)[:, None, None] * (at - key)
    masked = torch.where(seen, bias, -torch.inf)
    exists = at < lengths
    # a row without a key would be NaN
    safe = torch.where(exists, masked, 0)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=safe, enable_gqa=True)
    return {"y": torch.where(exists, y, 0)}


def head_attention_cases():
    def made(name, q, kv, **options):
        return case(name, head_attention, {"q": normal(*q), "k": normal(*kv), "v": normal(*kv)}, **options)

    slopes = [0.5, 0.25, 0.125, 0.0625]
    return [
        made("grouped heads", (2, 4, 4, 4), (2, 2, 6, 4)),
        made("a window", (1, 2, 7, 4), (1, 1, 7, 4), window=3),
        made("ALiBi", (1, 4, 5, 4), (1, 2, 7, 4), alibiSlopes=slopes),
        made("lengths, ALiBi and a window", (2, 4, 6, 4), (2, 2, 6, 4), lengths=[6, 3], alibiSlopes=slopes, window=2),
    ]


def dot_interaction(x):
    z = torch.bmm(x, x.transpose(1, 2))
    i, j = torch.tril_indices(x.shape[1], x.shape[1], offset=-1)
    return {"y": z[:, i, j]}


def layer_cases():
    labels = torch.tensor([2, 0, 4, 2, 1], dtype=torch.int32)
    rows = torch.tensor([[3, 0], [3, 3], [1, 0]], dtype=torch.int32)
    heads = lambda: {"q": normal(2, 2, 5, 4), "k": normal(2, 2, 5, 4), "v": normal(2, 2, 5, 4)}
    return {
        "layerNorm": [case("last axis", layer_norm, {"x": normal(3, 7), "gain": normal(7), "bias": normal(7)}, eps=1e-5)],
        "crossEntropy": [case("mean over rows", cross_entropy, {"logits": normal(5, 6) * 3, "labels": labels})],
        "attention": [
            case("full", attention, heads(), causal=False),
            case("causal", attention, heads(), causal=True),
        ],
        "gelu": [case("by erf", lambda x: {"y": F.gelu(x)}, {"x": normal(3, 7) * 2})],
        "softmax": [case("last axis", lambda x: {"y": F.softmax(x, -1)}, {"x": normal(3, 7) * 2})],
        "cumsum": [
            case(f"axis {axis}", lambda x, axis: {"y": torch.cumsum(x, axis)}, {"x": normal(3, 4, 5)}, axis=axis)
            for axis in (0, 1, -1)
        ],
        "matmul": [
            case(name, lambda a, b: {"y": a @ b}, {"a": normal(*a), "b": normal(*b)})
            for name, a, b in [
                ("matrices", (3, 5), (5, 2)),
                ("batch of one operand", (4, 3, 5), (5, 2)),
                ("broadcast batches", (2, 1, 3, 5), (3, 5, 2)),
                ("batch of length 1", (1, 3, 5), (4, 5, 2)),
            ]
        ],
        "dotInteraction": [case("plain", dot_interaction, {"x": normal(3, 5, 4)})],
        "embedding": [
            case("rows with duplicates", lambda table, rows: {"y": table[rows.long()]}, {"table": normal(4, 3), "rows": rows})
        ],
    }


def adam(steps=3, lr=0.1):
    """Adam on 0.5 * |a w - b|², every step's weights."""
    a, b, w = normal(6, 4), normal(6), normal(4)
    weight = w.clone().requires_grad_()
    optimizer = torch.optim.Adam([weight], lr=lr, betas=(0.9, 0.999), eps=1e-8)
    history = []
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * (a @ weight - b).square().sum()).backward()
        optimizer.step()
        history.append(weight.detach().clone())
    inputs = {"a": a, "b": b, "w": w}
    return {
        "name": "three steps",
        "options": {"lr": lr, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        "inputs": {k: to_json(v) for k, v in inputs.items()},
        "outputs": {"weights": to_json(torch.stack(history))},
        "seeds": {},
        "gradients": {},
    }


if __name__ == "__main__":
    write("conv1d", conv_cases())
    write("lstm", lstm_cases())
    for topic, cases in layer_cases().items():
        write(topic, cases)
    write("adam", [adam()])
    # Last, so that the topics above keep their random numbers.
    write("geluTanh", [case("wide", lambda x: {"y": F.gelu(x, approximate="tanh")}, {"x": normal(3, 7) * 2})])
    write("headAttention", head_attention_cases())
