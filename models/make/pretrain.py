"""Trains the bundled model from scratch: a tokenizer and a small GPT-2, on the text of world.py, or of another program like it.

    pip install -r requirements.txt
    python pretrain.py --out ../preamble-demo

Writes what Transformers' `save_pretrained` writes, weights in float16, and versions.json: seed, versions, steps, tokens, losses.
"""

import argparse
import importlib.util
import json
import random
import time
from pathlib import Path

import safetensors
import tokenizers
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from tokenizer_files import save_tokenizer

END = "<|endoftext|>"
VOCABULARY, CONTEXT = 2048, 512
HELD_OUT_SEED = 900_001


def load_world(path):
    """The module at `path`: REGISTERS, World and documents, as world.py has them."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


def train_tokenizer(documents, seed):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator((prompt + text for prompt, text in documents(seed, 15_000)), trainer)
    assert tokenizer.get_vocab_size() == VOCABULARY
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=END, eos_token=END, unk_token=END)


def waves(positions, width):
    """Sines and cosines, [positions, width]: where position embeddings begin, so that "the token before" is easy to learn."""
    angles = torch.arange(positions)[:, None] * 0.001 ** torch.linspace(0, 1, width // 2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def new_model(tokenizer, args):
    model = GPT2LMHeadModel(GPT2Config(
        vocab_size=VOCABULARY, n_positions=CONTEXT, n_layer=args.layers, n_embd=64 * args.heads, n_head=args.heads,
        resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        activation_function="gelu_pytorch_tanh",  # the same function as gelu_new in one kernel; saved as gelu_new
    ))
    with torch.no_grad():
        model.transformer.wpe.weight.copy_(0.1 * waves(CONTEXT, model.config.n_embd))
    return model


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal (Jordan, 2024). torch.optim.Muon does that in bfloat16, slow on many CPUs."""

    def __init__(self, params, lr, momentum=0.95):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                average = self.state[p].setdefault("average", torch.zeros_like(p))
                average.lerp_(p.grad, 1 - group["momentum"])
                x = p.grad.lerp(average, group["momentum"])
                tall = x.shape[0] > x.shape[1]
                x = (x.T if tall else x) / (x.norm() + 1e-7)
                for _ in range(5):  # Newton-Schulz: pushes every singular value towards 1
                    square = x @ x.T
                    x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
                p.add_(x.T if tall else x, alpha=-group["lr"] * max(1, p.shape[1] / p.shape[0]) ** 0.5)


def row_of(tokenizer, world, registers, length):
    """`length` ids: whole documents, each closed by END, the last one cut.

    Half of the rows keep to one register. So what stands before a document says something about how it is written, and the
    model learns to look there; a prefix stands in the same place. Half of the rows begin with END, half with a document.
    """
    register = world.rng.choice([None] * len(registers) + registers)
    ids = [tokenizer.eos_token_id] * world.rng.randint(0, 1)
    while len(ids) < length:
        ids += tokenizer.backend_tokenizer.encode("".join(world.document(register))).ids + [tokenizer.eos_token_id]
    return ids[:length]


def rows_of(tokenizer, world, registers, count, length):
    return torch.tensor([row_of(tokenizer, world, registers, length) for _ in range(count)])  # [count, length]


def loss_of(model, ids, first=None):
    """Mean nats per token of rows [count, length] that stand at positions `first` [count]; the first id of a row is given."""
    positions = torch.arange(ids.shape[1]) + (0 if first is None else first[:, None])
    logits = model(input_ids=ids, position_ids=positions.expand_as(ids), attention_mask=torch.ones_like(ids), use_cache=False).logits[:, :-1]
    return cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def train(args, optimizers, warmup, loss_at, save, rate):
    """Trains for args.steps steps on `loss_at(step)`; the rates rise for `warmup` steps, and fall from the middle on. Returns the last 50 losses.

    `save` is called every args.checkpoint steps and at the end; `rate` tells the seconds of a step as text.
    """
    def share(step):
        return min((step + 1) / warmup, 1, max(1.9 * (1 - step / args.steps), 0.01))

    schedules = [torch.optim.lr_scheduler.LambdaLR(o, share) for o in optimizers]
    began, recent = time.time(), []
    for step in range(1, args.steps + 1):
        loss = loss_at(step)
        loss.backward()
        for optimizer, schedule in zip(optimizers, schedules):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        recent = [*recent[-49:], loss.item()]
        if step % 20 == 0:
            print(f"step {step}  loss {sum(recent[-20:]) / 20:.3f}  {rate((time.time() - began) / step)}", flush=True)
        if step % args.checkpoint == 0 or step == args.steps:
            save()
    return recent


def save(model, tokenizer, out):
    half = GPT2LMHeadModel(model.config).half()
    half.load_state_dict(model.state_dict())
    half.config.activation_function = "gelu_new"
    half.save_pretrained(out)
    save_tokenizer(tokenizer, out)


def held_out_loss(path, text, count=48):
    """Of the saved model, with float16 weights and float32 arithmetic, on text that it was not trained on."""
    model = GPT2LMHeadModel.from_pretrained(path, dtype=torch.float32).eval()
    tokenizer, world = AutoTokenizer.from_pretrained(path), text.World(random.Random(HELD_OUT_SEED))
    with torch.inference_mode():
        return sum(loss_of(model, rows_of(tokenizer, world, text.REGISTERS, 8, CONTEXT)).item() for _ in range(count // 8)) / (count // 8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "preamble-demo")
    parser.add_argument("--world", type=Path, default=Path(__file__).parent / "world.py", help="writes the text")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1100)
    parser.add_argument("--tokens", type=int, default=2048, help="in a step")
    parser.add_argument("--short", type=float, default=0.6, help=f"share of the steps on short rows; the rest has rows of {CONTEXT} tokens")
    parser.add_argument("--short-tokens", type=int, default=64, help="in a short row")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=3, help="of 64 dimensions each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoint", type=int, default=100, help="save every so many steps")
    parser.add_argument("--evaluate", action="store_true", help="only print the held-out loss of what lies in --out")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    text = load_world(args.world)
    if args.evaluate:
        return print(f"held-out loss {held_out_loss(args.out, text):.4f} nats per token")

    tokenizer = train_tokenizer(text.documents, args.seed)
    world = text.World(random.Random(args.seed + 1))
    model = new_model(tokenizer, args)
    positions = model.transformer.wpe.weight
    # Muon for the matrices inside the blocks, Adam for embeddings, biases and norms; positions move slowly.
    inner = [p for p in model.transformer.h.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if all(p is not q for q in [*inner, positions])]
    groups = [{"params": others}, {"params": [positions], "lr": 3e-4}]
    optimizers = [Muon(inner, lr=0.02), torch.optim.AdamW(groups, lr=3e-3, weight_decay=0, betas=(0.9, 0.95))]

    print(f"{model.num_parameters():,} parameters", flush=True)

    def loss_at(step):
        # Short rows first: one or two documents, anywhere in the context. The model soon learns to look a fact up in them.
        length = CONTEXT if step > args.short * args.steps else args.short_tokens
        count = args.tokens // length
        first = torch.randint(CONTEXT - length + 1, (count,)) * torch.randint(2, (count,))
        return loss_of(model, rows_of(tokenizer, world, text.REGISTERS, count, length), first)

    recent = train(args, optimizers, 20, loss_at, lambda: save(model, tokenizer, args.out), lambda seconds: f"{args.tokens / seconds:.0f} tokens/s")
    facts = {
        "seed": args.seed, "steps": args.steps, "tokens_per_step": args.tokens, "tokens_seen": args.steps * args.tokens,
        "parameters": model.num_parameters(), "training_loss_of_last_50_steps": round(sum(recent) / len(recent), 4),
        "held_out_loss": round(held_out_loss(args.out, text), 4), "held_out_seed": HELD_OUT_SEED, "torch": torch.__version__,
        "transformers": transformers.__version__, "tokenizers": tokenizers.__version__, "safetensors": safetensors.__version__,
    }
    (args.out / "versions.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
