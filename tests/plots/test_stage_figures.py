"""What stage 1's pictures plot, against values worked out by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from mugkit.data.schema import MODALITIES
from mugkit.plots import stage_figures
from mugkit.training.pretrain import SavedRepresentations


def representations(clips: int = 40, shift: float = 0.0, seed: int = 0) -> SavedRepresentations:
    """Random x_m, x_m′ = x_m plus a shift, predictions off by one from y."""
    draw = torch.Generator().manual_seed(seed)
    x = {m: torch.randn(clips, 6, generator=draw) for m in MODALITIES}
    y = torch.randn(clips, generator=draw)
    return SavedRepresentations(x, {m: v + shift for m, v in x.items()}, dict.fromkeys(MODALITIES, y + 1), y)


@pytest.mark.parametrize("rho", [1.0, 3.0])
@pytest.mark.parametrize("correction", [-1.0, 0.0, 0.5])
def test_corrected_equals_equation_28_in_float64(rho: float, correction: float) -> None:
    noisy = torch.linspace(-rho, rho, 9)
    for residual, scale in (("paper", 1.0), ("scaled", 1 / rho)):
        expected = rho * np.tanh(noisy.double().numpy() * scale + correction)
        found = stage_figures.corrected(noisy, correction, rho, residual).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_plot_mucn_draws_the_curves_it_is_given() -> None:
    curves = stage_figures.mucn_curves(1.0)
    paper, _ = stage_figures.plot_mucn(curves).axes
    middle = curves[(curves["residual"] == "paper") & (curves["correction"] == 0)]
    drawn = next(line for line in paper.lines if line.get_label() == "y′ = 0")
    np.testing.assert_array_equal(drawn.get_ydata(), middle["corrected"])


def test_losses_of_guesses_by_hand() -> None:
    # The median of 0, 1, 5 is 1; distances 1, 0, 4. The mean, 2, would be worse: 2, 1, 3.
    assert stage_figures.constant_loss(np.array([0.0, 1.0, 5.0])) == pytest.approx(5 / 3)
    # Ten clips in batches of four: two of four clips, one of two.
    assert stage_figures.chance_loss(10, 4) == pytest.approx(5 / 3 * np.log(2))


def test_plot_losses_draws_terms_and_both_references() -> None:
    losses = {f"{kind}_{m}": 1.0 for kind in ("projected", "contrastive") for m in MODALITIES}
    history = [{"epoch": e, "multimodal": 2.0 - e, **losses} for e in range(2)]
    left, right = stage_figures.plot_losses(history, constant=1.7, chance=4.2).axes
    np.testing.assert_array_equal(left.lines[0].get_xydata(), [[1, 2.0], [2, 1.0]])
    assert list(left.lines[-1].get_ydata()) == [1.7, 1.7]
    assert list(right.lines[-1].get_ydata()) == [4.2, 4.2]


def test_gap_table_separates_shifted_from_equal_and_bars_have_its_heights() -> None:
    table = stage_figures.gap_measures({"equal": representations(), "shifted": representations(shift=50.0)})
    rows = table.set_index(["network", "modality"])
    for m in MODALITIES:
        assert rows.loc[("equal", m), ["probe", "retrieval", "distance"]].tolist() == [50, 100, 0]
        assert rows.loc[("shifted", m), "probe"] > 80
        assert rows.loc[("shifted", m), "projected_loss"] == pytest.approx(1.0)
        assert rows.loc[("equal", m), "label_x"] == pytest.approx(rows.loc[("equal", m), "label_projected"])
    probe, retrieval, distance = stage_figures.plot_gap(table).axes
    for axes, column in ((probe, "probe"), (retrieval, "retrieval"), (distance, "distance")):
        assert [bar.get_height() for bar in axes.patches] == pytest.approx(table[column].tolist())
    assert retrieval.lines[-1].get_ydata()[0] == pytest.approx(100 / 32)


def test_embed_draws_the_same_clips_everywhere_and_its_points_are_plotted() -> None:
    saved = {"one": representations(), "two": representations(seed=1)}
    first, second = (stage_figures.embed(saved, clips=12) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert all(set(part["clip"]) == set(first["clip"]) for _, part in first.groupby(["network", "modality", "kind"]))
    figure = stage_figures.plot_embedding(first[first["network"] == "one"], {("one", "a"): "probe 99 %"})
    assert [axes.get_title() for axes in figure.axes] == ["language, one", "acoustic, one\nprobe 99 %", "visual, one"]
    drawn = first.query("network == 'one' and modality == 'a' and kind != 'x_m'")[["across", "up"]]
    np.testing.assert_array_equal(figure.axes[1].collections[1].get_offsets(), drawn)
