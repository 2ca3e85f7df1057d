"""Draws a screenshot: the panel at the left, and pictures at the right."""

import io

import numpy as np
import qt
import slicer
from vtk.util.numpy_support import vtk_to_numpy

PANEL_WIDTH = 460
TILE = 352  # pixels of one image
ENLARGED = 2.5
GAP, HEAD, LINE = 12, 36, 22
PANEL_COLORS = 128  # of the 256 of the palette

_PLACES = {  # as VTK counts them
    0: qt.Qt.AlignLeft | qt.Qt.AlignBottom,
    1: qt.Qt.AlignRight | qt.Qt.AlignBottom,
    2: qt.Qt.AlignLeft | qt.Qt.AlignTop,
    3: qt.Qt.AlignRight | qt.Qt.AlignTop,
    7: qt.Qt.AlignHCenter | qt.Qt.AlignTop,
}


def sliceImage(sliceLogic):
    """What a slice view shows, as an RGB array (rows from the top): the output of its reslicing and blending."""
    producer = sliceLogic.GetImageDataConnection().GetProducer()
    producer.Update()
    image = producer.GetOutputDataObject(0)
    width, height, _depth = image.GetDimensions()
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
    return array[::-1, :, :3].copy()


def grabPanel(widget):
    """The panel as it looks in Slicer's module column."""
    panel = widget.parent
    panel.resize(PANEL_WIDTH, panel.sizeHint.height())
    panel.show()
    for _round in range(3):  # labels that wrap tell their height late
        slicer.app.processEvents()
        panel.resize(PANEL_WIDTH, panel.layout().heightForWidth(PANEL_WIDTH))
    picture = panel.grab()
    panel.hide()
    return qt.QPixmap(picture)


def cornerTexts(sliceView):
    """What stands in the corners and at the upper edge of a slice view: {place as VTK counts: text}."""
    texts = {}
    renderers = sliceView.renderWindow().GetRenderers()
    for index in range(renderers.GetNumberOfItems()):
        props = renderers.GetItemAsObject(index).GetViewProps()
        for annotation in (props.GetItemAsObject(number) for number in range(props.GetNumberOfItems())):
            if annotation.IsA("vtkCornerAnnotation") and annotation.GetVisibility():
                texts |= {place: annotation.GetText(place) for place in _PLACES if annotation.GetText(place)}
    return texts


def compose(panel, title, tiles, focus, path):
    """Write the picture.

    Args:
        panel: QPixmap of the panel.
        title: one line above the slices.
        tiles: [(caption, RGB array, corner texts)], in the order of reading, two in a row; the first row is shown
            whole and, below it, enlarged.
        focus: middle of the enlarged part, as shares of the picture from the left and from the top.
        path: the PNG to write; with a palette, because it belongs to a repository.
    """
    rows = 2
    width = panel.width() + 3 * GAP + 2 * TILE
    height = max(panel.height(), HEAD + rows * (TILE + LINE)) + 2 * GAP
    canvas = qt.QImage(width, height, qt.QImage.Format_RGB32)
    canvas.fill(qt.QColor("white"))
    painter = qt.QPainter(canvas)
    painter.setRenderHint(qt.QPainter.SmoothPixmapTransform)
    painter.drawPixmap(GAP, GAP, panel)
    left = panel.width() + 2 * GAP
    _write(painter, left, GAP, 2 * TILE, title, points=13, bold=True)
    for index, (caption, array, texts) in enumerate(tiles):
        x = left + index * TILE
        for row, (image, note) in enumerate(
            ((_image(array), caption), (_enlarged(array, focus), f"{caption}, enlarged"))
        ):
            y = GAP + HEAD + row * (TILE + LINE)
            painter.drawImage(qt.QRect(x, y, TILE - 4, TILE - 4), image)
            for corner, text in texts.items() if row == 0 else ():
                _corner(painter, x, y, corner, text)
            _write(painter, x, y + TILE - 4, TILE, note, points=10)
    painter.end()
    _save(canvas, path, left)


def composeBeside(panel, title, tiles, path, width=560):
    """Write the panel with pictures below each other at its right.

    Args:
        panel: QPixmap of the panel.
        title: one line above the pictures.
        tiles: [(caption, RGB array)] from top to bottom.
        path: the PNG to write.
        width: of the pictures, in pixels.
    """
    images = [(caption, _image(array).scaledToWidth(width, qt.Qt.SmoothTransformation)) for caption, array in tiles]
    below = HEAD + sum(image.height() + LINE for _caption, image in images)
    canvas = qt.QImage(panel.width() + 3 * GAP + width, max(panel.height(), below) + 2 * GAP, qt.QImage.Format_RGB32)
    canvas.fill(qt.QColor("white"))
    painter = qt.QPainter(canvas)
    painter.drawPixmap(GAP, GAP, panel)
    left, top = panel.width() + 2 * GAP, GAP + HEAD
    _write(painter, left, GAP, width, title, points=13, bold=True)
    for caption, image in images:
        painter.drawImage(qt.QRect(left, top, width, image.height()), image)
        _write(painter, left, top + image.height() + 2, width, caption, points=10)
        top += image.height() + LINE
    painter.end()
    _save(canvas, path, left)


def _image(array):
    height, width, _channels = array.shape
    image = qt.QImage(width, height, qt.QImage.Format_RGB888)
    buffer = io.BytesIO()
    from PIL import Image

    Image.fromarray(array).save(buffer, "PNG")
    image.loadFromData(buffer.getvalue())
    return image


def _enlarged(array, focus):
    size = round(len(array) / ENLARGED)
    i, j = (min(max(0, round(len(array) * share) - size // 2), len(array) - size) for share in focus)
    return _image(array[j : j + size, i : i + size].copy())


def _write(painter, x, y, width, text, points, bold=False):
    font = qt.QFont(painter.font())
    font.setPointSize(points)
    font.setBold(bold)
    painter.setFont(font)
    painter.setPen(qt.QColor("black"))
    painter.drawText(qt.QRect(x, y, width, HEAD), int(qt.Qt.AlignLeft | qt.Qt.AlignTop), text)


def _corner(painter, x, y, corner, text):
    font = qt.QFont(painter.font())
    font.setPointSize(10)
    font.setBold(True)
    painter.setFont(font)
    painter.setPen(qt.QColor("#ffd23f"))
    painter.drawText(qt.QRect(x + 6, y + 4, TILE - 16, TILE - 12), int(_PLACES[corner]), text)


def _save(canvas, path, panelWidth):
    """As a PNG with a palette, a quarter of the size of one in true color."""
    from PIL import Image

    if not canvas.save(str(path), "PNG"):
        raise SystemExit(f"{path} cannot be written; choose another folder.")
    with Image.open(path) as image:
        picture = image.convert("RGB")
    width, height = picture.size
    parts = (picture.crop((0, 0, panelWidth, height)), picture.crop((panelWidth, 0, width, height)))
    shares = (_panelPalette(parts[0]), _palette(parts[1], 256 - PANEL_COLORS, Image.Quantize.MEDIANCUT))
    palette = Image.new("P", (1, 1))
    palette.putpalette(shares[0] + shares[1])
    whole = Image.new("P", (width, height))
    whole.putpalette(shares[0] + shares[1])
    dithers = (Image.Dither.NONE, Image.Dither.FLOYDSTEINBERG)  # dots in the even areas of the panel would be ugly
    for part, dither, x in zip(parts, dithers, (0, panelWidth), strict=True):
        whole.paste(part.quantize(palette=palette, dither=dither), (x, 0))
    whole.save(path, optimize=True)


def _panelPalette(picture):
    """The commonest colors as they are, and some near each of the others, so that no icon turns gray."""
    from PIL import Image

    found, counts = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_counts=True)
    common = found[np.argsort(-counts)[: PANEL_COLORS // 4]]
    others = _palette(Image.fromarray(found[None]), PANEL_COLORS - len(common), Image.Quantize.MAXCOVERAGE)
    return [*common.ravel().tolist(), *others]


def _palette(picture, colors, method):
    values = picture.quantize(colors, method=method).getpalette()[: 3 * colors]
    return values + [0] * (3 * colors - len(values))
