"""From what the user typed to a fit that was checked: every way to call one, and what became of 0.7's."""
