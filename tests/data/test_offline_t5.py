"""The offline T5: a made-up T5 quantized by hand, and the package's own against its ONNX graph."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import tiny_t5

from mugkit import files
from mugkit.data import batch, encoders, offline_t5, text
from mugkit.errors import UserError

onnx = pytest.importorskip("onnx", reason="the optional package onnx is not installed")
NAME = "traceforge-t5-small"
PACKAGE = encoders.OFFLINE[NAME].path


def quantize(values: np.ndarray, kind: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q, scale and zero point of eight bits that cover the values."""
    limits = np.iinfo(kind)
    scale = np.float32((values.max() - values.min()) / 255)
    zero = np.clip(np.round(limits.min - values.min() / scale), limits.min, limits.max)
    q = np.clip(np.round(values / scale) + zero, limits.min, limits.max)
    return q.astype(kind), np.asarray(scale), np.asarray(zero, dtype=kind)


def write_onnx(path: Path, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """An ONNX file like the package's; returns what its eight bits stand for, in float64."""
    meant, tensors, nodes = {}, {}, []
    for number, (name, values) in enumerate(weights.items()):
        if "layer_norm" in name:
            meant[name] = tensors[name] = values
            continue
        table = re.search("embed_tokens|shared|relative_attention_bias", name)
        stored = name if table else f"onnx::MatMul_{number}"
        q, scale, zero = quantize(values if table else values.T, np.uint8 if table else np.int8)
        tensors |= {f"{stored}_quantized": q, f"{stored}_scale": scale, f"{stored}_zero_point": zero}
        real = np.array([(int(step) - int(zero)) * float(scale) for step in q.flat]).reshape(q.shape)
        meant[name] = real if table else real.T
        if not table:
            inputs = ["x", f"{stored}_quantized", "x_zero_point", f"{stored}_zero_point"]
            module = re.sub(r"\.(?!\d)", "/", name.removesuffix(".weight"))  # enc/block.0/layer.0/SelfAttention/q
            nodes.append(onnx.helper.make_node("MatMulInteger", inputs, ["y"], f"/{module}/MatMul_quant"))
    initial = [onnx.numpy_helper.from_array(np.ascontiguousarray(values), name) for name, values in tensors.items()]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "t5", [], [], initial)), path)
    return meant


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    """Random weights of a T5 with gated units and an output layer of its own, by their names in transformers."""
    from transformers import T5Config, T5ForConditionalGeneration

    sizes = {"vocab_size": 18, "d_model": 8, "d_kv": 4, "d_ff": 20, "num_layers": 2, "num_heads": 3}
    shape = T5Config(**sizes, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    rng, state = np.random.default_rng(0), T5ForConditionalGeneration(shape).state_dict()
    own = {name: values for name, values in state.items() if "embed_tokens" not in name}
    return {name: rng.standard_normal(tuple(values.shape)).astype(np.float32) for name, values in own.items()}


def write_package(folder: Path, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A folder like the package's; returns what the weights in it stand for, by their names in transformers."""
    from tokenizers import Tokenizer

    encoder = {"enc." + name.removeprefix("encoder."): v for name, v in weights.items() if name.startswith("encoder.")}
    rest = {"m." + name: values for name, values in weights.items() if not name.startswith("encoder.")}
    meant = write_onnx(folder / "encoder.onnx", encoder | {"enc.embed_tokens.weight": weights["shared.weight"]})
    meant |= write_onnx(folder / "decoder.onnx", rest)
    tokenizer = Tokenizer.from_file(str(tiny_t5(folder / "tiny") / "tokenizer.json"))
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding()
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"enc.embed_tokens.weight": "shared.weight"}
    return {names.get(n, n.replace("enc.", "encoder.").removeprefix("m.")): values for n, values in meant.items()}


def test_converted_holds_every_weight_of_the_onnx_files(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    from transformers import T5ForConditionalGeneration

    meant = write_package(tmp_path, weights)
    folder = offline_t5.converted("tiny", tmp_path)
    model, found = T5ForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not any(found.values())
    state = model.state_dict()
    tied = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}
    assert set(state) == set(meant) | tied
    for name, values in meant.items():
        np.testing.assert_allclose(state[name].numpy(), values, rtol=1e-6, atol=1e-7, err_msg=name)
    for name in tied:
        assert torch.equal(state[name], state["shared.weight"])
    assert not torch.equal(state["lm_head.weight"], state["shared.weight"])
    # Eight bits keep the made-up weights to half a step.
    assert all(np.abs(state[name].numpy() - values).max() < 0.02 for name, values in weights.items())


def test_converted_loads_as_text_encoder_and_is_done_once(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    write_package(tmp_path, weights)
    folder = str(offline_t5.converted("tiny", tmp_path))
    ids = text.token_ids(["the film was good", "superb"], folder)
    assert [len(row) for row in ids] == [5, 2]  # neither cut at 3 tokens nor padded
    saved = files.read_json(Path(folder) / "tokenizer.json")
    assert (saved["truncation"], saved["padding"]) == (None, None)
    assert text.frozen_features(["the film was good"], folder, "mean").shape == (1, 8)
    assert offline_t5.converted("tiny", None) == Path(folder)  # done once: the package may go


@pytest.mark.parametrize("change", ["missing", "left over", "other shape"])
def test_converted_is_strict(tmp_path: Path, weights: dict[str, np.ndarray], mugkit_home: Path, change: str) -> None:
    name = "decoder.block.1.layer.1.EncDecAttention.k.weight"
    if change == "missing":
        del weights[name]
    elif change == "left over":
        weights["decoder.block.1.layer.1.EncDecAttention.bias.weight"] = weights[name]
    else:
        weights[name] = np.ones((13, 8), dtype=np.float32) * np.arange(8, dtype=np.float32)
    write_package(tmp_path, weights)
    with pytest.raises(UserError, match=r"decoder\.block\.1\.layer\.1\.EncDecAttention"):
        offline_t5.converted("tiny", tmp_path)
    assert [path.suffix for path in (mugkit_home / "encoders").iterdir()] == [".lock"]  # nothing half done


def float_graph(path: Path) -> Any:
    """The ONNX graph with products in float for those of eight-bit activations, which cost it much of its accuracy."""
    model = onnx.load(path)
    graph = model.graph
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    producer = {output: node for node in graph.node for output in node.output}
    consumer = {name: node for node in graph.node for name in node.input}
    replaced: dict[str, Any] = {}
    for node in [node for node in graph.node if node.op_type == "MatMulInteger"]:
        stored = node.input[1].removesuffix("_quantized")
        weight = (tensors[node.input[1]].astype(float) - tensors[f"{stored}_zero_point"]) * tensors[f"{stored}_scale"]
        graph.initializer.append(onnx.numpy_helper.from_array(weight.astype(np.float32), stored))
        cast = consumer[node.output[0]]
        product = consumer[cast.output[0]]
        replaced |= {node.name: None, cast.name: None}
        source = producer[node.input[0]].input[0]
        replaced[product.name] = onnx.helper.make_node("MatMul", [source, stored], list(product.output))
    nodes = [replaced.get(node.name, node) for node in graph.node]
    del graph.node[:]
    graph.node.extend(node for node in nodes if node is not None)
    from onnx.reference import ReferenceEvaluator

    model.opset_import[0].version = 19  # the first that the evaluator knows DequantizeLinear of
    return ReferenceEvaluator(model)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning:onnx.reference")  # log 0 of a distance that is then not used
@pytest.mark.skipif(PACKAGE is None, reason="the optional package traceforge-title-model is not installed")
def test_package_model_equals_its_onnx_graphs() -> None:
    from transformers import T5ForConditionalGeneration

    tokens = batch.pad(text.token_ids(["The story was awful and the cast was weak .", "superb !"], NAME))
    written = torch.tensor([[0, 37, 733], [0, 9, 1]])
    encoder, whole = encoders.load_encoder(NAME), encoders.load(T5ForConditionalGeneration, NAME)
    with torch.no_grad():
        states = encoder(input_ids=tokens.ids, attention_mask=tokens.mask).last_hidden_state
        logits = whole.eval()(input_ids=tokens.ids, attention_mask=tokens.mask, decoder_input_ids=written).logits
    mask = tokens.mask.numpy()
    given = {"input_ids": tokens.ids.numpy(), "attention_mask": mask}
    (expected,) = float_graph(PACKAGE / "encoder.onnx").run(None, given)
    np.testing.assert_allclose(states[mask == 1], expected[mask == 1], rtol=0, atol=1e-5)
    given = {"input_ids": written.numpy(), "encoder_hidden_states": states.numpy(), "encoder_attention_mask": mask}
    (expected,) = float_graph(PACKAGE / "decoder.onnx").run(None, given)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-2)  # of ±70
    assert sum(values.numel() for values in encoder.parameters()) == 35_332_800
    assert sum(values.numel() for values in whole.parameters()) == 76_961_152
