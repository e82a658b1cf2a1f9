from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from morelike.models.layers import (
    MinibatchDiscrimination,
    MinibatchStandardDeviation,
    SpectralNorm,
    spectrally_normalised,
)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def with_singular_values(values: list[float], shape: tuple[int, ...]) -> Tensor:
    """A weight that is U diag(values) V^T as a matrix."""
    rows, columns = shape[0], int(np.prod(shape[1:]))
    left, _ = np.linalg.qr(numbers(rows, rows, seed=1).numpy())
    right, _ = np.linalg.qr(numbers(columns, columns, seed=2).numpy())
    count = len(values)
    matrix = left[:, :count] * values @ right[:, :count].T
    return torch.from_numpy(matrix).reshape(shape)


def largest(weight: Tensor) -> float:
    matrix = weight.detach().double().numpy().reshape(len(weight), -1)
    return float(np.linalg.svd(matrix, compute_uv=False)[0])


# --- spectral normalisation ---


LAYERS = [nn.Linear(7, 5), nn.Linear(5, 7), nn.Conv2d(3, 6, 3), nn.Conv2d(6, 2, 1)]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_largest_singular_value_comes_to_one(layer: nn.Module, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = copy.deepcopy(layer).to(dtype)
    values = [4.0, 3.0, 1.0, 0.5, 0.1][: min(len(layer.weight), layer.weight[0].numel())]
    with torch.no_grad():
        layer.weight.copy_(with_singular_values(values, layer.weight.shape))
    spectrally_normalised(layer)
    # After n steps the square of what is missing is of the order of (3 / 4)^2n.
    for _ in range(100):
        weight = layer.weight
    assert largest(weight) == pytest.approx(1, abs=1e-6)
    expected = with_singular_values(values, weight.shape) / 4
    torch.testing.assert_close(weight.double(), expected, rtol=0, atol=1e-6)
    assert largest(layer.eval().weight) == pytest.approx(1, abs=1e-6)


def test_a_weight_without_a_gap_comes_to_one_too() -> None:
    torch.manual_seed(0)
    layer = spectrally_normalised(nn.Conv2d(16, 24, 3))
    with torch.no_grad():
        for _ in range(1000):
            weight = layer.weight
    assert largest(weight) == pytest.approx(1, abs=1e-6)


def test_one_pass_is_one_step_of_the_power_iteration() -> None:
    torch.manual_seed(0)
    weight = numbers(4, 3, 2, 2)
    norm = SpectralNorm(weight)
    matrix = weight.numpy().reshape(4, 12)
    u = norm.u.numpy().copy()
    assert np.linalg.norm(u) == pytest.approx(1)
    for _ in range(3):
        found = norm(weight)
        v = matrix.T @ u
        v /= np.linalg.norm(v)
        u = matrix @ v
        u /= np.linalg.norm(u)
        np.testing.assert_allclose(norm.u, u, rtol=0, atol=1e-14)
        np.testing.assert_allclose(found, weight / (u @ matrix @ v), rtol=0, atol=1e-14)
    norm.eval()
    v = matrix.T @ u
    v /= np.linalg.norm(v)
    for _ in range(2):
        found = norm(weight)
        np.testing.assert_allclose(norm.u, u, rtol=0, atol=1e-14)  # it stays
        np.testing.assert_allclose(found, weight / (u @ matrix @ v), rtol=0, atol=1e-14)


def test_the_gradient_holds_the_vectors_fixed() -> None:
    # Of the sum of slopes * W / sigma: (slopes - (slopes . W) / sigma * u v^T) / sigma.
    torch.manual_seed(0)
    weight = numbers(4, 6).requires_grad_()
    slopes = numbers(4, 6, seed=3)
    norm = SpectralNorm(weight.detach())
    (slopes * norm(weight)).sum().backward()
    u, matrix = norm.u.numpy(), weight.detach().numpy()
    # This u has come from v, so v is what was before it.
    torch.manual_seed(0)
    v = matrix.T @ SpectralNorm(weight.detach()).u.numpy()
    v /= np.linalg.norm(v)
    sigma = u @ matrix @ v
    share = (slopes.numpy() * matrix).sum() / sigma
    expected = (slopes.numpy() - share * np.outer(u, v)) / sigma
    np.testing.assert_allclose(weight.grad, expected, rtol=0, atol=1e-13)


def test_two_passes_before_the_gradient_keep_their_own_vectors() -> None:
    x = numbers(2, 4)
    gradients = []
    for together in (True, False):
        torch.manual_seed(0)
        layer = spectrally_normalised(nn.Linear(4, 3).double())
        if together:
            (layer(x).square().sum() + layer(2 * x).square().sum()).backward()
        else:
            layer(x).square().sum().backward()
            layer(2 * x).square().sum().backward()
        gradients.append([p.grad for p in layer.parameters()])
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-13)


def test_bf16_does_not_touch_the_norm() -> None:
    weights = []
    for on in (False, True):
        torch.manual_seed(0)
        layer = spectrally_normalised(nn.Conv2d(5, 9, 3))
        with torch.autocast("cpu", torch.bfloat16, enabled=on):
            for _ in range(20):
                weight = layer.weight
        weights.append(weight)
    assert weights[1].dtype == torch.float32
    assert torch.equal(*weights)


def test_every_linear_and_convolution_is_normalised_and_nothing_else() -> None:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    network = nn.Sequential(inner, nn.Flatten(), nn.Linear(16, 2))
    before = copy.deepcopy(network.state_dict())
    assert spectrally_normalised(network) is network
    found = network.state_dict()
    moved = {k for k in before if k not in found}
    assert moved == {"0.0.weight", "2.weight"}
    for name in moved:
        original = found[name.replace("weight", "parametrizations.weight.original")]
        assert torch.equal(original, before[name])
    assert len(list(network.parameters())) == 6
    vectors = [value for key, value in found.items() if key.endswith(".u")]
    assert [len(u) for u in vectors] == [4, 2]


def test_it_can_be_built_without_memory() -> None:
    with torch.device("meta"):
        layer = spectrally_normalised(nn.Linear(10**6, 10**6))
    assert {p.device.type for p in [*layer.parameters(), *layer.buffers()]} == {"meta"}


def test_a_normalised_layer_goes_on_to_the_bit_from_what_was_saved() -> None:
    torch.manual_seed(0)
    one = spectrally_normalised(nn.Conv2d(3, 8, 3))
    for _ in range(3):
        _ = one.weight
    other = spectrally_normalised(nn.Conv2d(3, 8, 3))
    other.load_state_dict({key: value.clone() for key, value in one.state_dict().items()})
    for mode in (True, True, False):
        assert torch.equal(one.train(mode).weight, other.train(mode).weight)


# --- what mixes the pictures of a batch ---


def standard_deviations(features: np.ndarray, size: int) -> np.ndarray:
    """The number of each picture, written with loops."""
    result = np.empty(len(features))
    for start in range(0, len(features), size):
        group = features[start : start + size].reshape(size, -1)
        spreads = []
        for column in group.T:
            mean = sum(column) / size
            spreads.append(np.sqrt(sum((value - mean) ** 2 for value in column) / size + 1e-8))
        result[start : start + size] = sum(spreads) / len(spreads)
    return result


@pytest.mark.parametrize(
    ("count", "group", "size"), [(8, 4, 4), (6, 4, 3), (3, 4, 3), (7, 4, 1), (8, 8, 8), (1, 4, 1)]
)
@pytest.mark.parametrize("shape", [(3,), (2, 4, 3)])
def test_minibatch_standard_deviation(
    count: int, group: int, size: int, shape: tuple[int, ...]
) -> None:
    features = numbers(count, *shape)
    found = MinibatchStandardDeviation(group)(features)
    assert found.shape == (count, shape[0] + 1, *shape[1:])
    assert torch.equal(found[:, :-1], features)
    expected = standard_deviations(features.numpy(), size)
    map_of_each = np.repeat(expected[:, None], found[0, -1].numel(), 1)
    np.testing.assert_allclose(found[:, -1].reshape(count, -1), map_of_each, rtol=1e-12)


def test_a_batch_in_parts_has_the_same_groups() -> None:
    layer, features = MinibatchStandardDeviation(), numbers(16, 3, 2, 2)
    parts = torch.cat([layer(features[:8]), layer(features[8:])])
    assert torch.equal(parts, layer(features))


def test_equal_pictures_have_no_deviation_and_a_finite_gradient() -> None:
    features = numbers(1, 3, 2, 2).repeat(4, 1, 1, 1).requires_grad_()
    deviation = MinibatchStandardDeviation()(features)[:, -1]
    assert deviation.max().item() == pytest.approx(1e-4)
    deviation.sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


def closeness(features: np.ndarray, weight: np.ndarray, kernels: int) -> np.ndarray:
    """o(x) of each picture, written with loops over T (A, B, C)."""
    tensor = weight.reshape(len(weight), kernels, -1)
    count = len(features)
    matrices = [sum(f * t for f, t in zip(row, tensor, strict=True)) for row in features]
    result = np.zeros((count, kernels))
    for i in range(count):
        for b in range(kernels):
            for j in range(count):
                distance = sum(
                    abs(matrices[i][b][c] - matrices[j][b][c]) for c in range(len(tensor[0][b]))
                )
                result[i, b] += np.exp(-distance)
    return result


@pytest.mark.parametrize(("count", "kernels", "size"), [(1, 2, 5), (5, 3, 2), (6, 1, 4)])
def test_minibatch_discrimination(count: int, kernels: int, size: int) -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(4, kernels, size).double()
    features = numbers(count, 4)
    found = layer(features)
    assert torch.equal(found[:, :4], features)
    expected = closeness(features.numpy(), layer.weight.detach().numpy(), kernels)
    np.testing.assert_allclose(found[:, 4:].detach(), expected, rtol=0, atol=1e-12)


def test_closeness_counts_copies_and_overlooks_strangers() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(4, 3)
    copies = numbers(1, 4).float().repeat(5, 1)
    assert torch.equal(layer(copies)[:, 4:], torch.full((5, 3), 5.0))
    strangers = 1e4 * numbers(5, 4).float()
    assert torch.equal(layer(strangers)[:, 4:], torch.ones(5, 3))


def test_features_of_order_one_lie_where_closeness_has_a_slope() -> None:
    torch.manual_seed(0)
    count = 64
    found = MinibatchDiscrimination(256, 50)(numbers(count, 256).float())[:, 256:]
    # Each other picture counts something between a copy's 1 and a stranger's 0.
    mean = ((found - 1) / (count - 1)).mean()
    assert 0.1 < mean < 0.9


@pytest.mark.parametrize("layer", [MinibatchStandardDeviation(), MinibatchDiscrimination(4, 3)])
def test_the_mixing_layers_in_bf16(layer: nn.Module) -> None:
    features = numbers(4, 4).float()
    whole = layer(features)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(features.bfloat16())
        assert half.dtype == torch.bfloat16
        assert torch.equal(layer(features), whole)
    torch.testing.assert_close(half.float(), whole, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("kind", ["deviation", "discrimination"])
def test_the_mixing_layers_have_second_derivatives(kind: str) -> None:
    torch.manual_seed(0)
    layer = MinibatchStandardDeviation() if kind == "deviation" else MinibatchDiscrimination(3, 2)
    features = numbers(4, 3).requires_grad_()
    assert torch.autograd.gradgradcheck(layer.double(), features)
