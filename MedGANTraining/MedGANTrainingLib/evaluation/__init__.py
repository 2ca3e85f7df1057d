"""How good a model is, in the scene: a table, volumes of errors, the report; and its way to MedGAN Synthesis."""
