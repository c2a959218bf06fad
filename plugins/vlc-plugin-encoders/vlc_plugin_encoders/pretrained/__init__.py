"""Models of other libraries as encoders; each library is imported when a recipe asks for it."""
