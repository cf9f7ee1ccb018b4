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
from safetensors.torch import load_file

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

IGNORED = -100  # what labels that are not learned are by convention


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    base = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    rows = load_file(f"{arguments.adapter}/adapter_model.safetensors")["prompt_embeddings"]
    config = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=len(rows))
    model = peft.get_peft_model(base, config).eval()  # no dropout
    with torch.no_grad():  # PEFT loads no prefix to train it further
        model.prompt_encoder["default"].embedding.weight.copy_(rows)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=5e-5, weight_decay=0.0)
    versions = {"transformers": transformers.__version__, "peft": peft.__version__, "torch": torch.__version__}
    say({"versions": versions})
    for line in sys.stdin:
        say(train(model, parameters, optimizer, **json.loads(line)))


def train(model, parameters, optimizer, examples, steps):
    inputs = padded([(e["source"] + e["target"])[:-1] for e in examples], 0)
    targets = padded([[IGNORED] * (len(e["source"]) - 1) + e["target"] for e in examples], IGNORED).flatten()
    mask = padded([[1] * (len(e["source"] + e["target"]) - 1) for e in examples], 0)
    start = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        logits = model(input_ids=inputs, attention_mask=mask).logits.flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum", ignore_index=IGNORED)
        (loss / len(examples)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    return {"seconds": time.perf_counter() - start, "loss": loss.item() / (targets != IGNORED).sum().item()}


def padded(rows, value):
    rows = [torch.tensor(row) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


def say(message):
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
