from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from morelike.config import ADAPTIVE, FREE_ON_RESUME, RESOLUTIONS, DataConfig
from morelike.errors import UserError, nearest
from morelike.models import configure
from morelike.settings import differing_keys, flatten, merge, parse_assignment, read_toml


def nested(name: str, value: Any) -> dict[str, Any]:
    for key in reversed(name.split(".")):
        value = {key: value}
    return value


def complaint(values: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        configure(values, "settings")
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith((".", "?"))
    assert "pydantic" not in text
    assert caught.value.exit_code == 2
    return text


def test_nothing_given_is_a_whole_configuration() -> None:
    config = configure({})
    values = flatten(config.model_dump(mode="json"))
    assert values["family"] == "dcgan"
    assert values["data.resolution"] == 64
    assert values["training.batch"] == 64
    assert values["generator.latent"] == 100
    assert all(f"training.{key.split('.')[1]}" in values for key in FREE_ON_RESUME)


def test_what_is_dumped_can_be_read_again() -> None:
    config = configure({"augment": {"policy": ["color"]}, "training": {"minutes": 2.5}})
    assert configure(config.model_dump(mode="json")) == config
    assert configure(config.model_dump()) == config


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("trainig", "training"),
        ("training.btach", "batch"),
        ("training.learning_rates", "known: "),
        ("data.resolutoin", "resolution"),
        ("generator.widht", "width"),
        ("discriminator.latent", "known: minibatch_discrimination, minibatch_stddev, norm, width"),
        ("optimizer.generator.learning_rat", "learning_rate"),
        ("optimizer.lr", "known: beta2_ramp, discriminator, generator"),
        ("objective.los", "loss"),
        ("augment.policies", "policy"),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest(name: str, near: str) -> None:
    text = complaint(nested(name, 1))
    assert f"settings: unknown key '{name}'" in text
    assert near in text


def test_an_unknown_family_is_refused_with_the_nearest() -> None:
    assert "no family 'dcgam'; the nearest is 'dcgan'" in complaint({"family": "dcgam"})
    assert "no family '3'" in complaint({"family": 3})


RANGES: list[tuple[str, list[Any], list[Any]]] = [
    ("data.resolution", [*RESOLUTIONS], [0, -64, 8, 48, 63, 65, 512, "x", 64.5, None]),
    ("data.width", [None, 64, 96, 256], [0, -64, "x", 64.5]),
    ("data.channels", ["auto", 1, 3, 4], [0, 2, 5, "rgb", None]),
    ("data.matte", ["white", "black", "#00ff7F"], ["red", "#fff", "url(x)", 3]),
    ("data.crop", ["auto", "center", "pad", "fit", "smart"], ["centre", 1]),
    ("data.mirror", [True, False, "auto"], [2, "maybe", None]),
    ("data.held_out", [0, 0.1, 0.5], [-0.1, 0.51, "x"]),
    ("data.labels", ["auto", "none", "folders", "metadata"], ["yes", 0]),
    ("data.dedup", ["none", "exact", "near"], ["all", True]),
    ("data.background", ["any", "plain", "white"], ["red"]),
    ("data.drop", [[], ["blank", "blurred", "framed", "enlarged"]], ["blank", ["ugly"]]),
    ("data.drop_outliers", [0, 0.02, 0.5], [-0.1, 0.6, "2%"]),
    ("data.min_side", [0, 100], [-1, "large"]),
    ("data.face", ["any", "left", "right"], ["up"]),
    ("data.patches", [[], [64, 128]], [64, [4], [10_000], ["x"]]),
    ("data.stride", [None, 1, 32], [0, -1]),
    ("data.patch_rotations", [True, False], [2, "maybe"]),
    ("data.patch_mirrors", [True, False], [2, "maybe"]),
    ("data.every", [0.04, 1, 60], [0, -1, "x"]),
    ("data.most_rejected", [0, 0.5, 1], [-0.1, 1.1]),
    (
        "objective.loss",
        ["minimax", "hinge", "least_squares", "wasserstein", "relativistic_average"],
        ["wgan", "", 1],
    ),
    ("objective.joint_batch", [True, False], [2, "maybe", None]),
    ("objective.label_smoothing", [0, 0.1, 0.49], [-0.1, 0.5, 1]),
    ("objective.feature_matching", [0, 1, 10], [-1, "x"]),
    ("condition.on", [[], ["label"], ["label", "age"]], ["label", [3], None]),
    ("condition.generator", ["input", "norm"], ["projection", 1]),
    ("condition.projection", [True, False], [2, "maybe", None]),
    ("condition.auxiliary", [0, 0.5, 10], [-1, float("nan")]),
    ("penalty.r1", [0, 0.1, 100], [-1, "x", float("inf")]),
    ("penalty.r2", [0, 5], [-0.1, None]),
    ("penalty.one_centered", [0, 10], [-10, float("nan")]),
    ("penalty.zero_centered", [0, 10], [-10, "x"]),
    ("penalty.drift", [0, 0.001], [-0.001]),
    ("penalty.consistency", [0, 10], [-1, float("inf")]),
    ("penalty.lecam", [0, 0.3], [-1, float("inf")]),
    ("penalty.lecam_decay", [0, 0.99], [1, -0.1]),
    ("penalty.every", [1, 16, 1024], [0, -4, 1025, 1.5]),
    ("penalty.difference", [None], [0, -0.1, 1.1, "exact"]),
    ("penalty.clip", [None, 0.01, 3], [0, -0.01, float("inf")]),
    ("optimizer.generator.method", ["adam", "adamw", "rmsprop"], ["sgd", "Adam", None]),
    ("optimizer.generator.weight_decay", [0], [-0.1, 1.1, "x"]),
    ("optimizer.warmup", [0, 10_000], [-1, 0.5]),
    ("optimizer.generator.learning_rate", [1e-6, 1], [0, -1e-4, 1.1, float("nan")]),
    ("optimizer.discriminator.beta1", [0, 0.9], [1, -0.1]),
    ("optimizer.generator.beta2", [0, 0.999], [1, 2]),
    ("optimizer.generator.epsilon", [1e-8], [0, -1, float("inf")]),
    ("augment.policy", [[], ["color", "cutout", "translation"]], ["color", ["colour"], 3]),
    ("augment.probability", [0.01, 0.8, 1], [0, 1.1]),
    ("augment.target", [None], [0, 1, -0.1]),
    ("augment.translation", [0.01, 0.5], [0, 0.6]),
    ("augment.cutout", [0.01, 0.99], [0, 1]),
    ("augment.most", [0.01, 0.99], [0, 1]),
    ("augment.adjust_images", [1, 500_000], [0, 0.5]),
    ("training.batch", [1, 7, 4096], [0, -1, 2.5, "many", None]),
    ("training.seed", [0, 2**63 - 1], [-1, 2**63]),
    ("training.images", [1, 10**12], [0, -5]),
    ("training.minutes", [None, 0.01, 1e6], [0, -1, float("nan"), float("inf")]),
    ("training.discriminator_steps", [1, 100], [0, 101]),
    ("training.discriminator_burst", [0, 100, 1000], [-1, 1001, 2.5]),
    ("training.same_fakes", [True, False], ["often", None]),
    ("training.accumulation", [1, 2, 64], [0, -1]),
    ("training.ema_half_life", [0, 1e6], [-1, float("inf")]),
    ("training.ema_warmup", [0.01, 1], [0, 1.1]),
    ("training.device", ["auto", "cuda:1"], [3, None]),
    ("training.precision", ["auto", "fp32", "bf16"], ["fp16", "float32", 32]),
    ("training.log_every", [1], [0]),
    ("training.features", ["random", "dinov2", "timm:vgg16"], ["vgg16", "timm:", None]),
    ("training.features_weights", [None, "vgg16.safetensors"], [3]),
    ("training.checkpoint_minutes", [0.01], [0]),
    ("training.stop_when", [[], ["copying", "stalled"]], [["bored"], "copying"]),
    ("training.keep", [1, 1000], [0]),
    ("training.history", [True, False], ["some", 7]),
    ("generator.width", [1, 1024], [0, 1025]),
    ("generator.latent", [1, 65536], [0, 65537]),
    ("generator.upsampling", ["transposed", "nearest"], ["bilinear", None]),
    ("discriminator.width", [1, 1024], [0, 1025, "wide"]),
    ("discriminator.norm", ["batch", "spectral", "none"], ["layer", None]),
    ("discriminator.minibatch_stddev", [True, False], [2, "maybe"]),
    ("discriminator.minibatch_discrimination", [0, 1024], [-1, 1025, 0.5]),
]
RAMPS = ("optimizer.ramp", "optimizer.beta2_ramp", "penalty.ramp", "training.ema_ramp")
RANGES += [
    ("task.name", ["", "enlarge:2", "enlarge:8", "colorize", "pairs"], ["enlarge:3", "shrink", 4]),
    ("task.crop", [None, 8, 128], [7, -8, "all"]),
    ("task.downscale", ["area", "bicubic", "lanczos"], ["nearest", 1]),
    ("task.degrade", [[]], ["noise", ["sharpen"]]),
    ("task.fakes", [None], [3]),
    ("task.like_fakes", [0, 0.5, 1], [-0.1, 1.1]),
]
RANGES += [
    row
    for ramp in RAMPS
    for row in (
        # More than 1 would be too much for beta2.
        (f"{ramp}.to", [0, 0.1, 1 if "beta2" in ramp else 10], [-0.1, float("inf")]),
        (f"{ramp}.images", [None, 1, 10**9], [0, -1, 0.5]),
        (f"{ramp}.start", [0, 10**9], [-1, None]),
        (f"{ramp}.shape", ["linear", "cosine"], ["exponential", 1]),
    )
]


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, good, _ in RANGES for value in good]
)
def test_values_in_range_are_kept(name: str, value: Any) -> None:
    section, _, key = name.rpartition(".")
    ends = nested(f"{section}.images", 10) if section in RAMPS and key == "to" else {}
    kept = flatten(configure(merge(ends, nested(name, value))).model_dump(mode="json"))[name]
    assert kept == value
    assert type(kept) is type(value) or isinstance(kept, float)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, _, bad in RANGES for value in bad]
)
def test_values_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    text = complaint(nested(name, value))
    assert text.startswith("settings: ")
    assert name in text
    assert str(value).strip("[']") in text  # what was given is shown


def test_every_key_has_a_range_here() -> None:
    known = set(flatten(configure({}).model_dump(mode="json")))
    tested = {name for name, _, _ in RANGES}
    twins = {"optimizer.generator.beta1", "optimizer.discriminator.beta2", "family"}
    twins |= {"optimizer.discriminator.learning_rate", "optimizer.discriminator.epsilon"}
    twins |= {"optimizer.discriminator.method", "optimizer.discriminator.weight_decay"}
    assert known - twins == tested


@pytest.mark.parametrize(("height", "width"), [(64, 96), (96, 64), (64, 64), (16, 64), (256, 320)])
def test_sizes_that_are_not_square(height: int, width: int) -> None:
    data = configure({"data": {"resolution": height, "width": width, "channels": 3}}).data
    assert data.size == (height, width)
    assert data.shape == (3, height, width)


@pytest.mark.parametrize(("height", "width"), [(64, 100), (48, 96), (16, 80), (96, 48)])
def test_sizes_that_cannot_be_doubled_to_are_refused(height: int, width: int) -> None:
    text = complaint({"data": {"resolution": height, "width": width}})
    assert "data.resolution" in text
    assert str(width) in text


def test_ada_stands_for_all_that_is_adaptive() -> None:
    config = configure({"augment": {"policy": ["cutout", "hue", "ada"], "target": 0.6}})
    policy = config.augment.policy
    assert policy[:2] == ("cutout", "hue")
    assert set(policy) == {"cutout", *ADAPTIVE}
    assert len(policy) == 13
    assert configure(config.model_dump(mode="json")) == config
    assert differing_keys(config, configure({"augment": {"policy": policy, "target": 0.6}})) == []


def test_what_would_leak_is_refused_with_the_remedy() -> None:
    text = complaint({"augment": {"policy": ["color", "quarter_turns"]}})
    assert "quarter_turns with the probability 1 shows in what is made; set target" in text
    assert "at most 0.9 (most)" in complaint(
        {"augment": {"policy": ["hue"], "probability": 0.95, "most": 0.9}}
    )
    for good in ({"probability": 0.8}, {"target": 0.6}, {"probability": 0.9, "most": 0.95}):
        configure({"augment": {"policy": ["ada"], **good}})
    # Differentiable augmentation is applied always.
    configure({"augment": {"policy": ["color", "translation", "cutout"]}})


def test_a_target_moves_the_probability_of_something() -> None:
    text = complaint({"augment": {"policy": ["color"], "target": 0.6, "probability": 0.5}})
    assert "leave one of probability and target out" in text
    assert "name changes in policy" in complaint({"augment": {"target": 0.6}})


@pytest.mark.parametrize(
    ("augment", "always", "start"),
    [
        ({"policy": ["color"]}, True, 1),
        ({"policy": ["color"], "probability": 0.5}, False, 0.5),
        ({"policy": ["color"], "target": 0.6}, False, 0),
    ],
)
def test_with_which_probability_it_begins(
    augment: dict[str, Any], always: bool, start: float
) -> None:
    section = configure({"augment": augment}).augment
    assert section.always is always
    assert section.start == start


def test_beta2_stays_below_1() -> None:
    ramp = {"to": 1.1, "images": 1000}
    both = {"generator": {"beta2": 0.9}, "discriminator": {"beta2": 0.9}}
    configure({"optimizer": {**both, "beta2_ramp": ramp}})
    text = complaint({"optimizer": {"generator": {"beta2": 0.9}, "beta2_ramp": ramp}})
    assert "discriminator.beta2 = 0.999" in text
    assert "stay below 1; take less than 1.001" in text


def test_a_ramp_needs_an_end() -> None:
    assert "never reached without images" in complaint({"penalty": {"ramp": {"to": 0.5}}})


def test_a_discriminator_that_never_learns_of_the_condition_is_refused() -> None:
    asked = {"condition": {"on": ["label"], "projection": False}}
    assert "set one of them" in complaint(asked)
    assert configure(merge(asked, {"condition": {"auxiliary": 1}})).condition.auxiliary == 1
    assert not configure({"condition": {"projection": False}}).condition.on


@pytest.mark.parametrize(
    "settled",
    [
        {"classes": {"a": 0.0, "b": 1.0}},
        {"classes": {"a": -1.0}},
        {"ranges": {"age": [3.0, 3.0]}},
        {"ranges": {"age": [3.0, 1.0]}},
        {"ranges": {"age": [3.0]}},
    ],
)
def test_labels_and_ranges_that_mean_nothing_are_refused(settled: dict[str, Any]) -> None:
    assert "condition" in complaint({"condition": settled})


def test_accumulation_divides_the_batch() -> None:
    assert configure({"training": {"batch": 12, "accumulation": 3}}).training.accumulation == 3
    text = complaint({"training": {"batch": 12, "accumulation": 5}})
    assert text == "settings: training: accumulation 5 must divide batch 12."
    assert "must divide batch 8" in complaint({"training": {"batch": 8, "accumulation": 16}})


def test_smoothing_needs_a_loss_with_targets() -> None:
    text = complaint({"objective": {"loss": "hinge", "label_smoothing": 0.1}})
    assert "label_smoothing has no meaning for the hinge loss" in text
    configure({"objective": {"loss": "hinge"}})
    configure({"objective": {"loss": "least_squares", "label_smoothing": 0.1}})


@pytest.mark.parametrize(
    "loss", ["wasserstein", "relativistic", "relativistic_average", "relativistic_average_hinge"]
)
def test_losses_that_have_no_targets_are_not_smoothed(loss: str) -> None:
    text = complaint({"objective": {"loss": loss, "label_smoothing": 0.1}})
    assert f"no meaning for the {loss} loss" in text


@pytest.mark.parametrize("method", ["adam", "rmsprop"])
def test_only_adamw_decays(method: str) -> None:
    text = complaint(nested("optimizer.discriminator", {"method": method, "weight_decay": 0.1}))
    assert f"weight_decay needs the method adamw, not {method}" in text
    assert "optimizer.discriminator" in text
    kept = configure(nested("optimizer.generator", {"method": "adamw", "weight_decay": 1}))
    assert kept.optimizer.generator.weight_decay == 1


def test_differences_are_of_something() -> None:
    text = complaint({"penalty": {"difference": 0.1, "one_centered": 10}})
    assert "difference is how r1 and r2 are taken, and both of them are 0; set one" in text
    for key in ("r1", "r2"):
        assert configure({"penalty": {"difference": 1, key: 0.1}}).penalty.difference == 1


@pytest.mark.parametrize("key", ["r1", "r2", "one_centered", "zero_centered"])
def test_which_penalties_look_at_gradients(key: str) -> None:
    assert configure({"penalty": {key: 0.1}}).penalty.of_gradients
    others = {"drift": 1, "consistency": 1, "clip": 0.01, "every": 4, key: 0}
    assert not configure({"penalty": others}).penalty.of_gradients


def test_every_mistake_is_named_at_once() -> None:
    text = complaint({"training": {"batch": 0, "sed": 1}, "data": {"channels": 2}})
    assert all(part in text for part in ("training.batch", "'training.sed'", "data.channels"))


@pytest.mark.parametrize("section", ["data", "training", "generator", "optimizer.generator"])
def test_a_section_is_not_a_value(section: str) -> None:
    assert section in complaint(nested(section, 5))


def test_configurations_are_frozen() -> None:
    config = configure({})
    with pytest.raises(ValidationError, match="frozen"):
        config.family = "other"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValidationError, match="frozen"):
        config.training.batch = 3
    with pytest.raises(ValidationError, match="frozen"):
        DataConfig().resolution = 16


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("training.batch=32", {"training": {"batch": 32}}),
        (" training . batch = 32 ", {"training": {"batch": 32}}),
        ("a.b.c=1e-4", {"a": {"b": {"c": 1e-4}}}),
        ("data.mirror=true", {"data": {"mirror": True}}),
        ("data.mirror=True", {"data": {"mirror": "True"}}),
        ("objective.loss=hinge", {"objective": {"loss": "hinge"}}),
        ("objective.loss='hinge'", {"objective": {"loss": "hinge"}}),
        ('augment.policy=["color", "cutout"]', {"augment": {"policy": ["color", "cutout"]}}),
        ("family=dcgan", {"family": "dcgan"}),
        ("training.device=cuda:1", {"training": {"device": "cuda:1"}}),
        ("a.b=x=y", {"a": {"b": "x=y"}}),
        ("a.b=", {"a": {"b": ""}}),
        ("generator={width=3}", {"generator": {"width": 3}}),
    ],
)
def test_assignments_are_toml_or_plain_text(text: str, values: dict[str, Any]) -> None:
    assert parse_assignment(text) == values


@pytest.mark.parametrize("text", ["", "training.batch", "=3", ".batch=3", "a..b=3", "training.=3"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"is not of the form section\.key=value"):
        parse_assignment(text)


def test_layers_are_laid_over_each_other() -> None:
    below = {"a": {"x": 1, "y": {"z": 2}}, "b": [1]}
    above = {"a": {"y": {"w": 3}, "x": 4}, "b": [2], "c": None}
    assert merge(below, above) == {"a": {"x": 4, "y": {"z": 2, "w": 3}}, "b": [2], "c": None}
    assert below == {"a": {"x": 1, "y": {"z": 2}}, "b": [1]}
    assert above["a"] == {"y": {"w": 3}, "x": 4}
    assert merge() == {}
    assert merge({"a": 1}, {"a": {"x": 2}}) == {"a": {"x": 2}}
    assert merge({"a": {"x": 2}}, {"a": 1}) == {"a": 1}


def test_flat_names_are_dotted() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {
        "a.b": 1,
        "a.c.d": [2],
        "e": None,
    }
    assert flatten({}) == {}


def test_differing_keys_are_named_in_order() -> None:
    one = configure({"training": {"batch": 8}, "generator": {"width": 3}})
    other = configure({"training": {"batch": 16}, "data": {"mirror": True}})
    assert differing_keys(one, other) == ["data.mirror", "generator.width", "training.batch"]
    assert differing_keys(one, one) == []


def test_bad_toml_is_a_sentence() -> None:
    assert read_toml("[a]\nb = 1", "here") == {"a": {"b": 1}}
    for text in ("a = ", "[a", "a = 1\na = 2", "\x00"):
        with pytest.raises(UserError, match=r"mine\.toml is not valid TOML: ") as caught:
            read_toml(text, "mine.toml")
        assert "\n" not in str(caught.value)


def test_the_nearest_name_or_all_of_them() -> None:
    assert nearest("rose-dcgan", ["roses-dcgan", "bicycles"]) == "the nearest is 'roses-dcgan'"
    assert nearest("qqqq", ["b", "a"]) == "known: a, b"
