"""Publish a checkpoint on the Hugging Face Hub, with a model card from its metrics."""

from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, HfApi, ModelCardData
from huggingface_hub.errors import LocalTokenNotFoundError

from mixer import atomic_write, checkpoint
from mixer.data import class_names, class_numbers, named
from mixer.evaluate import headline
from mixer.model import Mixer, MixerConfig

REQUIRED = (
    "accuracy",
    "class_accuracy",
    "calibration_error",
    "calibration_error_at_temperature",
    "temperature",
    "versions",
    "commit",
)
"""metrics that the card needs"""


class NotPushed(ValueError):
    """A checkpoint could not be published. The message has the reason and the next step."""


def push(folder: Path, repo_id: str) -> str:
    """Publish a checkpoint as a model on the Hub; returns its id for `checkpoint.load`.

    The model is created if it does not exist. The card is written into the folder as README.md and published with it.
    Test images are not published.

    repo_id: "owner/name"; without owner, the owner of the token
    Raises NotWritable if README.md is another file, CheckpointError if the folder is not a checkpoint of a Mixer,
    OtherClasses for other classes than CIFAR-10's without a record of the data, and NotPushed for a network without
    evaluation or if the Hub cannot be reached or refuses the token.
    """
    if not folder.is_dir():
        raise checkpoint.CheckpointError(f"{folder} is not a folder: name the folder of a checkpoint")
    model, metrics = checkpoint.load(folder, Mixer)
    if "data" not in metrics:
        class_numbers(class_names(model.config))
    missing = [name for name in REQUIRED if name not in metrics]
    if missing:
        raise NotPushed(
            f"{folder} lacks metrics for the model card ({', '.join(missing)}): evaluate it first with "
            f"python main.py evaluate {folder} (add --data FOLDER for your own images)"
        )
    atomic_write.check(folder / "README.md", atomic_write.signed)
    text = card(model.config, metrics)
    api = HfApi(token=True)
    try:
        repo_id = api.create_repo(repo_id, exist_ok=True).repo_id
        atomic_write.write_signed(folder / "README.md", text)
        ours = {path.name for path in checkpoint.ours(folder)}  # other files stay private
        names = sorted(ours - {checkpoint.SAMPLES})
        api.upload_folder(repo_id=repo_id, folder_path=folder, allow_patterns=names)
    except LocalTokenNotFoundError as error:
        raise NotPushed(
            "the Hub needs a token. Create one with write access at https://huggingface.co/settings/tokens, "
            "then: hf auth login, or export HF_TOKEN=... (in Colab: a secret of that name)"
        ) from error
    except Exception as error:  # the HTTP library of the client, which changes, has its own errors
        raise NotPushed(f"{repo_id} was not published: {error}") from error
    return repo_id


def card(config: MixerConfig, metrics: dict[str, Any]) -> str:
    """The model card (YAML and Markdown): network, accuracy, use, training and limits."""
    images = metrics.get("data", {"name": "CIFAR-10"})
    name = images["name"]
    published = named(name)
    dataset, tested = (published.hub, f"{name}'s ({published.content})") if published else (None, "its own")
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
            f"# MLP-Mixer, trained on {name if dataset else 'private images'}",
            headline(metrics),
            _network(config),
            "## Use it\n\nIn the folder of the MLP-Mixer microscope, `python app.py --checkpoint OWNER/NAME`, with the "
            "id of this model, shows how it works. In Python, there:",
            "    from mixer.checkpoint import load\n    from mixer.model import Mixer\n"
            '    model, metrics = load("OWNER/NAME", Mixer)',
            "    from mixer.picture import decode, to_input, to_picture\n"
            '    pixels = to_picture(decode("photo.jpg").image, model.config.image_size)\n'
            "    probabilities = model(to_input(pixels, model.config)[None]).softmax(1)",
            "The weights are safetensors: nothing is unpickled.",
            *([] if dataset else [f"## Images\n\n{_images(name, images)}"]),
            f"## Training\n\n{_training(metrics)}",
            f"## Limits\n\n{_limits(config, metrics, tested)}",
        ]
    )


def _network(config: MixerConfig) -> str:
    (height, width), (patch_height, patch_width) = config.image_size, config.patch_size
    return (
        f"A network of MLPs only ([Tolstikhin et al. 2021](https://arxiv.org/abs/2105.01601)) for pictures of "
        f"{height} x {width} pixels, in {config.grid.patches} patches of {patch_height} x {patch_width} (height x "
        f"width): {config.hidden_dim} channels, {config.num_blocks} blocks, {config.tokens_mlp_dim} hidden units in "
        f"each token-mixing MLP, {config.channels_mlp_dim} in each channel-mixing MLP."
    )


def _images(name: str, data: dict[str, Any]) -> str:
    """The number of images of each class."""
    rows = [["class", "training images", "validation images", "test images"], ["---"] * 4]
    rows += [[_cell(label), *map(str, counts)] for label, counts in data.get("classes", {}).items()]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"The images of {name} are not published. Split: {data.get('parts', 'unknown')}.\n\n{table}"


def _cell(name: str) -> str:
    """A name as a cell of a Markdown table."""
    return " ".join(name.split()).replace("|", "\\|")


def _training(metrics: dict[str, Any]) -> str:
    """The recipe of each stage, and the versions of the code."""
    recipes = [stage.get("recipe", {}) for stage in metrics.get("stages", [])]
    rows = [["setting", *(f"stage {i + 1}" for i in range(len(recipes)))], ["---"] * (1 + len(recipes))]
    rows += [[name, *(recipe.get(name) for recipe in recipes)] for name in (recipes[0] if recipes else {})]
    lines = ("| " + " | ".join(map(str, row)) + " |" for row in rows)
    table = "\n".join(lines) if recipes else "The recipe was not recorded."
    versions = ", ".join(f"{name} {version}" for name, version in metrics["versions"].items())
    return f"{table}\n\nWith {versions}, code {metrics['commit'] or 'unknown'}. All numbers are in `metrics.json`."


def _limits(config: MixerConfig, metrics: dict[str, Any], images: str) -> str:
    """images: those that it was tested on"""
    names, per_class = class_names(config), metrics["class_accuracy"]
    worst = min(per_class, key=per_class.__getitem__)
    return "\n".join(
        [
            f"- It can only answer with one of its {len(names)} classes ({', '.join(names)}).",
            f"- It gets the centre of a picture, resized to {config.image_size[0]} x {config.image_size[1]} pixels. "
            f"Photographs unlike {images} were not measured; the accuracy is probably lower.",
            f"- The classes differ in difficulty: the accuracy of class {worst} is {per_class[worst]:.2%}.",
            f"- Its confidence differs from its accuracy by {metrics['calibration_error']:.2%} on average (expected "
            f"calibration error), by {metrics['calibration_error_at_temperature']:.2%} with the logits divided by "
            f"{metrics['temperature']:.2f}.",
            "- It is a network for study, not for decisions that affect people.",
        ]
    )
