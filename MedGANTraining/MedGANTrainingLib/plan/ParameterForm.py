"""ParameterForm: every parameter of a recipe in groups that can be searched; what differs from the preset is marked."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import ctk
import qt
from medgan import parameters, recipes
from medgan.errors import MedGANError

from .groups import COMMON, described, groupOf, groupTitles
from .ParameterRow import ParameterRow


class ParameterForm:
    """The rows of one task at a time.

    Args:
        onChanged: called with all values that the user set, after each change.
        onError: called with a sentence about what was typed, '' once it is right.

    Attributes:
        widget: the QWidget to put into a layout.
        rows: by the names of the parameters.
    """

    def __init__(self, onChanged: Callable[[dict[str, Any]], None], onError: Callable[[str], None]):
        self._onChanged, self._onError = onChanged, onError
        self.widget = qt.QWidget()
        self.widget.setLayout(qt.QVBoxLayout())
        self.widget.layout().setContentsMargins(0, 0, 0, 0)
        self.rows: dict[str, ParameterRow] = {}
        self._groups: dict[str, Any] = {}
        self._task = ""
        self._overrides: dict[str, Any] = {}
        self._updating = False

    def setTask(self, task: str) -> None:
        """Build the rows of a task, if it is another one. Raises InputError: there is no such task."""
        if task == self._task:
            return
        recipeClass = recipes.recipe_class(task)
        for group in self._groups.values():
            group.setParent(None)
            group.deleteLater()
        self.rows, self._groups, self._task = {}, {}, task
        kinds = typing.get_type_hints(recipeClass)
        fields = described(recipeClass)
        for group, title in groupTitles().items():
            members = [field for field in fields if groupOf(field.name) == group]
            if members:
                self._addGroup(group, title, members, kinds)

    def setValues(
        self, preset: dict[str, Any], overrides: dict[str, Any], planned: dict[str, tuple[Any, str]] | None = None
    ) -> None:
        """Show values.

        Args:
            preset: of every parameter. overrides: what the user set.
            planned: what the plan made of the preset for these images, with the reason.
        """
        self._overrides = dict(overrides)
        planned = planned or {}
        self._updating = True
        try:
            for name, row in self.rows.items():
                value, reason = planned.get(name, (preset[name], ""))
                row.show(preset[name], overrides.get(name, value), name in overrides, reason)
        finally:
            self._updating = False

    def filter(self, text: str, changedOnly: bool) -> int:
        """Show only the rows that hold all words of a text in name, label or help. Returns how many there are."""
        words = text.casefold().split()
        shown = {name for name, row in self.rows.items() if row.matches(words) and (row.changed or not changedOnly)}
        for name, row in self.rows.items():
            row.setVisible(name in shown)
        searching = bool(words) or changedOnly
        for key, group in self._groups.items():
            count = sum(groupOf(name) == key for name in shown)
            group.visible = count > 0
            if searching and count:
                group.collapsed = False
        return len(shown)

    def restoreDefaults(self) -> None:
        """Back to what preset and plan have."""
        self._change({})

    def _addGroup(self, key: str, title: str, fields: list, kinds: dict[str, Any]) -> None:
        group = ctk.ctkCollapsibleGroupBox()
        group.objectName = f"{key}ParametersGroupBox"
        group.title = title
        layout = qt.QFormLayout(group)
        for field in fields:
            row = ParameterRow(field, kinds[field.name], self._onEdited, self._onReset)
            layout.addRow(row.label, row.widget)
            self.rows[field.name] = row
        self.widget.layout().addWidget(group)
        group.collapsed = key != COMMON
        self._groups[key] = group

    def _onEdited(self, name: str, value: Any) -> None:
        """The user, or ``setValues``, changed what a row shows; lines of text come as they were typed."""
        if self._updating:
            return
        row = self.rows[name]
        try:
            value = self._checked(name, value)
        except MedGANError as error:
            self._updating = True
            row.showValue()
            self._updating = False
            self._onError(str(error))
            return
        self._onError("")
        if value != row.value:
            self._change({**self._overrides, name: value})

    def _onReset(self, name: str) -> None:
        self._change({other: value for other, value in self._overrides.items() if other != name})

    def _change(self, overrides: dict[str, Any]) -> None:
        self._overrides = overrides
        self._onChanged(dict(overrides))

    def _checked(self, name: str, value: Any) -> Any:
        recipeClass = recipes.recipe_class(self._task)
        if isinstance(value, str):
            value = parameters.from_text(recipeClass, {name: value})[name]
        parameters.validate(recipeClass(**{name: value}))
        return value
