"""The dataset part of the panel: pairs found in scenes, and the cases made of them."""
