"""Trains the bundled prefixes with PEFT on the frozen bundled model, each on its own user's text (users.py).

    pip install -r requirements.txt
    python train.py

Writes bundled/NAME/ as PEFT saves it, and versions.json here: seeds, versions, steps, losses and the base model's sha256.
"""

import argparse
import hashlib
import json
import math
import time
from pathlib import Path

import peft
import torch
import transformers
from peft import PrefixTuningConfig, PromptTuningConfig, PromptTuningInit, TaskType, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, GPT2LMHeadModel

from users import USERS, texts

HERE = Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "models" / "preamble-demo"
BUNDLED = HERE.parent / "bundled"
TRAIN_SEED, HELD_OUT_SEED = 11, 900_011
IGNORED = -100


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def batch_of(tokenizer, pairs):
    """ids, mask and labels [rows, longest]: the prompt is given, the text and its end token are learned."""
    rows = []
    for prompt, text in pairs:
        given, learned = tokenizer.encode(prompt) if prompt else [], [*tokenizer.encode(text), tokenizer.eos_token_id]
        if not given:  # a request is never empty: its first token stands for the prompt
            given, learned = learned[:1], learned[1:]
        rows.append((given + learned, [IGNORED] * len(given) + learned))
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([r + [tokenizer.eos_token_id] * (longest - len(r)) for r, _ in rows])
    mask = torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r, _ in rows])
    labels = torch.tensor([r + [IGNORED] * (longest - len(r)) for _, r in rows])
    return ids, mask, labels


def loss_of(model, ids, mask, labels):
    """Mean nats per learned token. A soft prompt adds logits in front; the last ones are the text's."""
    logits = model(input_ids=ids, attention_mask=mask).logits[:, -ids.shape[1] :]
    return cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)


@torch.inference_mode()
def held_out_loss(model, tokenizer, user, count=96):
    """Mean nats per token over `count` documents of a user that no prefix was trained on."""
    model.eval()
    total = tokens = 0
    pairs = list(texts(user, HELD_OUT_SEED, count))
    for first in range(0, count, 32):
        ids, mask, labels = batch_of(tokenizer, pairs[first : first + 32])
        learned = (labels[:, 1:] != IGNORED).sum().item()
        total += loss_of(model, ids, mask, labels).item() * learned
        tokens += learned
    return total / tokens


def adapter_for(user, model, virtual_tokens):
    if USERS[user].method == "PROMPT_TUNING":
        config = PromptTuningConfig(
            task_type=TaskType.CAUSAL_LM, num_virtual_tokens=virtual_tokens, prompt_tuning_init=PromptTuningInit.SAMPLE_VOCAB
        )
    else:  # the MLP makes training stable, as in the paper; PEFT saves its output only
        config = PrefixTuningConfig(
            task_type=TaskType.CAUSAL_LM, num_virtual_tokens=virtual_tokens, prefix_projection=True, encoder_hidden_size=model.config.n_embd
        )
    return get_peft_model(model, config)


def train(user, tokenizer, args):
    torch.manual_seed(args.seed)
    base = GPT2LMHeadModel.from_pretrained(MODEL, dtype=torch.float32)
    before = held_out_loss(base, tokenizer, user)
    model = adapter_for(user, base, args.virtual_tokens)
    learned = [p for p in model.parameters() if p.requires_grad]
    lr = args.soft_prompt_lr if USERS[user].method == "PROMPT_TUNING" else args.lr
    optimizer = torch.optim.AdamW(learned, lr=lr, weight_decay=0)
    warmup = 20
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / warmup, 0.02 + 0.49 * (1 + math.cos(math.pi * s / args.steps)))
    )
    pairs = texts(user, TRAIN_SEED + args.seed, args.steps * args.batch)
    began = time.time()
    model.train()
    for step in range(1, args.steps + 1):
        loss = loss_of(model, *batch_of(tokenizer, [next(pairs) for _ in range(args.batch)]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"{user}  step {step}  loss {loss.item():.3f}  {time.time() - began:.0f} s", flush=True)

    after = held_out_loss(model, tokenizer, user)
    model.peft_config["default"].base_model_name_or_path = MODEL.name
    model.save_pretrained(BUNDLED / user, save_embedding_layers=False)
    (BUNDLED / user / "README.md").unlink(missing_ok=True)
    return {"method": USERS[user].method, "steps": args.steps, "batch": args.batch, "lr": lr, "seed": args.seed,
            "virtual_tokens": args.virtual_tokens, "held_out_loss_base": round(before, 4), "held_out_loss": round(after, 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user", choices=USERS, help="only this one; all when left out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16, help="documents in a step")
    parser.add_argument("--virtual-tokens", type=int, default=16)
    parser.add_argument("--lr", type=float, default=5e-3, help="of the prefix and its MLP")
    parser.add_argument("--soft-prompt-lr", type=float, default=3e-2)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    weights = MODEL / "model.safetensors"
    frozen = sha256(weights)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    record = HERE / "versions.json"
    facts = json.loads(record.read_text()) if record.exists() else {"prefixes": {}}
    for user in [args.user] if args.user else USERS:
        facts["prefixes"][user] = train(user, tokenizer, args)
        print(user, json.dumps(facts["prefixes"][user]), flush=True)
        assert sha256(weights) == frozen, "training changed the base model's file"
        facts |= {"base_model_sha256": frozen, "torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
        record.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
