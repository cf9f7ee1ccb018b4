"""Writes a Hugging Face GPT-2 checkpoint as a float32 GGUF, with the names that llama.cpp's own converter gives.

python write_gguf.py CHECKPOINT FILE
"""
import json
import os
import sys

import gguf
import numpy as np
from safetensors import safe_open

LINEAR = {"attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
NORMS = {"ln_1": "attn_norm", "ln_2": "ffn_norm"}


def main():
    directory, path = sys.argv[1:]
    with open(os.path.join(directory, "config.json")) as file:
        config = json.load(file)
    writer = gguf.GGUFWriter(path + ".tmp", "gpt2")
    write_shape(writer, config)
    with open(os.path.join(directory, "tokenizer.json")) as file:
        write_tokenizer(writer, json.load(file), config)
    write_tensors(writer, directory, config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.rename(path + ".tmp", path)


def write_shape(writer, config):
    writer.add_block_count(config["n_layer"])
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def write_tokenizer(writer, tokenizer, config):
    vocabulary = tokenizer["model"]["vocab"]
    special = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    tokens = [None] * config["vocab_size"]
    for token, index in list(vocabulary.items()) + [(content, index) for index, content in special.items()]:
        tokens[index] = token
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    types = [gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(len(tokens))]
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])


def write_tensors(writer, directory, config):
    with safe_open(os.path.join(directory, "model.safetensors"), framework="numpy") as weights:

        def write(name, source, transpose=False):
            tensor = weights.get_tensor(f"transformer.{source}").astype(np.float32)
            writer.add_tensor(name, np.ascontiguousarray(tensor.T) if transpose else tensor)

        write("token_embd.weight", "wte.weight")
        write("position_embd.weight", "wpe.weight")
        write("output.weight", "wte.weight")  # the head's matrix is the embedding
        for kind in ("weight", "bias"):
            write(f"output_norm.{kind}", f"ln_f.{kind}")
        for layer in range(config["n_layer"]):
            for source, name in {**NORMS, **LINEAR}.items():
                transpose = source in LINEAR  # GPT-2 keeps them [in, out], GGUF [out, in]
                write(f"blk.{layer}.{name}.weight", f"h.{layer}.{source}.weight", transpose)
                write(f"blk.{layer}.{name}.bias", f"h.{layer}.{source}.bias")


if __name__ == "__main__":
    main()
