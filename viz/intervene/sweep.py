"""One sweep through the network for changes after each sublayer: rows join the batch after their sublayer.

So the layers before a change are not computed again, and those after it run in batches.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mixer.model import Mixer
from viz.capture import evaluating
from viz.pace import Steps, batches


def sweep_work(sublayers: int) -> int:
    """The number of sublayers that `changed_behind_each` computes for an image; the classifier counts as one."""
    return sublayers * (sublayers + 1) // 2


def changed_behind_each(
    model: Mixer, changed: Float[Tensor, "sublayers images patches channels"]
) -> Steps[Float[Tensor, "sublayers images classes"]]:
    """The logits after a change of the tokens after one sublayer, for each sublayer.

    changed: the new tokens after each sublayer. Yields the number of sublayers that each step computed.
    """
    sublayers, images = changed.shape[:2]
    rows = changed[0]
    for sublayer in range(1, sublayers + 1):
        parts = list[Tensor]()
        for part in batches(model, rows, share=2 / sublayers):  # one of two sublayers may need most of the time
            with evaluating(model), torch.no_grad():
                parts.append(_through(model, part, sublayer))
            yield len(part)
        rows = torch.cat(parts)
        if sublayer < sublayers:
            rows = torch.cat([rows, changed[sublayer]])
    return rows.unflatten(0, (sublayers, images))


def _through(model: Mixer, tokens: Float[Tensor, "rows patches channels"], sublayer: int) -> Tensor:
    """The output of a sublayer for its input tokens; after the last one, that of the classifier."""
    if sublayer == 2 * len(model.blocks):
        return model.classify(tokens)
    block = model.block_at(sublayer // 2)
    return block.mix_channels(tokens) if sublayer % 2 else block.mix_tokens(tokens)
