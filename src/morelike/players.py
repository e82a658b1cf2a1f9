"""The two networks of a run at any of its checkpoints, to be asked and not to be changed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from morelike.augment import MORE, NUMBERS, augment
from morelike.checkpoint import Checkpoint, DamagedCheckpoint
from morelike.conditions import drawn
from morelike.config import Config
from morelike.errors import UserError
from morelike.models import family
from morelike.models.adversarial import made_at_all_scales
from morelike.models.discriminator import Discriminator, Pictures
from morelike.models.layers import MinibatchDiscrimination, MinibatchStandardDeviation, wide
from morelike.pictures import from_uint8
from morelike.rng import SeedDraws, rng
from morelike.runs import Run
from morelike.sampling import stored_config

BATCH_NORMS = nn.modules.batchnorm._BatchNorm
MIXING = (BATCH_NORMS, MinibatchStandardDeviation, MinibatchDiscrimination)
"""Layers by which the answer to a picture depends on the others in its batch."""
ASKED_EVERY = 4
"""In a batch, each so many-th picture is one that is asked about: no two of them then meet in one
group of the minibatch standard deviation, which takes four neighbours."""
COMPANY_FROM = 3_000_000
"""Seeds of the samples that only keep company."""


class Made(NamedTuple):
    """Samples as the discriminator is shown them."""

    scales: Pictures
    """(N, C, H, W) in [-1, 1], at each resolution that it looks at, the smallest first."""
    condition: Tensor | None
    """(N, K), what they were made for; None where nothing is asked for."""

    def rows(self, rows: Any) -> Made:
        """Some of them: a slice, or indices."""
        condition = None if self.condition is None else self.condition[rows]
        return Made(tuple(scale[rows] for scale in self.scales), condition)


@dataclass(frozen=True)
class Players:
    """Both networks as they were at one checkpoint.

    **How the discriminator is asked.** As training asks it, as far as that can be repeated:

    - In training mode as to batch norm: the statistics are those of the batch, as they always were
      when it learnt. Its running averages are no use, being of real and generated batches mixed,
      which it never saw (unless `objective.joint_batch`). Measured on a DCGAN of CIFAR-10: it tells
      real from generated in 99.7 % of pairs in training mode, with answers as in the run's log, and
      in 74 % with running averages.
    - So in company: a quarter of each batch is asked about, the rest are training pictures (or, for
      samples, other samples of the same generator), and a batch is as large as in training.
      Training and held-out pictures are asked about in the same company, so that only they
      themselves can make a difference. With minibatch statistics it is the same. A discriminator
      that mixes nothing needs no company and gets none.
    - Augmented as in training, with the probability of that time, by random numbers that depend on
      the place in the array alone; not mirrored.
    - Samples come from the raw weights, in batches with batch norm of the batch, as those were the
      opponents; the averaged ones, which people see, on request.
    - Spectral norms stay as they are, nothing is learnt, running averages do not move; float32.
    """

    config: Config[Any, Any]
    images: int
    """Pictures shown when the checkpoint was written."""
    generator: nn.Module
    """Raw weights."""
    averaged: nn.Module
    """Their running average, which samples are made with."""
    discriminator: Discriminator | None
    missing: str
    """Why there is no discriminator, as a clause; empty if there is one."""
    device: torch.device
    notices: tuple[str, ...] = ()
    """What a person should know, such as a damaged checkpoint."""
    augmentation: float = 1.0
    """With which probability each change was made to each picture then."""

    @property
    def batch(self) -> int:
        """Pictures of one kind that go through a network together in training, on one process."""
        return max(1, self.config.training.batch // self.config.training.parts)

    @property
    def mixes(self) -> bool:
        """Whether the discriminator's answer to a picture depends on the others in its batch."""
        return self.discriminator is not None and any(
            isinstance(module, MIXING) for module in self.discriminator.modules()
        )

    def shown(self, images: np.ndarray, condition: np.ndarray | None = None) -> Made:
        """Real pictures as the discriminator is shown them, before augmentation.

        Args:
            images: (N, H, W, C) uint8.
            condition: (N, K), what they show (`conditions.encoded`), if the run is conditional.

        Raises:
            ValueError: if the run is conditional and no conditions are given.
        """
        size = self.config.condition.size
        if size and (condition is None or condition.shape != (len(images), size)):
            raise ValueError(f"the run is conditional: conditions ({len(images)}, {size}) needed")
        pictures = from_uint8(images, self.device)
        scales = self._asked().scales(pictures) if self.discriminator else (pictures,)
        told = (
            torch.from_numpy(condition).float().to(self.device)
            if condition is not None and size
            else None
        )
        return Made(scales, told)

    @torch.no_grad()
    def made(self, seeds: Sequence[int], *, averaged: bool = False) -> Made:
        """The samples of these seeds, before augmentation.

        With raw weights, as in training: batches of the training's size, batch norm of the batch;
        the last batch is filled up. With averaged ones the pictures that `morelike sample` makes,
        up to rounding.
        """
        network = self.averaged if averaged else self.generator
        chosen, parts, conditions = family(self.config.family), [], []
        for start in range(0, len(seeds), self.batch):
            some = list(seeds[start : start + self.batch])
            filled = some + list(range(COMPANY_FROM, COMPANY_FROM + self.batch - len(some)))
            draws = SeedDraws(filled, self.device)
            condition = drawn(self.config.condition, draws)
            given = chosen.inputs(self.config, draws, condition)
            with as_in_training(network, batch_norm=not averaged):
                made = made_at_all_scales(network, given)
            parts.append(tuple(scale[: len(some)] for scale in made))
            conditions.append(condition[: len(some)])
        scales = tuple(torch.cat(scale) for scale in zip(*parts, strict=True))
        return Made(scales, torch.cat(conditions) if self.config.condition.size else None)

    def logits_of_pictures(
        self,
        images: np.ndarray,
        train: np.ndarray,
        condition: np.ndarray | None = None,
        train_condition: np.ndarray | None = None,
    ) -> np.ndarray:
        """What the discriminator answers to real pictures among training pictures.

        Args:
            images: (N, H, W, C) uint8, those asked about: of the training or not.
            train: (M, H, W, C) uint8, training pictures, for company.
            condition: (N, K), of `images`, if the run is conditional.
            train_condition: (M, K), of `train`.

        Returns:
            (N,) float64; the higher, the more real.
        """
        if not len(images):
            return np.zeros(0)
        around = rng(0, "company").randint(0, len(train), 4 * self.batch)
        told = None if train_condition is None else train_condition[around]
        company = self.shown(np.asarray(train[around]), told)
        others = self._company() if self.config.objective.joint_batch else None
        return self._answers(self.shown(images, condition), company, others, "real")

    def logits_of_samples(
        self,
        seeds: Sequence[int],
        *,
        maker: Players | None = None,
        averaged: bool = False,
        train: np.ndarray | None = None,
        train_condition: np.ndarray | None = None,
    ) -> np.ndarray:
        """What the discriminator answers to samples among samples.

        Args:
            seeds: (N), of those asked about.
            maker: whose generator makes them, such as that of an older checkpoint; else this one.
            averaged: take the averaged weights.
            train: training pictures; only needed if real and generated pictures share a batch
                (`objective.joint_batch`).
            train_condition: (M, K), of `train`.

        Returns:
            (N,) float64.

        Raises:
            ValueError: if training pictures are needed and not given.
        """
        if not len(seeds):
            return np.zeros(0)
        maker = maker or self
        others = None
        if self.config.objective.joint_batch and self.mixes:
            if train is None:
                raise ValueError("real pictures share the batch in this run: give some")
            around = rng(0, "company").randint(0, len(train), 4 * self.batch)
            told = None if train_condition is None else train_condition[around]
            others = self.shown(np.asarray(train[around]), told)
        made = maker.made(seeds, averaged=averaged)
        return self._answers(made, maker._company(averaged=averaged), others, "fake")

    def _company(self, *, averaged: bool = False) -> Made:
        count = 4 * self.batch if self.mixes else 1
        return self.made(range(COMPANY_FROM, COMPANY_FROM + count), averaged=averaged)

    def _asked(self) -> Discriminator:
        if self.discriminator is None:
            raise ValueError(f"there is no discriminator to ask: {self.missing}")
        return self.discriminator

    @torch.no_grad()
    def _answers(self, asked: Made, company: Made, others: Made | None, kind: str) -> np.ndarray:
        """Logits of `asked`, each batch filled up with `company`, beside a batch of `others`."""
        network = self._asked()
        numbers = {
            name: self._numbers(name, count)
            for name, count in (("asked", len(asked.scales[0])), ("rest", 8 * self.batch))
        }
        room = len(range(0, self.batch, ASKED_EVERY)) if self.mixes else self.batch
        answers = []
        for turn, start in enumerate(range(0, len(asked.scales[0]), room)):
            rows = slice(start, start + room)
            batch = self._augmented(asked.rows(rows), numbers["asked"][rows])
            count = len(batch.scales[0])
            places = torch.arange(count)
            if self.mixes:
                places = torch.arange(0, self.batch, ASKED_EVERY)[:count]
                batch = self._among(batch, places, company, numbers["rest"][: self.batch], turn)
                if others is not None:
                    rest = self._some(others, self.batch, numbers["rest"][self.batch :], turn)
                    # Real ones come first in a joint batch.
                    pair = (batch, rest) if kind == "real" else (rest, batch)
                    batch = _joined(*pair)
                    places = places if kind == "real" else places + self.batch
            with as_in_training(network, batch_norm=True):
                features = network.features(*batch.scales)
                answers.append(wide(network.logits(features, batch.condition))[places])
        every = torch.cat(answers)
        # Of several logits for one picture, those of its patches, the mean.
        return every.reshape(len(every), -1).mean(1).double().cpu().numpy()

    def _numbers(self, name: str, count: int) -> np.ndarray:
        """The randomness of augmentation for so many pictures."""
        numbers = rng(0, "augment", name).random_sample((count, NUMBERS))
        if self.config.augment.always:
            return numbers
        more = rng(0, "augment", name, "more").random_sample((count, MORE))
        return np.concatenate([numbers, more], axis=1)

    def _some(self, whole: Made, count: int, numbers: np.ndarray, turn: int) -> Made:
        """Some of them, others in each turn, augmented."""
        chosen = (np.arange(count) + turn * count) % len(whole.scales[0])
        return self._augmented(whole.rows(torch.from_numpy(chosen)), numbers[:count])

    def _among(
        self, asked: Made, places: Tensor, company: Made, numbers: np.ndarray, turn: int
    ) -> Made:
        """A whole batch of company, with those asked about in their places."""
        whole = self._some(company, self.batch, numbers, turn)
        for scale, one in zip(whole.scales, asked.scales, strict=True):
            scale[places] = one
        if whole.condition is not None:
            assert asked.condition is not None
            whole.condition[places] = asked.condition
        return whole

    def _augmented(self, pictures: Made, numbers: np.ndarray) -> Made:
        settings = self.config.augment
        if not settings.policy:
            return pictures
        drawn_numbers = torch.from_numpy(numbers).float().to(self.device)
        first, more = drawn_numbers[:, :NUMBERS], drawn_numbers[:, NUMBERS:]
        how = settings.policy, settings.translation, settings.cutout
        chance = None if settings.always else self.augmentation
        scales = tuple(augment(scale, first, *how, chance, more) for scale in pictures.scales)
        return pictures._replace(scales=scales)


def players(run: Run, checkpoint: str | Checkpoint = "latest", device: str = "cpu") -> Players:
    """The networks of a run as they were at a checkpoint.

    A run without a discriminator (family regressor), or whose discriminator's weights do not fit
    this version of it, gives `discriminator` None and says why in `missing`.

    Args:
        run: its folder.
        checkpoint: best, latest, a number of images, or one of `run.checkpoints.all()`.
        device: where they are to run.

    Raises:
        UserError: if there is no such checkpoint, it is damaged, or the generator does not fit.
    """
    notices: list[str] = []
    if isinstance(checkpoint, str):
        checkpoint, notices = run.checkpoints.find(checkpoint)
    config = stored_config(run.config(), str(run.path / "config.json"))
    target = torch.device(device)
    with torch.random.fork_rng(devices=[]):  # initial weights must not disturb anybody's numbers
        first, second = (family(config.family).build(config) for _ in range(2))
    try:
        tensors, meta = checkpoint.tensors(), checkpoint.meta()
    except DamagedCheckpoint as error:
        raise UserError(f"{error}; choose another checkpoint.") from error
    try:
        for network, prefix in ((first.generator, "generator."), (second.generator, "ema.")):
            network.load_state_dict(_under(tensors, prefix))
    except RuntimeError as error:
        raise UserError(
            f"the weights in {checkpoint.path} do not fit its configuration."
        ) from error
    discriminator, missing = first.discriminator, ""
    if not any(True for _ in discriminator.parameters()):
        discriminator, missing = None, f"the family {config.family} trains without one"
    else:
        try:
            discriminator.load_state_dict(_under(tensors, "discriminator."))
        except RuntimeError:
            discriminator = None
            missing = "its weights are of another version of morelike"
    for network in (first.generator, second.generator, discriminator):
        if network is not None:
            network.to(target, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            network.eval().requires_grad_(False)
    return Players(
        config,
        checkpoint.images,
        first.generator,
        second.generator,
        discriminator,
        missing,
        target,
        tuple(notices),
        # The first of what the control keeps (`training/state.py`).
        meta["augment"][0] if "augment" in meta else config.augment.start,
    )


def spread_over(found: Sequence[Checkpoint], count: int) -> list[Checkpoint]:
    """At most `count` checkpoints of a run, evenly by their place, the first and the last always.

    They are written by the clock, so places and pictures shown are nearly the same thing.
    """
    if len(found) <= count:
        return list(found)
    places = np.unique(np.linspace(0, len(found) - 1, count).round().astype(int))
    return [found[place] for place in places]


@contextmanager
def as_in_training(network: nn.Module, *, batch_norm: bool) -> Iterator[None]:
    """Batch norm takes the batch's statistics and remembers none of them; all else is as in
    evaluation, so that no spectral norm takes a step.
    """
    network.eval()
    norms = [m for m in network.modules() if isinstance(m, BATCH_NORMS)] if batch_norm else []
    buffers = list(itertools.chain.from_iterable(norm.buffers() for norm in norms))
    before = [buffer.clone() for buffer in buffers]
    try:
        for norm in norms:
            norm.train()
        yield
    finally:
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
        network.eval()


def _joined(one: Made, other: Made) -> Made:
    scales = tuple(torch.cat(pair) for pair in zip(one.scales, other.scales, strict=True))
    if one.condition is None or other.condition is None:
        return Made(scales, None)
    return Made(scales, torch.cat([one.condition, other.condition]))


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
