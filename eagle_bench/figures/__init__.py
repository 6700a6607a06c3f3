"""Every figure that rows give. Needs no torch."""
