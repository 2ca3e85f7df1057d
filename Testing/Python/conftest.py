"""Under pytest the tests of the Slicer side run on ``Testing/Host``; in a real Slicer this file is not read."""

import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Host"))

import medgan_host  # noqa: E402

medgan_host.install()
