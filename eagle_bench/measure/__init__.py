"""Measuring: rows, figures, statistics, guards; from one job's settings to its summary."""
