"""``python -m medgan``: the ``medgan`` command."""

import sys

try:
    from .cli import main
except KeyboardInterrupt:  # while Python is still loading
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
