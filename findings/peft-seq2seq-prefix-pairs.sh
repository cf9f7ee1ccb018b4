#!/usr/bin/env bash
# PEFT's prefix tuning of an encoder-decoder uses half of the prefix that it trains and saves.
#
# Version:    peft 0.21.2, transformers 5.23.0, torch 2.13.0.
# Documented: that the encoder gets no prefix (peft's pull request 2989). Not which rows the decoder's layers get.
# Cause:      the rows of all layers are put beside themselves and split by four, for self-attention's and cross-attention's keys and values. A decoder
#             layer l gets the pair of keys and values 2l modulo the number of layers for self-attention; the other pair is dropped with the
#             empty cache of cross-attention.
# Effect:     with an even number of layers every second pair of the file has no gradient and changes no result, and the others serve two layers
#             each. Whoever reads column block 2l of the file as layer l's keys computes something else than was trained.
#
# Needs python3 with venv, and some minutes for PyTorch. Not part of the tests. Fails if PEFT does otherwise. Output of 2026-11-30:
#
# > 4 layers: pairs that change the logits 0 2, pairs with a gradient 0 2
# > 3 layers: pairs that change the logits 0 1 2, pairs with a gradient 0 1 2
set -euo pipefail

script=$(realpath "$0")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv venv
venv/bin/pip install --quiet --no-input peft==0.21.2 transformers==5.23.0 torch==2.13.0

cat >pairs.py <<'END'
import torch
from peft import PrefixTuningConfig, TaskType, get_peft_model
from transformers import BartConfig, BartForConditionalGeneration

torch.manual_seed(0)
SOURCE, TARGET = torch.tensor([[0, 7, 8, 9, 2]]), torch.tensor([[2, 5, 6]])


def pairs(layers):
    """Pairs of keys and values of the prefix that change the logits, and those with a gradient."""
    model = BartForConditionalGeneration(BartConfig(
        vocab_size=20, d_model=16, encoder_layers=layers, decoder_layers=layers, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=32,
    ))
    tuned = get_peft_model(model, PrefixTuningConfig(task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=3)).eval()
    [rows] = [parameter for parameter in tuned.parameters() if parameter.requires_grad]  # [virtual tokens, layers * 2 * width]
    rows.data.normal_()
    logits = lambda: tuned(input_ids=SOURCE, attention_mask=torch.ones_like(SOURCE), decoder_input_ids=TARGET, use_cache=False).logits
    before = logits()
    before.square().sum().backward()
    by_pair = rows.grad.view(3, layers, -1).abs().amax((0, 2))
    changing = []
    for pair in range(layers):
        with torch.no_grad():
            kept = rows.data.clone()
            rows.data.view(3, layers, -1)[:, pair] += 1
            if (logits() - before).abs().max() > 1e-6:
                changing.append(pair)
            rows.data.copy_(kept)
    return changing, [pair for pair in range(layers) if by_pair[pair] > 0]


for layers in (4, 3):
    changing, learning = (" ".join(map(str, found)) for found in pairs(layers))
    print(f"{layers} layers: pairs that change the logits {changing}, pairs with a gradient {learning}")
END
venv/bin/python pairs.py 2>warnings | tee output || { cat warnings >&2; exit 1; }
sed -n 's/^# > //p' "$script" | diff - output
