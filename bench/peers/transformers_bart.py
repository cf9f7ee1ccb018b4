"""The peer Transformers + PEFT on BART: `generate` with a PEFT prefix in the decoder's self-attention, which every row of its batch has.

python transformers_bart.py --model=CHECKPOINT --adapter=DIRECTORY --threads=N
Answers as protocol.ts says.
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
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    base = transformers.AutoModelForSeq2SeqLM.from_pretrained(arguments.model, dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(base, arguments.adapter).eval()
    versions = {"transformers": transformers.__version__, "peft": peft.__version__, "torch": torch.__version__}
    print(json.dumps({"versions": versions}), flush=True)
    for line in sys.stdin:
        print(json.dumps(generate(model, **json.loads(line))), flush=True)


@torch.inference_mode()
def generate(model, prompts, count, beams=1):
    ids = torch.tensor(prompts)
    clock = Clock()
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        num_beams=beams,
        num_return_sequences=1,
        early_stopping=False,
        no_repeat_ngram_size=0,
        min_new_tokens=count,  # the end token is a token like any other
        max_new_tokens=count,
        stopping_criteria=transformers.StoppingCriteriaList([clock]),
    )
    return {"ids": output[:, 1:].tolist(), "arrivals": [clock.times[-count:]] * len(prompts)}


if __name__ == "__main__":
    main()
