"""What a model is shown of a picture: a file for each transform, and the building blocks they share."""
