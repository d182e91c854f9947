"""What stands in the address: a short query, and under digests in it what is too long for one.

Gradio sends the query along with every request; servers take 8 kB of it and keep it in their logs. So a picture, and
whatever else is long, is in the query as its digest alone. The browser keeps what a digest stands for
(`instrument.js`), and *Copy link* puts it into the fragment, which no request carries.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from urllib.parse import parse_qsl

from viz.selection import to_query

LONG = 500
"""characters from which on a word is not in the query; a picture never is"""
LONGEST = 8_000
"""characters that a link may have beside its address, for chats and mail programs to let it through"""
DIGEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Address:
    """A link, parted."""

    query: str
    kept: dict[str, str]
    """what the digests in the query stand for"""

    @classmethod
    @lru_cache(maxsize=16)  # an answer asks for the same one for every view that it draws
    def of(cls, link: str) -> "Address":
        """link: all words, as `viz.selection.to_query` writes them"""
        words = dict(parse_qsl(link, keep_blank_values=True))
        digests = {
            name: sha256(text.encode()).hexdigest()[:32]
            for name, text in words.items()
            if name == "picture" or len(text) > LONG
        }
        return cls(to_query({**words, **digests}), {digest: words[name] for name, digest in digests.items()})

    @property
    def fragment(self) -> str:
        """What makes the query whole elsewhere, too; empty where there is nothing, or too much for a link."""
        text = to_query(self.kept)
        return text if len(self.query) + len(text) < LONGEST else ""

    def short(self, text: str) -> str:
        """A text with the digests in place of what they stand for."""
        for digest, word in self.kept.items():
            text = text.replace(word, digest)
        return text


def said_of(missing: Collection[str]) -> str:
    """A sentence on words of which a link has no more than the digest."""
    if "picture" in missing:
        return "The picture of this link is not in it: choose it here again."
    return f"What this link says of {', '.join(missing)} was too long to be in it: choose it here again."
