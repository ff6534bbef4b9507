"""Parameter tables and the JSON Schemas generated from them, read with importlib.resources."""
