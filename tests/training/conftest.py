"""What tests of all stages share: a text encoder that costs nothing."""

import pytest


@pytest.fixture(autouse=True)
def _texts(cheap_text: None) -> None:
    """Every stage reads texts."""
