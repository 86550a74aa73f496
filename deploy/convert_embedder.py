#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns a BERT sentence encoder exported to ONNX, with its tokenizer.json, into a GGUF file for llama.cpp.

  convert_embedder.py MODEL.onnx TOKENIZER.json OUT.gguf --name NAME --pooling cls|mean --heads N --licence SPDX-ID

Weights stay 32-bit floats; deploy/model_tool quantises. Stops with a message when a tensor that the architecture
needs is missing or left over, so that a changed export cannot become a silently different model.
"""
import argparse
import json
import re
import sys

import gguf
import numpy
import onnx
import onnx.numpy_helper

# Biases, norms and embeddings keep their Hugging Face names in the export.
EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
LAYER_PARTS = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
NAMED = re.compile(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)$")
# The matrices are anonymous; the node that multiplies by one says which it is.
MATMUL_NODE = re.compile(r"/encoder/layer\.(\d+)/(.+)/MatMul$")
POOLING = {"mean": gguf.PoolingType.MEAN, "cls": gguf.PoolingType.CLS}


def layer_name(layer, part, kind):
    if part not in LAYER_PARTS:
        sys.exit(f"convert_embedder: unknown part '{part}' in layer {layer}")
    return f"blk.{layer}.{LAYER_PARTS[part]}.{kind}"


def read_tensors(graph):
    """Name in GGUF to array, every initialiser of the export used exactly once."""
    initialisers = {i.name: i for i in graph.initializer}
    tensors, used = {}, set()
    for name, value in initialisers.items():
        named = NAMED.match(name)
        if name in EMBEDDINGS:
            tensors[EMBEDDINGS[name]] = onnx.numpy_helper.to_array(value)
        elif named:
            tensors[layer_name(*named.groups())] = onnx.numpy_helper.to_array(value)
        else:
            continue
        used.add(name)
    for node in graph.node:
        role = MATMUL_NODE.match(node.name)
        if node.op_type != "MatMul" or not role or node.input[1] not in initialisers:
            continue
        matrix = onnx.numpy_helper.to_array(initialisers[node.input[1]])
        # ONNX multiplies x * W, ggml W * x.
        tensors[layer_name(role[1], role[2].replace("/", "."), "weight")] = numpy.ascontiguousarray(matrix.T)
        used.add(node.input[1])
    left_over = sorted(set(initialisers) - used)
    if left_over:
        sys.exit(f"convert_embedder: {len(left_over)} weights without a role, the first is '{left_over[0]}'")
    return tensors


def check_complete(tensors):
    layers = 1 + max(int(n.split(".")[1]) for n in tensors if n.startswith("blk."))
    wanted = set(EMBEDDINGS.values())
    for layer in range(layers):
        wanted |= {layer_name(layer, part, kind) for part in LAYER_PARTS for kind in ("weight", "bias")}
    if wanted != set(tensors):
        sys.exit(f"convert_embedder: missing or unexpected tensors: {sorted(wanted ^ set(tensors))[:3]}")
    if any(t.dtype != numpy.float32 for t in tensors.values()):
        sys.exit("convert_embedder: a weight is not a 32-bit float")
    return layers


def phantom(token, special):
    """llama.cpp marks the start of a word, BERT its continuation."""
    if special:
        return token
    return token[2:] if token.startswith("##") else "\u2581" + token


def add_tokenizer(writer, tokenizer):
    vocabulary = tokenizer["model"]["vocab"]
    special = {t["content"]: t["id"] for t in tokenizer["added_tokens"] if t["special"]}
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        sys.exit("convert_embedder: the vocabulary has gaps")
    if tokenizer["model"]["type"] != "WordPiece" or not tokenizer["normalizer"]["lowercase"]:
        sys.exit("convert_embedder: only lower-casing WordPiece tokenizers are known")
    pieces = sorted(vocabulary, key=vocabulary.get)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([phantom(p, p in special) for p in pieces])
    writer.add_token_types([gguf.TokenType.CONTROL if p in special else gguf.TokenType.NORMAL for p in pieces])
    writer.add_bos_token_id(special["[CLS]"])
    writer.add_eos_token_id(special["[SEP]"])
    writer.add_unk_token_id(special["[UNK]"])
    writer.add_sep_token_id(special["[SEP]"])
    writer.add_pad_token_id(special["[PAD]"])
    writer.add_mask_token_id(special["[MASK]"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for positional in ("onnx", "tokenizer", "out"):
        parser.add_argument(positional)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pooling", choices=POOLING, required=True)
    parser.add_argument("--heads", type=int, required=True, help="attention heads; the export does not name them")
    parser.add_argument("--licence", required=True)
    arguments = parser.parse_args()

    tensors = read_tensors(onnx.load(arguments.onnx).graph)
    layers = check_complete(tensors)
    with open(arguments.tokenizer, encoding="utf-8") as file:
        tokenizer = json.load(file)
    width = tensors["token_embd.weight"].shape[1]
    if len(tokenizer["model"]["vocab"]) != tensors["token_embd.weight"].shape[0]:
        sys.exit("convert_embedder: the tokenizer does not belong to this model")

    if width % arguments.heads:
        sys.exit("convert_embedder: the width is not a multiple of the number of heads")

    writer = gguf.GGUFWriter(arguments.out, "bert")
    writer.add_name(arguments.name)
    writer.add_license(arguments.licence)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(tensors["position_embd.weight"].shape[0])
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(tensors["blk.0.ffn_up.weight"].shape[0])
    writer.add_block_count(layers)
    writer.add_head_count(arguments.heads)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(POOLING[arguments.pooling])
    writer.add_token_type_count(tensors["token_types.weight"].shape[0])
    add_tokenizer(writer, tokenizer)
    for name in sorted(tensors):
        writer.add_tensor(name, tensors[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
