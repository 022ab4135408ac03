"""Actions: what is done at each hit, whatever was hit."""
