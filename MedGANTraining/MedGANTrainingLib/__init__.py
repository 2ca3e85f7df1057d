"""The Slicer side of MedGAN Training: from volumes of the scene to a dataset, a run and a model. Imports no torch."""
