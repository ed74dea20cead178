"""The official clients of the service, unmodified, against the simulator; `make conformance` runs it."""
