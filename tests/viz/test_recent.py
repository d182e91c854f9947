from viz.recent import Recent


def test_what_was_set_longest_ago_is_forgotten_first() -> None:
    known: Recent[str, int] = Recent(2)
    known["a"], known["b"] = 1, 2
    known["a"] = 3  # set anew, so younger than b
    known["c"] = 4
    assert dict(known) == {"a": 3, "c": 4}
    assert known.get("b") is None
