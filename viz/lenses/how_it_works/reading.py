"""What one can read: what a Mixer is, what it has to do with other networks, what each lens can show; and the words."""

from viz import forward_pass
from viz.lenses import glossary
from viz.lenses.table import table
from viz.lenses.view import Drawn, View
from viz.microscope import Microscope

LENSES = (
    (
        "How it works",
        "each part with its numbers, from where on the head can read the answer",
        "why the weights are what they are",
    ),
    ("Patch tokens", "what is at each place, how alike places are, how they vote", "what a direction means in itself"),
    (
        "Token mixing",
        "which places a unit reads and writes, who acts on whom",
        "what for: every channel goes by the same map, and the channels decide",
    ),
    (
        "Attribution",
        "shares of the answer for each patch, each with the sum it should have",
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
    ("Model", "how often it is correct on test images, and how sure", "anything about pictures of another kind"),
)


def view(scope: Microscope) -> View:
    return View(
        "reading",
        "What is an MLP-Mixer?",
        "To be read in five minutes, with the sizes of this network.",
        "A likeness in form says what a network can do, not what this one has learned: for that there are the figures.",
        sees=lambda s: None,
        draw=lambda scope, s: Drawn(html=reading(scope)),
    )


def words(scope: Microscope) -> View:
    return View(
        "glossary",
        "Glossary",
        "All terms that are underlined on this page; point at one, there or by the tab key, to see this text.",
        "The field is not of one mind about some of them: this is how the page uses them.",
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
<p>The picture is cut into {patches} patches of {height} x {width} pixels. Of each, the stem makes a token of {channels}
numbers. So the picture is a table: {patches} rows, one for each place, and {channels} columns, the channels, each
a feature. {blocks} times, an MLP works on the columns (token mixing: what is at other places?) and another on the rows
(channel mixing: what do the features here mean together?). Each adds what it makes to the table. At the end the rows
are averaged, and a weighted sum for each class is the answer. There is no convolution and no attention.</p>
<h4>Why all channels share one token-mixing MLP</h4>
<p>One token-mixing MLP has {shared[0]:,} parameters, and all {channels} channels go through it. An MLP of its own for
each channel would take {shared[1]:,} in every block. Sharing also means that a unit looks at places only, never at
features: its weights are one map over the picture, which can be drawn, whatever the channel holds.</p>
<h4>A very special CNN</h4>
<p>So the paper calls it (section 1): the stem is a convolution with a kernel of {height} x {width} that moves by as
much; channel mixing is 1 x 1 convolutions, from {channels} to {config.channels_mlp_dim} channels and back; token
mixing is depth-wise convolutions whose kernel covers all {grid.rows} x {grid.cols} places,
{config.tokens_mlp_dim} kernels that all channels share. A usual CNN has small kernels, which move, and others for each
channel: it knows beforehand that neighbours matter. A Mixer has to learn that.</p>
<h4>A Vision Transformer without attention</h4>
<p>Patches, tokens, blocks, skip-connections and channel MLPs are those of a ViT. In place of self-attention, whose
weights are made anew for every picture, stand fixed weights: the same patch talks to the same patches whatever they
show; only GELU and LayerNorm depend on the picture. The work grows in proportion to the number of patches, not to its
square. And it needs no position embeddings: the token-mixing MLP knows its places by their order. The
price: it takes {patches} patches, no more and no fewer.</p>
<h4>What each lens can show, and what it cannot</h4>{shows}
</div>"""
