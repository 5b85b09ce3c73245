"""What tests of all stages share: a text encoder that costs nothing."""

from __future__ import annotations

import pytest
from small import bag_of_words

from mugkit.data import text


@pytest.fixture(autouse=True)
def cheap_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_encode", bag_of_words)
