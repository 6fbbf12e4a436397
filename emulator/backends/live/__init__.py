"""The live backend: real Linux namespaces, real TCP, real Flower processes."""
