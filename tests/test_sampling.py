from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import morelike
from morelike.checkpoint import TENSORS
from morelike.errors import UserError
from morelike.pictures import to_uint8
from morelike.rng import quick_rng
from morelike.runs import Run
from morelike.samples import write_samples
from morelike.sampling import CHUNKS, TrainedGenerator, Wish, load

CHUNK = CHUNKS["cpu"]


@pytest.fixture(scope="module")
def generator(trained_run: Run) -> TrainedGenerator:
    return load(trained_run.path, "latest", device="cpu")


def test_samples_are_pictures(generator: TrainedGenerator) -> None:
    made = generator.sample(range(5))
    assert made.shape == (5, 16, 16, 3)
    assert made.dtype == np.uint8
    assert len({picture.tobytes() for picture in made}) == 5
    assert morelike.load is load


def test_a_sample_depends_on_its_seed_alone(generator: TrainedGenerator) -> None:
    seeds = [*range(CHUNK + 9), 2**63 - 1]
    alone = {seed: generator.sample([seed]).tobytes() for seed in seeds}
    for company in (seeds, seeds[::-1], seeds[3::7], [5, 5, 40, 5]):
        made = generator.sample(company)
        assert len(made) == len(company)
        for seed, picture in zip(company, made, strict=True):
            assert picture.tobytes() == alone[seed]
    assert len(set(alone.values())) == len(seeds)


def test_chunks_give_the_same_a_few_at_a_time(generator: TrainedGenerator) -> None:
    chunks = list(generator.chunks(range(CHUNK * 2 + 1)))
    assert [len(chunk) for chunk in chunks] == [CHUNK, CHUNK, 1]
    assert np.array_equal(np.concatenate(chunks), generator.sample(range(CHUNK * 2 + 1)))


def test_neither_loading_nor_sampling_moves_anybodys_random_numbers(trained_run: Run) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load(trained_run.path, device="cpu").sample([1], truncation=1.0)
    assert torch.equal(torch.rand(2), expected)


def test_truncation_changes_only_what_lies_beyond(generator: TrainedGenerator) -> None:
    free = generator.sample(range(8))
    assert np.array_equal(generator.sample(range(8), truncation=10), free)
    typical = generator.sample(range(8), truncation=0.5)
    assert not np.array_equal(typical, free)
    assert np.array_equal(typical, generator.sample(range(8), truncation=0.5))
    assert np.array_equal(typical[3:4], generator.sample([3], truncation=0.5))


@pytest.mark.parametrize("truncation", [0, 0.09, -1, 10.1, float("nan"), float("inf")])
def test_truncation_has_a_range(generator: TrainedGenerator, truncation: float) -> None:
    with pytest.raises(UserError, match=r"truncation .* is out of range; use 0\.1 to 10"):
        generator.sample([0], truncation=truncation)


# --- with a space W ---


def mapped(**sections: Any) -> TrainedGenerator:
    """A generator of the family style, not as it begins: noise has a strength, w a mean."""
    from morelike.models import configure, family

    small = {"width": 2, "style": 8, **sections}
    config = configure(
        {"family": "style", "data": {"resolution": 16, "channels": 3}, "generator": small}
    )
    torch.manual_seed(0)
    network: Any = family("style").build(config).generator
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("bias", "strength")):
                parameter.add_(0.3 * torch.randn_like(parameter))
        network.mean.value.add_(0.1 * torch.randn_like(network.mean.value))
    return TrainedGenerator(config, network.eval(), torch.device("cpu"), "fp32", "x", "y")


def test_truncation_in_w_goes_from_every_picture_to_the_mean_picture() -> None:
    generator = mapped(noise=False)
    free = generator.sample(range(6))
    assert np.array_equal(generator.sample(range(6), truncation=1), free)
    mean = generator.sample(range(6), truncation=0)
    assert len({picture.tobytes() for picture in mean}) == 1
    assert len({picture.tobytes() for picture in free}) == 6
    # All seeds come nearer with each step, and none at once.
    spreads = [
        np.square(generator.sample(range(6), truncation=psi).astype(float) - mean).mean()
        for psi in (0.25, 0.5, 0.75, 1)
    ]
    assert sorted(spreads) == spreads
    assert spreads[0] > 0
    assert np.array_equal(
        generator.sample([9, 4], truncation=0.5)[1:], generator.sample([4], truncation=0.5)
    )


def test_noise_is_not_truncated() -> None:
    generator = mapped()
    assert len({picture.tobytes() for picture in generator.sample(range(6), truncation=0)}) == 6
    mean = generator.sample([5], truncation=0)
    network: Any = generator.network
    noise = torch.from_numpy(
        quick_rng(5, "noise").standard_normal((1, 256 + 2 * (64 + 16)))
    ).float()
    with torch.no_grad():
        expected = network.synthesis(network.mean.value[None], noise)
    assert np.abs(mean.astype(int) - to_uint8(expected)).max() <= 1


@pytest.mark.parametrize("truncation", [-0.1, 1.1, 10, float("nan")])
def test_truncation_in_w_has_a_range_of_its_own(truncation: float) -> None:
    with pytest.raises(UserError, match=r"truncation .* is out of range; use 0 to 1"):
        mapped().sample([0], truncation=truncation)


def test_a_sample_with_noise_and_w_depends_on_its_seed_alone() -> None:
    generator = mapped(mixing=1.0)
    seeds = [*range(CHUNK + 3), 2**63 - 1]
    company = generator.sample(seeds)
    assert len({picture.tobytes() for picture in company}) == len(seeds)
    for place in (0, 7, CHUNK, len(seeds) - 1):
        assert np.array_equal(generator.sample([seeds[place]])[0], company[place])


def test_seeds_are_checked(generator: TrainedGenerator) -> None:
    for seeds in ([], [-1], [2**63]):
        with pytest.raises(UserError, match="seed"):
            generator.sample(seeds)


def test_pillow_images_are_the_same_pictures(generator: TrainedGenerator) -> None:
    images = generator.sample([4, 2], as_pil=True)
    assert [image.mode for image in images] == ["RGB", "RGB"]
    assert np.array_equal(np.stack([np.asarray(i) for i in images]), generator.sample([4, 2]))


def test_averaged_and_raw_weights_differ(trained_run: Run, generator: TrainedGenerator) -> None:
    raw = load(trained_run.path, "latest", raw=True, device="cpu")
    assert not np.array_equal(raw.sample(range(8)), generator.sample(range(8)))
    assert raw.checkpoint == "32 images, raw weights"
    assert generator.checkpoint == "32 images, averaged weights"


def test_any_checkpoint_can_be_chosen(trained_run: Run) -> None:
    made = {}
    for which in (0, 16, "32", "latest"):
        chosen = load(trained_run.path, which, device="cpu")
        made[str(which)] = chosen.sample(range(8)).tobytes()
        if which != "latest":
            assert chosen.checkpoint == f"{which} images, averaged weights"
    assert len(set(made.values())) == 3
    assert made["latest"] == made["32"]
    for wrong in ("24", "first", "-1"):
        with pytest.raises(UserError, match=wrong):
            load(trained_run.path, wrong, device="cpu")


def test_a_shared_folder_gives_the_same_pictures_as_the_best_checkpoint(
    trained_run: Run, tmp_path: Path
) -> None:
    ours = load(trained_run.path, device="cpu")
    theirs = load(shutil.copytree(trained_run.generator, tmp_path / "a friend's"), device="cpu")
    assert np.array_equal(theirs.sample(range(40)), ours.sample(range(40)))
    assert theirs.name == ours.name == trained_run.name
    assert theirs.checkpoint == ours.checkpoint
    assert theirs.notices == ()


def test_what_a_shared_folder_does_not_have_is_said(trained_run: Run) -> None:
    for options in ({"raw": True}, {"checkpoint": 16}):
        with pytest.raises(UserError, match="a shared generator with one set of weights"):
            load(trained_run.generator, device="cpu", **options)


CONFIG_DAMAGE: dict[str, bytes] = {
    "not JSON": b"{",
    "not a mapping": b"[1]",
    "an unknown key": b'{"family": "dcgan", "trojan": 1}',
    "an unknown family": b'{"family": "os"}',
    "other sizes": b'{"generator": {"width": 5}}',
    "bytes": b"\xff\xfe",
}


@pytest.mark.parametrize("damage", CONFIG_DAMAGE)
def test_a_damaged_shared_configuration_is_said(
    trained_run: Run, tmp_path: Path, damage: str
) -> None:
    folder = shutil.copytree(trained_run.generator, tmp_path / "generator")
    content = CONFIG_DAMAGE[damage]
    (folder / "config.json").write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    with pytest.raises(UserError) as caught:
        load(folder, device="cpu")
    assert "\n" not in str(caught.value)


def test_damaged_shared_weights_are_said(trained_run: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(trained_run.generator, tmp_path / "generator")
    whole = (folder / "model.safetensors").read_bytes()
    for content in (b"", whole[:-9], b"\x80\x02" + whole):
        (folder / "model.safetensors").write_bytes(content)
        with pytest.raises(UserError, match="is not a usable generator folder"):
            load(folder, device="cpu")


@pytest.mark.parametrize("origin", [None, 5, [], {"run": 7}])
def test_an_odd_origin_does_no_harm(trained_run: Run, tmp_path: Path, origin: Any) -> None:
    folder = shutil.copytree(trained_run.generator, tmp_path / "shared one")
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "origin": origin}))
    loaded = load(folder, device="cpu")
    assert loaded.name == ("7" if origin == {"run": 7} else "shared one")
    assert loaded.checkpoint == "unknown"


def test_what_is_neither_run_nor_generator_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match="is neither a run folder nor a generator folder"):
            load(path, device="cpu")


def test_an_unknown_device_is_refused(trained_run: Run) -> None:
    with pytest.raises(UserError, match="'gpu' is no device; use auto"):
        load(trained_run.path, device="gpu")


def test_a_damaged_best_falls_back_and_says_so(run_copy: Run) -> None:
    best = run_copy.checkpoints.pointed("best")
    assert best is not None
    with (best.path / TENSORS).open("r+b") as file:
        file.truncate(1000)
    loaded = load(run_copy.path, device="cpu")
    assert loaded.checkpoint != f"{best.images} images, averaged weights"
    assert len(loaded.notices) == 1
    assert str(best.path) in loaded.notices[0]


def test_files_are_named_by_seed_and_say_where_they_come_from(
    generator: TrainedGenerator, trained_run: Run, tmp_path: Path
) -> None:
    seeds = [3, 70, 11]
    grid = tmp_path / "sheets" / "grid.png"
    folder = write_samples(generator, seeds, tmp_path / "out" / "here", grid, Wish(truncation=1.5))
    assert folder == tmp_path / "out" / "here"
    assert sorted(path.name for path in folder.iterdir()) == ["11.png", "3.png", "70.png"]
    expected = generator.sample(seeds, truncation=1.5)
    for seed, picture in zip(seeds, expected, strict=True):
        with Image.open(folder / f"{seed}.png") as image:
            image.load()
            assert np.array_equal(np.asarray(image), picture)
            notes = dict(image.text)  # pyright: ignore[reportAttributeAccessIssue]
        assert notes["seed"] == str(seed)
        assert notes["run"] == trained_run.name
        assert notes["checkpoint"] == generator.checkpoint
        assert notes["truncation"] == "1.5"
        assert notes["Software"] == "morelike"
        assert "model card" in notes["licence"]
    with Image.open(grid) as image:
        image.load()
        assert image.size == (32, 32)
        assert np.array_equal(np.asarray(image)[:16, 16:], expected[1])
        assert image.text["seed"] == "3,70,11"  # pyright: ignore[reportAttributeAccessIssue]


def test_without_truncation_the_notes_do_not_speak_of_it(generator: TrainedGenerator) -> None:
    assert "truncation" not in generator.notes(1)


def test_places_that_take_no_files_are_said(generator: TrainedGenerator, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write to .*file: .* folder with --out"):
        write_samples(generator, [1], tmp_path / "file")
    with pytest.raises(UserError, match=r"cannot write to .*g\.png: .* file with --grid"):
        write_samples(generator, [1], tmp_path / "out", tmp_path / "file" / "g.png")
    assert (tmp_path / "out" / "1.png").exists()


def test_a_run_of_another_schema_is_refused(run_copy: Run) -> None:
    values = json.loads((run_copy.path / "config.json").read_text())
    (run_copy.path / "config.json").write_text(json.dumps({**values, "schema": 99}))
    with pytest.raises(UserError, match="another version of morelike"):
        load(run_copy.path, device="cpu")


@pytest.mark.parametrize("channels", [1, 4])
def test_gray_and_transparent_pictures_are_made(channels: int) -> None:
    from morelike.models import configure, family

    values = {"data": {"resolution": 16, "channels": channels}, "generator": {"width": 2}}
    config = configure(values)
    network = family("dcgan").build(config).generator.eval()
    made = TrainedGenerator(config, network, torch.device("cpu"), "fp32", "x", "y")
    assert made.sample([1, 2]).shape == (2, 16, 16, channels)
    assert made.sample([1], as_pil=True)[0].mode == {1: "L", 4: "RGBA"}[channels]


def test_the_generator_keeps_its_mode(trained_run: Run) -> None:
    from morelike.sampling import generate

    generator = load(trained_run.path, device="cpu")
    generator.network.train()
    before = {k: v.clone() for k, v in generator.network.state_dict().items()}
    list(generate(generator.config, generator.network, [1], generator.device))
    assert generator.network.training
    after = generator.network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
