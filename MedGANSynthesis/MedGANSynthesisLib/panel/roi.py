"""A new box that the user can see: in the middle of the volume, half as wide."""

from __future__ import annotations


def placeRoi(roiNode, volumeNode) -> None:
    """Put a new ROI node into the middle of a volume; nothing happens without an image."""
    roiNode.CreateDefaultDisplayNodes()
    if volumeNode is None or volumeNode.GetImageData() is None:
        return
    bounds = [0.0] * 6
    volumeNode.GetRASBounds(bounds)
    lows, highs = bounds[::2], bounds[1::2]
    roiNode.SetCenterWorld([(low + high) / 2 for low, high in zip(lows, highs, strict=True)])
    roiNode.SetSizeWorld([(high - low) / 2 for low, high in zip(lows, highs, strict=True)])
