"""What runs: the campaign, and the command line that starts it."""
