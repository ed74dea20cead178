"""One module a version. A released one is never changed: ledgers out there were built by it."""
