"""Probabilities of next tokens by Hugging Face transformers' logits processors, in the order of its generate().

    pip install torch==2.15.0 transformers==5.24.0
    python golden/llm/makeSampling.py

Each case of `sampling.json` has the values of a generation_config.json, and for each row of logits the tokens that may
be drawn with their probabilities. Logits are multiples of 1/4, so that some are equal; the first row has no equals.
"""

import json
from pathlib import Path

import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

HERE = Path(__file__).parent
VOCABULARY = 96
CASES = [
    {},
    {"temperature": 0.7},
    {"temperature": 2.5, "top_k": 0},
    {"top_k": 1, "temperature": 1.5},
    {"top_k": 5},
    {"top_k": 40, "top_p": 0.9},
    {"top_k": 0, "top_p": 0.3},
    {"top_k": 0, "top_p": 0.95, "temperature": 1.3},
    {"top_k": 0, "min_p": 0.1},
    {"top_k": 0, "min_p": 1.0},
    {"top_k": 20, "top_p": 0.8, "min_p": 0.2, "temperature": 0.6},
    {"top_k": 0, "typical_p": 0.2},
    {"top_k": 0, "typical_p": 0.9, "temperature": 1.4},
    {"top_k": 12, "typical_p": 0.7},
    {"repetition_penalty": 1.3},
    {"repetition_penalty": 0.8, "top_k": 0, "top_p": 0.9},
    {"temperature": 0.6, "top_k": 50, "top_p": 0.9, "repetition_penalty": 1.1, "min_p": 0.05, "typical_p": 0.95},
    {"do_sample": False, "repetition_penalty": 1.5},
]


def main():
    torch.manual_seed(7)
    rows = [torch.randn(VOCABULARY) * 3]
    rows += [(torch.randn(VOCABULARY) * 8).round() / 4 for _ in range(5)]
    logits = torch.stack(rows)
    text = torch.randint(0, VOCABULARY, (30,))
    model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=8, n_layer=1, n_head=1))
    cases = []
    for change in CASES:
        config = GenerationConfig(**({"do_sample": True} | change))
        config, _ = model._prepare_generation_config(config)
        model._prepare_special_tokens(config, device="cpu")
        processors = model._get_logits_processor(config, input_ids_seq_length=len(text))
        scores = processors(text.expand(len(logits), -1), logits.clone())
        probabilities = scores.double().softmax(-1)
        if not config.do_sample:
            probabilities = torch.nn.functional.one_hot(scores.argmax(-1), VOCABULARY).double()
        kept = [
            {int(token): float(row[token]) for token in row.nonzero().flatten()} for row in probabilities
        ]
        cases.append({"config": {"do_sample": True} | change, "kept": kept})
    golden = {"logits": logits.tolist(), "text": text.tolist(), "cases": cases}
    (HERE / "sampling.json").write_text(json.dumps(golden) + "\n")


main()
