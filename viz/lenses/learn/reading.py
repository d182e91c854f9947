"""Introduction to the Mixer, other architectures, and the lenses, with pictures of this network."""

from collections.abc import Sequence

from viz import forward_pass
from viz.figures import patch_label
from viz.lenses.how_it_works import cells
from viz.lenses.how_it_works.cells import card, over_grid, picture, window
from viz.lenses.mixing import selected_unit
from viz.lenses.mixing.units import MAPS
from viz.lenses.table import table
from viz.lenses.view import Drawn, Lens, View, counted
from viz.microscope import Microscope
from viz.selection import Selection


def view(others: Sequence[Lens]) -> View:
    """others: all other lenses, for the table of what they can show"""
    shows = {lens.group or lens.name: lens.shows for lens in others if lens.shows}
    lenses = table(("lens", "can show", "cannot show"), [(name, *texts) for name, texts in shows.items()])
    return View(
        "reading",
        "What is an MLP-Mixer?",
        "How does this network work, in five minutes of text?",
        "The architecture says what a network can compute, not what this one has learned; the figures show that.",
        sees=lambda scope, s: (s.picture, s.patch, s.block, selected_unit.unit_of(scope, s)),
        draw=lambda scope, s: Drawn(html=_reading(scope, s, lenses)),
    )


def _reading(scope: Microscope, selection: Selection, lenses: str) -> str:
    """HTML. lenses: the table of lenses"""
    config, grid = scope.model.config, scope.grid
    (height, width), shared = grid.patch_size, forward_pass.shared_weights(scope.model)
    patches, channels = counted(grid.patches, "patch"), counted(config.hidden_dim, "channel")
    rows, columns = counted(grid.patches, "row"), counted(config.hidden_dim, "column")
    return f"""
<div class='reading'>
<h4>A table, and two MLPs in turn</h4>
<p>The picture is cut into {patches} of {height} x {width} pixels. The stem maps each patch to a token of
{counted(config.hidden_dim, "number")}. So the picture becomes a table of {rows}, the patches, and {columns}, the
channels.</p>
{_tables(scope, selection)}
<p>This network has {counted(config.num_blocks, "block")}. In each, one MLP works on the columns (token mixing: what is
in the other patches?). Another works on the rows (channel mixing: what do the features of this patch mean together?).
The output of each MLP is added to the table. At the end the rows are averaged, and one weighted sum for each class
gives the logits. There is no attention.</p>
<h4>Why all channels share one token-mixing MLP</h4>
<p>One token-mixing MLP has {shared[0]:,} parameters, which all channels share. A separate MLP for
each channel would take {shared[1]:,} in every block. Because of the sharing, a unit has one weight for each patch: a
map over the picture.</p>
{_maps(scope, selection)}
<h4>A special case of a CNN</h4>
<p>The stem is a convolution with a kernel of {height} x {width} and a stride of the same size. Channel mixing is two
1 x 1 convolutions, from {channels} to {config.channels_mlp_dim:,} and back. Token mixing is a depth-wise
convolution whose kernel covers all {grid.rows} x {grid.cols} patches; all channels share its
{counted(config.tokens_mlp_dim, "kernel")} (paper, section 1). A typical CNN has small kernels, which move
over the picture and differ between channels: it has locality built in, which a Mixer has to learn.</p>
<h4>A Vision Transformer without attention</h4>
<p>Patches, tokens, blocks, skip connections and channel MLPs are those of a ViT. Instead of self-attention, whose
weights are computed for each picture, a Mixer uses fixed weights; only GELU and LayerNorm depend on the picture. The
cost is linear in the number of patches, not quadratic. A Mixer needs no position embeddings, because token mixing has
separate weights for every position. Therefore it accepts exactly {patches}.</p>
<h4>What each lens can show, and what it cannot</h4>
{lenses}
</div>"""


def _tables(scope: Microscope, selection: Selection) -> str:
    """HTML: the picture, and its tokens after the stem."""
    stem = scope.look(selection.picture).stem[0].cpu().numpy()
    shown, where = window(0, scope.model.config.hidden_dim), patch_label(*scope.grid.position(selection.patch))
    before = card(picture(scope, selection.picture, selection.patch), f"this picture, {where}")
    after = card(
        cells.table(stem, shown, selection.patch, None), f"its tokens after the stem, {counted(len(shown), 'channel')}"
    )
    return f"<div class='cards'>{before}&rarr;{after}</div>"


def _maps(scope: Microscope, selection: Selection) -> str:
    """HTML: the read and write weights of the selected unit."""
    unit = selected_unit.unit_of(scope, selection)
    cards = (
        card(
            over_grid(scope, weights(scope.model, selection.block)[unit].ravel(), selection.patch),
            f"what unit {unit} of block {selection.block + 1} {side} (own scale)",
        )
        for side, weights in MAPS.items()
    )
    return f"<div class='cards'>{''.join(cards)}</div>"
