"""The peer Transformers + PEFT: trains a prefix, as a user of PEFT would write it.

python train_peft.py --model=CHECKPOINT --adapter=DIRECTORY --threads=N
Answers as protocol.ts says.
"""
import peft
import torch
import transformers
from safetensors.torch import load_file

from trainer_peer import read_arguments, serve

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

IGNORED = -100  # what labels that are not learned are by convention


def main():
    arguments = read_arguments()
    base = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    rows = load_file(f"{arguments.adapter}/adapter_model.safetensors")["prompt_embeddings"]
    config = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=len(rows))
    model = peft.get_peft_model(base, config).eval()  # no dropout
    with torch.no_grad():  # PEFT loads no prefix to train it further
        model.prompt_encoder["default"].embedding.weight.copy_(rows)
    parameters = [p for p in model.parameters() if p.requires_grad]
    serve(("transformers", "peft", "torch"), parameters, lambda examples: prepare(model, examples))


def prepare(model, examples):
    inputs = padded([(e["source"] + e["target"])[:-1] for e in examples], 0)
    targets = padded([[IGNORED] * (len(e["source"]) - 1) + e["target"] for e in examples], IGNORED).flatten()
    mask = padded([[1] * (len(e["source"] + e["target"]) - 1) for e in examples], 0)

    def loss_of():
        logits = model(input_ids=inputs, attention_mask=mask).logits.flatten(0, 1)
        return torch.nn.functional.cross_entropy(logits, targets, reduction="sum", ignore_index=IGNORED)

    return loss_of, (targets != IGNORED).sum().item()


def padded(rows, value):
    rows = [torch.tensor(row) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


if __name__ == "__main__":
    main()
