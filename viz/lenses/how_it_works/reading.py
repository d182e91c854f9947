"""What one can read: what a Mixer is, what it has to do with other networks, what each lens can show; and the words."""

from viz import forward_pass
from viz.lenses import glossary
from viz.lenses.table import table
from viz.lenses.view import Drawn, View
from viz.microscope import Microscope

LENSES = (
    (
        "How it works",
        "each part with its numbers, and from which depth on the head can read the answer",
        "why the weights are what they are",
    ),
    ("Patch tokens", "how similar tokens are, and their logits", "what a direction means in itself"),
    (
        "Token mixing",
        "which patches a unit reads and writes, which patch influences which",
        "what a unit is used for: all channels share its weights",
    ),
    (
        "Attribution",
        "a share of the answer for each patch, and the sum it should have",
        "causes: methods ask different questions, and may disagree",
    ),
    (
        "Reliability of maps",
        "whether a map does better than chance, and whether it depends on the weights",
        "that a map is true",
    ),
    (
        "What if",
        "which edits, tokens and parts of the network change the answer",
        "what a picture outside the training data means: edited pictures are such pictures",
    ),
    (
        "Model",
        "how often it is correct on test images, and with which confidence",
        "anything about pictures of another kind",
    ),
)


def view(scope: Microscope) -> View:
    return View(
        "reading",
        "What is an MLP-Mixer?",
        "This text takes five minutes to read; the sizes are those of this network.",
        "The architecture says what a network can compute, not what this one has learned; the figures show that.",
        sees=lambda s: None,
        draw=lambda scope, s: Drawn(html=reading(scope)),
    )


def words(scope: Microscope) -> View:
    return View(
        "glossary",
        "Glossary",
        "These terms are underlined on this page. Hover over one or focus it with Tab to read its definition there.",
        "Usage differs between authors; this is how the page uses the terms.",
        sees=lambda s: None,
        draw=lambda scope, s: Drawn(html=glossary.listed(scope)),
    )


def reading(scope: Microscope) -> str:
    """HTML."""
    config, grid = scope.model.config, scope.grid
    (height, width), shared = grid.patch_size, forward_pass.shared_weights(scope.model)
    patches, channels, blocks = grid.patches, config.hidden_dim, config.num_blocks
    shows = table(("lens", "can show", "cannot show"), LENSES)
    return f"""
<div class='reading'>
<h4>A table, and two MLPs in turn</h4>
<p>The picture is cut into {patches} patches of {height} x {width} pixels. The stem maps each patch to a token of
{channels} numbers. So the picture is a table: it has {patches} rows, one for each patch, and {channels} columns, the
channels. There are {blocks} blocks. In each, one MLP works on the columns (token mixing: what is in the other
patches?). Another works on the rows (channel mixing: what do the features of this patch mean together?). The output of
each MLP is added to the table. At the end the rows are averaged. One weighted sum for each class gives the logits.
There is no attention.</p>
<h4>Why all channels share one token-mixing MLP</h4>
<p>One token-mixing MLP has {shared[0]:,} parameters, and all {channels} channels go through it. A separate MLP for
each channel would take {shared[1]:,} in every block. Because of the sharing, a unit has one weight for each patch, the
same for all channels. So its weights are one map over the picture, which can be drawn.</p>
<h4>A special case of a CNN</h4>
<p>The paper describes a Mixer in this way (section 1). The stem is a convolution with a kernel of {height} x {width}
and a stride of the same size. Channel mixing is two 1 x 1 convolutions, from {channels} to {config.channels_mlp_dim}
channels and back. Token mixing is a depth-wise convolution whose kernel covers all {grid.rows} x {grid.cols} patches.
All channels share its {config.tokens_mlp_dim} kernels. A typical CNN has small kernels, which move over the picture
and differ between channels: it has locality built in. A Mixer has to learn locality.</p>
<h4>A Vision Transformer without attention</h4>
<p>Patches, tokens, blocks, skip connections and channel MLPs are those of a ViT. Instead of self-attention, whose
weights are computed for each picture, a Mixer uses fixed weights. The same patches are connected in every picture; only
GELU and LayerNorm depend on the picture. The cost is linear in the number of patches, not quadratic. A Mixer needs no
position embeddings, because the token-mixing MLP has separate weights for every position. Therefore it accepts exactly
{patches} patches.</p>
<h4>What each lens can show, and what it cannot</h4>{shows}
</div>"""
