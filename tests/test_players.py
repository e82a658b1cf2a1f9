from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from morelike.augment import augment
from morelike.checkpoint import TENSORS, save_tensors
from morelike.errors import UserError
from morelike.models import configure, family
from morelike.players import COMPANY_FROM, Players, players, spread_over
from morelike.rng import SeedDraws, rng
from morelike.runs import Run
from morelike.sampling import load


def untrained(values: dict[str, Any], **sections: Any) -> Players:
    """Players with fresh weights, for 16 x 16 gray pictures, 8 in a batch."""
    base = {"data": {"resolution": 16, "channels": 1}, "training": {"batch": 8}}
    config = configure({**base, **values, **sections})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = family(config.family).build(config)
        other = family(config.family).build(config)
    networks = (made.generator, other.generator, made.discriminator)
    for network in networks:
        network.eval().requires_grad_(False)
    return Players(config, 0, *networks, "", torch.device("cpu"))


DCGAN = {
    "family": "dcgan",
    "generator": {"width": 4, "latent": 8},
    "discriminator": {"width": 4},
}


def images(count: int, seed: int = 0) -> np.ndarray:
    return rng(seed, "pictures").randint(0, 256, (count, 16, 16, 1)).astype(np.uint8)


def in_minus_one_to_one(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def state_of(one: Players) -> dict[str, torch.Tensor]:
    assert one.discriminator is not None
    return {
        f"{name}.{key}": value.clone()
        for name, network in (("g", one.generator), ("d", one.discriminator))
        for key, value in network.state_dict().items()
    }


def test_weights_are_those_of_the_checkpoint(trained_run: Run) -> None:
    checkpoint = trained_run.checkpoints.all()[-1]
    one = players(trained_run, "latest")
    assert one.images == checkpoint.images == 32
    assert one.discriminator is not None
    for network, prefix in (
        (one.generator, "generator."),
        (one.averaged, "ema."),
        (one.discriminator, "discriminator."),
    ):
        stored, loaded = checkpoint.tensors(prefix), network.state_dict()
        assert stored.keys() == loaded.keys()
        assert all(torch.equal(stored[key], loaded[key]) for key in stored)
    assert players(trained_run, "16").images == 16
    assert players(trained_run, trained_run.checkpoints.all()[0]).images == 0


def test_averaged_samples_are_those_that_people_see(trained_run: Run) -> None:
    one = players(trained_run, "latest")
    made = one.made(range(11), averaged=True).scales[-1]
    seen = in_minus_one_to_one(load(trained_run.path, "latest", device="cpu").sample(range(11)))
    assert (made - seen).abs().max() < 1 / 127
    assert (one.made(range(11)).scales[-1] - seen).abs().max() > 1 / 127


def test_averaged_weights_are_used_where_they_are_asked_for() -> None:
    one = untrained(DCGAN)
    given = family("dcgan").inputs(one.config, SeedDraws([1, 2], one.device))
    expected = one.averaged(*given)
    assert torch.allclose(one.made([1, 2], averaged=True).scales[0], expected, atol=1e-5)
    assert (one.made([1, 2]).scales[0] - expected).abs().max() > 1e-3


@pytest.mark.parametrize("norm", ["batch", "spectral"])
def test_asking_changes_nothing(norm: str) -> None:
    one = untrained({**DCGAN, "discriminator": {"width": 4, "norm": norm}})
    before = state_of(one)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one.logits_of_pictures(images(9), images(20, 1))
    one.logits_of_samples(range(9))
    assert torch.equal(torch.rand(1), expected)
    after = state_of(one)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not one.generator.training


def test_batch_norm_takes_the_statistics_of_a_batch_of_company() -> None:
    one = untrained(DCGAN)
    assert one.mixes
    assert one.discriminator is not None
    train, asked = images(1, 1), images(3)
    found = one.logits_of_pictures(asked, train)
    # Two are asked about in a batch of 8, in places 0 and 4; all company is the one picture.
    batches = [[asked[0], asked[1]], [asked[2], train[0]]]
    expected = []
    for first, second in batches:
        rest = [train[0]] * 3
        batch = in_minus_one_to_one(np.stack([first, *rest, second, *rest]))
        one.discriminator.train()
        expected += one.discriminator(batch)[[0, 4]].tolist()
    one.discriminator.eval()
    assert found == pytest.approx(expected[:3], abs=1e-5)
    alone = one.discriminator(in_minus_one_to_one(asked)).numpy()
    assert np.abs(found - alone).min() > 1e-3, "running averages answer otherwise"


def test_training_and_held_out_pictures_have_the_same_company() -> None:
    one = untrained(DCGAN)
    train = images(20, 1)
    found = one.logits_of_pictures(train, train)
    assert np.array_equal(one.logits_of_pictures(train.copy(), train), found)
    changed = one.logits_of_pictures(images(20, 2), train)
    assert not np.isclose(changed, found).any()


def test_samples_are_asked_about_among_samples_in_training_mode() -> None:
    one = untrained(DCGAN)
    assert one.discriminator is not None
    inputs = family("dcgan").inputs

    def made(seeds: list[int]) -> torch.Tensor:
        given = inputs(one.config, SeedDraws(seeds, one.device))
        one.generator.train()
        return one.generator(*given)

    first = made([3, 4, *range(COMPANY_FROM, COMPANY_FROM + 6)])[:2]
    company = made(list(range(COMPANY_FROM, COMPANY_FROM + 8)))
    one.generator.eval()
    batch = company.clone()
    batch[[0, 4]] = first
    one.discriminator.train()
    expected = one.discriminator(batch)[[0, 4]]
    one.discriminator.eval()
    assert one.logits_of_samples([3, 4]) == pytest.approx(expected.numpy(), abs=1e-5)


def test_a_joint_batch_holds_both_kinds() -> None:
    one = untrained(DCGAN, objective={"joint_batch": True})
    assert one.discriminator is not None
    train, asked = images(1, 1), images(2)
    company = one.made(range(COMPANY_FROM, COMPANY_FROM + 8)).scales[0]
    rest = [train[0]] * 3
    real = in_minus_one_to_one(np.stack([asked[0], *rest, asked[1], *rest]))
    one.discriminator.train()
    expected = one.discriminator(torch.cat([real, company]))[[0, 4]]
    sample = one.made([9]).scales[0]
    fake = company.clone()
    fake[0] = sample[0]
    all_real = in_minus_one_to_one(np.repeat(train, 8, axis=0))
    expected_sample = one.discriminator(torch.cat([all_real, fake]))[8].item()
    one.discriminator.eval()
    assert one.logits_of_pictures(asked, train) == pytest.approx(expected.numpy(), abs=1e-5)
    assert one.logits_of_samples([9], train=train)[0] == pytest.approx(expected_sample, abs=1e-5)
    with pytest.raises(ValueError, match="real pictures share the batch"):
        one.logits_of_samples([9])


def test_a_discriminator_that_mixes_nothing_needs_no_company() -> None:
    one = untrained({**DCGAN, "discriminator": {"width": 4, "norm": "spectral"}})
    assert not one.mixes
    assert one.discriminator is not None
    asked = images(11)
    expected = one.discriminator(in_minus_one_to_one(asked)).numpy()
    assert one.logits_of_pictures(asked, images(3, 1)) == pytest.approx(expected, abs=1e-5)


def test_pictures_are_augmentedas_in_training_and_always_alike() -> None:
    plain = untrained({**DCGAN, "discriminator": {"width": 4, "norm": "spectral"}})
    policy = {"policy": ["color", "translation"], "translation": 0.25}
    one = untrained({**DCGAN, "discriminator": {"width": 4, "norm": "spectral"}}, augment=policy)
    assert one.discriminator is not None
    asked = images(5)
    numbers = torch.from_numpy(rng(0, "augment", "asked").random_sample((5, 8))).float()
    seen = augment(in_minus_one_to_one(asked), numbers, ("color", "translation"), 0.25, 0.5)
    found = one.logits_of_pictures(asked, asked)
    assert found == pytest.approx(one.discriminator(seen).numpy(), abs=1e-5)
    assert np.array_equal(found, one.logits_of_pictures(asked, asked))
    assert not np.isclose(found, plain.logits_of_pictures(asked, asked)).any()


def test_msggan_is_asked_at_all_scales() -> None:
    values = {"family": "msggan", "generator": {"width": 4, "latent": 8}}
    one = untrained({**values, "discriminator": {"width": 4}})
    made = one.made(range(5))
    assert [scale.shape[2] for scale in made.scales] == [4, 8, 16]
    pooled = torch.nn.functional.avg_pool2d(made.scales[2], 2)
    assert (made.scales[1] - pooled).abs().max() > 1e-3, "its own small pictures"
    shown = one.shown(images(2))
    assert torch.allclose(shown.scales[1], torch.nn.functional.avg_pool2d(shown.scales[2], 2))
    assert one.logits_of_samples(range(5)).shape == (5,)
    assert one.logits_of_pictures(images(9), images(20, 1)).shape == (9,)


CONDITION = {"on": ["label"], "classes": {"a": 0.5, "b": 0.5}}


@pytest.mark.parametrize("norm", ["batch", "spectral"])
def test_a_conditional_discriminator_is_told_what_pictures_show(norm: str) -> None:
    one = untrained({**DCGAN, "discriminator": {"width": 4, "norm": norm}}, condition=CONDITION)
    asked, train = images(4), images(6, 1)
    first, second = np.eye(2)[[0, 0, 0, 0]], np.eye(2)[[1, 1, 1, 1]]
    around = np.eye(2)[[0, 1, 0, 1, 0, 1]]
    found = one.logits_of_pictures(asked, train, first, around)
    assert not np.isclose(found, one.logits_of_pictures(asked, train, second, around)).any()
    with pytest.raises(ValueError, match="the run is conditional"):
        one.logits_of_pictures(asked, train)
    made = one.made(range(6))
    assert made.condition is not None
    assert made.condition.sum(1).tolist() == [1] * 6


def test_an_older_generator_can_make_the_samples(trained_run: Run) -> None:
    now, then = players(trained_run, "latest"), players(trained_run, "0")
    ours, theirs = now.logits_of_samples(range(6)), now.logits_of_samples(range(6), maker=then)
    assert not np.isclose(ours, theirs).any()
    assert np.isfinite(theirs).all()


def test_the_naive_baseline_has_no_discriminator(run_copy: Run) -> None:
    values = {"family": "regressor", "generator": {"width": 4}, "discriminator": {}}
    one = untrained(values, condition=CONDITION)
    stored = json.loads((run_copy.path / "config.json").read_text())
    stored |= one.config.model_dump(mode="json")
    (run_copy.path / "config.json").write_text(json.dumps(stored))
    weights = one.generator.state_dict()
    networks = ("generator", "ema")
    tensors = {f"{name}.{k}": v.clone() for name in networks for k, v in weights.items()}
    run_copy.checkpoints.save(99, tensors, {})
    found = players(run_copy, "99")
    assert found.discriminator is None
    assert found.missing == "the family regressor trains without one"
    assert not found.mixes
    assert found.made(range(3)).scales[0].shape == (3, 1, 16, 16)


def test_a_run_whose_discriminator_does_not_fit_says_so(run_copy: Run) -> None:
    checkpoint = run_copy.checkpoints.all()[-1]
    tensors = {k: v for k, v in checkpoint.tensors().items() if k != "discriminator.logit.weight"}
    save_tensors(checkpoint.path / TENSORS, tensors)
    one = players(run_copy, checkpoint)
    assert one.discriminator is None
    assert "another version" in one.missing
    with pytest.raises(ValueError, match="there is no discriminator to ask"):
        one.logits_of_samples([1])
    del tensors["generator.1.weight"]
    save_tensors(checkpoint.path / TENSORS, tensors)
    with pytest.raises(UserError, match="do not fit its configuration"):
        players(run_copy, checkpoint)


def test_damaged_and_unknown_checkpoints_are_said(run_copy: Run) -> None:
    with pytest.raises(UserError, match="there is no checkpoint 5"):
        players(run_copy, "5")
    checkpoint = run_copy.checkpoints.all()[-1]
    (checkpoint.path / TENSORS).write_bytes(b"")
    with pytest.raises(UserError, match="choose another checkpoint"):
        players(run_copy, checkpoint)


def test_checkpoints_are_spread_over_the_run(trained_run: Run) -> None:
    found = trained_run.checkpoints.all()
    assert spread_over(found, 5) == found
    many = [*found, *found, *found]
    chosen = spread_over(many, 4)
    assert len(chosen) == 4
    assert (chosen[0], chosen[-1]) == (many[0], many[-1])
