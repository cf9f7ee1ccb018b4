"""The peer Transformers + PEFT: `generate` of a model with a loaded prefix, which every row of its batch has, or with a LoRA of its own for each row.

python transformers_peft.py --model=CHECKPOINT (--adapter=DIRECTORY | --loras=N) --threads=N [--encoder-decoder]
Of an encoder-decoder the prefix is in the decoder's self-attention alone. LoRAs are of rank 8 on the attention's queries, keys and values, new ones: as
much work as trained ones, and the model's own tokens. Answers as protocol.ts says.
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


class Clock(transformers.StoppingCriteria):
    """Is asked after every token of the batch; stops nothing."""

    def __init__(self):
        self.times = []

    def __call__(self, input_ids, scores, **kwargs):
        self.times.append(time.perf_counter() * 1000)
        return torch.zeros(input_ids.shape[0], dtype=torch.bool)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    adapters = parser.add_mutually_exclusive_group(required=True)
    adapters.add_argument("--adapter")
    adapters.add_argument("--loras", type=int)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--encoder-decoder", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    kind = transformers.AutoModelForSeq2SeqLM if arguments.encoder_decoder else transformers.AutoModelForCausalLM
    base = kind.from_pretrained(arguments.model, dtype=torch.float32)
    if arguments.adapter:
        model = peft.PeftModel.from_pretrained(base, arguments.adapter)
    else:
        model = with_loras(base, arguments.loras)
    model.eval()
    versions = {"transformers": transformers.__version__, "peft": peft.__version__, "torch": torch.__version__}
    say({"versions": versions})
    for line in sys.stdin:
        say(generate(model, arguments.loras, **json.loads(line)))


def with_loras(base, count):
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=8, target_modules=["c_attn"], fan_in_fan_out=True)
    model = peft.get_peft_model(base, config, adapter_name=lora_of(0))
    for row in range(1, count):
        model.add_adapter(lora_of(row), config)
    return model


def lora_of(row):
    return f"user{row}"


@torch.inference_mode()
def generate(model, loras, prompts, count, beams=1):
    ids = torch.tensor(prompts)
    own = {"adapter_names": [lora_of(row) for row in range(len(prompts))]} if loras else {}
    clock = Clock()
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        num_beams=beams,
        min_new_tokens=count,  # the end token is a token like any other
        max_new_tokens=count,
        pad_token_id=model.config.eos_token_id if model.config.pad_token_id is None else model.config.pad_token_id,
        stopping_criteria=transformers.StoppingCriteriaList([clock]),
        **own,
    )
    return {"ids": output[:, -count:].tolist(), "arrivals": [clock.times] * len(prompts)}


def say(message):
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
