"""The address of a selection: a short query in which digests replace long values.

Gradio sends the query with every request; servers accept 8 kB and log it. So the query has only the digest of a picture
or a long text. The browser stores the values of the digests (`address.js`), and *Copy link* puts them into the
fragment, which is not part of a request.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from urllib.parse import parse_qsl

from viz.selection import to_query

LONG = 500
"""maximum length of a value in the query; pictures are never in it"""
LONGEST = 8_000
"""maximum length of query and fragment together: chats and mail programs break longer links"""
DIGEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Address:
    """A link in two parts: the query, and the long values."""

    query: str
    stored: dict[str, str]
    """the long values by their digests"""

    @classmethod
    @lru_cache(maxsize=16)  # every view of an answer uses the same one
    def of(cls, link: str) -> "Address":
        """link: all parameters, as `viz.selection.to_query` writes them"""
        words = dict(parse_qsl(link, keep_blank_values=True))
        digests = {
            name: sha256(text.encode()).hexdigest()[:32]
            for name, text in words.items()
            if name == "picture" or len(text) > LONG
        }
        return cls(to_query({**words, **digests}), {digest: words[name] for name, digest in digests.items()})

    @property
    def fragment(self) -> str:
        """The long values, which make the link work in other browsers; empty if there are none or they are too long."""
        text = to_query(self.stored)
        return text if len(self.query) + len(text) < LONGEST else ""

    def short(self, text: str) -> str:
        """A text in which digests replace the long values."""
        for digest, word in self.stored.items():
            text = text.replace(word, digest)
        return text


def missing_values(missing: Collection[str]) -> str:
    """A message about parameters of which a link has only the digest."""
    if "picture" in missing:
        return "This link does not contain its picture: choose it again."
    return f"This link does not contain its {', '.join(missing)}, which was too long: choose it again."
