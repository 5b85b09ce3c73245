"""Seeds: a stream for every purpose, and the order of clips."""

import zlib

import torch

from mugkit.training import seeding


def test_derive_seed_is_checksum_of_purpose() -> None:
    # The same on every machine and in every process, unlike hash().
    assert seeding.derive_seed(1111, "meta", "a", 3) == zlib.crc32(b"(1111, 'meta', 'a', 3)")


def test_derive_seed_differs_by_seed_name_and_order() -> None:
    names = [(1111,), (1112,), (1111, "a"), (1111, "v"), (1111, "a", "v"), (1111, "v", "a"), (1111, 1), (1111, "1")]
    assert len({seeding.derive_seed(*name) for name in names}) == len(names)


def test_shuffled_holds_every_clip_once_in_another_order_each_epoch() -> None:
    orders = [seeding.shuffled(50, 1111, epoch).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in [*orders, range(50)]}) == 4
    assert seeding.shuffled(50, 1111, 0).tolist() == orders[0]
    assert seeding.shuffled(50, 1112, 0).tolist() != orders[0]


def test_similar_lengths_one_span_sorts_by_length() -> None:
    # With all clips in one span, batches are runs of the sorted lengths, in some order.
    lengths = torch.tensor([5, 1, 9, 3, 7, 2, 8, 4, 10])
    batches = seeding.similar_lengths(lengths, batch_size=2, seed=3, epoch=0, span=8)
    assert sorted(sorted(lengths[batch].tolist()) for batch in batches) == [[1, 2], [3, 4], [5, 7], [8, 9], [10]]


def test_similar_lengths_epochs_and_seeds_differ_and_repeat() -> None:
    def drawn(seed: int, epoch: int) -> list[list[int]]:
        return [b.tolist() for b in seeding.similar_lengths(torch.arange(40) % 5, 4, seed, epoch)]

    assert drawn(1, 0) == drawn(1, 0)
    assert drawn(1, 0) != drawn(1, 1)
    assert drawn(1, 0) != drawn(2, 0)
