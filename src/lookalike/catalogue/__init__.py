"""The truth about a gallery: records, embeddings, reducer, labels and failures."""
