"""From a model to the device: files for other runtimes, their latency, and many runs at once."""
