"""Tables, as rows under headings."""
