"""Writes a Hugging Face checkpoint, a GPT-2 or a Llama, as a float32 GGUF, with the names that llama.cpp's own converter gives.

python write_gguf.py CHECKPOINT FILE
"""
import json
import os
import sys

import gguf
import numpy as np
from safetensors import safe_open

GPT2_LINEAR = {"attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
GPT2_NORMS = {"ln_1": "attn_norm", "ln_2": "ffn_norm"}
LLAMA_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def main():
    directory, path = sys.argv[1:]
    with open(os.path.join(directory, "config.json")) as file:
        config = json.load(file)
    write_shape, write_tensors = {"gpt2": (write_gpt2_shape, write_gpt2), "llama": (write_llama_shape, write_llama)}[config["model_type"]]
    writer = gguf.GGUFWriter(path + ".tmp", config["model_type"])
    write_shape(writer, config)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    with open(os.path.join(directory, "tokenizer.json")) as file:
        write_tokenizer(writer, json.load(file), config)
    with safe_open(os.path.join(directory, "model.safetensors"), framework="numpy") as weights:
        write_tensors(writer, lambda name: weights.get_tensor(name).astype(np.float32), config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.rename(path + ".tmp", path)


def write_gpt2_shape(writer, config):
    writer.add_block_count(config["n_layer"])
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])


def write_llama_shape(writer, config):
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])


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


def write_gpt2(writer, tensor, config):
    def write(name, source, transpose=False):
        values = tensor(f"transformer.{source}")
        writer.add_tensor(name, np.ascontiguousarray(values.T) if transpose else values)

    write("token_embd.weight", "wte.weight")
    write("position_embd.weight", "wpe.weight")
    write("output.weight", "wte.weight")  # the head's matrix is the embedding
    for kind in ("weight", "bias"):
        write(f"output_norm.{kind}", f"ln_f.{kind}")
    for layer in range(config["n_layer"]):
        for source, name in {**GPT2_NORMS, **GPT2_LINEAR}.items():
            transpose = source in GPT2_LINEAR  # GPT-2 keeps them [in, out], GGUF [out, in]
            write(f"blk.{layer}.{name}.weight", f"h.{layer}.{source}.weight", transpose)
            write(f"blk.{layer}.{name}.bias", f"h.{layer}.{source}.bias")


def write_llama(writer, tensor, config):
    turned = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    writer.add_tensor("token_embd.weight", tensor("model.embed_tokens.weight"))  # the head too
    writer.add_tensor("output_norm.weight", tensor("model.norm.weight"))
    for layer in range(config["num_hidden_layers"]):
        for source, name in LLAMA_LAYER.items():
            values = tensor(f"model.layers.{layer}.{source}.weight")
            writer.add_tensor(f"blk.{layer}.{name}.weight", interleaved(values, turned[name]) if name in turned else values)


def interleaved(values, heads):
    """llama.cpp turns neighbours, Transformers the two halves of a head."""
    rows, inputs = values.shape
    return np.ascontiguousarray(values.reshape(heads, 2, rows // heads // 2, inputs).swapaxes(1, 2).reshape(rows, inputs))


if __name__ == "__main__":
    main()
