"""The vendor's reference pages, compared with the parameter tables."""
