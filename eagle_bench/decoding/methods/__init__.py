"""Draft shapes: one file per method, all served by one loop."""
