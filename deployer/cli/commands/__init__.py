"""The verbs of the command line, one thin module each, imported when it is called."""
