#!/usr/bin/env bash
# PEFT's prefix tuning is lost in generate: without a word, a Llama writes what the bare model writes.
#
# Version:    peft 0.21.2, transformers 5.24.0, torch 2.13.0; not with transformers 5.23.0, and not with use_cache=False.
# Documented: peft 0.21.2 supports prefix tuning of both models; 5.24.0 says nothing of it.
# Effect:     the forward pass, and so training and evaluation by loss, has the prefix, and generated text does not. A GPT-2's first token is right,
#             because it is drawn from the forward pass over the prompt, and the others are not. Whoever compares texts takes the files to be wrong.
#
# Needs python3 with venv, and some minutes for PyTorch. Not part of the tests. Fails if PEFT does otherwise. Output of 2026-11-30:
#
# > GPT-2, transformers 5.24.0: generate = forward no, first token yes; = bare model no; without cache = forward yes
# > Llama, transformers 5.24.0: generate = forward no, first token no; = bare model yes
# > GPT-2, transformers 5.23.0: generate = forward yes, first token yes; = bare model no; without cache = forward yes
set -euo pipefail

script=$(realpath "$0")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv venv
venv/bin/pip install --quiet --no-input peft==0.21.2 transformers==5.24.0 torch==2.13.0

cat >generate.py <<'END'
import sys
import torch
import transformers
from peft import PrefixTuningConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

PROMPT = torch.tensor([[5, 6, 7, 8]])
NEW = 6
SHARED = dict(vocab_size=100, bos_token_id=0, eos_token_id=None, pad_token_id=None, initializer_range=0.3)
MODELS = {
    "GPT-2": lambda: GPT2LMHeadModel(GPT2Config(n_layer=3, n_head=2, n_embd=32, n_positions=64, **SHARED)),
    "Llama": lambda: LlamaForCausalLM(LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=64, **SHARED,
    )),
}


@torch.no_grad()
def forward(model):
    """Greedy tokens, each from a forward pass over everything before it."""
    ids = PROMPT
    for _ in range(NEW):
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
        ids = torch.cat([ids, logits[:, -1:].argmax(-1)], 1)
    return ids[0, PROMPT.shape[1]:].tolist()


def generate(model, **options):
    ids = model.generate(input_ids=PROMPT, attention_mask=torch.ones_like(PROMPT), max_new_tokens=NEW, do_sample=False, pad_token_id=0, **options)
    return ids[0, PROMPT.shape[1]:].tolist()


for name in sys.argv[1:]:
    torch.manual_seed(0)
    base = MODELS[name]().eval()
    bare = forward(base)
    tuned = get_peft_model(base, PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)).eval()
    torch.manual_seed(1)
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            parameter.data.normal_()
    expected, generated = forward(tuned), generate(tuned)
    says = lambda same: "yes" if same else "no"
    line = f"{name}, transformers {transformers.__version__}: generate = forward {says(generated == expected)}, first token {says(generated[0] == expected[0])}; "
    line += f"= bare model {says(generated == bare)}"
    if name == "GPT-2":
        line += f"; without cache = forward {says(generate(tuned, use_cache=False) == expected)}"
    print(line)
END
{
  venv/bin/python generate.py GPT-2 Llama
  venv/bin/pip install --quiet --no-input transformers==5.23.0
  venv/bin/python generate.py GPT-2
} 2>warnings | tee output || { cat warnings >&2; exit 1; }
sed -n 's/^# > //p' "$script" | diff - output
