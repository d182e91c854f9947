"""One sweep through the network for changes after each half-block: rows join the batch after their half-block.

So the layers before a change are not computed again, and those after it run in batches.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mixer.model import Mixer
from viz.capture import evaluating
from viz.pace import Steps, batches


def sweep_work(halves: int) -> int:
    """The number of half-blocks that `changed_behind_each` computes for an image; the classifier counts as one."""
    return halves * (halves + 1) // 2


def changed_behind_each(
    model: Mixer, changed: Float[Tensor, "halves images patches channels"]
) -> Steps[Float[Tensor, "halves images classes"]]:
    """The logits after a change of the tokens after one half-block, for each half-block.

    changed: the new tokens after each half-block. Yields the number of half-blocks that each step computed.
    """
    halves, images = changed.shape[:2]
    rows = changed[0]
    for half in range(1, halves + 1):
        parts = list[Tensor]()
        for part in batches(model, rows, share=2 / halves):  # one of two half-blocks may need most of the time
            with evaluating(model), torch.no_grad():
                parts.append(_through(model, part, half))
            yield len(part)
        rows = torch.cat(parts)
        if half < halves:
            rows = torch.cat([rows, changed[half]])
    return rows.unflatten(0, (halves, images))


def _through(model: Mixer, tokens: Float[Tensor, "rows patches channels"], half: int) -> Tensor:
    """The output of a half-block for its input tokens; after the last one, that of the classifier."""
    if half == 2 * len(model.blocks):
        return model.classify(tokens)
    block = model.block_at(half // 2)
    return block.mix_channels(tokens) if half % 2 else block.mix_tokens(tokens)
