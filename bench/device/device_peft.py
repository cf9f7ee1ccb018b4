"""Tokens per second of Transformers' `generate` with a PEFT prefix, on the GPU if there is one: what bench/device.ts compares with.

Batched `generate` takes one prefix for all rows; ours has one for each. Prints one line of JSON.
"""

import argparse
import json
import time

import peft
import torch
import transformers

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--rows", type=int, default=64)
parser.add_argument("--steps", type=int, default=128)
parser.add_argument("--length", type=int, default=20)
parser.add_argument("--dtype", default="float16")
parser.add_argument("--prompt", type=int, default=16)
options = parser.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
dtype = getattr(torch, options.dtype) if device == "cuda" else torch.float32
base = transformers.GPT2LMHeadModel.from_pretrained(options.model, dtype=dtype).to(device)
config = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=options.length)
model = peft.get_peft_model(base, config).to(device=device, dtype=dtype).eval()
ids = torch.randint(0, 200, (options.rows, options.prompt), device=device)
mask = torch.ones_like(ids)


def run() -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=False,
            min_new_tokens=options.steps,
            max_new_tokens=options.steps,
            pad_token_id=0,
        )
    if device == "cuda":
        torch.cuda.synchronize()
    assert out.shape[1] == options.prompt + options.steps
    return options.rows * options.steps / (time.perf_counter() - start)


run()  # warm-up
rates = sorted(run() for _ in range(3))
print(
    json.dumps(
        {
            "tokensPerSecond": rates[1],
            "all": rates,
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            "dtype": str(dtype),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "peft": peft.__version__,
        }
    )
)
