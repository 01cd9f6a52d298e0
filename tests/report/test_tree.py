"""Which sample continues which, found in the texts alone."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from outthink.report.run_view.tree import Branch, Piece, branches, depths


@given(st.integers(0, 2**32), st.integers(1, 40), st.sampled_from(["", "\n\n"]))
def test_a_tree_grown_in_steps_is_found_again(seed: int, size: int, boundary: str) -> None:
    chance = random.Random(seed)
    pieces, parents = [Piece("", "root 0")], [None]
    for index in range(1, size):
        parent = chance.randrange(index) if chance.random() < 0.9 else None
        before = "" if parent is None else pieces[parent].prefix + pieces[parent].text + boundary
        pieces.append(Piece(before, f" step {index}."))  # every step's text is its own
        parents.append(parent)
    found = branches(pieces)
    assert [branch.parent for branch in found] == parents
    for branch, piece in zip(found, pieces, strict=True):
        if branch.parent is not None:
            above = pieces[branch.parent]
            assert (above.prefix + above.text)[: len(above.prefix) + branch.at] + branch.given == piece.prefix
            assert (branch.at, branch.given) == (len(above.text), boundary)
    deep = depths(found)
    assert all(deep[i] == (0 if parent is None else deep[parent] + 1) for i, parent in enumerate(parents))


@given(st.lists(st.tuples(st.text("ab", max_size=6), st.text("ab", max_size=4)), max_size=25))
def test_whatever_the_texts_there_are_no_circles_and_no_text_is_lost(texts: list[tuple[str, str]]) -> None:
    pieces = [Piece(*each) for each in texts]
    found = branches(pieces)
    for index, (branch, piece) in enumerate(zip(found, pieces, strict=True)):
        if branch.parent is None:
            assert branch.given == piece.prefix
        else:
            above = pieces[branch.parent]
            assert branch.parent != index
            assert len(above.prefix) < len(piece.prefix)  # so there are no circles
            assert 0 < branch.at <= len(above.text)
            assert above.prefix + above.text[: branch.at] + branch.given == piece.prefix
    assert len(depths(found)) == len(pieces)


def test_equal_texts_go_to_the_latest_before() -> None:
    pieces = [Piece("", "a"), Piece("", "a"), Piece("a", "b"), Piece("", "a"), Piece("a", "c")]
    assert [branch.parent for branch in branches(pieces)] == [None, None, 1, None, 3]


def test_a_branch_in_the_middle_and_a_stream_that_was_probed() -> None:
    thought = "First I add the two numbers, then I"
    pieces = [
        Piece("", f"{thought} halve them."),
        Piece(thought, " double them."),  # a rollout from the middle
        Piece(f"{thought} halve th\nSo the answer is", " 4."),  # a probe of a stream that went on
        Piece("<think>", "a given beginning is nobody's"),
    ]
    assert branches(pieces) == [
        Branch(None, 0, ""),
        Branch(0, len(thought), ""),
        Branch(0, len(f"{thought} halve th"), "\nSo the answer is"),
        Branch(None, 0, "<think>"),
    ]


def test_thousands_of_samples_in_forty_generations() -> None:
    chance, pieces = random.Random(1), [Piece("", f"start {at} " * 20) for at in range(100)]
    for _ in range(40):
        alive = [piece.prefix + piece.text for piece in pieces[-100:]]
        pieces += [Piece(chance.choice(alive), f"step {chance.randrange(5)} " * 20) for _ in range(100)]
    found = branches(pieces)
    assert max(depths(found)) == 40
    assert [branch.parent is None for branch in found] == [True] * 100 + [False] * 4000
    assert not any(branch.given for branch in found)
