"""Trains a small BART from scratch that copies and shortens, on the reports of reports.py or on texts of a file.

    pip install -r requirements.txt
    python pretrain_bart.py                                # on reports, to ../preamble-brief
    python pretrain_bart.py --texts train.jsonl --out DIR   # on the "prompt" of each line

Half of the examples are BART's own task (Lewis et al. 2020): a part of a text with spans replaced by a mask, to be written out whole. In the other
half a report becomes its summary, or a text its first sentence. Writes what Transformers' `save_pretrained` writes, weights in float16, and versions.json: seed, versions, steps, losses.
"""

import argparse
import json
import random
import re
from pathlib import Path

import safetensors
import tokenizers
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy, pad
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast

from pretrain import HELD_OUT_SEED, Muon, train, waves
from reports import report
from tokenizer_files import save_tokenizer
from world import World

VOCABULARY, POSITIONS = 2048, 512
BOS, PAD, EOS, UNK = range(4)
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
MASKED = 0.3


class Reports:
    """Reports of the world and their summaries."""

    def __init__(self, seed):
        self.world = World(random.Random(seed))
        self.rng = self.world.rng

    def pair(self):
        return report(self.world)

    def begin(self, length):
        """Where a part begins that is to be written out whole."""
        return 0


class Texts:
    """Texts of a `.jsonl` file, its lines' "prompt", and their first sentences."""

    def __init__(self, path, seed, held_out):
        texts = [json.loads(line)["prompt"] for line in path.read_text(encoding="utf-8").splitlines()]
        self.texts = [text for i, text in enumerate(texts) if (i % 50 == 0) == held_out]
        self.rng = random.Random(seed)

    def pair(self):
        text = self.rng.choice(self.texts)
        return text, re.split(r"(?<=[.!?]) ", text)[0]

    def begin(self, length):
        return self.rng.randrange(max(1, length - 64))


def open_data(args, seed, held_out=False):
    return Texts(args.texts, seed, held_out) if args.texts else Reports(seed)


def train_tokenizer(data):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 1, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator((text for _ in range(8_000) for text in data.pair()), trainer)
    tokenizer.add_special_tokens([tokenizers.AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", EOS), ("<s>", BOS), trim_offsets=True, add_prefix_space=False)
    assert tokenizer.get_vocab_size() == VOCABULARY
    named = dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>", sep_token="</s>", cls_token="<s>", mask_token="<mask>")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def new_model(args):
    model = BartForConditionalGeneration(BartConfig(
        vocab_size=VOCABULARY, max_position_embeddings=POSITIONS, d_model=64 * args.heads,
        encoder_layers=args.layers, decoder_layers=args.layers, encoder_attention_heads=args.heads, decoder_attention_heads=args.heads,
        encoder_ffn_dim=256 * args.heads, decoder_ffn_dim=256 * args.heads, dropout=0, attention_dropout=0, activation_dropout=0,
        bos_token_id=BOS, pad_token_id=PAD, eos_token_id=EOS, decoder_start_token_id=EOS, forced_bos_token_id=None, forced_eos_token_id=None,
    ))
    with torch.no_grad():
        for side in (model.model.encoder, model.model.decoder):
            side.embed_positions.weight[2:].copy_(0.1 * waves(POSITIONS, model.config.d_model))
    return model


def infill(ids, mask, rng):
    """The ids with about MASKED of them in spans that one mask each stands for."""
    out, at = [], 0
    while at < len(ids):
        if rng.random() < MASKED / 3:
            at += rng.randint(1, 5)
            out.append(mask)
        else:
            out.append(ids[at])
            at += 1
    return out


def examples_of(tokenizer, data, count):
    """`count` pairs of ids, source and target: every second one to be shortened, the others to be written out whole."""
    encode = lambda text: tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    for i in range(count):
        source, target = map(encode, data.pair())
        if i % 2:
            begin = data.begin(len(source))
            target = source[begin : begin + data.rng.randint(8, 64)]
            source = infill(target, tokenizer.mask_token_id, data.rng)
        yield [BOS, *source[: POSITIONS - 2], EOS], [*target[: POSITIONS - 2], EOS]


def stack(rows):
    width = max(map(len, rows))
    return torch.stack([pad(torch.tensor(row), (0, width - len(row)), value=PAD) for row in rows])


def loss_of(model, examples):
    """Mean nats per token of the targets."""
    sources, targets = zip(*examples)
    ids, labels = stack(sources), stack(targets)
    inputs = torch.cat([torch.full((len(labels), 1), EOS), labels[:, :-1]], 1)
    logits = model(input_ids=ids, attention_mask=(ids != PAD).long(), decoder_input_ids=inputs, use_cache=False).logits
    return cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=PAD)


def save(model, tokenizer, out):
    half = BartForConditionalGeneration(model.config).half()
    half.load_state_dict(model.state_dict())
    half.save_pretrained(out)
    save_tokenizer(tokenizer, out)


def held_out_loss(path, data, count=96):
    """Mean nats per token of shortened texts of `data`, by the saved model: float16 weights, float32 arithmetic."""
    model = BartForConditionalGeneration.from_pretrained(path, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(path)
    shortened = list(examples_of(tokenizer, data, 2 * count))[::2]
    with torch.inference_mode():
        return loss_of(model, shortened).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "preamble-brief")
    parser.add_argument("--texts", type=Path, help="a .jsonl file of texts to train on in place of reports")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--examples", type=int, default=16, help="in a step")
    parser.add_argument("--layers", type=int, default=2, help="of the encoder, and of the decoder")
    parser.add_argument("--heads", type=int, default=3, help="of 64 dimensions each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoint", type=int, default=100, help="save every so many steps")
    parser.add_argument("--evaluate", action="store_true", help="only print the held-out loss of what lies in --out")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    held_out = open_data(args, HELD_OUT_SEED, held_out=True)
    if args.evaluate:
        return print(f"held-out loss {held_out_loss(args.out, held_out):.4f} nats per token")

    tokenizer, data = train_tokenizer(open_data(args, args.seed)), open_data(args, args.seed + 1)
    model = new_model(args)
    inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    positions = [side.embed_positions.weight for side in (model.model.encoder, model.model.decoder)]
    others = [p for p in model.parameters() if all(p is not q for q in [*inner, *positions])]
    groups = [{"params": others}, {"params": positions, "lr": 3e-4}]
    optimizers = [Muon(inner, lr=0.01), torch.optim.AdamW(groups, lr=2e-3, weight_decay=0, betas=(0.9, 0.95))]

    print(f"{model.num_parameters():,} parameters", flush=True)
    recent = train(
        args, optimizers, 50, lambda step: loss_of(model, list(examples_of(tokenizer, data, args.examples))),
        lambda: save(model, tokenizer, args.out), lambda seconds: f"{seconds:.2f} s/step",
    )
    facts = {
        "seed": args.seed, "steps": args.steps, "examples_per_step": args.examples, "parameters": model.num_parameters(),
        "training_loss_of_last_50_steps": round(sum(recent) / len(recent), 4), "held_out_loss": round(held_out_loss(args.out, held_out), 4),
        "held_out_seed": HELD_OUT_SEED, "torch": torch.__version__, "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__, "safetensors": safetensors.__version__,
    }
    (args.out / "versions.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
