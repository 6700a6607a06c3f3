"""Training a target from scratch and an EAGLE-3 head on top of one."""
