"""JSON Schemas, generated from the parameter tables, and what in a document breaks them."""
