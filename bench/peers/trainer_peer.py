"""What the trainers among the peers have in common: their arguments, their answers as protocol.ts says, and the steps of AdamW."""
import argparse
import json
import sys
import time
from importlib.metadata import version

import torch


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--adapter", required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    return arguments


def serve(packages, parameters, prepare):
    """Trains as it is asked. `prepare(examples)` gives a function that computes the examples' summed loss, and the number of learned tokens."""
    optimizer = torch.optim.AdamW(parameters, lr=5e-5, weight_decay=0.0)
    say({"versions": {name: version(name) for name in packages}})
    for line in sys.stdin:
        request = json.loads(line)
        loss_of, learned = prepare(request["examples"])
        start = time.perf_counter()
        for _ in range(request["steps"]):
            optimizer.zero_grad()
            loss = loss_of()
            (loss / len(request["examples"])).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
        say({"seconds": time.perf_counter() - start, "loss": loss.item() / learned})


def say(message):
    print(json.dumps(message), flush=True)
