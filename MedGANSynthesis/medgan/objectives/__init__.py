"""What generators and discriminators are trained for."""
