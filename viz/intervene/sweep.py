"""One sweep through the network for all half-blocks: each row of a batch joins behind the half-block that it changes.

So what lies before a change is computed once for all, and what lies behind it in batches.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mixer.model import Mixer
from viz.capture import evaluating
from viz.pace import Steps, batches


def sweep_work(halves: int) -> int:
    """Half-blocks that `changed_behind_each` computes for an image; the classifier counts as one."""
    return halves * (halves + 1) // 2


def changed_behind_each(
    model: Mixer, changed: Float[Tensor, "halves images patches channels"]
) -> Steps[Float[Tensor, "halves images classes"]]:
    """The logits where the tokens behind one half-block are changed, for each half-block.

    changed: what the tokens are behind it instead. Yields how many half-blocks each step computed.
    """
    halves, images = changed.shape[:2]
    rows = changed[0]
    for half in range(1, halves + 1):
        parts = list[Tensor]()
        for part in batches(model, rows, share=2 / halves):  # of two half-blocks, one may take most of the time
            with evaluating(model), torch.no_grad():
                parts.append(_through(model, part, half))
            yield len(part)
        rows = torch.cat(parts)
        if half < halves:
            rows = torch.cat([rows, changed[half]])
    return rows.unflatten(0, (halves, images))


def _through(model: Mixer, tokens: Float[Tensor, "rows patches channels"], half: int) -> Tensor:
    """What a half-block makes of tokens; behind the last one, the classifier."""
    if half == 2 * len(model.blocks):
        return model.classify(tokens)
    block = model.block_at(half // 2)
    return block.mix_channels(tokens) if half % 2 else block.mix_tokens(tokens)
