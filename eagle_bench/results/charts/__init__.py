"""Pictures: one model of a chart, drawn as PNG or SVG."""
