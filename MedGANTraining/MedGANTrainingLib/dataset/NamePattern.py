"""NamePattern: what the names of volumes that belong together have in common."""

from __future__ import annotations

import re

from medgan.errors import InputError
from slicer.i18n import tr as _

_PARTS = re.compile(r"(\{\w+\}|\*)")


class NamePattern:
    """A pattern such as ``{patient}_low*``: partners share the parts in braces, ``*`` stands for anything.

    Args:
        text: the pattern, compared in any case.

    Raises:
        InputError: it has the same name in braces twice.
    """

    def __init__(self, text: str):
        self.text = text.strip()
        parts = _PARTS.split(self.text)
        expression = "".join(
            f"(?P<{part[1:-1]}>.+?)" if part.startswith("{") else ".*" if part == "*" else re.escape(part)
            for part in parts
        )
        try:
            self._expression = re.compile(expression, re.IGNORECASE)
        except re.error:
            message = _("The pattern {pattern} is not understood; write it like {example}, each name in braces once.")
            raise InputError(message.format(pattern=self.text, example="{patient}_mr*")) from None

    @property
    def names(self) -> set[str]:
        """The names in braces."""
        return set(self._expression.groupindex)

    def match(self, name: str) -> dict[str, str] | None:
        """What stands for the names in braces, None if the name does not fit the pattern."""
        found = self._expression.fullmatch(name)
        return None if found is None else found.groupdict()


def patternsOf(sourcePattern: str, targetPattern: str, needed: bool) -> tuple[NamePattern | None, NamePattern | None]:
    """The patterns of sources and targets; None where there is none.

    Raises:
        InputError: a pattern is not understood, the two have no name in braces in common, or one is needed and absent.
    """
    patterns = [NamePattern(text) if text.strip() else None for text in (sourcePattern, targetPattern)]
    if needed and None in patterns:
        raise InputError(
            _("Pairs by name need two patterns, such as {source} and {target}; fill in both.").format(
                source="{patient}_mr", target="{patient}_ct"
            )
        )
    if needed and not patterns[0].names & patterns[1].names:
        message = _("The patterns {source} and {target} have no name in braces in common, such as {example}.")
        raise InputError(message.format(source=patterns[0].text, target=patterns[1].text, example="{patient}"))
    return patterns[0], patterns[1]
