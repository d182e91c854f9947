"""Who waits for whom.

- A click, a control or a link goes through `act`, one after the other over all visitors, in the lane "draw": so what a
  visitor is sent comes in the order of what was chosen. It takes some hundredths of a second.
- What takes longer is measured by `run`, of which each visitor has at most one; it gives the model's thread back after
  every step, so clicks go on between two steps, and several visitors' measurements advance in turn. It sends only how
  far it is. When something is finished it lets `act` draw, so nothing is ever drawn out of order.
- A picture that is uploaded is read and decoded before it comes to the model's thread.
- Each endpoint takes one request at a time, in a lane of its own; on the model's thread it is one more visitor.
"""

from typing import Any

# "multiple": by default, Gradio drops what is chosen while an earlier choice is still on its way
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "trigger_mode": "multiple"}
DRAW: dict[str, Any] = PRIVATE | {"concurrency_id": "draw", "concurrency_limit": 1}
MEASURE: dict[str, Any] = PRIVATE | {"concurrency_id": "measure", "concurrency_limit": None}
