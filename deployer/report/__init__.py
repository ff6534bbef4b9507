"""The one door to the terminal: each module turns the same Plan into text of one format."""
