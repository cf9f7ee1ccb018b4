"""Counterpart of tune.ts: the same step in PyTorch and PEFT.  python bench/tune_peft.py MODEL [--threads N ...]"""
import argparse
import json
import resource
import time

import torch
from peft import PrefixTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM

WARMUP_STEPS = 2


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    for name, default in (("threads", 2), ("rows", 10), ("tokens", 64), ("steps", 8), ("length", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32)
    model = get_peft_model(base, PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=a.length)).eval()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=5e-5, weight_decay=0.0)
    ids = torch.randint(0, base.config.vocab_size, (a.rows, a.tokens))
    targets = torch.randint(0, base.config.vocab_size, (a.rows, a.tokens))
    for step in range(WARMUP_STEPS + a.steps):
        if step == WARMUP_STEPS:
            start = time.perf_counter()
        optimizer.zero_grad()
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum") / a.rows
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    rate = a.steps * a.rows * a.tokens / seconds
    print(json.dumps({"threads": a.threads, "rows": a.rows, "tokens": a.tokens, "tokens_per_second": rate, "peak_mib": peak}))


main()
