"""What made what: written down, verified, compared, and marked on the copies for handing on."""
