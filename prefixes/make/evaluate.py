"""Prints what the bundled prefixes do: held-out losses, and what each makes of the same prompts.

    python evaluate.py
    python evaluate.py --samples-only --prompt "About apple cake"

A loss is the mean nats per token of a user's held-out text, given its prompt. Rows are what the model runs with, columns whose text it is.
"""

import argparse

import torch
from peft import PeftModel
from transformers import AutoTokenizer, GPT2LMHeadModel

from train import BUNDLED, MODEL, held_out_loss
from users import USERS

PROMPTS = [
    "About The Blue Kettle\n",
    "Message from Anna Brook: Could I have the small room on Friday?\nReply:",
    "line : ferry | from : Halmouth | to : Ostrey | delay : 20 | reason : fog\n",
]


def load(user=None):
    base = GPT2LMHeadModel.from_pretrained(MODEL, dtype=torch.float32).eval()
    return PeftModel.from_pretrained(base, BUNDLED / user).eval() if user else base


@torch.inference_mode()
def greedy(model, tokenizer, prompt, max_tokens=48):
    ids = tokenizer.encode(prompt)
    start = len(ids)
    while len(ids) - start < max_tokens:
        row = torch.tensor([ids])
        best = model(input_ids=row, attention_mask=torch.ones_like(row)).logits[0, -1].argmax().item()
        if best == tokenizer.eos_token_id:
            break
        ids.append(best)
    return tokenizer.decode(ids[start:]).strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompt", action="append", help="instead of the three built-in ones; may be repeated")
    parser.add_argument("--samples-only", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    models = {"(base)": load()} | {user: load(user) for user in USERS}

    if not args.samples_only:
        print("| held-out loss | " + " | ".join(USERS) + " |\n|---" + "|--:" * len(USERS) + "|")
        for name, model in models.items():
            print(f"| {name} | " + " | ".join(f"{held_out_loss(model, tokenizer, user):.3f}" for user in USERS) + " |", flush=True)
    for prompt in args.prompt or PROMPTS:
        print(f"\nPrompt {prompt!r}")
        for name, model in models.items():
            print(f"  {name}: {greedy(model, tokenizer, prompt)}", flush=True)


if __name__ == "__main__":
    main()
