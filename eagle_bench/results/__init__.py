"""What a run leaves on disk, and every way to look at it again."""
