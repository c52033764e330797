"""The package name of the Python demo "Simple KV cache eviction strategies"; kvevict is what stands behind it."""
