"""The peer AdapterHub: trains a prefix at a BART's three sites, as a user of the library `adapters` would write it.

python train_adapters.py --model=CHECKPOINT --adapter=DIRECTORY --threads=N
Answers as protocol.ts says.
"""
import re

import adapters
import torch
import transformers
from safetensors.torch import load_file

from trainer_peer import read_arguments, serve

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

NAME = "user"
SITES = {"encoder_prefix": "encoder", "self_prefix": "decoder", "cross_prefix": "cross"}


def main():
    arguments = read_arguments()
    # The library's prefixes work with eager attention alone.
    model = transformers.BartForConditionalGeneration.from_pretrained(arguments.model, dtype=torch.float32, attn_implementation="eager")
    rows = load_file(f"{arguments.adapter}/adapter_model.safetensors")
    adapters.init(model)
    config = adapters.PrefixTuningConfig(flat=True, prefix_length=len(rows["cross.prompt_embeddings"]), encoder_prefix=True, cross_prefix=True)
    model.add_adapter(NAME, config=config)
    model.train_adapter(NAME)
    model.eval()  # no dropout
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    begin(model, rows)
    serve(("adapters", "transformers", "torch"), parameters, lambda examples: prepare(model, examples))


def begin(model, rows):
    """Gives each site the rows that Preamble begins with."""
    left = set(SITES)
    for name, parameter in model.named_parameters():
        site = re.search(r"prefix_tunings\.\w+\.(\w+)\.control_trans$", name)
        if site and parameter.requires_grad:
            with torch.no_grad():
                parameter.copy_(rows[f"{SITES[site[1]]}.prompt_embeddings"].reshape(parameter.shape))
            left.discard(site[1])
    assert not left, f"no parameter of {left}"


def prepare(model, examples):
    sources, targets = (torch.tensor([e[name] for e in examples]) for name in ("source", "target"))
    start = torch.full((len(examples), 1), model.config.decoder_start_token_id)
    inputs = torch.cat([start, targets[:, :-1]], 1)

    def loss_of():
        logits = model(input_ids=sources, decoder_input_ids=inputs, use_cache=False).logits.flatten(0, 1)
        return torch.nn.functional.cross_entropy(logits, targets.flatten(), reduction="sum")

    return loss_of, targets.numel()


if __name__ == "__main__":
    main()
