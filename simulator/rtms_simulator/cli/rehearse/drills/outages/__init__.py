"""Something is away, stalls or fails."""
