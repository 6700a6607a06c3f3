"""The HTML report: one file with words, tables, pictures and coloured outputs."""
