"""Qt properties that only hold a value."""

from .native_qt import QtCore


def field(kind, name, default, changed=None):
    """A Qt property kept in ``_name``; ``changed(self)`` is called after a new value was set."""

    def read(self):
        return getattr(self, "_" + name, default)

    def write(self, value):
        if value != read(self):
            setattr(self, "_" + name, value)
            if changed is not None:
                changed(self)

    return QtCore.Property(kind, read, write)
