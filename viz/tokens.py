"""Measures on the tokens of a `Trace` at each patch and depth, as plain arrays.

A trace must hold one image (`trace.image(i)` selects one of several). Depths are numbered as in `depth_names`, patches
as in `PatchGrid`, both from 0; a number that does not exist raises ValueError.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Float32, Int, Int64
from torch import Tensor

from mixer.model import Mixer
from mixer.validation import check_exists
from viz.capture import Trace, array, capture, depth_sources, evaluating, exclusive, trace
from viz.pace import batches, due, estimated, in_place, spread_out


@dataclass(frozen=True, eq=False)
class PcaColours:
    """Tokens as colours: similar colours mean similar values of the first three principal components."""

    colours: Float32[np.ndarray, "depths patches 3"]
    """red, green, blue from 0 to 1: the first, second and third principal component"""
    explained: Float32[np.ndarray, "bases 3"]
    """the share of the variance along each component; one basis, or one per depth"""


@dataclass(frozen=True, eq=False)
class LogitLens:
    """The answers if the network ended at each depth."""

    probabilities: Float32[np.ndarray, "depths classes"]
    leads_from: int
    """the first depth at which the final answer is the most probable class (another class may lead again later)"""

    @property
    def decided_at(self) -> int:
        """The first depth from which on the final answer is the most probable class at every depth."""
        return int(leads_for_good(torch.from_numpy(self.probabilities).argmax(1)[:, None]))


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The tokens of a bank with the largest cosine to a given one, best first."""

    images: Int64[np.ndarray, "k"]
    patches: Int64[np.ndarray, "k"]
    cosines: Float32[np.ndarray, "k"]


@dataclass(frozen=True, eq=False)
class SampleStats:
    """Means over many images, with which one image can be compared."""

    images: int
    norms: Float32[np.ndarray, "depths patches"]
    """the mean norm of each token"""
    updates: Float32[np.ndarray, "depths patches"]
    """the mean norm of its update; at the stem, of the token itself"""
    votes: Float32[np.ndarray, "depths patches classes"]
    """the mean logit of each class from this token alone"""
    leads: Int64[np.ndarray, "depths classes"]
    """the number of images for which each class is the most probable, if the network ended at that depth"""
    band: Float32[np.ndarray, "2 depths"]
    """the 5th and the 95th percentile of the probability of each image's own final answer"""
    decided: Int64[np.ndarray, "depths"]
    """the number of images whose final answer is the most probable class exactly from that depth on"""


def norms(trace: Trace) -> Float32[np.ndarray, "depths patches"]:
    """The Euclidean norm of each token."""
    return array(_tokens(trace).norm(dim=-1))


def update_norms(trace: Trace) -> Float32[np.ndarray, "updates patches"]:
    """The Euclidean norm of each sublayer's update of each token: row i is from depth i to depth i + 1."""
    return array(_tokens(trace).diff(dim=0).norm(dim=-1))


def pca_colours(trace: Trace, joint: bool) -> PcaColours:
    """The first three principal components of the tokens as red, green and blue.

    joint: one basis and one colour scale for the tokens of all depths, so that colours can be compared between depths;
        otherwise one for each depth, so that colours can be compared only within it.

    Each component is scaled to 0..1 over its basis, also if it explains little variance. Its largest loading is
    positive. If the tokens do not differ along it (an empty picture), it is 0.5.
    """
    tokens = _tokens(trace)
    scores, explained = _principal_components(rearrange(tokens, "d p c -> 1 (d p) c") if joint else tokens)
    low, high = scores.amin(1, keepdim=True), scores.amax(1, keepdim=True)
    colours = torch.where(high > low, (scores - low) / (high - low), 0.5)
    return PcaColours(array(colours.reshape(*tokens.shape[:2], 3)), array(explained))


def _principal_components(
    points: Float[Tensor, "bases points channels"],
) -> tuple[Float[Tensor, "bases points 3"], Float[Tensor, "bases 3"]]:
    """Coordinates along the first three components and the shares of variance that they explain."""
    axes, shares = principal_axes(points)
    return (points.double() - points.double().mean(1, keepdim=True)) @ axes, shares


def principal_axes(
    points: Float[Tensor, "bases points channels"], count: int = 3
) -> tuple[Float[Tensor, "bases channels count"], Float[Tensor, "bases count"]]:
    """The first components and the shares of variance that they explain; 0 for missing ones.

    They are eigenvectors of the smaller Gram matrix: 3 to 10 times faster than an SVD, and exact enough in float64.
    """
    centred = points.double() - points.double().mean(1, keepdim=True)
    few = points.shape[1] < points.shape[2]
    gram = centred @ centred.mT if few else centred.mT @ centred
    variance, vectors = (found[..., -count:].flip(-1) for found in torch.linalg.eigh(gram))
    # Rounding makes equal points differ: a component below the tolerance of matrix_rank is noise.
    noise = points.norm(dim=(1, 2)) * max(points.shape[1:]) * torch.finfo(points.dtype).eps
    variance = torch.where(variance > noise.square()[:, None], variance, 0)
    axes = centred.mT @ vectors if few else vectors  # bases channels count
    signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    axes = F.normalize(axes, dim=1) * signs * (variance > 0)[:, None]
    total = centred.square().sum((1, 2)).clamp_min(torch.finfo(points.dtype).tiny)
    missing = count - variance.shape[1]
    return F.pad(axes, (0, missing)), F.pad(variance / total[:, None], (0, missing))


def similarity(trace: Trace, patch: int) -> Float32[np.ndarray, "depths patches"]:
    """The cosine of one patch's token with every token (itself, too) of the same depth; 0 for zero tokens."""
    tokens = F.normalize(_tokens(trace), dim=-1)
    check_exists("patch", patch, tokens.shape[1])
    return array(torch.einsum("dpc,dc->dp", tokens, tokens[:, patch]))


def similarity_matrix(trace: Trace, depth: int) -> Float32[np.ndarray, "patches patches"]:
    """The cosine of every token with every token of one depth; 0 for zero tokens."""
    tokens = F.normalize(_tokens_at(trace, depth), dim=-1)
    return array(tokens @ tokens.mT)


def logit_lens(trace: Trace, model: Mixer) -> LogitLens:
    """The network's own classifier (pre-head LayerNorm if there is one, mean over the patches, head) at every depth.

    After nostalgebraist, "interpreting GPT: the logit lens" (2020). The classifier was trained for the last depth
    only: the tokens of early depths may encode a class in a form that the head cannot read.
    """
    logits = answer(model, _tokens(trace))
    answers = logits.argmax(1)
    leads_from = int((answers == answers[-1]).nonzero()[0])
    return LogitLens(array(logits.softmax(1)), leads_from)


def leads_for_good(leaders: Int[Tensor, "depths images"]) -> Int[Tensor, "images"]:
    """The first depth from which on the final answer is the most probable class at every depth.

    leaders: the most probable class if the network ended at each depth
    """
    other = leaders != leaders[-1]
    return len(leaders) - other.flip(0).int().cumsum(0).eq(0).sum(0)


def answer(model: Mixer, tokens: Float[Tensor, "*any patches channels"]) -> Float[Tensor, "*any classes"]:
    """The logits of the network's own classifier from tokens of the last depth (or of another, see `logit_lens`)."""
    with exclusive(model), torch.no_grad():
        return model.head(_before_pooling(model, tokens).mean(-2))


def votes(trace: Trace, model: Mixer, depth: int) -> Float32[np.ndarray, "patches classes"]:
    """The logits of each token alone: (pre-head LayerNorm and) head, without pooling.

    Pooling is a mean and the head is affine, so at the last depth the mean of the votes equals the network's logits.
    """
    return array(votes_of(model, _tokens_at(trace, depth)))


def votes_of(model: Mixer, tokens: Float[Tensor, "*any channels"]) -> Float[Tensor, "*any classes"]:
    """As `votes`, from tokens of one depth, on the model's device."""
    with exclusive(model), torch.no_grad():
        return model.head(_before_pooling(model, tokens))


def sample_tokens(
    model: Mixer, images: Float[Tensor, "images 3 height width"], depth: int
) -> Iterator[int | Float[Tensor, "images patches channels"]]:
    """The tokens of many images at one depth, on the model's device.

    Yields the number of images done, and the tokens: first of a few images (NaN for the others), finally of all.

    images: normalised, on the model's device. Only this depth is kept: 13 MB for the 200 samples and the default
    network in float32; all 25 depths would need 328 MB. The model is free for other threads between the batches.
    """
    sources = depth_sources(len(model.blocks))
    check_exists("depth", depth, len(sources))
    return estimated(
        model,
        images,
        lambda batch: _read(model, batch, sources[depth]),
        lambda found: in_place(found, images),
        gradients=False,
    )


def sample_stats(model: Mixer, images: Float[Tensor, "images 3 height width"]) -> Iterator[int | SampleStats]:
    """Means over many images: yields the number done, preliminary results when `due`, finally the result.

    images: normalised, on the model's device. The model is free for other threads between the batches.
    """
    sums: list[Tensor] = []
    leads, own, decided = list[Tensor](), list[Tensor](), list[Tensor]()

    def found(count: int) -> SampleStats:
        band = torch.cat(own, 1).quantile(torch.tensor([0.05, 0.95], device=images.device), dim=1)
        lengths, written, votes = (total / count for total in sums)
        leaders = torch.stack(leads).sum(0).cpu().numpy()
        settled = torch.cat(decided).bincount(minlength=len(leaders)).cpu().numpy()
        return SampleStats(count, array(lengths), array(written), array(votes), leaders, array(band), settled)

    done = 0
    for some in batches(model, spread_out(images), gradients=True):
        tokens = trace(model, images[some]).depths  # depths batch patches channels
        with exclusive(model), torch.no_grad():
            votes = torch.stack([model.head(_before_pooling(model, at_depth)).sum(0) for at_depth in tokens])
        probabilities = answer(model, tokens).softmax(-1)  # depths batch classes
        leads.append(F.one_hot(probabilities.argmax(-1), probabilities.shape[-1]).sum(1))
        decided.append(leads_for_good(probabilities.argmax(-1)))
        own.append(probabilities.gather(2, probabilities[-1:].argmax(-1)[..., None].expand(len(tokens), -1, 1))[..., 0])
        written = torch.cat([tokens[:1], tokens.diff(dim=0)])
        new = [tokens.norm(dim=-1).sum(1), written.norm(dim=-1).sum(1), votes]
        sums = [a + b for a, b in zip(sums, new, strict=True)] if sums else new
        before, done = done, done + len(some)
        yield done
        if due(before, done):
            yield found(done)
    yield found(done)


def neighbours(
    bank: Float[Tensor, "images patches channels"],
    token: Float[Tensor, "channels"],
    k: int,
    exclude: int | None = None,
) -> Neighbours:
    """The k tokens of a bank with the largest cosine to a token of the same depth; ties in the order of the bank.

    Images whose tokens are NaN are ignored: they are not measured yet.

    exclude: an image of the bank to leave out, such as the one that the token belongs to
    Raises ValueError if the bank has fewer than k tokens (without the excluded image).
    """
    lengths = bank.norm(dim=-1) * token.norm()  # F.cosine_similarity needs three times the time
    cosines = (bank @ token) / lengths.clamp_min(torch.finfo(bank.dtype).tiny)  # images patches
    cosines[cosines.isnan()] = -torch.inf
    available = cosines.numel()
    if exclude is not None:
        check_exists("image", exclude, len(bank))
        cosines[exclude] = -torch.inf
        available -= cosines.shape[1]
    if not 1 <= k <= available:
        raise ValueError(f"k must be from 1 to the {available} tokens to choose from, not {k}")
    values, places = cosines.flatten().sort(descending=True, stable=True)
    found, patches = np.divmod(places[:k].cpu().numpy(), cosines.shape[1])
    return Neighbours(found, patches, array(values[:k]))


def _read(model: Mixer, images: Float[Tensor, "batch 3 height width"], source: str) -> Tensor:
    with evaluating(model), torch.no_grad(), capture(model, [source]) as seen:
        model(images)
    return seen[source]


def _before_pooling(model: Mixer, tokens: Float[Tensor, "*any channels"]) -> Float[Tensor, "*any channels"]:
    return tokens if model.pre_head_norm is None else model.pre_head_norm(tokens)


def _tokens(trace: Trace) -> Float[Tensor, "depths patches channels"]:
    return trace.single().depths[:, 0]


def _tokens_at(trace: Trace, depth: int) -> Float[Tensor, "patches channels"]:
    tokens = _tokens(trace)
    check_exists("depth", depth, len(tokens))
    return tokens[depth]
