"""Publishing a checkpoint on the Hugging Face Hub, with a model card that is made from its metrics."""

from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, HfApi, ModelCardData
from huggingface_hub.errors import LocalTokenNotFoundError

from mixer import atomic_write, checkpoint
from mixer.data import class_names, class_numbers
from mixer.evaluate import headline
from mixer.model import Mixer, MixerConfig

PUBLISHED = {"CIFAR-10": "uoft-cs/cifar10", "CIFAR-100": "uoft-cs/cifar100"}
"""the ids of data sets on the Hub"""
UNLIKE = dict.fromkeys(PUBLISHED, "'s (one object, in the middle, upright)")
STATED = (
    "accuracy",
    "class_accuracy",
    "calibration_error",
    "calibration_error_at_temperature",
    "temperature",
    "versions",
    "commit",
)
"""required metrics: what the card takes of them"""


class NotPushed(ValueError):
    """A checkpoint could not be published; the message says why, and what helps."""


def push(folder: Path, repo_id: str) -> str:
    """Publish a checkpoint as a model on the Hub; returns its id, which `checkpoint.load` takes.

    The card is written into the folder as README.md and goes along; a README.md of somebody else's is left alone, and
    then nothing is published. The model is made where there is none.

    repo_id: "owner/name", or a name alone, which is then the token's owner's.
    Test images in the folder stay there. Raises CheckpointError for a folder that is no checkpoint of a Mixer,
    OtherClasses for a network with other classes than CIFAR-10's whose record does not say on which images it was
    trained, and NotPushed for one that was never evaluated and where the Hub cannot be reached or does not let us in.
    """
    if not folder.is_dir():
        raise checkpoint.CheckpointError(f"there is no folder {folder}: name the folder of a checkpoint")
    model, metrics = checkpoint.load(folder, Mixer)
    if "data" not in metrics:
        class_numbers(class_names(model.config))
    missing = [name for name in STATED if name not in metrics]
    if missing:
        raise NotPushed(
            f"{folder} was never evaluated, or its metrics.json is not from here, so its card could not state "
            f"{', '.join(missing)}: first python main.py evaluate {folder} (with --data FOLDER for images of your own)"
        )
    atomic_write.check(folder / "README.md", atomic_write.signed)
    text = card(model.config, metrics)
    api = HfApi(token=True)
    try:
        repo_id = api.create_repo(repo_id, exist_ok=True).repo_id
        atomic_write.write_signed(folder / "README.md", text)
        ours = {path.name for path in checkpoint.ours(folder)}  # what else lies there stays private
        names = sorted(ours - {checkpoint.SAMPLES})
        api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=names)
    except LocalTokenNotFoundError as error:
        raise NotPushed(
            "the Hub needs a token. Make one with write access at https://huggingface.co/settings/tokens, "
            "then: hf auth login, or export HF_TOKEN=... (in Colab: a secret of that name)"
        ) from error
    except Exception as error:  # the client has changed its HTTP library before, and each has errors of its own
        raise NotPushed(f"{repo_id} was not published: {error}") from error
    return repo_id


def card(config: MixerConfig, metrics: dict[str, Any]) -> str:
    """The model card (Markdown under YAML): what the network is, how good, how made, and where it fails."""
    images = metrics.get("data", {"name": "CIFAR-10"})
    name = images["name"]
    dataset = PUBLISHED.get(name)
    data = ModelCardData(
        license="apache-2.0",
        library_name="pytorch",
        pipeline_tag="image-classification",
        datasets=[dataset] if dataset else None,
        metrics=["accuracy"],
        tags=["mlp-mixer", "interpretability"],
        model_name="MLP-Mixer",
        eval_results=[
            EvalResult(
                task_type="image-classification",
                dataset_type=dataset or "imagefolder",
                dataset_name=name,
                dataset_split="test",
                metric_type="accuracy",
                metric_value=round(metrics["accuracy"], 4),
            )
        ],
    )
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(
        [
            f"# MLP-Mixer, trained on {name if dataset else 'images of its owner'}",
            headline(metrics),
            _network(config),
            "## Use it\n\nIn the folder of the MLP-Mixer microscope, which shows what is inside of it, "
            "`python app.py --checkpoint OWNER/NAME`, with the id of this model. In Python, there:",
            "    from mixer.checkpoint import load\n    from mixer.model import Mixer\n"
            '    model, metrics = load("OWNER/NAME", Mixer)',
            "    from mixer.picture import decode, to_input, to_picture\n"
            '    pixels = to_picture(decode("photo.jpg").image, model.config.image_size)\n'
            "    probabilities = model(to_input(pixels, model.config)[None]).softmax(1)",
            "The weights are safetensors: nothing is unpickled.",
            *([] if dataset else [f"## Images\n\n{_images(name, images)}"]),
            f"## How it was made\n\n{_making(metrics)}",
            f"## Limits\n\n{_limits(config, metrics, name if dataset else 'its own')}",
        ]
    )


def _network(config: MixerConfig) -> str:
    (height, width), (patch_height, patch_width) = config.image_size, config.patch_size
    return (
        f"A network of MLPs alone ([Tolstikhin et al. 2021](https://arxiv.org/abs/2105.01601)) for pictures of "
        f"{height} x {width} pixels, in {config.grid.patches} patches of {patch_height} x {patch_width} (height x "
        f"width): {config.hidden_dim} channels, {config.num_blocks} blocks, {config.tokens_mlp_dim} hidden units in "
        f"each token-mixing MLP, {config.channels_mlp_dim} in each channel-mixing MLP."
    )


def _images(name: str, data: dict[str, Any]) -> str:
    """How many images of each class there were."""
    rows = [["class", "training images", "validation images", "test images"], ["---"] * 4]
    rows += [[_cell(of), *map(str, counts)] for of, counts in data.get("classes", {}).items()]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"Those of {name}, which are not published; parts {data.get('parts', 'unknown')}.\n\n{table}"


def _cell(name: str) -> str:
    """A name within a row of Markdown."""
    return " ".join(name.split()).replace("|", "\\|")


def _making(metrics: dict[str, Any]) -> str:
    """The recipe of every stage as it was given, and with what code."""
    recipes = [stage.get("recipe", {}) for stage in metrics.get("stages", [])]
    rows = [["setting", *(f"stage {i + 1}" for i in range(len(recipes)))], ["---"] * (1 + len(recipes))]
    rows += [[name, *(recipe.get(name) for recipe in recipes)] for name in (recipes[0] if recipes else {})]
    lines = ("| " + " | ".join(map(str, row)) + " |" for row in rows)
    table = "\n".join(lines) if recipes else "The recipe was not recorded."
    versions = ", ".join(f"{name} {version}" for name, version in metrics["versions"].items())
    return f"{table}\n\nWith {versions}, code {metrics['commit'] or 'unknown'}. All numbers are in `metrics.json`."


def _limits(config: MixerConfig, metrics: dict[str, Any], name: str) -> str:
    names, per_class = class_names(config), metrics["class_accuracy"]
    worst = min(per_class, key=per_class.__getitem__)
    return "\n".join(
        [
            f"- It knows {len(names)} classes ({', '.join(names)}) and gives one of them to any picture at all.",
            f"- Of any picture it sees the middle, shrunk to {config.image_size[0]} x {config.image_size[1]} pixels. "
            f"Photographs unlike {name}{UNLIKE.get(name, '')} were not measured; expect less.",
            f"- The classes are not equally hard: of class {worst}, {per_class[worst]:.2%} are right.",
            f"- Its confidence misses its accuracy by {metrics['calibration_error']:.2%} on average (expected "
            f"calibration error), by {metrics['calibration_error_at_temperature']:.2%} with the logits divided by "
            f"{metrics['temperature']:.2f}.",
            "- It is made to be looked into, not to decide anything that matters to anyone.",
        ]
    )
