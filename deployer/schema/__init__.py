"""JSON Schemas from the tables (`files.generate`), and what in a document breaks them (`validate`)."""
