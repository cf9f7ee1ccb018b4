"""Writes what Transformers makes of the fields of rotary positions: `python make_rotations.py > llama/rotations.json`."""

import json

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

SIZES = dict(hidden_size=256, num_attention_heads=4, max_position_embeddings=4096)
LLAMA3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=512)
YARN = dict(factor=4.0, original_max_position_embeddings=1024)
CASES = [
    dict(),
    dict(rope_theta=500000.0),
    dict(rope_theta=500000.0, head_dim=96),
    dict(rope_theta=10000.0, rope_scaling=dict(type="linear", factor=2.5)),
    dict(rope_parameters=dict(rope_type="linear", rope_theta=20000.0, factor=4.0)),
    dict(rope_parameters=dict(rope_type="dynamic", rope_theta=10000.0, factor=2.0)),
    dict(rope_theta=500000.0, rope_scaling=dict(rope_type="llama3", **LLAMA3)),
    dict(rope_parameters=dict(rope_type="llama3", rope_theta=500000.0, **LLAMA3)),
    dict(rope_theta=1000000.0, rope_scaling=dict(type="yarn", **YARN)),
    dict(rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, beta_fast=16.0, beta_slow=2.0, **YARN)),
    dict(rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, attention_factor=0.75, **YARN)),
    dict(rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, mscale=1.0, mscale_all_dim=0.5, **YARN)),
    dict(rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, truncate=False, **YARN)),
]


def main():
    cases = []
    for fields in CASES:
        given = {**SIZES, **fields}
        rotary = LlamaRotaryEmbedding(LlamaConfig(**json.loads(json.dumps(given))))
        cases.append({"config": {"model_type": "llama", **given}, "inverse_frequencies": rotary.inv_freq.tolist(), "scale": rotary.attention_scaling})
    print(json.dumps(cases, indent=1))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
