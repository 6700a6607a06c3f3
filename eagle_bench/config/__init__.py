"""Every setting, typed, one file for each group of `conf/`. Imports no torch."""
