"""What the model section of a recipe describes: towers, heads, temperature; where they start and what is trained."""
