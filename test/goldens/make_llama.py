"""Writes reference outputs of Transformers and PEFT for small models of the Llama family (Llama, Qwen 2, Qwen 3).

    pip install -r requirements.txt
    python make_llama.py --seed 1 --out llama

As make.py, whose helpers it uses: checkpoints, adapters as PEFT saves them, greedy cases, batches, beams, gradients.
"""

import argparse
import itertools
import json
import random
import shutil
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, DynamicCache, LlamaConfig, Qwen2Config, Qwen3Config

import make
from make import MARGIN, NEW_TOKENS, adapter_configs, beams, is_kv, make_tokenizer, sentence_loss

LLAMA3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}
SHAPES = {
    # grouped heads, own head
    "tiny-llama": ("llama", dict(hidden_size=64, intermediate_size=112, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                                 max_position_embeddings=160, rope_theta=10000.0, tie_word_embeddings=False), 400, None),
    # scaled rotations, biases everywhere, one KV head, tied, in several bfloat16 files
    "tiny-llama3": ("llama", dict(hidden_size=96, intermediate_size=128, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1, head_dim=32,
                                  max_position_embeddings=256, rope_parameters=LLAMA3, attention_bias=True, mlp_bias=True,
                                  tie_word_embeddings=True), 512, "bfloat16"),
    # biases of queries, keys and values only
    "tiny-qwen2": ("qwen2", dict(hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=8, num_key_value_heads=2,
                                 max_position_embeddings=128, rope_theta=1000000.0, tie_word_embeddings=True), 400, None),
    # heads wider than the model's width over heads; queries and keys normed before they are rotated
    "tiny-qwen3": ("qwen3", dict(hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                                 max_position_embeddings=128, rope_theta=1000000.0, tie_word_embeddings=True), 400, None),
}
CONFIGS = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}


def make_model(kind, shape, tokenizer, seed):
    torch.manual_seed(seed)
    config = CONFIGS[kind](vocab_size=len(tokenizer), bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
                           attn_implementation="eager", **shape)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name:
                p.copy_(1 + torch.randn_like(p) * 0.1)
            elif p.ndim == 2:
                p.copy_(torch.randn_like(p) * (0.15 if "embed" in name else 2.0 / p.shape[1] ** 0.5))
            else:
                p.copy_(torch.randn_like(p) * 0.2)
        model.model.embed_tokens.weight[tokenizer.eos_token_id] *= 0.2
        if "lm_head.weight" in dict(model.named_parameters()):
            model.lm_head.weight[tokenizer.eos_token_id] *= 0.2
    return model


def kv_of(config, rows):
    """[P, 2*L*Hkv*Dh] -> per layer (key, value), each [1, Hkv, P, Dh]. Keys are as they are attended to: nothing rotates them again."""
    p, layers, heads = rows.shape[0], config.num_hidden_layers, config.num_key_value_heads
    t = rows.view(p, 2 * layers, heads, -1).permute(1, 2, 0, 3)
    return [(t[2 * i][None], t[2 * i + 1][None]) for i in range(layers)]


def cache_of(pairs):
    cache = DynamicCache()
    for i, (k, v) in enumerate(pairs):
        cache.update(k.clone(), v.clone(), i)
    return cache


def logits_of(model, name, saved, ids):
    ids = torch.tensor([ids])
    if name is None:
        return model(ids).logits[0]
    if is_kv(name):
        p = saved.shape[0]
        return model(ids, past_key_values=cache_of(kv_of(model.config, saved)), position_ids=torch.arange(p, p + ids.shape[1])[None]).logits[0]
    embeds = torch.cat([saved[None], model.model.embed_tokens(ids)], dim=1)
    return model(inputs_embeds=embeds).logits[0, saved.shape[0]:]


def infix_logits(model, prompt, rows, continuation):
    n, p, pairs = len(prompt), rows.shape[0], []
    cache = model(torch.tensor([prompt]), use_cache=True).past_key_values
    for i, (k, v) in enumerate(kv_of(model.config, rows)):
        layer = cache.layers[i]
        pairs.append((torch.cat([layer.keys, k], 2), torch.cat([layer.values, v], 2)))
    ids = torch.tensor([continuation])
    return model(ids, past_key_values=cache_of(pairs), position_ids=torch.arange(n + p, n + p + ids.shape[1])[None]).logits[0]


def training(model, rng, eos, seed):
    """As make.training: loss and gradients of one batch, and 20 AdamW steps, for prefix, embedding-only and infix."""
    config, p = model.config, 5
    kv_width = model.model.layers[0].self_attn.k_proj.weight.shape[0]
    width, batch = 2 * config.num_hidden_layers * kv_width, []
    for _ in range(4):
        batch.append({"source": [rng.randrange(1, config.vocab_size) for _ in range(rng.randint(3, 9))],
                      "target": [rng.randrange(1, config.vocab_size) for _ in range(rng.randint(2, 8))] + [eos]})

    def loss_of(kind, rows):
        losses = []
        for item in batch:
            ids = (item["source"] + [eos] + item["target"])[:-1]
            n = len(item["source"])
            logits = infix_logits(model, ids[:n], rows, ids[n:]) if kind == "infix" else logits_of(model, {"prefix": "prefix", "embedding": "prompt"}[kind], rows, ids)
            losses.append(sentence_loss(logits[n - len(ids):], torch.tensor(item["target"])))
        return torch.stack(losses).mean()

    torch.manual_seed(seed)
    start = {"prefix": torch.randn(p, width) * 0.5, "embedding": torch.randn(p, config.hidden_size) * 0.5, "infix": torch.randn(p, width) * 0.5}
    tensors, losses, curves, steps, lr = {}, {}, {}, 20, 5e-3
    for kind, rows0 in start.items():
        rows = rows0.clone().requires_grad_(True)
        loss = loss_of(kind, rows)
        loss.backward()
        losses[kind], tensors[f"{kind}.rows"], tensors[f"{kind}.grad"] = loss.item(), rows0, rows.grad
        rows = rows0.clone().requires_grad_(True)
        optimizer = torch.optim.AdamW([rows], lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1 - s / steps)
        curves[kind] = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = loss_of(kind, rows)
            loss.backward()
            torch.nn.utils.clip_grad_norm_([rows], 1.0)
            optimizer.step()
            schedule.step()
            curves[kind].append(loss.item())
        tensors[f"{kind}.trained"] = rows.detach()
    meta = {"batch": batch, "separator": eos, "losses": losses, "virtual_tokens": p,
            "run": {"steps": steps, "lr": lr, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0, "clip_norm": 1.0,
                    "schedule": "linear to zero", "losses": curves}}
    return meta, {k: v.detach().contiguous() for k, v in tensors.items()}


TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def chats(tokenizer):
    tokenizer.chat_template = TEMPLATE
    cases = []
    for messages in (
        [{"role": "user", "content": "Where is Larch House?"}],
        [{"role": "system", "content": "Answer in French."}, {"role": "user", "content": " two  spaces "}],
        [{"role": "user", "content": "a\nb"}, {"role": "assistant", "content": "c"}, {"role": "user", "content": "naïve <|endoftext|> café"}],
    ):
        for generate in (True, False):
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generate)
            cases.append({"messages": messages, "add_generation_prompt": generate, "text": text,
                          "ids": tokenizer(text, add_special_tokens=False)["input_ids"]})
    return cases


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("llama"))
    parser.add_argument("--shapes", type=Path)
    args = parser.parse_args()
    shapes = json.loads(args.shapes.read_text()) if args.shapes else SHAPES
    torch.set_num_threads(1)
    rng = random.Random(args.seed)
    for sub in ("models", "adapters", "expected"):
        shutil.rmtree(args.out / sub, ignore_errors=True)
    expected = args.out / "expected"
    expected.mkdir(parents=True)
    worst = 0.0
    for index, (model_name, (kind, shape, vocab, dtype)) in enumerate(shapes.items()):
        seed = args.seed * 1000 + 500 + index
        tokenizer = make_tokenizer(vocab, seed)
        chat_cases = chats(tokenizer)
        model = make_model(kind, shape, tokenizer, seed)
        directory = args.out / "models" / model_name
        directory.mkdir(parents=True)
        if dtype:
            model.to(getattr(torch, dtype)).save_pretrained(directory, max_shard_size="150KB")
            model.float()
            # The buffer was rounded too, which loading the files again would not do.
            rotary = model.model.rotary_emb
            rotary.inv_freq.copy_(rotary.__class__(model.config).inv_freq)
        else:
            model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        for p in model.parameters():
            p.requires_grad_(False)
        (expected / f"{model_name}.chat.json").write_text(json.dumps(chat_cases, indent=1, ensure_ascii=False))
        eos, config = tokenizer.eos_token_id, model.config

        adapters, configs = {None: None}, adapter_configs(config)
        for i, name in enumerate(("prefix-1", "prefix-5", "prefix-20", "prefix-mlp-10", "prefix-bf16-3", "cartridge-8", "prompt-8", "ptuning-6")):
            try:
                adapters[name] = make.make_adapter(model, name, configs[name], args.out / "adapters" / model_name / name, seed * 100 + i)
            except Exception as error:  # a combination that PEFT itself does not save
                print(model_name, name, "not written:", repr(error)[:200])
                shutil.rmtree(args.out / "adapters" / model_name / name, ignore_errors=True)
            for p in model.parameters():
                p.requires_grad_(False)

        cases, firsts = [], []
        with torch.no_grad():
            for name, saved in adapters.items():
                kept = tries = 0
                while kept < 4 and tries < 80:
                    tries += 1
                    prompt = [rng.randrange(1, config.vocab_size) for _ in range([1, 6, 17, 40][kept])]
                    if name and not name.startswith("prefix-bf16"):
                        mine = logits_of(model, name, saved, prompt)
                        peft_model = PeftModel.from_pretrained(model, args.out / "adapters" / model_name / name).eval()
                        x = torch.tensor([prompt])
                        theirs = peft_model(input_ids=x, attention_mask=torch.ones_like(x)).logits[0, -len(prompt):].float()
                        worst = max(worst, (mine - theirs).abs().max().item())
                    ids, out, logprobs, margin, first = list(prompt), [], [], float("inf"), None
                    for _ in range(NEW_TOKENS):
                        logits = logits_of(model, name, saved, ids)[-1]
                        first = logits if first is None else first
                        top = logits.topk(2).values
                        margin = min(margin, (top[0] - top[1]).item())
                        best = int(logits.argmax())
                        out.append(best)
                        logprobs.append(torch.log_softmax(logits, -1)[best].item())
                        ids.append(best)
                        if best == eos:
                            break
                    if margin < MARGIN or len(set(out)) < 4:
                        continue
                    kept += 1
                    cases.append({"id": f"{name or 'base'}/{kept}", "adapter": name, "prompt": prompt, "ids": out, "logprobs": logprobs,
                                  "margin": margin, "finish_reason": "stop" if out[-1] == eos else "length"})
                    firsts.append(first)
                assert kept == 4, (model_name, name, kept)
            order = list(range(len(cases)))
            rng.shuffle(order)
            batches = [[cases[i]["id"] for i in order[b:b + size]] for b, size in ((0, 2), (2, 5), (7, 8), (0, len(order)))]
            infix, kv_width = [], model.model.layers[0].self_attn.k_proj.weight.shape[0]
            rows = torch.randn(6, 2 * config.num_hidden_layers * kv_width) * 0.6
            for length in (1, 7, 15):
                prompt = [rng.randrange(1, config.vocab_size) for _ in range(length)]
                continuation = [eos] + [rng.randrange(1, config.vocab_size) for _ in range(5)]
                logits = infix_logits(model, prompt, rows, continuation)
                infix.append({"prompt": prompt, "continuation": continuation, "greedy_next": logits.argmax(-1).tolist(), "logits": logits.tolist()})
            if index == 0:
                beam = {}
                for name in (None, "prefix-5"):
                    prompts = [[rng.randrange(1, config.vocab_size) for _ in range(n)] for n in (1, 9)]
                    beam[name or "base"] = beams(model, name, args.out / "adapters" / model_name / (name or ""), prompts, tokenizer)
                (expected / f"{model_name}.beam.json").write_text(json.dumps(beam))
        (expected / f"{model_name}.greedy.json").write_text(json.dumps({"cases": cases, "batches": batches}))
        save_file({"first_logits": torch.stack(firsts), "infix_rows": rows}, expected / f"{model_name}.safetensors")
        (expected / f"{model_name}.infix.json").write_text(json.dumps(infix))
        for p in model.parameters():
            p.requires_grad_(False)
        meta, tensors = training(model, rng, eos, seed)
        (expected / f"{model_name}.training.json").write_text(json.dumps(meta, indent=1))
        save_file(tensors, expected / f"{model_name}.training.safetensors")
        print(model_name, len(cases), "cases", "worst", worst, flush=True)
    import peft, tokenizers, transformers
    (args.out / "versions.json").write_text(json.dumps({
        "seed": args.seed, "torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__,
        "tokenizers": tokenizers.__version__, "margin": MARGIN, "largest_difference_to_peft_forward": worst}, indent=1))
    print("largest difference between the loop here and PEFT's own forward pass:", worst)


if __name__ == "__main__":
    main()
