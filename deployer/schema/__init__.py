"""JSON Schemas from the tables (`files.generate`), and validation of documents against them (`validate`)."""
