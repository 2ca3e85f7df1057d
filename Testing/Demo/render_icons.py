"""Render the SVG icons of both modules, and the logo, as the 128 x 128 PNG files that Slicer shows.

Run by ``python Testing/Demo/render_icons.py`` after an SVG file was changed.
"""

import os
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

CHECKOUT = Path(__file__).resolve().parents[2]
SIZE = 128


def render(svg):
    """Write ``<name>.png`` beside ``<name>.svg``; OSError when the drawing is broken or the file cannot be written."""
    renderer = QSvgRenderer(str(svg))
    if not renderer.isValid():
        raise OSError(f"Qt cannot read {svg}; check that it is well-formed SVG.")
    image = QImage(SIZE, SIZE, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter)
    painter.end()
    target = svg.with_suffix(".png")
    if not image.save(str(target), "PNG", 0):
        raise OSError(f"{target} could not be written; free disk space.")


def main():
    """Render every icon and say which."""
    application = QGuiApplication([])
    for svg in sorted([*CHECKOUT.glob("MedGAN*/Resources/Icons/*.svg"), *CHECKOUT.glob("Resources/*.svg")]):
        render(svg)
        print(svg.relative_to(CHECKOUT).with_suffix(".png"))
    del application


main()
