"""What a notebook writes: figures with their numbers beside them, and the manifest that records how they were made."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
from filelock import FileLock
from matplotlib.figure import Figure

from mugkit import files
from mugkit.config import Profile
from mugkit.data.schema import Dataset
from mugkit.device import choose_device
from mugkit.experiments.run_store import versions

NO_RESULT = "smoke: these numbers mean nothing"  # on all outputs of a profile with too few epochs


@dataclass
class Outputs:
    """Collects what one notebook (its file name without extension) writes below `folder` for `manifest.json`."""

    folder: Path
    notebook: str
    profile: Profile
    dataset: Dataset
    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def note(self, paths: Sequence[Path]) -> None:
        """Records written files and when they were finished."""
        for path in paths:
            name = path.relative_to(self.folder).as_posix()
            self.seconds[name] = round(time.perf_counter() - self.started, 1)

    def figure(self, figure: Figure, name: str, numbers: Any) -> None:
        """Writes `name.png`, `name.svg` and the plotted numbers as `name.json`."""
        if self.profile.name == "smoke":
            figure.text(0.5, 0.5, NO_RESULT, rotation=20, alpha=0.35, fontsize=18, ha="center", va="center")
        targets = save_figure(figure, self.folder, name)
        files.write_json(self.folder / f"{name}.json", numbers)
        self.note([*targets, self.folder / f"{name}.json"])

    def finish(self) -> list[str]:
        """Enters everything into the manifest, next to other notebooks' entries; returns the file names."""
        shared = {
            "notebook": self.notebook, "dataset": self.dataset.name, "data": self.dataset.fingerprint,
            "profile": self.profile.name, "seeds": [*self.profile.seeds, *self.profile.more_seeds],
            "versions": versions(), "device": str(choose_device()),
        }  # fmt: skip
        entries = {
            name: {**shared, "seconds": seconds, "sha256": files.sha256(self.folder / name)}
            for name, seconds in self.seconds.items()
        }
        enter(self.folder, self.notebook, entries)
        return sorted(entries)


def enter(folder: Path, maker: str, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Enters a maker's outputs into the folder's `manifest.json`; they replace its earlier entries."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.json"
    (files.home() / "runs").mkdir(parents=True, exist_ok=True)
    with FileLock(files.home() / "runs" / "manifest.lock"):
        before = files.read_json(path) if path.exists() else {}
        kept = {name: entry for name, entry in before.items() if entry.get("notebook") != maker}
        files.write_json(path, dict(sorted({**kept, **entries}.items())))


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes `name.png` and `name.svg`, without date and random element names: equal pictures are equal files."""
    targets = {folder / f"{name}.png": {"Software": None}, folder / f"{name}.svg": {"Date": None}}
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        for target, metadata in targets.items():
            with files.atomic_path(target) as temporary:
                ending = target.suffix[1:]
                figure.savefig(temporary, format=ending, dpi=150, bbox_inches="tight", metadata=metadata)
    return list(targets)
