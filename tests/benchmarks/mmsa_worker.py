"""MMSA 2.2.1's Self_MM trainer, one batch at a time. Runs in MMSA's own environment, which has no mugkit.

    python mmsa_worker.py        commands come as lines of JSON on standard input, answers go to standard output

    {"open": SETTINGS, "weights": PATH}   makes model and trainer; leaves the initial weights as safetensors
    {"batch": [3, 17, …]}                 one step of MMSA's own `do_train` on these clips → {"seconds", "loss"}
    {"epoch": true}                       ends MMSA's epoch: its validation, on one clip

`do_train` is MMSA's, unchanged: what it iterates over in place of a DataLoader waits for the next command. A step lasts
from the moment it is given its batch to the moment it asks for the next batch; putting a batch together, which MMSA
leaves to other processes, is not counted. Its seconds are those that the processor worked for this process.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import default_collate

torch.cuda.set_device = lambda *_: None  # MMSA names a GPU even where it has none
answers = sys.stdout
sys.stdout = sys.stderr  # whatever MMSA prints is no answer


def answer(**values: Any) -> None:
    print(json.dumps(values), file=answers, flush=True)


def command() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    found: dict[str, Any] = json.loads(line)
    return found


class Feed:
    """What `do_train` takes for its training DataLoader.

    Args:
        dataset: MMSA's.
        trainer: MMSA's; each step's losses are read off its `weighted_loss`.
    """

    def __init__(self, dataset: Any, trainer: Any) -> None:
        self.dataset, self.passes, own = dataset, 0, trainer.weighted_loss
        self.losses: list[torch.Tensor] = []

        def noted(*given: Any, **named: Any) -> torch.Tensor:
            loss = own(*given, **named)
            self.losses.append(loss.detach())
            return loss

        trainer.weighted_loss = noted

    def __len__(self) -> int:
        return 1

    def batch(self, index: list[int]) -> Any:
        return default_collate([self.dataset[clip] for clip in index])

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        if self.passes == 1:  # `do_train` notes the labels of all clips first
            yield self.batch(list(range(len(self.dataset))))
            answer(ready=True)
            return
        while not (asked := command()).get("epoch"):
            given = self.batch(asked["batch"])
            self.losses.clear()
            started = time.process_time()
            yield given
            seconds = time.process_time() - started
            answer(seconds=seconds, loss=float(sum(self.losses)))
        answer(ready=True)


def session(settings: dict[str, Any], weights: str) -> None:
    """One model, trained as the commands say."""
    from MMSA.config import get_config_regression
    from MMSA.data_loader import MMDataset
    from MMSA.models import AMIO
    from MMSA.trains import ATIO
    from safetensors.torch import save_model

    torch.set_num_threads(settings.pop("threads"))
    without_dropout = settings.pop("without_dropout")
    args = get_config_regression("self_mm", "mosi")
    for name in ("feature_T", "feature_A", "feature_V"):
        args[name] = ""
    args.update(settings, device=torch.device("cpu"), custom_feature=settings["featurePath"], train_mode="regression")
    train = MMDataset(args, "train")
    args["feature_dims"][0] = args["text_out"]
    args["train_samples"] = len(train)
    torch.manual_seed(settings["seed"])
    model, trainer = AMIO(args), ATIO().getTrain(args)
    if without_dropout:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    save_model(model.Model, weights)
    batches = [default_collate([train[0]])]
    trainer.do_train(model, {"train": Feed(train, trainer), "valid": batches, "test": batches})


if __name__ == "__main__":
    logging.disable()
    opened = command()
    session(opened["open"], opened["weights"])
