"""Golden tensors of ProFamNet, computed by PyTorch's own layers in float64.

small.json: 20 networks of small widths with random weights: logits, attention, the loss and its gradient by every
weight. full.json: one network of full width, whose weights follow a formula that the reader computes too (see
`formula`), and of whose gradients some elements are kept. The LSTM has one bias a gate: PyTorch's second bias is held
at zero. Padded steps are masked after each convolution, and packed sequences keep the LSTM off the padding.

Run: python golden/protein/make.py      (needs PyTorch 2; the version used is written into each file)
"""

import json
import pathlib

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

HERE = pathlib.Path(__file__).parent
generator = torch.Generator().manual_seed(20241021)
torch.set_default_dtype(torch.float64)


class ProFamNet(nn.Module):
    def __init__(self, embedding, filters, kernels, hidden, attention, dense, classes):
        super().__init__()
        self.embedding = nn.Embedding(22, embedding)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(inputs, outputs, kernel, padding=(kernel - 1) // 2)
            for inputs, outputs, kernel in zip((embedding, filters[0]), filters, kernels)
        )
        self.lstm = nn.LSTM(filters[1], hidden, batch_first=True, bidirectional=True)
        self.attention = nn.Linear(2 * hidden, attention)
        self.score = nn.Linear(attention, 1, bias=False)
        self.dense = nn.Linear(2 * hidden, dense)
        self.output = nn.Linear(dense, classes)
        for name in ("bias_hh_l0", "bias_hh_l0_reverse"):
            getattr(self.lstm, name).data.zero_()
            getattr(self.lstm, name).requires_grad_(False)

    def forward(self, ids, lengths):
        h = self.embedding(ids).transpose(1, 2)
        h = h * (ids != 0)[:, None]
        real = lengths
        for convolution in self.convolutions:
            mask = torch.arange(h.shape[2])[None] < real[:, None]
            h = F.max_pool1d(F.relu(convolution(h)) * mask[:, None], 2, ceil_mode=True)
            real = (real + 1) // 2
        steps = h.shape[2]
        packed = pack_padded_sequence(h.transpose(1, 2), real, batch_first=True, enforce_sorted=False)
        h, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=steps)
        scores = self.score(torch.tanh(self.attention(h)))[..., 0]
        mask = torch.arange(steps)[None] < real[:, None]
        weights = torch.softmax(scores.masked_fill(~mask, float("-inf")), 1)
        context = (weights[..., None] * h).sum(1)
        return self.output(F.relu(self.dense(context))), weights

    def named(self):
        """Weights by the names that Pareto gives them, in its shapes."""
        lstm = self.lstm
        table = {"embedding.weight": self.embedding.weight}
        for i, convolution in enumerate(self.convolutions):
            table[f"convolution.{i}.weight"] = convolution.weight
            table[f"convolution.{i}.bias"] = convolution.bias
        for direction, suffix in (("forward", ""), ("backward", "_reverse")):
            table[f"lstm.{direction}.input"] = getattr(lstm, f"weight_ih_l0{suffix}")
            table[f"lstm.{direction}.recurrent"] = getattr(lstm, f"weight_hh_l0{suffix}")
            table[f"lstm.{direction}.bias"] = getattr(lstm, f"bias_ih_l0{suffix}")
        table["attention.weight"] = self.attention.weight
        table["attention.bias"] = self.attention.bias
        table["attention.score"] = self.score.weight
        for name in ("dense", "output"):
            table[f"{name}.weight"] = getattr(self, name).weight
            table[f"{name}.bias"] = getattr(self, name).bias
        return table


def rounded(tensor, digits):
    return [float(f"{x:.{digits}g}") for x in tensor.detach().reshape(-1).tolist()]


def batch(lengths, steps, classes):
    ids = torch.zeros(len(lengths), steps, dtype=torch.long)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(1, 22, (length,), generator=generator)
    labels = torch.randint(0, classes, (len(lengths),), generator=generator)
    return ids, torch.tensor(lengths), labels


def run(model, ids, lengths, labels):
    model.zero_grad()
    logits, attention = model(ids, lengths)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    return logits, attention, loss


def inputs_of(ids, lengths, labels):
    return {"ids": ids.reshape(-1).tolist(), "lengths": lengths.tolist(), "labels": labels.tolist(), "steps": ids.shape[1]}


SMALL = {"embedding": 3, "filters": [3, 4], "kernels": [5, 3], "hidden": 3, "attention": 4, "dense": 4}
# Lengths of the sequences and of the padded batch: shortest, longest, odd lengths and odd pools.
BATCHES = [([1, 12, 5], 12), ([9, 2, 11], 11), ([1, 1], 1), ([7, 3, 6], 7), ([16, 4, 13], 16)]


def small_cases(count=20, classes=3):
    for k in range(count):
        lengths, steps = BATCHES[k % len(BATCHES)]
        model = ProFamNet(**SMALL, classes=classes)
        named = model.named()
        for weight in named.values():
            values = torch.randn(weight.shape, generator=generator) * 0.6
            weight.data = torch.tensor(rounded(values, 6)).reshape(weight.shape)
        data = batch(lengths, steps, classes)
        logits, attention, loss = run(model, *data)
        yield {
            **inputs_of(*data),
            "weights": {name: rounded(w, 6) for name, w in named.items()},
            "logits": rounded(logits, 11),
            "attention": rounded(attention, 11),
            "loss": rounded(loss, 11)[0],
            "gradients": {name: rounded(w.grad, 9) for name, w in named.items()},
        }


FULL = {"embedding": 64, "filters": [64, 128], "kernels": [9, 5], "hidden": 128, "attention": 256, "dense": 128}


def formula(order, size):
    """Weight i of the tensor of this order: sin(i * (order + 1) * 0.7 + order), to be scaled."""
    return torch.sin(torch.arange(size) * ((order + 1) * 0.7) + order)


def full_case(classes=73, samples=12):
    model = ProFamNet(**FULL, classes=classes)
    named = model.named()
    scales = {}
    for order, (name, weight) in enumerate(named.items()):
        fan = weight[0].numel() if weight.dim() > 1 else 16
        scales[name] = float(f"{(2.0 / fan) ** 0.5:.4g}")
        weight.data = (formula(order, weight.numel()) * scales[name]).reshape(weight.shape)
    data = batch([256, 1, 97, 200, 4, 255], 256, classes)
    logits, attention, loss = run(model, *data)
    kept = {}
    for name, weight in named.items():
        flat = weight.grad.reshape(-1)
        places = torch.linspace(0, flat.numel() - 1, samples).long()
        # Summed like this no element can be wrong unseen.
        digest = [flat.sum().item(), flat.abs().sum().item()]
        kept[name] = {"places": places.tolist(), "values": rounded(flat[places], 9), "sums": rounded(torch.tensor(digest), 10)}
    return {
        **inputs_of(*data),
        "parameters": sum(w.numel() for w in named.values()),
        "scales": scales,
        "logits": rounded(logits, 9),
        "attention": rounded(attention, 7),
        "loss": rounded(loss, 11)[0],
        "gradients": kept,
    }


def write(name, content):
    head = {"madeBy": "golden/protein/make.py", "torch": torch.__version__}
    (HERE / name).write_text(json.dumps({**head, **content}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    write("small.json", {"widths": SMALL, "classes": 3, "cases": list(small_cases())})
    write("full.json", {"widths": FULL, "classes": 73, "case": full_case()})
