"""The panel of MedGAN Synthesis: one box per part of it, each in line with the parameter node."""
