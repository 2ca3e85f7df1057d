"""The Slicer side of MedGAN Synthesis: everything that touches nodes, processes or widgets. Imports no torch."""
