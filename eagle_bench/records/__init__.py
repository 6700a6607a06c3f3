"""What a run writes and reads back: rows, folders, results."""
