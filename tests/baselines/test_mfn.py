"""MFN: what its memory is fed with; the memory is tested in tests/models/test_memory.py."""

import torch
from batches import SHAPES, token_batch

from mugkit.baselines.mfn import MFN, MFNConfig
from mugkit.models.memory import MemorySizes

SMALL = MFNConfig(MemorySizes((3, 2, 2), 4, (5, 0.5), (5, 0.5), (5, 0.5), (5, 0.5)), (4, 0.5))


def test_mfn_reads_frames_averaged_to_tokens() -> None:
    torch.manual_seed(0)
    network, batch = MFN(SHAPES, None, SMALL).eval(), token_batch((2,))
    acoustic, visual = batch.frames["a"].values[0], batch.frames["v"].values[0]
    # Five acoustic frames for two tokens: two and three. One visual frame: both tokens see it.
    views = (
        batch.text.values,
        torch.stack([acoustic[:2].mean(0), acoustic[2:].mean(0)])[None],
        visual.expand(2, -1)[None],
    )
    expected = network.output(network.encoder(views, batch.text.mask))[:, 0]
    torch.testing.assert_close(network(batch), expected)
