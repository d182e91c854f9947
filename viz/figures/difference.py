"""The difference of two figures of the same kind."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from viz.figures.style import SIGNED


def difference(one: go.Figure, other: go.Figure) -> go.Figure | None:
    """One figure minus another, trace by trace; None if their traces have different axes or are not amounts.

    The difference has no picture under its maps, as the two figures may have different ones.
    """
    if [trace.type for trace in one.data] != [trace.type for trace in other.data]:
        return None
    pairs = [(a, b) for a, b in zip(one.data, other.data, strict=True) if a.type != "image" and not _is_text(a)]
    made = [_minus(a, b) for a, b in pairs]
    amounts = [trace[along] for trace, along in filter(None, made) if along]
    if not amounts or None in made:
        return None
    span = max(float(np.nanmax(np.abs(values), initial=0)) for values in amounts) or 1.0
    traces, layout, others = [], one.layout.to_plotly_json(), other.layout.to_plotly_json()
    for (trace, along), (_, second) in zip(filter(None, made), pairs, strict=True):
        against = second.to_plotly_json()
        if along == "z":
            trace |= {"colorscale": SIGNED, "zmin": -span, "zmax": span, "opacity": 1}
            _rename(trace.get("colorbar"), against.get("colorbar"))
        elif trace.get("marker", {}).get("showscale"):
            trace["marker"] |= {"colorscale": SIGNED, "cmin": -span, "cmax": span}
            _rename(trace["marker"].get("colorbar"), against["marker"].get("colorbar"))
        traces.append(trace)
    for along in {along for _, along in filter(None, made) if along in ("x", "y")}:
        for name in [name for name in layout if name.startswith(f"{along}axis")]:
            layout[name] = {key: value for key, value in layout[name].items() if key not in ("range", "rangemode")}
            _rename(layout[name], others.get(name))
    return go.Figure({"data": traces, "layout": layout})


def _is_text(trace: Any) -> bool:
    return trace.type == "scatter" and trace.mode == "text"


def _minus(one: Any, other: Any) -> tuple[dict[str, Any], str] | None:
    """A trace with the difference, and the name of its values; empty for a trace with only a colour bar."""
    made = one.to_plotly_json()
    for key in ("text", "hovertext", "texttemplate", "stackgroup", "fill", "fillcolor"):
        made.pop(key, None)
    if "text}" in (made.get("hovertemplate") or ""):
        del made["hovertemplate"]
    if list(one.x if one.x is not None else ()) == [None]:
        return made, ""
    along = "z" if one.type == "heatmap" else "x" if one.type == "bar" and one.orientation == "h" else "y"
    across = [axis for axis in ("x", "y") if axis != along]
    values = [np.asarray(trace[along]) for trace in (one, other)]
    same = one.name == other.name and all(_places(one[axis]) == _places(other[axis]) for axis in across)
    if not same or values[0].shape != values[1].shape or any(each.dtype.kind != "f" for each in values):
        return None
    made[along] = values[0] - values[1]
    return made, along


def _places(values: Any) -> list[Any]:
    return [] if values is None else np.asarray(values).tolist()


def _rename(titled: dict[str, Any] | None, other: dict[str, Any] | None) -> None:
    """The title of the difference of two colour bars or axes."""
    name, second = (((each or {}).get("title") or {}).get("text") for each in (titled, other))
    if titled and name:
        titled["title"] |= {"text": f"difference of {name}" if name == second else "difference"}
