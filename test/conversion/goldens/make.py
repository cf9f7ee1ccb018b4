"""Writes prefix files of other programs, and the keys and values that these programs compute from them.

    pip install adapters==1.3.0 torch==2.13.0 safetensors && python make.py

adapterhub, adapterhub-flat: saved by AdapterHub's library. li-liang, li-liang-deep: the state_dict of modules laid out as in Li and Liang's
seq2seq/prefixTuning.py, saved by torch. `expected.safetensors` beside each has the rows [P, 2 * layers * width] of every site.
"""

import json
from pathlib import Path

import adapters
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import BartConfig, BartForConditionalGeneration

OUT = Path(__file__).parent
WIDTH, HIDDEN, LENGTH, LAYERS = 4, 3, 3, 2
SITES = {"encoder_prefix": "encoder", "self_prefix": "decoder", "cross_prefix": "cross"}


def expect(directory, rows):
    tensors = {f"{site}.prompt_embeddings": values.detach().contiguous() for site, values in rows.items()}
    save_file(tensors, directory / "expected.safetensors")


def adapterhub(name, **config):
    shape = dict(encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=4, decoder_ffn_dim=4)
    model = BartForConditionalGeneration(
        BartConfig(vocab_size=8, d_model=WIDTH, encoder_layers=2, decoder_layers=1, max_position_embeddings=8, **shape))
    adapters.init(model)
    model.add_adapter("p", config=adapters.PrefixTuningConfig(prefix_length=LENGTH, **config))
    (pool,) = (module for module in model.modules() if isinstance(module, adapters.methods.prefix_tuning.PrefixTuningPool))
    prefixes = pool.prefix_tunings["p"].eval()
    for parameter in prefixes.parameters():
        parameter.data = torch.randn_like(parameter)
    model.save_adapter(str(OUT / name), "p", with_head=False)
    # per layer: [key or value, batch of 1, heads, P, head_dim]
    rows = {SITES[location]: torch.cat([kv[:, 0].permute(2, 0, 1, 3).reshape(LENGTH, -1) for kv in layers], 1)
            for location, layers in prefixes(1).items()}
    expect(OUT / name, rows)


def li_liang(name, deep):
    directory = OUT / name
    directory.mkdir(exist_ok=True)
    stacks = {"decoder": ("wte", "control_trans"), "encoder": ("wte_enc", "control_trans_enc"), "cross": ("wte2", "control_trans2")}
    module = nn.Module()
    for wte, trans in stacks.values():
        middle = [nn.Linear(HIDDEN, HIDDEN), nn.Tanh()] if deep else []
        mlp = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.Tanh(), *middle, nn.Linear(HIDDEN, LAYERS * 2 * WIDTH))
        module.add_module(wte, nn.Embedding(LENGTH, WIDTH))
        module.add_module(trans, mlp)
    torch.save(module.state_dict(), directory / "pytorch_model.bin")
    config = dict(_name_or_path="facebook/bart-large", d_model=WIDTH, decoder_layers=LAYERS, preseqlen=LENGTH,
                  use_deep="yes" if deep else "no", use_infix=False)
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    expect(directory, {site: getattr(module, trans)(getattr(module, wte).weight) for site, (wte, trans) in stacks.items()})


if __name__ == "__main__":
    torch.manual_seed(1)
    adapterhub("adapterhub", bottleneck_size=HIDDEN)
    adapterhub("adapterhub-flat", flat=True)
    li_liang("li-liang", deep=False)
    li_liang("li-liang-deep", deep=True)
