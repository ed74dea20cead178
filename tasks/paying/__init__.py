"""One piece of work, paid for once: from the reservation to verified bytes."""
