"""What most families read off a trunk's features: logit, projection, classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike.models import configure
from morelike.models.discriminator import Discriminator, Pictures

FEATURES = 5
CLASSES = ("a", "b", "c")
LABEL: dict[str, Any] = {"on": ["label"], "classes": dict.fromkeys(CLASSES, 1 / 3)}
SIZES: dict[str, Any] = {"on": ["x", "y"], "ranges": {"x": [0, 1], "y": [-2, 5]}}
BOTH: dict[str, Any] = {**LABEL, **SIZES, "on": ["label", "x", "y"]}
EACH = {"label": LABEL, "attributes": SIZES, "both": BOTH}
every_condition = pytest.mark.parametrize("kind", EACH)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def scattered(network: nn.Module) -> None:
    """Every weight of its own, and none at 0."""
    with torch.no_grad():
        for index, parameter in enumerate(network.parameters()):
            parameter.copy_(numbers(*parameter.shape, seed=100 + index))


def a_trunk() -> nn.Module:
    """(B, 1, 2, 3) -> (B, 5)."""
    return nn.Sequential(nn.Flatten(), nn.Linear(6, FEATURES), nn.Tanh())


def made(condition: dict[str, Any], **more: Any) -> Discriminator:
    """On the trunk above, in float64."""
    config = configure({"family": "mlp", "condition": condition})
    return Discriminator(a_trunk(), FEATURES, config, scattered, **more).double()


def conditions(kind: str, count: int = 4) -> Tensor:
    """Labels for certain and mixed, attributes within their range and beyond."""
    rows = [[1, 0, 0], [0, 0, 1], [0.5, 0.5, 0], [0.1, 0.2, 0.7]]
    labels = torch.tensor(rows, dtype=torch.float64).repeat(count // 4, 1)
    attributes = 1.5 * numbers(count, 2, seed=9)
    parts = {"label": [labels], "attributes": [attributes], "both": [labels, attributes]}
    return torch.cat(parts[kind], 1)


def array(weight: Tensor) -> np.ndarray:
    return weight.detach().numpy()


# --- the logit ---


@every_condition
def test_the_projection_is_an_inner_product(kind: str) -> None:
    network = made(EACH[kind])
    assert network.projection is not None
    features, condition = numbers(4, FEATURES), conditions(kind)
    found = array(network.logits(features, condition))
    w, embeddings = array(network.logit.weight)[0], array(network.projection.weight)
    for row in range(4):
        f, y = features[row].numpy(), condition[row].numpy()
        # As the paper's figure 1 (d) has it: psi(f) and the embedding of y, times f.
        embedded = sum(y[k] * embeddings[:, k] for k in range(len(y)))
        expected = float(w @ f) + float(np.dot(embedded, f))
        assert found[row] == pytest.approx(expected, rel=1e-12)


def test_a_mixture_s_logit_lies_between_those_of_its_labels() -> None:
    network = made(LABEL)
    features = numbers(1, FEATURES)
    one, two, half = (
        network.logits(features, torch.tensor([y]).double()).item()
        for y in ([1, 0, 0], [0, 1, 0], [0.5, 0.5, 0])
    )
    assert one != two
    assert half == pytest.approx((one + two) / 2, rel=1e-12)


@every_condition
def test_a_picture_is_judged_by_its_own_condition(kind: str) -> None:
    network, pictures, condition = made(EACH[kind]), numbers(4, 1, 2, 3), conditions(kind)
    together = network(pictures, condition=condition)
    for row in range(4):
        alone = network(pictures[row : row + 1], condition=condition[row : row + 1])
        assert alone.item() == pytest.approx(together[row].item(), rel=1e-12)
    swapped = network(pictures, condition=condition.flip(0))
    assert (swapped - together).abs().min() > 1e-3


@every_condition
def test_without_a_condition_the_logit_is_the_unconditional_one(kind: str) -> None:
    pictures = numbers(4, 1, 2, 3)
    network = made(EACH[kind])
    found = network(pictures)
    expected = np.tanh(
        pictures.flatten(1).numpy() @ array(network.trunk[1].weight).T  # type: ignore[index]
        + array(network.trunk[1].bias)  # type: ignore[index]
    ) @ array(network.logit.weight[0])
    np.testing.assert_allclose(array(found), expected, rtol=0, atol=1e-12)
    # As it is where the condition is 0, and for a discriminator that knows of none.
    assert torch.equal(found, network(pictures, condition=torch.zeros_like(conditions(kind))))
    assert torch.equal(found, made({})(pictures))


def test_without_projection_the_logit_does_not_see_the_condition() -> None:
    network = made({**LABEL, "projection": False, "auxiliary": 1.0})
    pictures = numbers(4, 1, 2, 3)
    assert network.projection is None
    assert torch.equal(network(pictures), network(pictures, condition=conditions("label")))


def test_the_logit_is_linear_in_the_features() -> None:
    network, (one, two), y = made(LABEL), numbers(2, 1, FEATURES), conditions("label")[:1]
    total = network.logits(2 * one - 3 * two, y)
    parts = 2 * network.logits(one, y) - 3 * network.logits(two, y)
    torch.testing.assert_close(total, parts, rtol=1e-12, atol=1e-12)
    assert not network.logits(torch.zeros_like(one), y).any()  # no bias


# --- the classifier ---


def misnamed_in_numpy(answers: np.ndarray, condition: np.ndarray, classes: int) -> float:
    wrong = 0.0
    if classes:
        chances = np.exp(answers[:, :classes])
        chances /= chances.sum(1, keepdims=True)
        wrong -= (condition[:, :classes] * np.log(chances)).sum(1).mean()
    if answers.shape[1] > classes:
        wrong += ((answers[:, classes:] - condition[:, classes:]) ** 2).mean()
    return wrong


@every_condition
@pytest.mark.parametrize("projection", [False, True])
def test_misnamed_in_numpy(kind: str, projection: bool) -> None:
    network = made({**EACH[kind], "auxiliary": 1.0, "projection": projection})
    assert network.classifier is not None
    features, condition = numbers(4, FEATURES), conditions(kind)
    classes = 0 if kind == "attributes" else 3
    found = network.misnamed(features, condition, classes)
    assert found.shape == ()
    weight, bias = array(network.classifier.weight), array(network.classifier.bias)
    answers = features.numpy() @ weight.T + bias
    expected = misnamed_in_numpy(answers, condition.numpy(), classes)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    found.backward()
    assert network.classifier.weight.grad is not None
    assert network.classifier.weight.grad.abs().min() > 0
    assert network.logit.weight.grad is None


def test_misnamed_known_values() -> None:
    network = made({**BOTH, "auxiliary": 1.0})
    assert network.classifier is not None
    condition = conditions("both")
    with torch.no_grad():  # it answers the same to everything
        network.classifier.weight.zero_()
        network.classifier.bias.copy_(torch.tensor([2.0, 2.0, 2.0, 0.5, -0.5]))
    condition[:, 3:] = torch.tensor([0.5, 1.5])
    found = network.misnamed(numbers(4, FEATURES), condition, 3).item()
    # Three labels alike likely; one attribute right, the other wrong by 2.
    assert found == pytest.approx(np.log(3) + (0 + 4) / 2, rel=1e-12)


# --- what it is made of ---


@every_condition
@pytest.mark.parametrize(
    ("heads", "more"),
    [
        ({"projection": True}, {"projection.weight"}),
        ({"projection": False, "auxiliary": 1.0}, {"classifier.weight", "classifier.bias"}),
        (
            {"projection": True, "auxiliary": 1.0},
            {"projection.weight", "classifier.weight", "classifier.bias"},
        ),
    ],
    ids=str,
)
def test_only_who_has_a_condition_has_weights_for_it(
    kind: str, heads: dict[str, Any], more: set[str]
) -> None:
    size = {"label": 3, "attributes": 2, "both": 5}[kind]
    plain = {"trunk.1.weight", "trunk.1.bias", "logit.weight"}
    assert made(heads).state_dict().keys() == plain
    held = made({**EACH[kind], **heads}).state_dict()
    assert held.keys() == plain | more
    shapes = {"projection.weight": (5, size), "classifier.weight": (size, 5)}
    assert all(held[key].shape == shape for key, shape in shapes.items() if key in more)


def test_trunk_and_heads_are_initialised_together_and_then_normalised() -> None:
    seen: list[tuple[set[str], bool]] = []

    def initialise(network: nn.Module) -> None:
        normalised = any(hasattr(m, "parametrizations") for m in network.modules())
        seen.append(({key for key, _ in network.named_parameters()}, normalised))

    config = configure({"family": "mlp", "condition": {**BOTH, "auxiliary": 1.0}})
    Discriminator(a_trunk(), FEATURES, config, initialise, discrimination=2, spectral_norm=True)
    ((names, normalised),) = seen
    assert not normalised
    heads = {"logit.weight", "projection.weight", "classifier.weight", "classifier.bias"}
    assert names == heads | {"trunk.1.weight", "trunk.1.bias", "closeness.weight"}


@pytest.mark.parametrize("spectral", [False, True])
def test_minibatch_discrimination_and_spectral_norm_in_numpy(spectral: bool) -> None:
    condition = {**BOTH, "auxiliary": 1.0}
    network = made(condition, discrimination=3, spectral_norm=spectral)
    for _ in range(1000):  # steps of the power iteration
        network(numbers(8, 1, 2, 3), condition=conditions("both", 8))
        assert network.classifier is not None
        network.misnamed(numbers(8, FEATURES), conditions("both", 8), 3)
    network.eval()

    # The weights as they were drawn, each by its largest singular value.
    drawn = made(condition, discrimination=3).state_dict()

    def weight(name: str) -> np.ndarray:
        found = drawn[f"{name}.weight"].numpy()
        return found / np.linalg.svd(found)[1][0] if spectral else found

    pictures, y = numbers(4, 1, 2, 3, seed=1), conditions("both")
    flat = pictures.flatten(1).numpy()
    features = np.tanh(flat @ weight("trunk.1").T + drawn["trunk.1.bias"].numpy())
    # Closeness has a tensor of its own, which is not normalised.
    matrices = (features @ drawn["closeness.weight"].numpy()).reshape(4, 3, 5)
    closeness = np.zeros((4, 3))
    for i, j, b in np.ndindex(4, 4, 3):
        closeness[i, b] += np.exp(-np.abs(matrices[i, b] - matrices[j, b]).sum())
    assert (closeness > 1 + 1e-3).any()  # it says something
    expected = np.concatenate([features, closeness], 1) @ weight("logit")[0]
    expected += np.einsum("bk,fk,bf->b", y.numpy(), weight("projection"), features)
    np.testing.assert_allclose(array(network(pictures, condition=y)), expected, rtol=1e-8)

    wrong = network.misnamed(torch.from_numpy(features), y, 3).item()
    answers = features @ weight("classifier").T + drawn["classifier.bias"].numpy()
    assert wrong == pytest.approx(misnamed_in_numpy(answers, y.numpy(), 3), rel=1e-8)


def test_only_minibatch_discrimination_mixes_pictures() -> None:
    pictures = numbers(4, 1, 2, 3) / 4
    for measures in (0, 3):
        network = made(LABEL, discrimination=measures)
        y = conditions("label")
        alone = torch.cat([network(pictures[i : i + 1], condition=y[i : i + 1]) for i in range(4)])
        difference = (alone - network(pictures, condition=y)).abs()
        assert (difference.max() < 1e-12) if not measures else (difference.min() > 1e-6)


# --- pictures at several resolutions ---


class TwoScales(nn.Module):
    """Features of a picture and of its half."""

    def forward(self, whole: Tensor, half: Tensor) -> Tensor:
        """(B, 5)."""
        return torch.cat([whole.flatten(1)[:, :3], half.flatten(1)[:, :2]], 1)


class OfTwoScales(Discriminator):
    """Looks at a picture's left half too."""

    def scales(self, pictures: Tensor) -> Pictures:
        """The picture, and its half."""
        return pictures, pictures[..., : pictures.shape[3] // 2]


def test_pictures_at_one_resolution_or_at_each() -> None:
    config = configure({"family": "mlp", "condition": LABEL})
    network = OfTwoScales(TwoScales(), FEATURES, config, scattered).double()
    pictures, y = numbers(4, 1, 2, 4), conditions("label")
    half = pictures[..., :2]
    expected = network.logits(network.features(pictures, half), y)
    assert torch.equal(network(pictures, condition=y), expected)
    assert torch.equal(network(pictures, half, condition=y), expected)
    # What is given is what it looks at.
    assert not torch.equal(network(pictures, -half, condition=y), expected)


def test_most_look_at_one_resolution() -> None:
    pictures = numbers(4, 1, 2, 3)
    network = made({})
    (only,) = network.scales(pictures)
    assert only is pictures
    torch.testing.assert_close(network.features(pictures), network.trunk(pictures))
