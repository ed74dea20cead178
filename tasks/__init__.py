"""What a flow chains: briefs, the plan, the three stages, the tables and the page."""
