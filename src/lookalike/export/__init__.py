"""Writing images and labels in the formats of other tools. Photos are only read."""
