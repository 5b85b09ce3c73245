"""An offline T5: converts the ONNX files of a Python package once into a folder that transformers loads.

The files hold an English T5-small in eight bits. A quantized weight q stands for (q − zero_point) × scale. The matrix
of a `MatMulInteger` node is stored transposed, with a number as its name; only the node's name says where it belongs.
Both halves exist, so the folder serves as encoder (`T5EncoderModel`) and as sequence-to-sequence model.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from safetensors.torch import save_file
from torch import Tensor

from mugkit import files
from mugkit.errors import UserError

# Prefix of a name in the ONNX files → prefix in transformers: shared embedding, encoder, other weights.
_PREFIXES = {"enc.embed_tokens.": "shared.", "enc.": "encoder.", "m.": ""}


def converted(encoder: str, source: Path | None) -> Path:
    """The folder `home()/encoders/<encoder>`, converted from the ONNX files in `source` if it does not exist yet.

    Raises:
        ImportError: if it does not exist, and the package with the ONNX files or onnx itself is not installed.
    """
    folder = files.home() / "encoders" / encoder
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):  # otherwise parallel runs would all convert
            if not folder.is_dir():
                _convert(encoder, source, folder)
    return folder


def _convert(encoder: str, source: Path | None, folder: Path) -> None:
    if source is None:
        raise ModuleNotFoundError(f"no package of {encoder}")
    weights = {**_weights(source / "encoder.onnx"), **_weights(source / "decoder.onnx")}
    with files.atomic_folder(folder) as temporary:
        with files.atomic_path(temporary / "model.safetensors") as path:  # lets other users read it
            save_file(weights, path, metadata={"format": "pt"})
        files.write_json(temporary / "config.json", _config(weights))
        _tokenizer(source / "tokenizer.json").save_pretrained(temporary)
        _check(temporary)


def _weights(path: Path) -> dict[str, Tensor]:
    """Every weight of an ONNX file in float32, under its name in transformers."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    matrices = {node.input[1]: node.name for node in graph.node if node.op_type == "MatMulInteger"}
    weights: dict[str, Tensor] = {}
    for name in tensors:
        if name.endswith("_quantized"):
            values = _dequantize(tensors, name.removesuffix("_quantized"))
            weights[_rename(matrices.get(name, name))] = torch.from_numpy(
                values.T.copy() if name in matrices else values
            )
        elif not name.endswith(("_scale", "_zero_point")):
            weights[_rename(name)] = torch.from_numpy(tensors[name].copy())
    return weights


def _dequantize(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    """(q − zero_point) × scale."""
    steps = tensors[f"{name}_quantized"].astype(np.float32) - tensors[f"{name}_zero_point"].astype(np.float32)
    return np.asarray(steps * tensors[f"{name}_scale"], dtype=np.float32)


def _rename(name: str) -> str:
    """Translates `/enc/block.0/…/q/MatMul_quant` and `enc.block.0.….weight_quantized` to transformers' names."""
    name = name.strip("/").replace("/", ".").replace(".MatMul_quant", ".weight").removesuffix("_quantized")
    prefix = next(prefix for prefix in _PREFIXES if name.startswith(prefix))
    return _PREFIXES[prefix] + name.removeprefix(prefix)


def _config(weights: dict[str, Tensor]) -> dict[str, Any]:
    """Takes sizes from the weights, and all other values from FLAN-T5, whose gated units the weights have."""
    vocabulary, width = weights["shared.weight"].shape
    attention = "encoder.block.0.layer.0.SelfAttention"
    buckets, heads = weights[f"{attention}.relative_attention_bias.weight"].shape
    return {
        "model_type": "t5",
        "architectures": ["T5ForConditionalGeneration"],
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": len(weights[f"{attention}.q.weight"]) // heads,
        "d_ff": len(weights["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"]),
        "num_layers": len({name.split(".")[2] for name in weights if name.startswith("encoder.block.")}),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,  # the output layer has its own weights, and its input is not scaled
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }


def _check(folder: Path) -> None:
    """Raises a UserError if, for transformers, a weight of the folder is missing, left over or of another shape."""
    from transformers import T5ForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # problems are reported below
    loader: Any = T5ForConditionalGeneration
    options = {"local_files_only": True, "output_loading_info": True, "ignore_mismatched_sizes": True}
    _, found = loader.from_pretrained(folder, **options)
    if wrong := {kind: names for kind, names in found.items() if names}:
        raise UserError(
            f"the package's ONNX files do not hold a T5: {wrong}", field="text_encoder", fix="install the package again"
        )


def _tokenizer(path: Path) -> Any:
    """The package's tokenizer, without its default truncation at 48 tokens and its default padding."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
