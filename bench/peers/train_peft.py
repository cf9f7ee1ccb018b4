"""The peer Transformers + PEFT: trains a prefix, as a user of PEFT would write it.

python train_peft.py --model=CHECKPOINT --adapter=DIRECTORY --threads=N
Answers as protocol.ts says.
"""
import argparse
import json
import sys
import time

import peft
import torch
import transformers

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    base = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(base, arguments.adapter, is_trainable=True).eval()  # no dropout
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=5e-5, weight_decay=0.0)
    versions = {"transformers": transformers.__version__, "peft": peft.__version__, "torch": torch.__version__}
    say({"versions": versions})
    for line in sys.stdin:
        say(train(model, parameters, optimizer, **json.loads(line)))


def train(model, parameters, optimizer, examples, steps):
    ids = torch.tensor(examples)
    inputs, targets = ids[:, :-1], ids[:, 1:].flatten()
    mask = torch.ones_like(inputs)
    start = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        logits = model(input_ids=inputs, attention_mask=mask).logits.flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        (loss / len(ids)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    return {"seconds": time.perf_counter() - start, "loss": loss.item() / len(targets)}


def say(message):
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
