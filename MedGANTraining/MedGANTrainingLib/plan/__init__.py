"""What a training will be: its parameters in a form, and what they come to with these images on this computer."""
