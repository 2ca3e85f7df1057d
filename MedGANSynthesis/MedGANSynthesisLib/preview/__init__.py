"""The live preview: what Apply would give, computed for what the slice views show or for a ROI."""
