"""The target: loading, one forward protocol, features, cache."""
