"""The peer CTranslate2 on BART, without prefixes, in float32.

python ctranslate2_bart.py --model=CONVERTED --threads=N
Answers as protocol.ts says. CTranslate2 takes and gives tokens, not ids: those of its vocabulary are in the order of the ids.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import ctranslate2


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    model = ctranslate2.Translator(
        arguments.model, device="cpu", compute_type="float32", inter_threads=1, intra_threads=arguments.threads
    )
    tokens = json.loads((Path(arguments.model) / "shared_vocabulary.json").read_text(encoding="utf-8"))
    print(json.dumps({"versions": {"ctranslate2": ctranslate2.__version__}}), flush=True)
    for line in sys.stdin:
        print(json.dumps(generate(model, tokens, **json.loads(line))), flush=True)


def generate(model, tokens, prompts, count, beams=1):
    arrivals = [[] for _ in prompts]

    def note(step):
        arrivals[step.batch_id].append(time.perf_counter() * 1000)

    results = model.translate_batch(
        [[tokens[i] for i in prompt] for prompt in prompts],
        max_batch_size=0,
        beam_size=beams,
        min_decoding_length=count,
        max_decoding_length=count,
        disable_unk=False,
        return_end_token=True,
        callback=note if beams == 1 else None,
    )
    end = time.perf_counter() * 1000
    index = {token: i for i, token in enumerate(tokens)}
    ids = [[index[token] for token in result.hypotheses[0]][-count:] for result in results]
    return {"ids": ids, "arrivals": arrivals if beams == 1 else [[end] * count] * len(prompts)}


if __name__ == "__main__":
    main()
