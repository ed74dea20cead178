"""From the rows of a campaign file to briefs whose pictures and clips are known."""
