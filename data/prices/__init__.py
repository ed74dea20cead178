"""Dated price lists of the service: prices are data, never constants."""
