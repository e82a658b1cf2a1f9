"""The discriminator that most families share: a trunk of their own, and what is read off it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from morelike.config import Config
from morelike.models.layers import MinibatchDiscrimination, spectrally_normalised

Pictures = tuple[Tensor, ...]
"""The same pictures at each resolution that D looks at; for most families only one."""


MEANS = ("logit_real", "logit_fake")
"""What the mean logits of an update are called."""


class RunningMeans(nn.Module):
    """Running means of D's logits, which LeCam holds them to (Tseng et al. 2021, eq. 6 and 7)."""

    real: Tensor
    fake: Tensor

    def __init__(self, decay: float) -> None:
        """`decay`: how much of them stays in each update. They begin at 0."""
        super().__init__()
        self.decay = decay
        for name in ("real", "fake"):
            self.register_buffer(name, torch.zeros(()))

    @torch.no_grad()
    def move(self, real: Tensor, fake: Tensor) -> None:
        """Towards the means of one batch, scalars."""
        for mean, now in ((self.real, real), (self.fake, fake)):
            mean.lerp_(now.to(mean), 1 - self.decay)


class Discriminator(nn.Module):
    """Pictures (B, *shape) in [-1, 1] -> logits (B,).

    The trunk makes features (B, F) of the pictures; the logit is linear in them. With a condition y
    (B, K) and `condition.projection` the logit is w f(x) + <V y, f(x)> (Miyato & Koyama 2018, eq.
    3); with `condition.auxiliary` there is a linear classifier on the features too.
    """

    def __init__(
        self,
        trunk: nn.Module,
        features: int,
        config: Config[Any, Any],
        initialise: Callable[[nn.Module], None],
        *,
        discrimination: int = 0,
        spectral_norm: bool = False,
    ) -> None:
        """Put heads on a trunk.

        Args:
            trunk: pictures, at each resolution it looks at, to (B, features).
            features: how many there are.
            config: says by what pictures are conditioned.
            initialise: the family's, given trunk and heads together.
            discrimination: measures of minibatch discrimination that the logit gets besides.
            spectral_norm: whether every weight is normalised.
        """
        super().__init__()
        condition = config.condition
        size = condition.size
        self.trunk = trunk
        self.closeness = (
            MinibatchDiscrimination(features, discrimination) if discrimination else None
        )
        # No bias: it would move all logits alike, to which half of the losses are blind.
        self.logit = nn.Linear(features + discrimination, 1, bias=False)
        self.projection = (
            nn.Linear(size, features, bias=False) if size and condition.projection else None
        )
        self.classifier = nn.Linear(features, size) if size and condition.auxiliary else None
        self.means = RunningMeans(config.penalty.lecam_decay) if config.penalty.lecam else None
        initialise(self)
        if spectral_norm:
            spectrally_normalised(self)

    def scales(self, pictures: Tensor) -> Pictures:
        """The pictures at each resolution that the trunk looks at."""
        return (pictures,)

    def features(self, *scales: Tensor) -> Tensor:
        """(B, F) of pictures at each resolution."""
        return self.trunk(*scales)

    def logits(self, features: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B,) of features and, where there is one, the condition."""
        joined = features if self.closeness is None else self.closeness(features)
        logits = self.logit(joined).flatten()
        if self.projection is None or condition is None:
            return logits
        return logits + (self.projection(condition) * features).sum(1)

    def forward(self, *scales: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B,) of pictures: at their full resolution, or at each that the trunk looks at."""
        if len(scales) == 1:
            scales = self.scales(scales[0])
        return self.logits(self.features(*scales), condition)

    def remember(self, observed: Mapping[str, Tensor]) -> None:
        """After an update: take the logits' means into the running ones, if there are any."""
        if self.means is not None:
            self.means.move(observed[MEANS[0]], observed[MEANS[1]])

    def misnamed(self, features: Tensor, condition: Tensor, classes: int) -> Tensor:
        """How wrong the auxiliary classifier is, a scalar: cross-entropy over the classes (Odena et
        al. 2017, eq. 3), plus the mean squared error of the attributes behind them.
        """
        assert self.classifier is not None
        named = self.classifier(features)
        wrong = named.new_zeros(())
        if classes:
            wrong = F.cross_entropy(named[:, :classes], condition[:, :classes])
        if named.shape[1] > classes:
            wrong = wrong + F.mse_loss(named[:, classes:], condition[:, classes:])
        return wrong
