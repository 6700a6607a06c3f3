"""EAGLE heads: the module, its configuration, and the formats it is stored in."""
