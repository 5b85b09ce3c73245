"""What tests of networks, stages and runs share: text encoders that cost nothing, runs that take a second."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from made_up import FILLERS, OPINIONS
from torch import Tensor

from mugkit import files
from mugkit.config import Hyperparameters, hyperparameters
from mugkit.data.schema import MODALITIES, Dataset, Split
from mugkit.training import joint
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.label_sources.source import LabelSource
from mugkit.training.trainer import Result, train_and_test

# As the profiles do it. On a machine that is busy elsewhere, two threads wait for each other most of the time.
torch.set_num_threads(1)

WORDS = (*OPINIONS, *FILLERS)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

# Systems whose training step waits for its device.
WAITING = {"aobert", "mfm"}  # they recover only the words that were hidden, or only what is no padding
PERHAPS_WAITING = {"unimse"}  # some versions of transformers look whether a mask hides anything


def bag_of_words(text: Sequence[str], *_: object) -> Float[Tensor, "clips words"]:
    """Stands in for `text._encode`: counts of the made-up data's words instead of a pretrained encoder's states."""
    return torch.tensor([[float(line.split().count(word)) for word in WORDS] for line in text])


def small(**changes: Any) -> Hyperparameters:
    """The profile `smoke` with several batches and epochs in every stage."""
    base = {"batch_size": 16, "meta_batch_size": 16, "pretrain_epochs": 3, "meta_epochs": 4, "max_epochs": 3}
    return hyperparameters("mosi", "smoke", base | {"extra_ratio": 1} | changes)


def tiny_bert(folder: Path, **shape: int) -> Path:
    """A BERT with random weights and the made-up data's vocabulary, saved as people save theirs; 16 dims by default."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join((*SPECIAL, *WORDS)) + "\n")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    tiny = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(SPECIAL) + len(WORDS), **{**tiny, **shape})).save_pretrained(folder)
    return folder


def tiny_t5(folder: Path, **shape: int) -> Path:
    """The same for T5: both halves of the model are saved, as in published checkpoints."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast, T5Config, T5Model

    ids = {word: i for i, word in enumerate(("<pad>", "</s>", "<unk>", *WORDS))}
    tokenizer = Tokenizer(WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(0)
    tiny = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    T5Model(T5Config(vocab_size=len(ids), decoder_start_token_id=0, **{**tiny, **shape})).save_pretrained(folder)
    return folder


def train_jointly(
    dataset: Dataset,
    hp: Hyperparameters,
    source: LabelSource,
    seed: int,
    folder: Path,
    checkpoint: Checkpoint | None = None,
    device: str = "cpu",
    network_of: joint.BuildNetwork | None = None,
) -> Result:
    """Stage 3 without the run store around it."""
    make = joint.builder(dataset, hp, source, device, network_of)
    return train_and_test(dataset, hp, make, seed, folder, checkpoint, device)


def exchanged(split: Split) -> Split:
    """The split with other labels (multimodal and unimodal), other text, other frames."""
    labels = np.random.default_rng(7).uniform(-3, 3, len(split)).astype(np.float32)
    sequences = {m: replace(s, frames=s.frames[::-1].copy()) for m, s in split.sequences.items()}
    true = dict.fromkeys(MODALITIES, labels)
    return replace(split, labels=labels, true_labels=true, text=split.text[::-1], sequences=sequences)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every artifact of a run; `done.json` holds times and is left out."""
    return {p.name: files.sha256(p) for p in sorted(folder.iterdir()) if p.name != "done.json"}


class StopAt:
    """Wraps a function; its n-th call is a Ctrl-C instead."""

    def __init__(self, function: Any, call: int) -> None:
        self.function, self.left = function, call

    def __call__(self, *args: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.function(*args)
