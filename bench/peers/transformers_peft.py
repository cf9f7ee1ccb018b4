"""The peer Transformers + PEFT: `generate` of a model with a loaded prefix, which every row of its batch has.

python transformers_peft.py --model=CHECKPOINT --adapter=DIRECTORY --threads=N [--encoder-decoder]
Of an encoder-decoder the prefix is in the decoder's self-attention alone. Answers as protocol.ts says.
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
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--encoder-decoder", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    kind = transformers.AutoModelForSeq2SeqLM if arguments.encoder_decoder else transformers.AutoModelForCausalLM
    base = kind.from_pretrained(arguments.model, dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(base, arguments.adapter).eval()
    versions = {"transformers": transformers.__version__, "peft": peft.__version__, "torch": torch.__version__}
    say({"versions": versions})
    for line in sys.stdin:
        say(generate(model, **json.loads(line)))


@torch.inference_mode()
def generate(model, prompts, count, beams=1):
    ids = torch.tensor(prompts)
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
    )
    return {"ids": output[:, -count:].tolist(), "arrivals": [clock.times] * len(prompts)}


def say(message):
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
