"""Reading and writing: models, data, and files that appear whole or not at all."""
