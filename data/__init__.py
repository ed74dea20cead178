"""The sample campaign and the dated price lists."""
